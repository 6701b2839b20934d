"""Source -> Iterator[Frame]: clips through ffmpeg, stills through OpenCV."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from vidscan import ffmpeg
from vidscan.errors import DecodeError, SourceError
from vidscan.ffmpeg_command import Look
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Image, Source, SourceKind
from vidscan.seeking import spread_frames


def sample_frames(
    source: Source, options: SamplingOptions, duration_s: float | None = None
) -> Iterator[Frame]:
    """The frames of a clip that shall be looked at, or the one picture of a still.

    Args:
        source: what to read.
        options: how often to look.
        duration_s: the clip's length as its header gives it; None where it does not. Only frames that
            are spread over the clip depend on it.

    Yields:
        Frames in the order of time, with ``index`` counting from 0.

    Raises:
        SourceError: the file cannot be read or is empty.
        DecodeError: its pictures cannot be decoded.
    """
    require_content(source.path)
    if source.kind is SourceKind.IMAGE:
        yield Frame(source.id, 0, 0.0, read_still(source.path))
        return
    with closing(_pictures(source.path, options, duration_s)) as pictures:
        for index, (time_s, image) in enumerate(pictures):
            yield Frame(source.id, index, time_s, image)


def _pictures(
    path: Path, options: SamplingOptions, duration_s: float | None
) -> Generator[tuple[float, Image], None, None]:
    hwaccel = options.hwaccel == "auto"
    if options.frames is not None:
        yield from spread_frames(path, options.frames, duration_s, hwaccel=hwaccel)
    else:
        look = Look(fps=options.fps, keyframes=options.keyframes)
        yield from ffmpeg.stream_frames(path, look, hwaccel=hwaccel)


def require_content(path: Path) -> None:
    """Raises SourceError where a file is missing, unreadable or empty."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise SourceError(f"{path}: the file is empty: fetch it again")
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror}): check the path and permissions"
        ) from error


def read_still(path: Path) -> Image:
    """Reads a still as RGB ``uint8[height, width, 3]``, turned as its EXIF orientation says.

    Raises:
        DecodeError: the file is no picture that OpenCV can read.
    """
    # From memory rather than by name: OpenCV's own file handling fails on names that are no ASCII.
    encoded = np.fromfile(path, np.uint8)
    # OpenCV logs its complaints to stderr by itself; the error below is what a person should read.
    log_level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DecodeError(f"{path}: the picture cannot be decoded ({error.err}): check the file") from error
    finally:
        cv2.utils.logging.setLogLevel(log_level)
    if decoded is None:
        raise DecodeError(
            f"{path}: no picture that can be read (damaged, or not of a known format): "
            "convert it to PNG or JPEG, or fetch it again"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
