"""Reads the headers of HEIC and AVIF files: ISO boxes that name pictures as items (ISO/IEC 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from vidscan.media.boxes import Box, boxes, in_bytes

MAX_BOXES = 20_000
"""Upper limit on the boxes, items and references read of one header."""

_PICTURES = (b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"tmap", b"jpeg", b"avc1")
_HDR = (16, 18)
_CONTAINERS = {b"meta": 4, b"stsd": 8} | dict.fromkeys(
    (b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"), 0
)
"""Boxes that are looked into, and the bytes before the first box in them."""


@dataclass
class ItemHeader:
    """What such a file says of its pictures.

    ``width`` and ``height``: the largest of any picture, as stored. ``pictures``: how many are no tile,
    thumbnail or plane of another. ``moving``: it holds a track of pictures too. ``av1``: the file is an AVIF.
    ``transfer`` and ``primaries``: of its colours, of HDR ones first, as ITU-T H.273 numbers them.
    """

    width: int = 0
    height: int = 0
    moving: bool = False
    av1: bool = False
    transfer: int = 2
    primaries: int = 2
    _items: set[int] = field(default_factory=set)
    _parts: set[int] = field(default_factory=set)

    @property
    def pictures(self) -> int:
        """How many pictures there are to be shown."""
        return len(self._items - self._parts)


def read_items(content: bytes) -> ItemHeader:
    """Reads the boxes before the pixels.

    Raises:
        struct.error: the header is cut off.
        ValueError: it is invalid.
    """
    found = ItemHeader()
    for kind, start, end, _ in _boxes(content, 0, len(content)):
        match kind:
            case b"ftyp":
                found.av1 = any(brand in content[start:end] for brand in (b"avif", b"avis"))
            case b"moov":
                found.moving = True
            case b"av01" | b"hvc1" | b"hev1":  # the pictures of a track
                width, height = struct.unpack_from(">HH", content, start + 24)
                found.width, found.height = max(found.width, width), max(found.height, height)
            case b"ispe":
                width, height = struct.unpack_from(">II", content, start + 4)
                found.width, found.height = max(found.width, width), max(found.height, height)
            case b"colr" if content[start : start + 4] == b"nclx" and found.transfer not in _HDR:
                found.primaries, found.transfer = struct.unpack_from(">HH", content, start + 4)
            case b"iinf":
                _read_names(content, start, end, found)
            case b"iref":
                _read_references(content, start, end, found)
    return found


def _boxes(content: bytes, start: int, end: int) -> Iterator[Box]:
    """Yields each box, and after a container those in it.

    What follows the file's last whole box is no fault: cameras append data of their own.
    """
    waiting, steps = [boxes(in_bytes(content), start, end)], 0
    while waiting:
        box = next(waiting[-1], None)
        if box is None:
            waiting.pop()
            continue
        steps += 1
        if steps > MAX_BOXES:
            raise ValueError(f"it has more than {MAX_BOXES} boxes")
        if not box.whole and len(waiting) > 1:
            raise struct.error(f"{box.kind!r} is cut off")
        yield box
        if box.kind in _CONTAINERS:
            waiting.append(boxes(in_bytes(content), box.start + _CONTAINERS[box.kind], box.end))


def _read_names(content: bytes, start: int, end: int, found: ItemHeader) -> None:
    """Reads which items are pictures that are not hidden (``infe``, version 2 and 3)."""
    first = start + (6 if content[start] == 0 else 8)
    for kind, place, *_ in _boxes(content, first, end):
        version, hidden = content[place], content[place + 3] & 1
        if kind != b"infe" or version < 2 or hidden:
            continue
        layout = ">H2x4s" if version == 2 else ">I2x4s"
        number, item = struct.unpack_from(layout, content, place + 4)
        if item in _PICTURES:
            found._items.add(number)


def _read_references(content: bytes, start: int, end: int, found: ItemHeader) -> None:
    """Reads which items are tiles (``dimg``), thumbnails, or planes of others."""
    layout, size = (">H", 2) if content[start] == 0 else (">I", 4)
    steps = 0
    for kind, place, *_ in _boxes(content, start + 4, end):
        (origin,) = struct.unpack_from(layout, content, place)
        (count,) = struct.unpack_from(">H", content, place + size)
        steps += count
        if steps > MAX_BOXES:
            raise ValueError(f"it has more than {MAX_BOXES} references")
        if kind in (b"thmb", b"auxl"):
            found._parts.add(origin)
        elif kind == b"dimg":
            numbers = range(count)
            found._parts.update(
                struct.unpack_from(layout, content, place + size + 2 + size * each)[0] for each in numbers
            )
