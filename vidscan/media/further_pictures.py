"""Finds what a still's file holds besides the picture that is looked at, and says how to look at it."""

from __future__ import annotations

import re
import shlex

from vidscan.media.still_header import StillHeader

_CLIP = re.compile(rb"\0\0\0[\x10-\x80]ftyp(?:mp4|iso|avc|qt |M4V|3gp|dash)")
_GAIN_MAPS = (b"hdrgm:", b"urn:iso:std:iso:ts:21496")
ANIMATED = ("PNG", "WebP", "GIF", "AVIF")
_MAX_SCANS = 10_000


def further_pictures(name: str, content: bytes, header: StillHeader) -> list[str]:
    """Returns a sentence on each kind of further picture in a still's file.

    ``name`` is the file's, for the commands that the sentences give.
    """
    said = []
    if header.several and header.format in ANIMATED:
        said.append(
            f"Only the first of the pictures in this {header.format} was looked at; vidscan run looks at all."
        )
    elif header.several:
        said.append(f"Only the first of the pictures in this {header.format} was looked at.")
    if header.format not in ("JPEG", "HEIC"):
        return said
    end = _end_of_jpeg(content) if header.format == "JPEG" else 64
    if clip := _CLIP.search(content, end):
        said.append(
            f"A clip lies behind this picture (a motion photo) and was not looked at: "
            f"{_cut(name, clip.start(), 'clip.mp4')} && vidscan run clip.mp4 does."
        )
    elif header.format == "JPEG" and (second := _second_jpeg(content, end)):
        said.append(
            f"A second picture lies behind this one and was not looked at: "
            f"{_cut(name, second, 'second.jpg')} && vidscan image second.jpg does."
        )
    return said


def _cut(name: str, start: int, out: str) -> str:
    path = f"./{name}" if name.startswith("-") else name
    return f"tail -c +{start + 1} {shlex.quote(path)} > {out}"


def _second_jpeg(content: bytes, end: int) -> int:
    """Returns where a second JPEG begins, 0 for none; a gain map, which brightens the first, is none."""
    if any(mark in content for mark in _GAIN_MAPS):
        return 0
    found = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]").search(content, end)
    return found.start() if found else 0


def _end_of_jpeg(content: bytes) -> int:
    """Returns where a JPEG's own data ends: behind the marker that ends its last scan."""
    place = 2
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
