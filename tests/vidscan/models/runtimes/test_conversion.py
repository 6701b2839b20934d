"""A real conversion of a tiny network, and what a scan with it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from leftovers import gone

from vidscan.errors import CardError, ModelError, ScoringError
from vidscan.models import checkpoint as model
from vidscan.models.card_file import card_path, write_card
from vidscan.models.runtimes import conversion
from vidscan.models.runtimes.comparison import fixed_crops
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.records import ModelCard
from vidscan.system.frameworks import import_keras

pytestmark = pytest.mark.slow

SIZE = 32


def save_network(path: Path, outputs: int = 1, damaged: bool = False) -> Path:
    """A little of all that the real networks hold, constants of ``Normalization`` above all."""
    keras = import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIZE, SIZE, 3), name="crop")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3])(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("swish")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid", use_bias=False)(x)
    squeezed = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
    x = layers.multiply([x, layers.Conv2D(6, 1, activation="sigmoid")(squeezed)])
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    x = layers.Dense(outputs, activation="sigmoid", kernel_initializer="he_normal")(x)
    network = keras.Model(inputs, x)
    random = np.random.default_rng(5)
    network.set_weights(
        [
            np.abs(each) + 0.5
            if "variance" in each_variable.path
            else each + random.normal(0, 0.3, each.shape)
            for each, each_variable in zip(network.get_weights(), network.weights, strict=True)
        ]
    )
    if damaged:
        network.set_weights([np.full_like(each, np.nan) for each in network.get_weights()])
    network.save(path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("conversion") / "small.keras")


@pytest.fixture(scope="module")
def converted(checkpoint: Path) -> model.LoadedModel:
    """Through a converter process, once for all tests here."""
    return model.load_model(checkpoint, "onnx")


def pictures(count: int) -> np.ndarray:
    colours = np.random.default_rng(1).integers(0, 256, (count, 1, 1, 3), dtype=np.uint8)
    return np.concatenate([fixed_crops(SIZE), np.broadcast_to(colours, (count, SIZE, SIZE, 3))])


def test_scores_are_those_of_keras_in_batches_of_any_size(converted, checkpoint):
    keras = model.load_model(checkpoint)
    assert (keras.runtime.name, converted.runtime.name) == ("keras", "onnx")
    crops = pictures(8)
    scores = converted.score(crops)
    assert (scores.shape, scores.dtype) == ((len(crops),), np.float32)
    assert np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, keras.score(crops), atol=1e-5)
    for count in (1, 5):
        np.testing.assert_allclose(converted.score(crops[:count]), scores[:count], atol=1e-6)
    assert converted.score(crops[:0]).shape == (0,)


def test_score_of_a_crop_does_not_depend_on_its_company(converted):
    crops = pictures(8)
    scores = converted.score(crops)
    assert [float(converted.score(crops[at : at + 1])[0]) for at in range(len(crops))] == scores.tolist()


def test_keras_network_is_there_when_it_is_asked_for(converted):
    assert converted.network.count_params() > 0
    outputs = np.asarray(converted.network(fixed_crops(SIZE), training=False)).reshape(-1)
    np.testing.assert_allclose(converted.score(fixed_crops(SIZE)), 1 - outputs, atol=1e-5)


def test_warm_start_loads_no_framework(converted, checkpoint):
    code = (
        "import sys, numpy as np; from vidscan.models.checkpoint import load_model\n"
        f"model = load_model({str(checkpoint)!r}, 'auto')\n"
        f"model.score(np.zeros((2, {SIZE}, {SIZE}, 3), np.uint8))\n"
        "print(model.runtime.name, [name for name in ('keras', 'tensorflow', 'onnx') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (answer.stdout, answer.stderr) == ("onnx []\n", "")


def test_archive_and_card_are_still_inspected(converted, tmp_path, checkpoint):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(checkpoint.read_bytes())
    write_card(ModelCard("copy", "none", SIZE, sha256="0" * 64), card_path(copy))
    with pytest.raises(CardError, match="their SHA-256 differ"):
        model.load_model(copy, "onnx")
    write_card(ModelCard("copy", "none", 2 * SIZE), card_path(copy))
    with pytest.raises(CardError, match=r'"input_size" is 64'):
        model.load_model(copy, "onnx")
    copy.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(ModelError, match="incomplete"):
        model.load_model(copy, "onnx")


def test_card_is_applied(converted, checkpoint, tmp_path):
    copy = tmp_path / "copy.keras"
    copy.write_bytes(checkpoint.read_bytes())
    write_card(ModelCard("copy", "none", SIZE, positive_class="fake"), card_path(copy))
    other = model.load_model(copy, "onnx")  # the same bytes: the same entry of the cache
    np.testing.assert_allclose(
        other.score(fixed_crops(SIZE)), 1 - converted.score(fixed_crops(SIZE)), atol=1e-6
    )


def test_converter_refuses_what_serving_refuses(tmp_path):
    path = save_network(tmp_path / "broken.keras", damaged=True)
    with pytest.raises(ModelError, match=r"broken\.keras: the weights .* hold NaN") as caught:
        model.load_model(path, "onnx")
    assert not isinstance(caught.value, RuntimeUnavailableError)


def test_result_that_disagrees_is_not_used(checkpoint, tmp_path, monkeypatch):
    from vidscan.models.runtimes import converter

    monkeypatch.setattr(converter, "onnx_of", lambda network: b"net")
    answers = SimpleNamespace(outputs=lambda crops: np.full((len(crops), 1), 0.2, np.float32))
    monkeypatch.setattr(converter, "OnnxRuntime", lambda content: answers)
    answer = converter.main(checkpoint, tmp_path / "out.onnx")
    assert "from Keras's, where 0.001 is allowed" in answer["failed"]
    assert not (tmp_path / "out.onnx").exists()


def test_failure_of_the_session_is_a_scoring_error(converted, monkeypatch):
    class Session:
        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="crops")]

        def get_outputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="fake")]

        def run(self, *_: object) -> None:
            raise RuntimeError("no memory")

    broken = replace(converted)
    opened: Future[Session] = Future()
    opened.set_result(Session())
    monkeypatch.setattr(converted.runtime, "_opening", opened)
    with pytest.raises(ScoringError, match=r"small\.keras: the network failed: RuntimeError: no memory"):
        broken.score(fixed_crops(SIZE))


@pytest.fixture
def converter_says(monkeypatch, tmp_path):
    """Has the converter's process run a script of the test's instead."""

    def says(script: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        # The module's name alone: the guardian of processes is started by the real interpreter.
        monkeypatch.setattr(conversion, "sys", SimpleNamespace(executable=str(program)))

    return says


def test_answer_that_is_none_names_the_last_line(converter_says, checkpoint):
    converter_says("printf 'Traceback\n  ...\nValueError: odd layer\n' >&2; exit 1")
    with pytest.raises(
        RuntimeUnavailableError, match=r"ValueError: odd layer \(the converter ended with code 1"
    ):
        conversion.convert(checkpoint, "0" * 64)
    converter_says(f"echo noise; echo '{json.dumps({'failed': 'reason'})}'")
    with pytest.raises(RuntimeUnavailableError, match="for onnxruntime: reason"):
        conversion.convert(checkpoint, "0" * 64)


def test_converter_that_hangs_is_ended_with_all_that_it_started(converter_says, checkpoint, monkeypatch):
    monkeypatch.setattr(conversion, "_TIMEOUT_S", 0.5)
    mark = f"{os.getpid()}.{time.time_ns() % 10**7}"  # seconds, which tell it from other sleeps
    converter_says(f"sleep {mark} & sleep {mark}")
    with pytest.raises(RuntimeUnavailableError, match="it took more than"):
        conversion.convert(checkpoint, "0" * 64)
    assert gone(mark)
