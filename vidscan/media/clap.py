"""Tells whether an MP4 or QuickTime file has a rectangle that its pictures are to be cut to. No decoding."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from vidscan.media.boxes import At, boxes, in_file

_WITHIN = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
"""The boxes around the descriptions of a track's pictures, ``stsd`` (ISO/IEC 14496-12)."""

MAX_BOXES = 10_000
MAX_DESCRIPTION = 1 << 16
"""Upper limits on the boxes of a level, and the bytes of a description, that are looked at."""


def has_clap(path: Path) -> bool:
    """Tells whether a track has a clean aperture (``clap``); raises OSError where the file cannot be read."""
    with path.open("rb") as file:
        return _within(in_file(file), 0, path.stat().st_size)


def _within(at: At, start: int, end: int) -> bool:
    for box in islice(boxes(at, start, end), MAX_BOXES):
        if box.kind == b"stsd":
            if b"clap" in at(box.start, min(box.end - box.start, MAX_DESCRIPTION)):
                return True
        elif box.kind in _WITHIN and _within(at, box.start, box.end):
            return True
    return False
