"""Writes the annotated video: the clip with its faces boxed and scored, and a strip of the scores below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidscan.errors import DecodeError, ReportError, UsageError
from vidscan.media.ffmpeg import decode, program, redraw
from vidscan.options import VerdictOptions
from vidscan.records import Image, Report
from vidscan.render.painter import Painter, strip_height
from vidscan.system.files import raising, replacing
from vidscan.verdict import judge

SUFFIX = ".mp4"


def check_name(path: Path) -> None:
    """Raises UsageError if the name does not end in ``SUFFIX``."""
    if path.suffix.lower() != SUFFIX:
        raise UsageError(f"--annotate {str(path)!r}: a video's name must end in {SUFFIX}")


def annotate(
    report: Report,
    path: Path,
    options: VerdictOptions,
    progress: Callable[[float], None] = lambda time_s: None,
) -> redraw.Codec:
    """Writes the annotated video of a clip, whole or not at all; returns the codec.

    The colours stand for the thresholds of ``options``; ``progress`` is called with each frame's time in
    seconds.

    Raises:
        DecodeError: the clip can no longer be decoded.
        ReportError: the file cannot be written.
        VidscanError: ffmpeg failed.
    """
    source = report.source.path
    frames = decode.stream_frames(source, 1.0)
    first = next(frames, None)
    frames.close()
    if first is None:
        raise DecodeError(f"{source}: not one frame could be decoded")
    first_s, (height, width) = first[0], first[1].shape[:2]
    below = strip_height(width, height)
    painter = Painter(report, width, height, judge.thresholds(report.model_card, options))

    def draw(time_s: float, picture: Image) -> None:
        painter.draw(time_s, picture)
        progress(time_s)

    refused, remedy = f"{path}: the annotated video cannot be written", "name another place"
    with raising(lambda why: ReportError(f"{refused} ({why}): {remedy}")), replacing(path) as temporary:
        redraw.redraw(source, temporary, size=(width, height), below=below, first_s=first_s, draw=draw)
    return redraw.best_codec(program.find_program())
