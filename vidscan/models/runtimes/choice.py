"""Chooses the runtime for a checkpoint by what the machine can compute on, and says why.

The frameworks are asked only if a cheap test suggests a GPU.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from vidscan.models.runtimes.comparison import TOLERANCE, largest_difference
from vidscan.models.runtimes.conversion import convert_once
from vidscan.models.runtimes.keras import KerasRuntime
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.models.runtimes.protocol import Runtime, RuntimeUnavailableError
from vidscan.system.frameworks import import_keras, import_tensorflow

_log = logging.getLogger("vidscan")

Gpu = Literal["cuda", "metal"]

_NVIDIA = (Path("/dev/nvidiactl"), Path("/dev/nvidia0"), Path("/dev/dxg"))
"""One of these exists wherever a process can reach an Nvidia GPU; the last one under WSL."""


def gpu() -> Gpu | None:
    """Returns what Keras computes on besides the CPU. Imports TensorFlow only if there may be a GPU."""
    mac = sys.platform == "darwin"
    likely: Gpu | None = None
    if mac and _has_metal_plugin():
        likely = "metal"
    elif not mac and any(path.exists() for path in _NVIDIA):
        likely = "cuda"
    return likely if likely is not None and _keras_has_gpu() else None


def _has_metal_plugin() -> bool:
    try:
        version("tensorflow-metal")
    except PackageNotFoundError:
        return False
    return True


def _keras_has_gpu() -> bool:
    match import_keras().backend.backend():
        case "jax":
            import jax

            return bool(jax.default_backend() == "gpu")
        case "torch":
            import torch

            return bool(torch.cuda.is_available())
        case _:
            return bool(import_tensorflow().config.list_physical_devices("GPU"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime and the reason; ``compare``: its outputs must first be compared with the CPU's."""

    name: str
    reason: str
    compare: bool = False


def choose(has: Gpu | None) -> Choice:
    """Chooses the runtime for a ``.keras`` checkpoint under ``auto``, where Keras has this GPU."""
    match has:
        case "cuda":
            return Choice("keras", "there is a GPU (CUDA)")
        case "metal":
            # Its fused layers are known to compute wrong values on some machines.
            return Choice("keras", "there is a GPU (Metal)", compare=True)
        case None:
            return Choice("onnx", "there is no GPU, and onnxruntime is the fastest on a CPU")


def open_runtime(wanted: str, checkpoint: KerasRuntime, path: Path, *, wait: bool = True) -> Runtime:
    """Opens the wanted runtime for an inspected checkpoint; ``auto`` may fall back, with a warning.

    ``wait``: see :class:`OnnxRuntime`.

    Raises:
        RuntimeUnavailableError: a runtime requested by name is not available for this checkpoint.
        ModelError: the checkpoint is refused.
    """
    if wanted == "keras":
        return checkpoint
    if wanted == "onnx":
        return OnnxRuntime(convert_once(path), wait=wait)
    choice = choose(gpu())
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
    try:
        return OnnxRuntime(convert_once(path), wait=wait)
    except RuntimeUnavailableError as error:
        _log.warning("vidscan: %s; Keras is used, which is slower on a CPU", error)
        return checkpoint


def difference_on_gpu(checkpoint: KerasRuntime) -> float:
    """Returns how far (0-1) Keras's outputs on the GPU are from those it computes on the CPU."""
    return largest_difference(checkpoint.outputs, checkpoint.outputs_on_cpu, checkpoint.input_size)
