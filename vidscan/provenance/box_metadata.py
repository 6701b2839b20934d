"""Metadata in ISO base media files and QuickTime: MP4, MOV, HEIC, AVIF, and boxed JPEG XL."""

from __future__ import annotations

from collections.abc import Iterator

from vidscan.media.boxes import Box, boxes
from vidscan.provenance.contents import Contents, FileBytes
from vidscan.provenance.exif import add_exif
from vidscan.provenance.heif_items import read_items

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_MIMES = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
    b"\r\n\x87\n": "image/jxl",
}
"""Types of files by the brand that follows the type of the first box (of JPEG XL: its signature's end)."""
MAX_TRACKS = 32


def read_boxes(file: FileBytes, found: Contents) -> None:
    """Adds what the boxes of a whole file hold."""
    brand = file.at(8, 4)
    found.mime = _MIMES.get(brand, "video/mp4")
    for box in boxes(file.at, 0, file.size):
        user_type = file.at(box.start, 16) if box.kind == b"uuid" else b""
        if box.kind == b"jumb" or user_type == _C2PA:
            found.manifest_bytes += box.end - box.start
        elif user_type == _XMP:
            found.add_xmp(file.at(box.start + 16, box.end - box.start - 16))
        elif box.kind == b"xml ":
            found.add_xmp(file.at(box.start, box.end - box.start))
        elif box.kind == b"Exif":
            add_exif(found, file.at(box.start + 4, box.end - box.start))
        elif box.kind == b"moov":
            _read_movie(file, box, found)
        elif box.kind == b"meta":
            read_items(file, {each.kind: each for each in boxes(file.at, box.start + 4, box.end)}, found)


def _read_movie(file: FileBytes, movie: Box, found: Contents) -> None:
    tracks = 0
    for box in boxes(file.at, movie.start, movie.end):
        if box.kind == b"trak" and tracks < MAX_TRACKS:
            tracks += 1
            _read_track(file, box, found)
        elif box.kind == b"udta":
            _read_user_data(file, box, found)
        elif box.kind == b"meta":
            _read_meta(file, box, found)


def _read_track(file: FileBytes, track: Box, found: Contents) -> None:
    """Adds the name of a track's handler, and of a picture track's compressor."""
    for media in _inside(file, track, b"mdia"):
        kind = b""
        for handler in _inside(file, media, b"hdlr"):
            content = file.at(handler.start, min(handler.end - handler.start, 300))
            kind, name = content[8:12], content[24:]
            found.add("MP4", "handler", _counted_or_ended(name))
        for below in _inside(file, media, b"minf") if kind == b"vide" else ():
            for table in _inside(file, below, b"stbl"):
                for described in _inside(file, table, b"stsd"):
                    # The first entry's compressor, ISO/IEC 14496-12, 12.1.3: a count, then up to 31 bytes.
                    found.add("MP4", "compressor", _counted_or_ended(file.at(described.start + 58, 32)))


def _inside(file: FileBytes, outer: Box, kind: bytes) -> list[Box]:
    """The first box of a kind in another, if there is one."""
    return [box for box in boxes(file.at, outer.start, outer.end) if box.kind == kind][:1]


def _counted_or_ended(name: bytes) -> str:
    """A text that begins with its length, as QuickTime has it, or ends with a zero byte, as MP4 has it."""
    counted = name[1 : 1 + name[0]] if name and name[0] < 32 else name.partition(b"\0")[0]
    return counted.decode("utf-8", "replace")


def _read_user_data(file: FileBytes, user_data: Box, found: Contents) -> None:
    for box in boxes(file.at, user_data.start, user_data.end):
        if box.kind[:1] == b"\xa9":  # QuickTime: length and language, 2 bytes each, then the text
            content = file.at(box.start, box.end - box.start)
            found.add("MP4", box.kind.decode("latin-1"), content[4:].decode("utf-8", "replace"))
        elif box.kind == b"XMP_":
            found.add_xmp(file.at(box.start, box.end - box.start))
        elif box.kind == b"meta":
            _read_meta(file, box, found)


def _read_meta(file: FileBytes, meta: Box, found: Contents) -> None:
    """Adds the items of a metadata list, by their own names or by those of a table of keys."""
    plain = file.at(meta.start + 4, 4) == b"hdlr"  # QuickTime's has no version and flags
    inner = list(boxes(file.at, meta.start if plain else meta.start + 4, meta.end))
    keys = [name for box in inner if box.kind == b"keys" for name in _keys(file, box)]
    for items in inner:
        if items.kind != b"ilst":
            continue
        for item in boxes(file.at, items.start, items.end):
            number = int.from_bytes(item.kind, "big")
            name = keys[number - 1] if 0 < number <= len(keys) else item.kind.decode("latin-1")
            for box in boxes(file.at, item.start, item.end):
                content = file.at(box.start, box.end - box.start)
                if box.kind == b"name":
                    name = content[4:].decode("utf-8", "replace")
                elif box.kind == b"data" and content[3:4] == b"\1":  # UTF-8; then a locale
                    found.add("MP4", name, content[8:].decode("utf-8", "replace"))


def _keys(file: FileBytes, box: Box) -> Iterator[str]:
    """The names in a table of keys (QuickTime file format, metadata item keys atom)."""
    place = box.start + 8
    while (length := int.from_bytes(file.at(place, 4), "big")) >= 8 and place + length <= box.end:
        yield file.at(place + 8, length - 8).decode("utf-8", "replace")
        place += length
