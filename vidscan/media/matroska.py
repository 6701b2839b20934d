"""Tells whether a Matroska or WebM file is several, appended byte by byte. Nothing is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_HEADER, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""The identifiers of the EBML header, with which a file begins, and of the segment after it (RFC 9559)."""


def is_joined(path: Path) -> bool:
    """Tells whether another file begins where the first, of a known size, ends; raises OSError."""
    with path.open("rb") as file:
        for identifier in (_HEADER, _SEGMENT):
            if file.read(4) != identifier or (size := _size(file)) is None:
                return False
            file.seek(size, 1)
        return file.read(4) == _HEADER


def _size(file: BinaryIO) -> int | None:
    """An element's size, a number of 1 to 8 bytes (RFC 8794, 4.4); None where it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + rest, "big")
    unknown = value == (1 << 7 * (more + 1)) - 1
    return None if unknown or len(rest) < more else value
