"""Reads the frames of a source: of clips through ffmpeg, of stills through OpenCV."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vidscan.errors import DecodeError, SourceError, quoted
from vidscan.media.clip import Clip
from vidscan.media.still_header import HeaderError, StillHeader, read_header
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Image, Remark, Source, SourceKind
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
    content = _content(path)
    header = _header(path, content)
    if header.width * header.height > MAX_STILL_PIXELS:
        raise DecodeError(
            f"{path}: the picture has {header.width}x{header.height} pixels, and vidscan decodes "
            f"{MAX_STILL_PIXELS} at most: reduce it first"
        )
    # OpenCV logs its complaints to stderr by itself; the error below is what a person should read.
    log_level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DecodeError(
            f"{path}: the picture cannot be decoded ({quoted(error.err)}): check the file"
        ) from error
    finally:
        cv2.utils.logging.setLogLevel(log_level)
    if decoded is None:
        raise DecodeError(
            f"{path}: its {header.format} data is damaged or cut off: fetch it again, or convert it to PNG"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def still_remarks(path: Path) -> list[Remark]:
    """Returns what a report has to say of a still: whether it holds further pictures, which are left out."""
    header = _header(path, _content(path))
    said = f"Only the first of the pictures in this {header.format} was looked at."
    return [Remark("further-pictures", said)] if header.several else []


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
        return read_header(content)
    except HeaderError as error:
        raise DecodeError(
            f"{path}: no picture that can be read ({error}): convert it to PNG or JPEG, or fetch it again"
        ) from error
