"""Finds what a machine can compute on. The frameworks are asked only if a cheap test suggests a GPU."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Gpu = Literal["cuda", "metal"]

_NVIDIA = (Path("/dev/nvidiactl"), Path("/dev/nvidia0"), Path("/dev/dxg"))
"""One of these exists wherever a process can reach an Nvidia GPU; the last one under WSL."""


@dataclass(frozen=True, slots=True)
class Devices:
    """``gpu``: what Keras would compute on besides the CPU; ``coreml``: onnxruntime could use CoreML."""

    gpu: Gpu | None
    coreml: bool


def devices() -> Devices:
    """Returns this machine's. Imports TensorFlow, which takes seconds, only if there may be a GPU."""
    mac = sys.platform == "darwin"
    likely: Gpu | None = None
    if mac and _has_metal_plugin():
        likely = "metal"
    elif not mac and any(path.exists() for path in _NVIDIA):
        likely = "cuda"
    return Devices(likely if likely is not None and _keras_has_gpu() else None, coreml=mac)


def _has_metal_plugin() -> bool:
    try:
        version("tensorflow-metal")
    except PackageNotFoundError:
        return False
    return True


def _keras_has_gpu() -> bool:
    from vidscan.system.frameworks import import_keras, import_tensorflow

    match import_keras().backend.backend():
        case "jax":
            import jax

            return bool(jax.default_backend() == "gpu")
        case "torch":
            import torch

            return bool(torch.cuda.is_available())
        case _:
            return bool(import_tensorflow().config.list_physical_devices("GPU"))
