"""``vidscan doctor``: tries what a scan needs, piece by piece, in the order in which it needs it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.console import Console

from vidscan.errors import VidscanError
from vidscan.media.ffmpeg import redraw
from vidscan.media.ffmpeg.program import answer, find_program
from vidscan.models.bundled import CHECKPOINTS, checkpoint_path, detector_card
from vidscan.options import DetectionOptions
from vidscan.records import ModelCard
from vidscan.report.escape import visible
from vidscan.system.files import sha256_of
from vidscan.system.frameworks import import_keras, import_tensorflow

Check = tuple[str, Callable[[], str]]
"""A check's name, and a function that returns what it found or raises an error that says what to do."""

_PACKAGES = (
    "tensorflow",
    "keras",
    "mediapipe",
    "opencv-contrib-python",
    "numpy",
    "ffmpeg-python",
    "rich",
    "c2pa-python",
)
_NAME_COLUMNS = 16
_INDENT = "\n" + " " * (_NAME_COLUMNS + 2)


def checks(checkpoint: Path | None) -> list[Check]:
    """All checks, in order, of one checkpoint by its name or path; None takes all that ship."""
    return [
        ("python", _python),
        ("packages", _packages),
        ("ffmpeg", _ffmpeg),
        ("video output", _video_output),
        ("face detector", _detector),
        ("devices", _devices),
        *_checkpoints(checkpoint),
        ("runtime", lambda: _runtime(checkpoint)),
        ("cache", _cache),
    ]


def print_diagnosis(console: Console, checkpoint: Path | None) -> bool:
    """Prints each check with a tick (``ok`` in ASCII) or with what to do; True where all of them passed."""
    plain = console.options.ascii_only
    failed = 0
    for name, check in checks(checkpoint):
        try:
            answer, mark, style = check(), "ok" if plain else "✓", "green"
        except (VidscanError, ImportError, OSError) as error:
            answer, mark, style = visible(str(error)), "FAILED" if plain else "✗", "bold red"
            failed += 1
        console.print(f"{name:<{_NAME_COLUMNS}}", end="", markup=False)
        console.print(f"{mark} ", style=style, end="", markup=False)
        shown = _wrapped(answer, console.width) if console.is_terminal else answer
        console.print(shown, markup=False, highlight=False, soft_wrap=True)
    if failed:
        count = "1 check" if failed == 1 else f"{failed} checks"
        console.print(f"{count} failed: what to do stands beside each.", style="bold red")
    else:
        console.print("All that a scan needs is here.", style="green")
    return failed == 0


def _wrapped(answer: str, width: int) -> str:
    """An answer in lines that leave the column of names free; a path is never broken."""
    room = max(24, width - _NAME_COLUMNS - 2)
    wrap = textwrap.TextWrapper(room, break_long_words=False, break_on_hyphens=False).wrap
    lines = [wrap(line.strip()) or [""] for line in answer.split("\n")]
    return _INDENT.join(part for parts in lines for part in parts)


def _python() -> str:
    if not (3, 11) <= sys.version_info < (3, 13):
        raise VidscanError(f"Python {platform.python_version()}: vidscan requires Python 3.11 or 3.12")
    system = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} on {system}, vidscan {version('vidscan')}"


def _packages() -> str:
    missing, found = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise VidscanError(f"{', '.join(missing)}: missing; install vidscan again (pip install .)")
    try:
        found.append(f"pillow-heif {version('pillow-heif')}")
    except PackageNotFoundError:
        found.append("no pillow-heif, which HEIC takes: pip install 'vidscan[stills]'")
    return ", ".join(found)


def _ffmpeg() -> str:
    program = find_program()
    lines = answer(program, "-version").splitlines()
    words = lines[0].split() if lines else []
    if words[:2] != ["ffmpeg", "version"] or len(words) < 3:
        raise VidscanError(f"{program} is no ffmpeg: set VIDSCAN_FFMPEG to one, or unset it")
    if os.environ.get("VIDSCAN_FFMPEG"):
        origin = "named by VIDSCAN_FFMPEG"
    elif shutil.which("ffmpeg") == program:
        origin = "found on PATH"
    else:
        origin = "the one that came with vidscan"
    return f"{visible(words[2])}, {origin}: {visible(program)}"


