"""Files for deployment: written with their card, read back, and close to what they were made of."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidscan.cli.export import CALIBRATION_CROPS, calibration_crops, export
from vidscan.cli.main import main
from vidscan.cli.requests import ExportOptions
from vidscan.errors import SourceError, UsageError
from vidscan.models.card_file import card_path, read_card
from vidscan.models.checkpoint import LoadedModel, load_model, save_checkpoint
from vidscan.records import Calibration, Geometry, ModelCard
from vidscan.system.files import sha256_of
from vidscan.system.frameworks import import_keras

pytestmark = pytest.mark.slow

SIZE = 32
CARD = ModelCard(
    "small", "none", SIZE, fake_threshold=0.7, calibration=Calibration(0.9, 0.1, "nothing"), limits="Few."
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras = import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIZE, SIZE, 3), name="crop")
    x = layers.Rescaling(1 / 128, -1.0)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6.0)(x)
    x = layers.add([x, layers.Conv2D(8, 3, padding="same", activation="relu")(x)])
    x = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    path = tmp_path_factory.mktemp("export") / "small.keras"
    save_checkpoint(keras.Model(inputs, x), path, CARD)
    return path


@pytest.fixture(scope="module")
def crop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    (folder / "manifest.csv").write_text("")
    for number, picture in enumerate(pictures(12)):
        cv2.imwrite(str(folder / f"{number}.png"), picture[:, :, ::-1])
    return folder


def pictures(count: int) -> np.ndarray:
    random = np.random.default_rng(2)
    colours = random.integers(0, 256, (count, 1, 1, 3))
    return np.clip(colours + random.normal(0, 20, (count, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


def exported(checkpoint: Path, folder: Path, kind: str, crops: Path | None = None) -> LoadedModel:
    out = folder / f"{kind}.onnx"
    export(ExportOptions(kind, out, checkpoint, crops))
    return load_model(out, "auto")


def test_float_file_is_the_network_with_its_card(checkpoint, tmp_path):
    model = exported(checkpoint, tmp_path, "onnx")
    original = load_model(checkpoint)
    np.testing.assert_allclose(model.score(pictures(9)), original.score(pictures(9)), atol=1e-5)
    assert model.card.calibration == CARD.calibration and model.card.fake_threshold == 0.7
    assert (model.card.limits, model.card.quantisation) == ("Few.", "none")
    assert model.card.sha256 == sha256_of(model.path)
    how = model.card.metrics["export"]
    assert (how["format"], how["source_sha256"]) == ("onnx", sha256_of(checkpoint))
    assert 0 <= how["largest_difference"] < 1e-4


def test_int8_file_is_close_and_says_what_was_measured(checkpoint, crop_folder, tmp_path):
    model = exported(checkpoint, tmp_path, "onnx-int8", crop_folder)
    original = load_model(checkpoint)
    ours, theirs = model.score(pictures(12)), original.score(pictures(12))
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    assert np.abs(ours - theirs).max() > 1e-6, "nothing was quantised"
    assert model.runtime.name == "onnx"
    how = model.card.metrics["export"]
    assert how["calibration_crops"] == 12 and 0 < how["mean_difference"] < 0.05
    assert model.card.quantisation == "int8"
    assert model.card.limits.startswith("Quantised to int8") and model.card.limits.endswith("Few.")


def test_command_writes_and_says_so(checkpoint, tmp_path, capsys):
    assert main(["export", str(checkpoint), "--format", "onnx", "--out", str(tmp_path / "a.onnx")]) == 0
    assert "largest difference" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["name"] == "small"
    assert read_card(card_path(tmp_path / "a.onnx")).sha256 == sha256_of(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("kind", "out", "calibrate", "reason"),
    [
        ("onnx", "a.tflite", None, r"must end in \.onnx"),
        ("onnx", "none/a.onnx", None, "there is no folder"),
        ("onnx", "a.onnx", "crops", "--calibrate only applies to int8 formats"),
        ("saved-model", "a.onnx", None, "is unknown: choose one of onnx, onnx-int8$"),
    ],
)
def test_what_cannot_work_is_refused_at_once(kind, out, calibrate, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        ExportOptions(kind, tmp_path / out, None, calibrate and tmp_path / calibrate)


def test_exported_file_is_not_exported_again(checkpoint, tmp_path, capsys):
    exported(checkpoint, tmp_path, "onnx")
    arguments = ["export", str(tmp_path / "onnx.onnx"), "--format", "onnx", "--out", str(tmp_path / "b.onnx")]
    assert main(arguments) == 1
    assert "is an exported file already" in capsys.readouterr().err
    assert not (tmp_path / "b.onnx").exists()


def test_faces_for_the_ranges_are_found_as_in_a_scan():
    crops = calibration_crops(None, Geometry(48, 1.4))
    assert crops.shape[1:] == (48, 48, 3) and crops.dtype == np.uint8
    assert 10 < len(crops) <= CALIBRATION_CROPS


def test_folder_without_faces_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(SourceError, match="no face was found in it"):
        calibration_crops(tmp_path, Geometry(48, 1.4))
