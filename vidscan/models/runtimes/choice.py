"""Chooses the runtime for a checkpoint, and says why."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from vidscan.errors import UsageError
from vidscan.models.runtimes.comparison import TOLERANCE, largest_difference
from vidscan.models.runtimes.conversion import convert_once
from vidscan.models.runtimes.devices import Devices, devices
from vidscan.models.runtimes.keras import KerasRuntime
from vidscan.models.runtimes.onnx import COREML, OnnxRuntime
from vidscan.models.runtimes.protocol import Runtime, RuntimeUnavailableError
from vidscan.options import RUNTIMES

_log = logging.getLogger("vidscan")


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime and the reason; ``compare``: its outputs must first be compared with the CPU's."""

    name: str
    reason: str
    compare: bool = False


def choose(wanted: str, has: Devices) -> Choice:
    """Chooses the runtime for a ``.keras`` checkpoint: ``wanted`` is one of ``options.RUNTIMES``.

    Raises:
        UsageError: this machine does not have what is wanted.
    """
    match wanted:
        case "auto" if has.gpu == "cuda":
            return Choice("keras", "there is a GPU (CUDA)")
        case "auto" if has.gpu == "metal":
            # Its fused layers are known to compute wrong values on some machines.
            return Choice("keras", "there is a GPU (Metal)", compare=True)
        case "auto":
            return Choice("onnx", "there is no GPU, and onnxruntime is the fastest on a CPU")
        case "keras" | "onnx":
            return Choice(wanted, "it was asked for")
        case "coreml" if has.coreml:
            return Choice("coreml", "it was asked for", compare=True)
        case "coreml":
            raise UsageError("--runtime coreml: CoreML is there on macOS alone; choose auto, onnx or keras")
    raise UsageError(f"--runtime {wanted}: is none of {', '.join(RUNTIMES)}")


def open_runtime(wanted: str, checkpoint: KerasRuntime, path: Path) -> Runtime:
    """Opens the wanted runtime for an inspected checkpoint; ``auto`` may fall back, with a warning.

    Raises:
        UsageError: this machine does not have what is wanted.
        RuntimeUnavailableError: a runtime requested by name is not available for this checkpoint, or computes
            something else than the CPU does.
        ModelError: the checkpoint is refused.
    """
    if wanted == "keras":
        return checkpoint
    if wanted == "onnx":
        return _on_cpu(path, checkpoint, by_name=True)
    choice = choose(wanted, devices())
    if choice.name == "coreml":
        return _coreml(path)
    if choice.name == "keras":
        apart = difference_on_gpu(checkpoint) if choice.compare else 0.0
        if apart <= TOLERANCE:
            return checkpoint
        _log.warning(
            "vidscan: the GPU's outputs lie %.2g from the CPU's (%g is allowed): the CPU is used; "
            "--runtime keras takes the GPU all the same",
            apart,
            TOLERANCE,
        )
    return _on_cpu(path, checkpoint, by_name=False)


def _on_cpu(path: Path, checkpoint: KerasRuntime, *, by_name: bool) -> Runtime:
    try:
        return OnnxRuntime(convert_once(path))
    except RuntimeUnavailableError as error:
        if by_name:
            raise
        _log.warning("vidscan: %s; Keras is used, which is slower on a CPU", error)
        return checkpoint


def _coreml(path: Path) -> Runtime:
    network = convert_once(path)
    apple, cpu = OnnxRuntime(network, name="coreml", provider=COREML), OnnxRuntime(network)
    apart = largest_difference(apple.outputs, cpu.outputs, apple.input_size)
    if not apart <= TOLERANCE:
        raise RuntimeUnavailableError(
            f"{path}: coreml computes outputs {apart:.2g} from the CPU's, where {TOLERANCE:g} is allowed; "
            "choose --runtime onnx"
        )
    return apple


def difference_on_gpu(checkpoint: KerasRuntime) -> float:
    """Returns how far (0-1) Keras's outputs on the GPU are from those it computes on the CPU."""
    return largest_difference(checkpoint.outputs, checkpoint.outputs_on_cpu, checkpoint.input_size)
