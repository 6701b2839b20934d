"""Entries of TIFF directories: those of an EXIF block, and of a TIFF file."""

from __future__ import annotations

import struct
from collections.abc import Callable

from vidscan.provenance.contents import MAX_PART, Contents, FileBytes

MAX_FIELDS = 1000
"""Upper limit on the fields of one directory that are read."""

_NAMES = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x9286: "UserComment",
    0x9C9C: "XPComment",
}
_EXIF_DIRECTORY, _XMP, _C2PA = 0x8769, 0x02BC, 0xCD41
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 13: 4, 129: 1}
"""Bytes of a value by its type (EXIF 3.0, 4.6.2; 129 is UTF-8)."""


def add_exif(found: Contents, block: bytes) -> None:
    """Adds the entries of an EXIF block, which begins with a TIFF header."""
    _read(found, lambda place, count: block[place : place + min(count, MAX_PART)])


def read_tiff(file: FileBytes, found: Contents) -> None:
    """Adds the entries of a TIFF file's first directory, its XMP, and the size of its C2PA store."""
    _read(found, file.at)


def _read(found: Contents, at: Callable[[int, int], bytes]) -> None:
    head = at(0, 8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        return
    (first,) = struct.unpack(f"{order}I", head[4:])
    below = _read_directory(found, at, order, first)
    if below:
        _read_directory(found, at, order, below)


def _read_directory(found: Contents, at: Callable[[int, int], bytes], order: str, place: int) -> int:
    """Adds what a directory holds; returns the place of the EXIF directory that it names, 0 if none."""
    below, read = 0, set[int]()
    (count,) = struct.unpack(f"{order}H", at(place, 2).ljust(2, b"\0"))
    for number in range(min(count, MAX_FIELDS)):
        field = at(place + 2 + 12 * number, 12)
        if len(field) < 12:
            break
        tag, kind, values = struct.unpack(f"{order}HHI", field[:8])
        (value,) = struct.unpack(f"{order}I", field[8:])
        size = values * _SIZES.get(kind, 1)
        if tag == _EXIF_DIRECTORY:
            below = value
        elif tag == _C2PA:
            found.manifest_bytes += size
        elif (tag == _XMP or tag in _NAMES) and tag not in read:
            read.add(tag)
            content = field[8 : 8 + size] if size <= 4 else at(value, size)
            if tag == _XMP:
                found.add_xmp(content)
            else:
                found.add("EXIF", _NAMES[tag], _text(tag, content, order))
    return below


def _text(tag: int, content: bytes, order: str) -> str:
    """A field's text; a user comment says in 8 bytes how it is written, in which few programs are exact."""
    wide = "utf-16-le" if order == "<" else "utf-16-be"
    if tag == 0x9C9C:
        return content.decode("utf-16-le", "replace")
    if tag == 0x9286:
        charset, content = content[:8], content[8:]
        if charset.startswith(b"UNICODE"):
            zeros = content[:64:2].count(0), content[1:64:2].count(0)
            if zeros[0] != zeros[1]:  # the text itself tells its order better than the block's does
                wide = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
            return content.decode(wide, "replace")
    return content.decode("utf-8", "replace")