def _video_output() -> str:
    codec = redraw.best_codec(find_program())
    if codec.plays:
        return f"{codec.name} ({codec.encoder}) for --annotate"
    return f"{codec.name} for --annotate, which few browsers play: an ffmpeg with libx264 would give H.264"


def _detector() -> str:
    from vidscan.faces.detector import MediaPipeFaceDetector

    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        found = detector.detect(np.zeros((64, 64, 3), np.uint8))
    if found:
        raise VidscanError("finds a face in a black picture: reinstall mediapipe")
    return f"mediapipe {version('mediapipe')} with its full-range and short-range model"


def _devices() -> str:
    tf, keras = import_tensorflow(), import_keras()
    gpus = [
        device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")
    ]
    return (
        f"{os.cpu_count()} CPU cores, {', '.join(gpus) or 'no GPU'}; keras runs on {keras.backend.backend()}"
    )


def _checkpoints(named: Path | None) -> list[Check]:
    """A check for the one named, or for each that ships, and for the card of those together."""
    if named is not None:
        return [("checkpoint", lambda: _checkpoint(named))]
    each = [("checkpoint", partial(_checkpoint, Path(name))) for name in CHECKPOINTS]
    return [*each, ("detector card", _detector_card)]


def _detector_card() -> str:
    """What holds for all networks that ship together, which is what a scan uses by default."""
    paths = map(checkpoint_path, CHECKPOINTS)
    card = detector_card({sha256_of(path): path for path in paths})
    if card is None:  # not for all that ship: their card is there, or its lack was raised
        raise VidscanError("none was found; install vidscan again")
    say = " and ".join(f"{visible(each.name)} (weight {each.weight:g})" for each in card.members)
    return _INDENT.join((f"{visible(card.name)}: {say}", *_card_lines(card)[1:]))


def _checkpoint(named: Path) -> str:
    from vidscan.models.checkpoint import load_model

    model = load_model(named)
    size = model.card.input_size
    model.score(np.zeros((1, size, size, 3), np.uint8))
    return _INDENT.join((f"{visible(model.card.name)}: {visible(str(model.path))}", *_card_lines(model.card)))


def _card_lines(card: ModelCard) -> list[str]:
    calibrated = "calibrated" if card.calibration is not None else "uncalibrated: its scores only rank"
    judged = f"FAKE from {card.fake_threshold:.2f}, REAL up to {card.real_threshold:.2f}"
    terms = visible(card.terms).split(". ")[0].split(", as ")[0].rstrip(".")
    return [f"{visible(card.backbone)}, {card.input_size} px, {calibrated}", judged, f"terms: {terms}"]


def _runtime(named: Path | None) -> str:
    if named is not None:
        return _runtime_of(named)
    return _INDENT.join(f"{name}: {_runtime_of(Path(name))}" for name in CHECKPOINTS)


def _runtime_of(named: Path) -> str:
    """Which runtime ``auto`` takes and why; on Metal, what the comparison with the CPU says."""
    from vidscan.models.checkpoint import load_model
    from vidscan.models.runtimes.choice import choose, difference_on_gpu, gpu
    from vidscan.models.runtimes.comparison import TOLERANCE

    model = load_model(named)
    if model.checkpoint is None:
        return f"{model.runtime.name}, which the file was made for"
    choice = choose(gpu())
    said = f"auto takes {choice.name}: {choice.reason}"
    if choice.compare:
        apart = difference_on_gpu(model.checkpoint)
        if apart <= TOLERANCE:
            return f"{said}, which agrees with the CPU to {apart:.1g}"
        return f"auto takes onnx: {choice.reason}, but its outputs lie {apart:.1g} from the CPU's"
    return f"{said} (onnxruntime {version('onnxruntime')})"


def _cache() -> str:
    from vidscan.models.runtimes import cache
    from vidscan.system import user_folder

    try:
        folder = user_folder.trusted_folder()
    except user_folder.UntrustedFolderError as error:
        raise VidscanError(
            f"{user_folder.cache_folder()}: {error}, and is not used; make it yours alone (chmod go-w), or "
            "name another with VIDSCAN_CACHE"
        ) from error
    return f"{folder}: {cache.size_of(folder) >> 20} MiB, yours alone"
