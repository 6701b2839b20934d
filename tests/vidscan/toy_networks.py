"""ONNX networks of a few weights, whose scores a test knows beforehand, and an installation made of such."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.records import Calibration, ModelCard
from vidscan.system.files import sha256_of

SIZE = 40
CARD = ModelCard("vidscan-vit", "none", SIZE, margin=2.0, positive_class="fake", least_face=0)
WHOLE = Calibration(1.5, -0.25, "toys", 0.8)


def red_network(
    redness: float, *, shares: bool = False, int8: bool = False, mouth: bool = False
) -> onnx.ModelProto:
    """P is the sigmoid of ``redness`` times the mean of a crop's red, 0-1.

    Args:
        redness: the one weight.
        shares: adds the second output, of 2 x 2 patches.
        mouth: adds the ports of a network that looks at mouths, of which green, 0-1, times 4 counts.
        int8: has the crop go through a pair of quantisation and back, which changes no whole number.
    """
    weights = {
        "red": np.array([[redness / 255], [0], [0]], np.float32),
        "green": np.array([[0], [4 / 255], [0]], np.float32),
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.uint8),
        "nothing": np.array(0, np.float32),
        "patches": np.zeros((3, 4), np.float32),
        "square": np.array([-1, 2, 2], np.int64),
    }
    nodes = [helper.make_node("Cast", ["crop"], ["float"], to=TensorProto.FLOAT)]
    if int8:
        nodes += [
            helper.make_node("QuantizeLinear", ["float", "one", "zero"], ["steps"]),
            helper.make_node("DequantizeLinear", ["steps", "one", "zero"], ["whole"]),
        ]
    nodes += [
        helper.make_node("ReduceMean", ["whole" if int8 else "float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "red"], ["logit"]),
        helper.make_node("MatMul", ["mean", "green"], ["mouth_logit"]),
        helper.make_node("Add", ["logit", "mouth" if mouth else "nothing"], ["both"]),
        helper.make_node("Sigmoid", ["both"], ["fake"]),
    ]
    outputs = [helper.make_tensor_value_info("fake", TensorProto.FLOAT, ["n", 1])]
    if shares or mouth:
        nodes += [
            helper.make_node("MatMul", ["mean", "patches"], ["flat"]),
            helper.make_node("Reshape", ["flat", "square"], ["shares"]),
        ]
        outputs.append(helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 2, 2]))
    inputs = [helper.make_tensor_value_info("crop", TensorProto.UINT8, ["n", SIZE, SIZE, 3])]
    if mouth:
        inputs.append(helper.make_tensor_value_info("mouth", TensorProto.FLOAT, ["n", 1]))
        outputs.append(helper.make_tensor_value_info("mouth_logit", TensorProto.FLOAT, ["n", 1]))
    graph = helper.make_graph(
        nodes,
        "red",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_red_network(path: Path, card: ModelCard = CARD, redness: float = 3.0, **how: bool) -> Path:
    """A file with its card."""
    onnx.save(red_network(redness, **how), path)
    quantisation = "int8" if how.get("int8") else "none"
    own = replace(card, sha256=sha256_of(path), quantisation=quantisation, mouth=how.get("mouth", False))
    write_card(own, card_path(path))
    return path


@dataclass(frozen=True, slots=True)
class Installation:
    """A checkpoint folder with toys under the names of what ships."""

    folder: Path

    @property
    def lite2(self) -> Path:
        return self.folder / "vidscan-lite2.keras"

    @property
    def vit(self) -> Path:
        return self.folder / "vidscan-vit.onnx"

    @property
    def card(self) -> Path:
        return self.folder / "vidscan.json"

    def write_card(self, **changes: Any) -> None:
        """The detector card of the two."""
        self.card.write_text(json.dumps(detector_fields({self.lite2: 1.0, self.vit: 3.0}) | changes))


def detector_fields(weights: Mapping[Path, float]) -> dict[str, Any]:
    """A detector card's JSON; a member's name is its file's."""
    members = [
        {"name": path.stem, "sha256": sha256_of(path), "weight": weight} for path, weight in weights.items()
    ]
    return {
        "name": "vidscan",
        "backbone": "lite2 and vit",
        "input_size": 48,
        "positive_class": "fake",
        "fake_threshold": 0.9,
        "real_threshold": 0.2,
        "least_face": 40,
        "limits": "toys, measured together",
        "metrics": {"folds": {"auc": 0.8}},
        "calibration": {"slope": 1.5, "intercept": -0.25, "fitted_on": "toys", "spread": 0.8},
        "members": members,
    }


def installation(folder: Path, keras_file: Path) -> Installation:
    """Makes one; ``keras_file`` with its card plays ``vidscan-lite2``."""
    checkpoints = folder / "vidscan" / "checkpoints"
    checkpoints.mkdir(parents=True)
    made = Installation(checkpoints)
    shutil.copy(keras_file, made.lite2)
    write_card(replace(read_card(card_path(keras_file)), name="vidscan-lite2"), card_path(made.lite2))
    save_red_network(made.vit)
    made.write_card()
    return made
