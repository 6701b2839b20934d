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
