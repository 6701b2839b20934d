"""EXIF and XMP among the items of HEIC and AVIF (ISO/IEC 23008-12; 14496-12, 8.11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vidscan.media.boxes import Box
from vidscan.provenance.contents import Contents, FileBytes
from vidscan.provenance.exif import add_exif

MAX_ITEMS = 2000
MAX_EXTENTS = 64


def read_items(file: FileBytes, meta: Mapping[bytes, Box], found: Contents) -> None:
    """Adds what the EXIF and XMP items hold; ``meta`` are the boxes of the file's metadata by their types."""
    if not {b"iinf", b"iloc"} <= meta.keys():
        return
    info, where = meta[b"iinf"], meta[b"iloc"]
    wanted = dict(_described(file.at(info.start, info.end - info.start)))
    inside = meta[b"idat"].start if b"idat" in meta else None
    for number, extents in _located(file.at(where.start, where.end - where.start), inside):
        kind = wanted.pop(number, "")
        if not kind:
            continue
        content = b"".join(file.at(place, length) for place, length in extents)
        if kind == "Exif":  # a number of 4 bytes tells where the TIFF header stands behind it
            add_exif(found, content[4 + int.from_bytes(content[:4], "big") :])
        else:
            found.add_xmp(content)


def _described(content: bytes) -> Iterator[tuple[int, str]]:
    """Numbers and kinds of the items of interest, ``Exif`` or ``XMP``, in an item information box."""
    place = 6 if content[:1] == b"\0" else 8
    for _ in range(MAX_ITEMS):
        length = int.from_bytes(content[place : place + 4], "big")
        entry = content[place + 8 : place + length]
        if length < 8 or content[place + 4 : place + 8] != b"infe" or len(entry) < 12:
            return
        if entry[0] >= 2:
            wide = 4 if entry[0] == 3 else 2
            number = int.from_bytes(entry[4 : 4 + wide], "big")
            kind, rest = entry[6 + wide : 10 + wide], entry[10 + wide :]
            if kind == b"Exif":
                yield number, "Exif"
            elif kind == b"mime" and b"rdf+xml" in rest:
                yield number, "XMP"
        place += length


def _located(content: bytes, inside: int | None) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Numbers of items with the places and lengths of their parts; ``inside`` is where ``idat`` begins."""
    version = content[0] if content else 0
    sizes = content[4:6].ljust(2, b"\0")
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0
    wide = 4 if version == 2 else 2
    place = 6

    def number_of(size: int) -> int:
        nonlocal place
        place += size
        return int.from_bytes(content[place - size : place], "big")

    for _ in range(min(number_of(wide), MAX_ITEMS)):
        if place >= len(content):
            return
        number = number_of(wide)
        method = number_of(2) & 15 if version else 0
        number_of(2)
        base = number_of(base_size)
        start = base if method == 0 else base + inside if method == 1 and inside is not None else None
        extents = []
        for _ in range(min(number_of(2), MAX_EXTENTS)):
            number_of(index_size)
            offset, length = number_of(offset_size), number_of(length_size)
            if start is not None:
                extents.append((start + offset, length))
        yield number, extents
