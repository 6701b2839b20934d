"""Writes the annotated video: the clip with its faces boxed and scored, and a strip of the scores below."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from vidscan.errors import DecodeError, ReportError, UsageError
from vidscan.media.clip import Clip
from vidscan.media.ffmpeg import decode, program, redraw
from vidscan.media.ffmpeg.command import Look
from vidscan.options import SamplingOptions, VerdictOptions
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
    """Writes the annotated video of a clip, of several streams the first that was looked at; the codec.

    It is written whole or not at all.

    The colours stand for the thresholds of ``options``; ``progress`` is called with each frame's time in
    seconds.

    Raises:
        DecodeError: the clip can no longer be decoded.
        ReportError: the file cannot be written.
        VidscanError: ffmpeg failed.
    """
    source = report.source.path
    clip = Clip(source, SamplingOptions(stream=report.options.get("sampling", {}).get("stream")))
    shown = clip.presentation()
    if any(remark.code == "deinterlaced" for remark in report.remarks):
        shown = replace(shown, one_field=True)
    with closing(decode.pictures(source, Look(fps=1.0), shown)) as frames:
        first = next(frames, None)
    if first is None:
        raise DecodeError(f"{source}: not one frame could be decoded")
    first_s, (height, width) = first.time_s, first.image.shape[:2]
    below = strip_height(width, height)
    painter = Painter(
        of_stream(report, clip.streams[0].number), width, height, judge.thresholds(report.model_card, options)
    )

    def draw(time_s: float, picture: Image) -> None:
        painter.draw(time_s, picture)
        progress(time_s)

    refused, remedy = f"{path}: the annotated video cannot be written", "name another place"
    with raising(lambda why: ReportError(f"{refused} ({why}): {remedy}")), replacing(path) as temporary:
        redraw.redraw(
            source,
            temporary,
            shown=shown,
            size=(width, height),
            below=below,
            first_s=first_s,
            draw=draw,
        )
    return redraw.best_codec(program.find_program())


def of_stream(report: Report, number: int) -> Report:
    """The report with the people of one video stream alone."""
    tracks = tuple(track for track in report.tracks if track.stream == number)
    shown = {track.id for track in tracks}
    seen = [(point, tuple(face for face in point.faces if face.track in shown)) for point in report.timeline]
    timeline = tuple(replace(point, faces=faces) for point, faces in seen if faces)
    return replace(report, tracks=tracks, timeline=timeline)
