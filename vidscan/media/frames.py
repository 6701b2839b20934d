"""Reads the frames of a source: of clips through ffmpeg, of stills by their decoders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vidscan.errors import DecodeError, SourceError
from vidscan.media.clip import Clip
from vidscan.media.stills.decoders import decode as decode_picture
from vidscan.media.stills.header import HeaderError, StillHeader, read_header
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Image, Source, SourceKind
from vidscan.system.files import raising

MAX_STILL_PIXELS = 1 << 27
"""Upper limit on the pixels of a still: 134 million, which take 400 MB as RGB."""

MAX_STILL_BYTES = 1 << 29
"""Upper limit on the size of a still's file."""


def sample_frames(source: Source, options: SamplingOptions) -> Iterator[Frame]:
    """Yields the frames of a clip that are sampled, or the one picture of a still.

    Raises:
        SourceError: the file cannot be read or is empty.
        DecodeError: its pictures cannot be decoded.
    """
    require_content(source.path)
    if source.kind is SourceKind.IMAGE:
        yield Frame(source.id, 0, 0.0, read_still(source.path))
    else:
        yield from Clip(source.path, options).frames(source.id)


def require_content(path: Path) -> None:
    """Raises SourceError if a file is missing, unreadable, empty, or not a regular file.

    A pipe or a device may keep its reader waiting for ever.
    """
    with raising(lambda why: SourceError(f"{path}: cannot be read ({why}): check the path and permissions")):
        # Without waiting for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError(f"{path}: is no ordinary file: copy what it gives into one")
            if not os.read(descriptor, 1):
                raise SourceError(f"{path}: the file is empty: fetch it again")
        finally:
            os.close(descriptor)


def read_still(path: Path) -> Image:
    """Reads a still as RGB ``uint8[height, width, 3]``, turned as its EXIF orientation says.

    Of several pictures in a file (an animation, pages), the first is read.

    Raises:
        SourceError: the file is not a regular file.
        DecodeError: it is not a picture of a known format, is damaged or cut off, or has more than
            :data:`MAX_STILL_PIXELS` by its header, in which case nothing is decoded.
    """
    return decode_picture(path, *open_still(path))


def open_still(path: Path) -> tuple[bytes, StillHeader]:
    """Returns a still's bytes and its header, which allows it to be decoded; raises as :func:`read_still`."""
    content = _content(path)
    return content, _header(path, content)


def read_picture(path: Path, content: bytes) -> Image:
    """Reads a picture that is a part of a still's file; returns and raises as :func:`read_still` does."""
    return decode_picture(path, content, _header(path, content))


def _content(path: Path) -> bytes:
    """Reads a still's bytes: OpenCV, given the name, fails on names that are not ASCII."""
    require_content(path)
    with path.open("rb") as file:
        content = file.read(MAX_STILL_BYTES + 1)
    if len(content) > MAX_STILL_BYTES:
        raise DecodeError(f"{path}: is larger than {MAX_STILL_BYTES >> 20} MiB: reduce the picture first")
    return content


def _header(path: Path, content: bytes) -> StillHeader:
    try:
        header = read_header(content)
    except HeaderError as error:
        raise DecodeError(
            f"{path}: no picture that can be read ({error}): convert it to PNG or JPEG, or fetch it again"
        ) from error
    if header.width * header.height > MAX_STILL_PIXELS:
        raise DecodeError(
            f"{path}: the picture has {header.width}x{header.height} pixels, and vidscan decodes "
            f"{MAX_STILL_PIXELS} at most: reduce it first"
        )
    return header
