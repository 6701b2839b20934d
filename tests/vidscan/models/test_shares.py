"""Heat maps by the exact shares of the logit: whose they are, right by hand, and without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toys import CARD as TOY_CARD
from toys import ToyDetector, ToyScorer

from vidscan.errors import ModelError, ScoringError
from vidscan.media.sources import from_paths
from vidscan.models.card_file import card_path, write_card
from vidscan.models.checkpoint import LoadedModel, load_model
from vidscan.models.gradcam import GradCam
from vidscan.models.shares import LogitShares, first_with_shares
from vidscan.options import EvidenceOptions, ScanOptions
from vidscan.records import Geometry, HeatKind, HeatSource, Image, ModelCard
from vidscan.scan.pipeline import explainer_of, scan

SIDE, CELLS = 32, 4
CARD = ModelCard("cells", "none", SIDE, margin=2.0, positive_class="fake", least_face=0)
EXPLAINED = ScanOptions(evidence=EvidenceOptions(kept=True, explained=True))


def sharing_network(shape: list[int | str], bias: float = -8.0) -> onnx.ModelProto:
    """A cell's share is its mean brightness, 0-1; the logit is their sum and ``bias``."""
    weights = {
        "white": np.array(255, np.float32),
        "cells": np.array([0, CELLS, SIDE // CELLS, CELLS, SIDE // CELLS], np.int64),
        "grid": np.array([0, CELLS, CELLS], np.int64),
        "bias": np.array(bias, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["crop"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["light"]),
        helper.make_node("ReduceMean", ["light"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Reshape", ["grey", "cells"], ["parted"]),
        helper.make_node("ReduceMean", ["parted"], ["means"], axes=[2, 4], keepdims=0),
        helper.make_node("Reshape", ["means", "grid"], ["shares"]),
        helper.make_node("ReduceMean", ["means"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "count"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["p"]),
        helper.make_node("Unsqueeze", ["p", "one"], ["fake"]),
    ]
    weights |= {"count": np.array(CELLS**2, np.float32), "one": np.array([1], np.int64)}
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("crop", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("fake", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("shares", TensorProto.FLOAT, shape),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def sharing_file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.onnx"
    onnx.save(sharing_network(["n", CELLS, CELLS]), path)
    write_card(CARD, card_path(path))
    return path


@pytest.fixture
def sharing(sharing_file: Path) -> LoadedModel:
    return load_model(sharing_file, "auto")


def crops_of_cells(*levels: np.ndarray) -> Image:
    """Crops whose cells are of these levels, 0-255."""
    grown = np.kron(np.stack(levels), np.ones((1, SIDE // CELLS, SIDE // CELLS)))
    return np.repeat(grown[..., None], 3, axis=3).astype(np.uint8)


CELLS_OF_CROP = np.random.default_rng(3).integers(0, 256, (2, CELLS, CELLS))


def test_the_scores_are_the_first_output_alone(sharing):
    logits = CELLS_OF_CROP.sum(axis=(1, 2)) / 255 - 8.0
    assert sharing.score(crops_of_cells(*CELLS_OF_CROP)) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
    assert sharing.runtime.outputs(crops_of_cells(*CELLS_OF_CROP)).shape == (2, 1)


def test_shares_and_bias_are_the_logit(sharing):
    crops = crops_of_cells(*CELLS_OF_CROP)
    shares, fake = sharing.runtime.shares(crops), sharing.runtime.outputs(crops)[:, 0]
    assert shares.shape == (2, CELLS, CELLS) and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=(1, 2)) - 8.0, np.log(fake / (1 - fake)), atol=1e-4)


@pytest.mark.parametrize(("positive_class", "sign"), [("fake", 1), ("real", -1)])
def test_map_is_what_exceeds_the_average_by_hand(sharing, positive_class: str, sign: int):
    card = ModelCard("cells", "none", SIDE, positive_class=positive_class)
    maps = LogitShares(sharing.runtime, card).heat(crops_of_cells(*CELLS_OF_CROP))
    apart = sign * (CELLS_OF_CROP - CELLS_OF_CROP.mean(axis=(1, 2), keepdims=True))
    expected = np.maximum(apart, 0) / apart.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(np.stack(maps), expected, atol=1e-4)
    assert all(heat.dtype == np.float32 and heat.max() == 1 for heat in maps)


def test_a_constant_paints_nothing(sharing):
    """Rounding must not be blown up to a map."""
    explainer = LogitShares(sharing.runtime, CARD)
    flat = [np.full((CELLS, CELLS), level) for level in (0, 93, 255)]
    assert all(heat.max() == 0 for heat in explainer.heat(crops_of_cells(*flat)))
    assert explainer.heat(np.empty((0, SIDE, SIDE, 3), np.uint8)) == []


def test_a_constant_on_top_changes_no_map():
    class Runtime:
        gives_shares = True

        def __init__(self, constant: float) -> None:
            self.constant = constant

        def shares(self, crops: Image) -> np.ndarray:
            return np.stack([CELLS_OF_CROP[0] + self.constant] * len(crops)).astype(np.float32)

    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    first, *others = (LogitShares(Runtime(constant), CARD).heat(crops)[0] for constant in (0, 1e3, -1e3))
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-4)


def test_a_network_that_fails_is_an_error_in_one_line():
    class Broken:
        gives_shares = True

        def shares(self, crops: Image) -> np.ndarray:
            raise RuntimeError("out of memory\nat node 7")

    with pytest.raises(ScoringError, match=r"^the heat maps could not be computed: out of memory$"):
        LogitShares(Broken(), CARD).heat(np.zeros((1, SIDE, SIDE, 3), np.uint8))


# Which network explains itself


def test_the_first_model_with_shares_explains_whatever_stands_before_it(sharing, tiny_checkpoint):
    keras = load_model(tiny_checkpoint)
    for models in ([keras, sharing], [sharing, keras], [sharing]):
        explainer = explainer_of(models, EXPLAINED)
        assert isinstance(explainer, LogitShares)
        assert explainer.source == HeatSource(HeatKind.SHARES, "cells")
        assert explainer.geometry == Geometry(SIDE, 2.0)
    assert isinstance(explainer_of([keras], EXPLAINED), GradCam)
    assert explainer_of([sharing], ScanOptions()) is None


def test_a_file_without_shares_and_without_a_keras_network_is_refused(tmp_path):
    network = sharing_network(["n", CELLS, CELLS])
    del network.graph.output[1]
    onnx.save(network, tmp_path / "plain.onnx")
    plain = load_model(tmp_path / "plain.onnx", "auto")
    assert first_with_shares([plain]) is None
    with pytest.raises(ModelError, match="is an exported file and no Keras network"):
        explainer_of([plain], EXPLAINED)


@pytest.mark.parametrize("shape", [["n", 4, 8], ["n", 16], ["n", "rows", "columns"]])
def test_a_second_output_of_another_shape_is_refused(shape, tmp_path):
    onnx.save(sharing_network(shape), tmp_path / "odd.onnx")
    with pytest.raises(
        ModelError, match=r"odd\.onnx: puts out .* at most float32 \[n, cells, cells\] beside"
    ):
        load_model(tmp_path / "odd.onnx", "auto")


def test_the_crops_shown_are_those_of_the_network_that_explains(sharing, bright_clip):
    """The toy's crops, of 16 pixels, come first in every batch."""
    explainer = LogitShares(sharing.runtime, CARD)
    with ToyDetector() as detector:
        (report,) = scan(
            from_paths([bright_clip]),
            EXPLAINED,
            scorers=[ToyScorer(TOY_CARD), sharing],
            detector=detector,
            explainer=explainer,
        )
    assert report.evidence and {crop.image.shape for crop in report.evidence} == {(SIDE, SIDE, 3)}
    hot = [crop for crop in report.evidence if crop.heat is not None]
    assert hot and all(crop.heat_source == explainer.source for crop in hot)
    for crop in hot:
        np.testing.assert_array_equal(explainer.heat(crop.image[None])[0], crop.heat)


@pytest.mark.slow
def test_no_tensorflow_is_loaded(sharing_file):
    words = (
        "import sys, numpy as np; from vidscan.models.checkpoint import load_model;"
        "from vidscan.scan.pipeline import explainer_of;"
        "from vidscan.options import EvidenceOptions, ScanOptions;"
        f"models = [load_model({str(sharing_file)!r}, 'auto')];"
        "options = ScanOptions(evidence=EvidenceOptions(kept=True, explained=True));"
        f"explainer_of(models, options).heat(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8));"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", words], timeout=120).returncode == 0


def test_what_gives_shares_is_known_without_a_runtime():
    bare = SimpleNamespace(card=CARD)
    assert first_with_shares([bare]) is None
