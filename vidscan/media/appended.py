"""Finds where a second recording begins in a file of several, appended byte by byte. Nothing is decoded."""

from __future__ import annotations

import shlex
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from vidscan.media.boxes import boxes, in_file
from vidscan.records import Remark

MAX_PARTS = 1_000_000
"""Upper limit on the boxes or tags of a file that are gone through: 9 hours of FLV, or of fragments."""

_HEADER, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""The identifiers of the EBML header, with which a file begins, and of the segment after it (RFC 9559)."""


def is_joined_matroska(path: Path) -> bool:
    """Tells whether another file begins where a Matroska file of a known size ends; raises OSError."""
    with path.open("rb") as file:
        for identifier in (_HEADER, _SEGMENT):
            if file.read(4) != identifier or (size := _ebml_size(file)) is None:
                return False
            file.seek(size, 1)
        return file.read(4) == _HEADER


def left_behind(path: Path, container: str) -> list[Remark]:
    """Returns a remark where a file's second recording is left out: ffmpeg, as players do, ends before it.

    ``container`` is ffmpeg's name of the format. Raises OSError where the file cannot be read.
    """
    names = set(container.split(","))
    with path.open("rb") as file:
        size = path.stat().st_size
        start = _second_movie(file, size) if "mp4" in names else _second_flv(file) if "flv" in names else 0
    if not start:
        return []
    name = shlex.quote(f"./{path.name}" if path.name.startswith("-") else path.name)
    command = f"tail -c +{start + 1} {name} > second{path.suffix} && vidscan run second{path.suffix}"
    said = "Another recording was appended to it, which players do not show, and was not looked at"
    return [Remark("appended", f"{said}: {command} does.")]


def _second_movie(file: BinaryIO, size: int) -> int:
    """The place of the second ``ftyp`` of an MP4; 0 for none."""
    kinds = (box for box in islice(boxes(in_file(file), 0, size), MAX_PARTS) if box.kind == b"ftyp")
    second = next(islice(kinds, 1, None), None)
    return second.start - 8 if second else 0


def _second_flv(file: BinaryIO) -> int:
    """The place of the second header of an FLV, behind its tags (Adobe's FLV specification, annex E)."""
    place = int.from_bytes(file.read(9)[5:9], "big")
    for _ in range(MAX_PARTS):
        file.seek(place)
        head = file.read(8)  # the size of the tag before, then this one's type and size
        if head[:4] == b"FLV\x01" or head[4:8] == b"FLV\x01":
            return place if head[:4] == b"FLV\x01" else place + 4
        if len(head) < 8:
            return 0
        place += 4 + 11 + int.from_bytes(head[5:8], "big")
    return 0


def _ebml_size(file: BinaryIO) -> int | None:
    """An element's size, a number of 1 to 8 bytes (RFC 8794, 4.4); None where it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + rest, "big")
    unknown = value == (1 << 7 * (more + 1)) - 1
    return None if unknown or len(rest) < more else value
