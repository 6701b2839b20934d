"""Walks the boxes of MP4, QuickTime, HEIC, AVIF, JPEG XL and JPEG 2000 (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

At: TypeAlias = Callable[[int, int], bytes]
"""Gives at most so many bytes from a place of a file on; fewer at its end."""


class Box(NamedTuple):
    """A box: its type, and where its content begins and ends. ``whole``: it claims to end there itself."""

    kind: bytes
    start: int
    end: int
    whole: bool = True


def in_bytes(content: bytes) -> At:
    """What walks a file that was read."""
    return lambda place, count: content[place : place + count]


def in_file(file: BinaryIO) -> At:
    """What walks a file that is open."""

    def at(place: int, count: int) -> bytes:
        file.seek(place)
        return file.read(count)

    return at


def boxes(at: At, start: int, end: int) -> Iterator[Box]:
    """Yields the boxes of a level, between two places of a file, up to one shorter than its own head."""
    place = start
    while place + 8 <= end and len(head := at(place, 16)) >= 8:
        length, kind = struct.unpack_from(">I4s", head)
        content = place + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            content += 8
        following = end if length == 0 else place + length
        if following < content:
            return
        yield Box(kind, content, min(following, end), following <= end)
        place = following
