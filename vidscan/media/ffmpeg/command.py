"""Builds the ffmpeg command that samples the frames of a clip. Nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidscan.media.ffmpeg.presentation import Presentation

EDGE = 0.001
"""Share of a period by which a frame may come early: one at the edge, such as 0.5 s stored as 0.49999,
belongs to the period that begins there."""

_GONE_BACK = "lt(t,prev_t-0.5)"
"""A frame so many seconds before the last one begins another recording, whose clock starts anew."""

AS_STORED = Presentation()
"""The first video stream that is no cover, as it is stored, but upright."""


@dataclass(frozen=True, slots=True)
class Look:
    """Which frames of a clip one run of ffmpeg gives.

    From ``start_s`` on, the first frame in each period of ``1/fps`` seconds by the stream's own clock (every
    frame if ``fps`` is None), so that nothing drifts and a variable frame rate needs no care. ``keyframes``:
    only keyframes are decoded. ``max_frames``: at most so many. ``threads``: the decoder's; None leaves them
    open.
    """

    start_s: float = 0.0
    fps: float | None = None
    keyframes: bool = False
    max_frames: int | None = None
    threads: int | None = None

    def expected_time(self, number: int) -> float:
        """Returns the approximate time of a frame by its number, from 0, for a stream without a clock."""
        return self.start_s + (number / self.fps if self.fps else 0.0)


def evenly(duration_s: float, count: int) -> list[Look]:
    """Returns looks at the first frame in each of ``count`` equal parts of a clip, reached by seeking."""
    part = duration_s / count
    # One thread: a decoder with more of them decodes as many frames more than are needed.
    return [
        Look(start_s=max(0.0, (number - EDGE) * part), max_frames=1, threads=1) for number in range(count)
    ]


def sampling_command(
    program: str,
    look: Look,
    *,
    source: Sequence[str],
    passthrough: Mapping[str, str],
    mark: str,
    shown: Presentation = AS_STORED,
) -> list[str]:
    """Returns the command that writes a PPM per frame to standard output and its time to standard error.

    ``source`` are the arguments that name the clip, up to and including ``-i NAME``; ``passthrough`` is the
    option that keeps the frames' own times, and ``mark`` an unguessable name for the filter that prints them.
    Where the clock goes back, periods are counted anew.
    """
    import ffmpeg

    before: dict[str, str | int] = {}
    if look.start_s > 0:
        before["ss"] = f"{look.start_s:.6f}"
        # Some indices name frames as keyframes that are none; decoded from there, pictures are mud.
        before["err_detect"] = "explode"
    if look.keyframes:
        before["skip_frame"] = "nokey"
    if look.threads is not None:
        before["threads"] = look.threads
    # ffmpeg-python cannot take a name that is no UTF-8: it is put in afterwards.
    stream = ffmpeg.input("INPUT", **before)[shown.selector]
    # First in the chain: frames that are not wanted are never converted to RGB.
    if look.fps is not None:
        period = f"floor(t*{look.fps!r}+{EDGE})"
        previous = f"floor(prev_selected_t*{look.fps!r}+{EDGE})"
        stream = stream.filter("select", f"isnan(prev_selected_t)+gt({period},{previous})+{_GONE_BACK}")
    # Before the others, as a field is marked no more.
    stream = stream.filter(f"showinfo@{mark}", checksum=0)
    for each in shown.filters:
        stream = stream.filter(each.name, **each.options)
    strict = ("-xerror",) if look.start_s > 0 else ()
    limit = {} if look.max_frames is None else {"frames:v": look.max_frames}
    stream = stream.output(
        "pipe:1",
        format="image2pipe",
        vcodec="ppm",
        pix_fmt="rgb24",
        map_metadata="-1",
        **passthrough,
        **limit,
    ).global_args("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", *strict)
    compiled = [str(part) for part in stream.compile(cmd=program)]
    place = compiled.index("INPUT")
    return [*compiled[: place - 1], *source, *compiled[place + 1 :]]
