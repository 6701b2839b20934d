"""Reads a still's header: its format, its size, and whether it is one of several pictures.

It is read before a decoder sees the file, so that a few bytes cannot make a decoder take gigabytes, and so
that untrusted bytes reach only decoders of formats in use. Nothing is decoded here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from vidscan.media.boxes import boxes, in_bytes
from vidscan.media.stills.item_header import read_items
from vidscan.media.stills.jxl_header import read_jxl

MAX_STEPS = 100_000
"""Upper limit on the segments, chunks or blocks read of a header; a longer one is refused."""

MAX_PIECES = 4_000_000
"""Upper limit on the pieces of up to 255 bytes that are read of a GIF's pictures: 1 GB of regular ones."""


@dataclass(frozen=True, slots=True)
class StillHeader:
    """A format's usual name and the size in pixels as stored, before any rotation.

    ``several`` is True if the file declares more than one picture. ``transfer`` and ``primaries``: of its
    colours, as ITU-T H.273 numbers them; 2 is unknown.
    """

    format: str
    width: int
    height: int
    several: bool = False
    transfer: int = 2
    primaries: int = 2


class HeaderError(ValueError):
    """The bytes are not a header of a known format; the message says what is wrong with them."""


def read_header(content: bytes) -> StillHeader:
    """Reads the header of a picture from its file's content, or from enough of it.

    Raises:
        HeaderError: the format is unknown, or the header is cut off or invalid.
    """
    for magic, read in _FORMATS:
        if magic.match(content):
            try:
                header = read(content)
            except (struct.error, IndexError) as error:
                raise HeaderError("its header is cut off") from error
            except HeaderError:
                raise
            except ValueError as error:
                raise HeaderError(str(error)) from error
            if header.width < 1 or header.height < 1:
                raise HeaderError(f"its header says {header.width}x{header.height} pixels")
            return header
    raise HeaderError("it is no JPEG, PNG, WebP, HEIC, AVIF, JPEG XL, BMP, GIF, TIFF, JPEG 2000 or PNM")


_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LONE_MARKERS = frozenset((0x00, 0x01, *range(0xD0, 0xD8)))


