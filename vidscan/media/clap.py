"""Tells whether an MP4 or QuickTime file has a rectangle that its pictures are to be cut to. No decoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_WITHIN = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
"""The boxes around the descriptions of a track's pictures, ``stsd`` (ISO/IEC 14496-12)."""

MAX_BOXES = 10_000
MAX_DESCRIPTION = 1 << 16
"""Upper limits on the boxes of a level, and the bytes of a description, that are looked at."""


def has_clap(path: Path) -> bool:
    """Tells whether a track has a clean aperture (``clap``); raises OSError where the file cannot be read."""
    with path.open("rb") as file:
        return _within(file, 0, path.stat().st_size)


def _within(file: BinaryIO, start: int, end: int) -> bool:
    for kind, begin, stop in _boxes(file, start, end):
        if kind == b"stsd":
            file.seek(begin)
            if b"clap" in file.read(min(stop - begin, MAX_DESCRIPTION)):
                return True
        elif kind in _WITHIN and _within(file, begin, stop):
            return True
    return False


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the type of each box of a level, and where its content begins and ends."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        inner = 8
        if size == 1 and len(head) == 16:
            size, inner = struct.unpack_from(">Q", head, 8)[0], 16
        stop = end if size == 0 else start + size
        if stop < start + inner or stop > end:
            return
        yield kind, start + inner, stop
        start = stop
