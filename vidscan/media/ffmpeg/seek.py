"""Samples frames spread evenly over a clip by seeking: the cost depends on their number, not its length.

Each frame costs a short-lived ffmpeg that seeks to the keyframe before it and decodes from there. Starting
one takes some 25 ms, and every way to reach several places with one process is worse: its inputs all stay
open, so that a decoder's worth of memory would be held for each.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from vidscan.errors import DecodeError
from vidscan.media.ffmpeg import decode
from vidscan.media.ffmpeg.command import AS_STORED, Look, evenly
from vidscan.media.ffmpeg.decode import Picture
from vidscan.media.ffmpeg.presentation import Presentation

DENSE_S = 1.0
"""If frames lie no further apart than this, decoding all of the clip is cheaper than seeking."""

AT_ONCE = max(1, min(4, os.cpu_count() or 1))
"""Number of frames sought at the same time. Each holds a decoder and one picture, and uses one core."""

_SAME_FRAME_S = 1e-3
"""Two places whose times differ by no more than this lead to the same frame."""


def spread_frames(
    path: Path,
    count: int,
    duration_s: float | None,
    shown: Presentation = AS_STORED,
    *,
    seekable: bool = True,
) -> Generator[Picture, None, None]:
    """Yields the first frame in each of ``count`` equal parts of a clip, as ``decode.pictures``.

    Parts without a frame of their own give none: a clip of fewer frames gives each of them once.
    ``duration_s`` is the clip's length, None if unknown. If there is nothing at the clip's supposed end, its
    length is measured and frames are spread anew. A clip that is not ``seekable`` is read through, and may
    give a frame more wherever its clock starts anew.

    Raises:
        DecodeError: nothing could be decoded, or the length of the clip is unknown.
    """
    duration, most = duration_s or _measured(path, shown), count if seekable else None
    seekable = seekable and duration > count * DENSE_S
    if seekable and not _leads_somewhere(path, evenly(duration, count)[-1], shown):
        duration = _measured(path, shown)
        seekable = duration > count * DENSE_S
    whole = Look(fps=count / duration, max_frames=most)
    if not seekable:
        yield from decode.pictures(path, whole, shown)
        return
    latest = -1.0
    try:
        for found in _sought_in_order(path, evenly(duration, count), shown):
            if not found:  # as where a counter of times wrapped
                raise DecodeError(f"{path}: a place within it leads nowhere")
            for picture in found:
                if picture.time_s > latest + _SAME_FRAME_S:
                    latest = picture.time_s
                    yield picture
    except DecodeError:  # its index leads astray: what is missing is found by reading it through
        for picture in decode.pictures(path, whole, shown):
            if picture.time_s > latest + _SAME_FRAME_S:
                yield picture


def _measured(path: Path, shown: Presentation) -> float:
    duration = decode.measure(path, shown).length_s
    if not duration:
        raise DecodeError(
            f"{path}: nothing in it tells how long it is, so frames cannot be spread over it: "
            "use --fps instead of --frames, or convert it to MP4"
        )
    return duration


def _leads_somewhere(path: Path, look: Look, shown: Presentation) -> bool:
    try:
        return bool(_sought(path, look, shown))
    except DecodeError:
        return True  # there is something, though it cannot be decoded from there


def _sought(path: Path, look: Look, shown: Presentation) -> list[Picture]:
    """Returns the picture that a look finds, if any."""
    return list(decode.pictures(path, look, shown))


def _sought_in_order(path: Path, looks: Sequence[Look], shown: Presentation) -> Iterator[list[Picture]]:
    """Yields what the looks find, in order; at most ``AT_ONCE`` pictures wait for the consumer."""
    waiting: deque[Future[list[Picture]]] = deque()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="seek")
    try:
        for look in looks:
            waiting.append(pool.submit(_sought, path, look, shown))
            if len(waiting) == AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
