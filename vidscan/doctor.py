"""Checks an installation piece by piece: what a scan needs, tried in the order in which it needs it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

from vidscan import ffmpeg
from vidscan.errors import VidscanError
from vidscan.options import DetectionOptions


def print_diagnosis(console: Console, checkpoint: Path | None) -> bool:
    """Prints one line a check; True where all of them passed.

    Args:
        console: where to print.
        checkpoint: the model to try; None takes the one that ships.
    """
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("python", _python),
        ("ffmpeg", ffmpeg.find_program),
        ("face detector", _detector),
        ("tensorflow", _tensorflow),
        ("checkpoint", lambda: _checkpoint(checkpoint)),
        ("runtime", lambda: _runtime(checkpoint)),
        ("cache", _cache),
    )
    sound = True
    for name, check in checks:
        try:
            answer, mark, style = check(), "ok", "green"
        except (VidscanError, ImportError, OSError) as error:
            answer, mark, style, sound = str(error), "FAILED", "bold red", False
        console.print(f"{name:<14}", end="", markup=False)
        console.print(f"{mark:<7}", style=style, end="", markup=False)
        console.print(answer, markup=False, highlight=False, soft_wrap=True)
    return sound


def _python() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} on {system}, vidscan {version('vidscan')}"


def _detector() -> str:
    from vidscan.faces import MediaPipeFaceDetector

    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        found = detector.detect(np.zeros((64, 64, 3), np.uint8))
    if found:
        raise VidscanError("finds a face in a black picture: reinstall mediapipe")
    return f"mediapipe {version('mediapipe')}"


def _tensorflow() -> str:
    from vidscan.startup import import_keras, import_tensorflow

    keras = import_keras()
    tf = import_tensorflow()

    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"tensorflow {tf.__version__}, keras {keras.__version__}, {gpus} GPU" + ("" if gpus == 1 else "s")


def _checkpoint(path: Path | None) -> str:
    from vidscan.model import load_model

    model = load_model(path)
    size = model.card.input_size
    model.score(np.zeros((1, size, size, 3), np.uint8))
    calibrated = "calibrated" if model.card.calibration is not None else "uncalibrated"
    return f"{model.card.name} ({model.card.backbone}, {size} px, {calibrated}): {model.path}"


def _runtime(path: Path | None) -> str:
    """Which runtime ``auto`` takes and why; on Metal, what the comparison with the CPU says."""
    from vidscan.model import load_model
    from vidscan.runtimes import devices
    from vidscan.runtimes.choice import choose, difference_on_gpu
    from vidscan.runtimes.comparison import TOLERANCE

    choice = choose("auto", devices.devices())
    said = f"auto takes {choice.name}: {choice.reason}"
    model = load_model(path)
    if choice.compare and model.checkpoint is not None:
        apart = difference_on_gpu(model.checkpoint)
        if apart <= TOLERANCE:
            return f"{said}, which agrees with the CPU to {apart:.1g}"
        return f"auto takes onnx: {choice.reason}, but its outputs lie {apart:.1g} from the CPU's"
    return f"{said} (onnxruntime {version('onnxruntime')})"


def _cache() -> str:
    from vidscan.runtimes import cache

    try:
        folder = cache.trusted_folder()
    except cache.UntrustedFolderError as error:
        raise VidscanError(
            f"{cache.cache_folder()}: {error}, and is not used; make it yours alone (chmod go-w), or name "
            "another with VIDSCAN_CACHE"
        ) from error
    return f"{folder}: {cache.size_of(folder) >> 20} MiB, yours alone"
