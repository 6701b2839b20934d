"""Networks that expect other numbers than 0-255, or say the same of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import ModelError
from vidscan.models.input_range import check_input_range
from vidscan.models.loading import load_models
from vidscan.models.runtimes.comparison import Compute

PATH = Path("own.keras")


def sigmoid(weights: np.ndarray, scale: float, bias: float = 0.0) -> Compute:
    """A network of one layer on the crop's pixels times ``scale``, with its output as a probability."""

    def outputs(crops: np.ndarray) -> np.ndarray:
        logits = (crops.reshape(len(crops), -1) * scale) @ weights + bias
        return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)[:, None]

    return outputs


def layer(seed: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.01, 0.05, size * size * 3)


@pytest.mark.parametrize("seed", range(8))
def test_a_network_that_scales_is_taken_and_one_that_does_not_is_refused(seed: int):
    check_input_range(PATH, sigmoid(layer(seed), 1 / 255), 16)
    with pytest.raises(ModelError, match=r"own\.keras: is certain of every crop.*Rescaling"):
        check_input_range(PATH, sigmoid(layer(seed), 1.0, 0.3), 16)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_network_that_says_the_same_of_everything_is_refused(value: float):
    with pytest.raises(ModelError, match=f"gives {value:g} whatever it is shown"):
        check_input_range(PATH, lambda crops: np.full((len(crops), 1), value, np.float32), 16)


@pytest.mark.parametrize("bias", [-9.0, 9.0])
def test_a_network_that_is_sure_of_black_too_is_none_that_expects_0_to_1(bias: float):
    """It may be sure of made-up crops, and they are all that is tried."""
    check_input_range(PATH, sigmoid(layer(0), 1 / 255, bias), 16)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [None, 1 / 255])
def test_a_file_is_tried_before_a_scan(factor: float | None, tmp_path: Path):
    from vidscan.models.checkpoint import load_model
    from vidscan.system.frameworks import import_keras

    keras = import_keras()
    inputs = keras.Input((16, 16, 3))
    x = inputs if factor is None else keras.layers.Rescaling(factor)(inputs)
    head = keras.layers.Dense(1, activation="sigmoid")
    network = keras.Model(inputs, head(keras.layers.Flatten()(x)))
    head.set_weights([layer(0)[:, None].astype(np.float32), np.array([0.3], np.float32)])
    network.save(tmp_path / "own.keras")
    assert load_model(tmp_path / "own.keras").card.input_size == 16
    if factor is None:
        with pytest.raises(ModelError, match=r"own\.keras: is certain of every crop"):
            load_models(tmp_path / "own.keras", runtime="keras")
    else:
        load_models(tmp_path / "own.keras", runtime="keras")
