"""Which runtime is taken, on machines that are only imagined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import ModelError, UsageError
from vidscan.models.runtimes import choice
from vidscan.models.runtimes.choice import choose, open_runtime
from vidscan.models.runtimes.comparison import fixed_crops, largest_difference
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.options import ModelOptions

PATH = Path("some.keras")


class Fake:
    """A runtime whose outputs are all ``value``; the checkpoint's Keras on a GPU and on the CPU too."""

    input_size = 32

    def __init__(self, name: str, value: float = 0.5, on_cpu: float = 0.5) -> None:
        self.name, self.value, self.on_cpu = name, value, on_cpu

    def outputs(self, crops: np.ndarray) -> np.ndarray:
        return np.full((len(crops), 1), self.value, np.float32)

    def outputs_on_cpu(self, crops: np.ndarray) -> np.ndarray:
        return np.full((len(crops), 1), self.on_cpu, np.float32)


@pytest.fixture
def conversion_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "convert_once", lambda path: b"net")
    monkeypatch.setattr(choice, "OnnxRuntime", lambda network, **how: Fake("onnx"))


def conversion_fails(error: Exception):
    def fail(path: Path) -> bytes:
        raise error

    return fail


@pytest.mark.parametrize(
    ("has", "name", "compared"), [(None, "onnx", False), ("cuda", "keras", False), ("metal", "keras", True)]
)
def test_choice(has, name, compared):
    chosen = choose(has)
    assert (chosen.name, chosen.compare) == (name, compared)
    assert chosen.reason


def test_unknown_name_is_refused_before_anything_is_loaded():
    with pytest.raises(UsageError, match="--runtime abacus cannot work: give one of auto, keras"):
        ModelOptions(runtime="abacus")


def test_gpu_that_agrees_is_used(monkeypatch, conversion_works, caplog):
    checkpoint = Fake("keras", 0.5005, on_cpu=0.5)
    monkeypatch.setattr(choice, "gpu", lambda: "metal")
    assert open_runtime("auto", checkpoint, PATH) is checkpoint
    assert not caplog.messages


@pytest.mark.parametrize("value", [0.51, float("nan")])
def test_gpu_that_computes_something_else_is_not_used(value, monkeypatch, conversion_works, caplog):
    checkpoint = Fake("keras", value, on_cpu=0.5)
    monkeypatch.setattr(choice, "gpu", lambda: "metal")
    assert open_runtime("auto", checkpoint, PATH).name == "onnx"
    (warning,) = caplog.messages
    assert "the GPU's outputs lie" in warning and "the CPU is used" in warning
    # Who asks for Keras by name gets it.
    assert open_runtime("keras", checkpoint, PATH) is checkpoint


def test_cuda_is_not_compared(monkeypatch, conversion_works):
    checkpoint = Fake("keras", 0.9, on_cpu=0.1)
    monkeypatch.setattr(choice, "gpu", lambda: "cuda")
    assert open_runtime("auto", checkpoint, PATH) is checkpoint


def test_failed_conversion_is_a_warning_in_auto_and_an_error_by_name(monkeypatch, caplog):
    monkeypatch.setattr(choice, "gpu", lambda: None)
    failing = conversion_fails(RuntimeUnavailableError("some.keras: cannot be converted: no luck"))
    monkeypatch.setattr(choice, "convert_once", failing)
    checkpoint = Fake("keras")
    assert open_runtime("auto", checkpoint, PATH) is checkpoint
    assert caplog.messages == [
        "vidscan: some.keras: cannot be converted: no luck; Keras is used, which is slower on a CPU"
    ]
    with pytest.raises(RuntimeUnavailableError, match="no luck"):
        open_runtime("onnx", checkpoint, PATH)


def test_refused_checkpoint_is_an_error_in_auto_too(monkeypatch):
    monkeypatch.setattr(choice, "gpu", lambda: None)
    monkeypatch.setattr(choice, "convert_once", conversion_fails(ModelError("some.keras: holds NaN")))
    with pytest.raises(ModelError, match="holds NaN"):
        open_runtime("auto", Fake("keras"), PATH)


@pytest.mark.parametrize("size", [32, 33, 260])
def test_fixed_crops_are_fixed_and_differ(size):
    crops = fixed_crops(size)
    assert (crops.shape, crops.dtype) == ((4, size, size, 3), np.uint8)
    np.testing.assert_array_equal(crops, fixed_crops(size))
    assert len({crop.tobytes() for crop in crops}) == 4


def test_difference_is_the_largest_one():
    def steps(crops: np.ndarray) -> np.ndarray:
        return np.arange(len(crops), dtype=np.float32)[:, None] / 10

    assert largest_difference(steps, lambda crops: 0 * steps(crops), 32) == pytest.approx(0.3)
