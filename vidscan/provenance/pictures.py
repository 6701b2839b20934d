"""Metadata in the containers of stills, and of AVI: JPEG, PNG, RIFF, GIF. Nothing is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from vidscan.provenance.contents import MAX_ENTRIES, MAX_PART, MAX_VALUE, Contents, FileBytes
from vidscan.provenance.exif import add_exif

_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PNG_XMP = "XML:com.adobe.xmp"
MAX_GIF = 1 << 24
"""Bytes of a GIF that are searched for credentials and XMP, which stand before its pictures or after them."""


def read_jpeg(file: FileBytes, found: Contents) -> None:
    """Reads the segments before the scan: EXIF and XMP (APP1), JUMBF (APP11: ISO 19566-5), comments."""
    for marker, place, length in _jpeg_segments(file):
        if marker == 0xE1:
            content = file.at(place, length)
            if content.startswith(b"Exif\0\0"):
                add_exif(found, content[6:])
            elif content.startswith(_XMP):
                found.add_xmp(content[len(_XMP) :])
            elif content.startswith(_MORE_XMP):  # then a digest of 32 digits, and two numbers of 4 bytes
                found.add_xmp(content[len(_MORE_XMP) + 40 :])
        elif marker == 0xEB and file.at(place, 2) == b"JP":
            found.manifest_bytes += length
        elif marker == 0xFE:
            found.add("JPEG", "Comment", file.at(place, length).decode("utf-8", "replace"))


def _jpeg_segments(file: FileBytes) -> Iterator[tuple[int, int, int]]:
    """Marker, place and length of the content of each segment up to the scan (ITU-T T.81, annex B)."""
    place = 2
    while len(head := file.at(place, 4)) == 4 and head[0] == 0xFF and head[1] not in (0xD9, 0xDA):
        if head[1] == 0xFF:  # a fill byte
            place += 1
            continue
        length = int.from_bytes(head[2:], "big")
        yield head[1], place + 4, max(0, length - 2)
        place += 2 + max(2, length)


def read_png(file: FileBytes, found: Contents) -> None:
    """Reads text, EXIF and C2PA chunks (PNG, third edition; C2PA: ``caBX``)."""
    place, texts = 8, 0
    while len(head := file.at(place, 8)) == 8 and head[4:] != b"IEND":
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"tEXt", b"zTXt", b"iTXt") and texts < MAX_ENTRIES:
            texts += 1
            name, text = _png_text(kind, file.at(place + 8, length))
            if name == _PNG_XMP:
                found.add_xmp(text)
            else:
                # tEXt is Latin-1 by the standard, but programs write UTF-8 into it.
                found.add("PNG text", name, text.decode("utf-8", "replace"))
        elif kind == b"eXIf":
            add_exif(found, file.at(place + 8, length))
        elif kind == b"caBX":
            found.manifest_bytes += length
        place += 12 + length


def _png_text(kind: bytes, content: bytes) -> tuple[str, bytes]:
    """The keyword and the text of a chunk; a compressed text is inflated as far as it is kept."""
    keyword, _, rest = content.partition(b"\0")
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]  # language, translated keyword
    if packed:
        try:
            limit = MAX_PART if keyword == _PNG_XMP.encode() else 4 * MAX_VALUE
            rest = zlib.decompressobj().decompress(rest, limit)
        except zlib.error:
            rest = b""
    return keyword[:79].decode("latin-1"), rest


def read_riff(file: FileBytes, found: Contents) -> None:
    """Reads the chunks of a WebP or an AVI: EXIF, XMP, C2PA, and the INFO list's software."""
    for kind, place, length in _riff_chunks(file, 12, file.size):
        if kind == b"EXIF":
            add_exif(found, file.at(place, length).removeprefix(b"Exif\0\0"))
        elif kind == b"XMP " or kind == b"_PMX":
            found.add_xmp(file.at(place, length))
        elif kind == b"C2PA":
            found.manifest_bytes += length
        elif kind == b"LIST" and file.at(place, 4) == b"INFO":
            for name, start, size in _riff_chunks(file, place + 4, place + length):
                if name in (b"ISFT", b"ICMT", b"AIGC"):
                    found.add("RIFF", name.decode("latin-1"), file.at(start, size).decode("utf-8", "replace"))


def _riff_chunks(file: FileBytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while place < end and len(head := file.at(place, 8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        yield kind, place + 8, length
        place += 8 + length + length % 2


def read_gif(file: FileBytes, found: Contents) -> None:
    """Finds C2PA's and XMP's application extensions by their names, without walking through the pictures."""
    for start in range(0, min(file.size, MAX_GIF), MAX_PART - 32):  # parts overlap by the longest name
        part = file.at(start, MAX_PART)
        if b"\x21\xff\x0bC2PA_GIF" in part:
            found.manifest_bytes = max(found.manifest_bytes, 1)
        begins = part.find(b"\x21\xff\x0bXMP DataXMP")
        if begins >= 0 and not found.xmp:
            found.add_xmp(file.at(start + begins + 14, MAX_PART).partition(b"<?xpacket end")[0])