def _jpeg(content: bytes) -> StillHeader:
    """Reads segments up to the one that starts a frame (ITU-T T.81, annex B)."""
    place = 2
    for _ in range(MAX_STEPS):
        # Where no marker stands, libjpeg looks for the next one.
        place = content.find(b"\xff", place)
        if place < 0:
            break
        marker = content[place + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", content, place + 5)
            return StillHeader("JPEG", width, height)
        if marker in (0xD9, 0xDA):
            break
        if marker == 0xFF:
            place += 1
        elif marker in _LONE_MARKERS:
            place += 2
        else:
            place += 2 + max(2, int(struct.unpack_from(">H", content, place + 2)[0]))
    raise HeaderError("it has no frame before its scan")


def _png(content: bytes) -> StillHeader:
    """Reads IHDR; before the data, ``acTL`` makes it an animation, and ``cICP`` tells its colours (PNG 3)."""
    length, kind, width, height = struct.unpack_from(">I4sII", content, 8)
    if kind != b"IHDR" or length != 13:
        raise HeaderError("its first chunk is not IHDR")
    place, several, primaries, transfer = 33, False, 2, 2
    for _ in range(MAX_STEPS):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind in (b"IDAT", b"IEND"):
            return StillHeader("PNG", width, height, several, transfer, primaries)
        if kind == b"acTL":
            several = struct.unpack_from(">I", content, place + 8)[0] > 1
        elif kind == b"cICP":
            primaries, transfer = struct.unpack_from("BB", content, place + 8)
        place += 12 + length
    raise HeaderError("its data does not begin")


def _webp(content: bytes) -> StillHeader:
    """Reads the first chunk (WebP container specification; RFC 6386 (VP8), section 9.1)."""
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
        content[29]  # the last byte of the size must be there
        return StillHeader("WebP", width, height, bool(content[20] & 2))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return StillHeader("WebP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return StillHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    raise HeaderError("its first chunk holds no picture")


def _bmp(content: bytes) -> StillHeader:
    (size,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", content, 18)
    return StillHeader("BMP", abs(width), abs(height))


def _gif(content: bytes) -> StillHeader:
    """Reads the size, and walks the blocks to the second picture, if there is one (GIF89a)."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    place, pictures, pieces = 13 + _colours(flags), 0, 0
    for _ in range(MAX_STEPS):
        introducer = content[place] if place < len(content) else 0x3B
        if introducer not in (0x21, 0x2C) or pictures > 1:
            return StillHeader("GIF", width, height, pictures > 1)
        pictures += introducer == 0x2C
        place += 11 + _colours(content[place + 9]) if introducer == 0x2C else 2
        while place < len(content) and (length := content[place]):
            place, pieces = place + 1 + length, pieces + 1
            if pieces > MAX_PIECES:
                raise HeaderError(f"its first pictures come in more than {MAX_PIECES} pieces")
        place += 1
    raise HeaderError("its first picture does not begin")


def _colours(flags: int) -> int:
    """Returns the bytes of the colour table that a GIF's flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


_TIFF_INTEGERS = {3: "H", 4: "I"}


def _tiff(content: bytes) -> StillHeader:
    """Reads width (256) and height (257) of the first directory; a second is a second page (TIFF 6.0)."""
    order = "<" if content[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, place)
    sizes: dict[int, int] = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", content, entry)
        if tag in (256, 257) and kind in _TIFF_INTEGERS:
            (size,) = struct.unpack_from(order + _TIFF_INTEGERS[kind], content, entry + 8)
            sizes[tag] = max(size, sizes.get(tag, 0))  # readers differ in which of two counts
    (following,) = struct.unpack_from(f"{order}I", content, place + 2 + 12 * count)
    return StillHeader("TIFF", sizes.get(256, 0), sizes.get(257, 0), following != 0)


def _jpeg2000(content: bytes) -> StillHeader:
    """Reads SIZ of the code stream, also in a JP2 (ITU-T T.800, annexes A.5.1 and I)."""
    place = 0 if content.startswith(b"\xff\x4f") else _code_stream(content)
    if content[place : place + 4] != b"\xff\x4f\xff\x51":
        raise HeaderError("it holds no code stream")
    right, bottom, left, top = struct.unpack_from(">IIII", content, place + 8)
    (channels,) = struct.unpack_from(">H", content, place + 40)
    if channels > 4:
        raise HeaderError(f"it has {channels} channels")
    return StillHeader("JPEG 2000", right - left, bottom - top)


def _code_stream(content: bytes) -> int:
    """Returns the offset of the code stream in a JP2 file."""
    for box in islice(boxes(in_bytes(content), 0, len(content)), MAX_STEPS):
        if box.kind == b"jp2c":
            return box.start
    raise HeaderError("it holds no code stream")


def _pnm(content: bytes) -> StillHeader:
    found = re.match(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s", content[:4096])
    if found is None:
        raise HeaderError("its header is cut off")
    return StillHeader("PNM", int(found[1]), int(found[2]))


def _items(content: bytes) -> StillHeader:
    found = read_items(content)
    several = found.moving or found.pictures > 1
    name = "AVIF" if found.av1 else "HEIC"
    return StillHeader(name, found.width, found.height, several, found.transfer, found.primaries)


def _jxl(content: bytes) -> StillHeader:
    return StillHeader("JPEG XL", *read_jxl(content))


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], StillHeader]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"II\*\0|MM\0\*"), _tiff),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), _jpeg2000),
    (re.compile(rb"P[1-6]\s"), _pnm),
    (re.compile(rb".{4}ftyp(?:avi[fs]|hei[cxms]|hev[cx]|mi[fa][1f]|msf1)", re.DOTALL), _items),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), _jxl),
)
