"""Finds what a still's file holds besides the picture that is shown: other pictures, and clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from vidscan.media.stills.header import StillHeader

ANIMATED = ("PNG", "WebP", "GIF", "AVIF")

_CLIP = re.compile(rb"\0\0\0[\x10-\x80]ftyp(?:mp4|iso|avc|qt |M4V|3gp|dash)")
_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_AUXILIARY = (b"hdrgm:", b"urn:iso:std:iso:ts:21496", b"//ns.apple.com/", b":apple:photo:")
"""In a JPEG that is a part of another: a gain map, which brightens it, or a map of depth."""

_MAX_SCANS = 10_000


class Behind(NamedTuple):
    """A JPEG or a clip behind a picture in its file: the bytes from ``start`` to ``end``."""

    start: int
    end: int
    clip: bool


def pages_left_out(header: StillHeader) -> str:
    """Returns what is to be said of the pictures that a format itself provides for; "" for a single one."""
    if not header.several:
        return ""
    said = f"Only the first of the pictures in this {header.format} was looked at"
    return f"{said}; vidscan run looks at all." if header.format in ANIMATED else f"{said}."


def behind(content: bytes, header: StillHeader) -> Iterator[Behind]:
    """Yields the pictures that lie behind a JPEG (MPO), then the clip behind it or a HEIC (motion photo)."""
    if header.format not in ("JPEG", "HEIC"):
        return
    place = _end_of_jpeg(content, 0) if header.format == "JPEG" else 64
    clip = _CLIP.search(content, place)
    end = clip.start() if clip else len(content)
    while header.format == "JPEG" and (found := _JPEG.search(content, place, end)):
        before, place = place, min(_end_of_jpeg(content, found.start()), end)
        if not any(content.find(mark, before, place) >= 0 for mark in _AUXILIARY):
            yield Behind(found.start(), place, clip=False)
    if clip:
        yield Behind(clip.start(), len(content), clip=True)


def _end_of_jpeg(content: bytes, start: int) -> int:
    """Returns where the data ends of a JPEG that starts here: behind the marker that ends its last scan."""
    place = start + 2
    for _ in range(_MAX_SCANS):
        if place + 4 > len(content) or content[place] != 0xFF:
            break
        marker = content[place + 1]
        if marker == 0xD9:
            return place + 2
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == 0xDA:  # to the next marker that is no restart and no stuffed byte
            found = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]").search(content, place)
            if found is None:
                break
            place = found.start()
    return len(content)
