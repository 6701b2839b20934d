"""Decodes a still whose header was read: each format by one decoder, which sees no other."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.errors import DecodeError, quoted
from vidscan.media.ffmpeg.still import decode_still
from vidscan.media.stills.header import StillHeader
from vidscan.media.stills.tone_mapping import HDR_NAMES, to_sdr
from vidscan.records import Image

MAX_DEEP_PIXELS = 1 << 25
"""Upper limit on the pixels of a TIFF of 32 or 64 bits, which take up to 24 bytes each."""

_FULL_SCALES = (1.0, 255.0, 65535.0, float(2**32 - 1))
"""What white may be in a TIFF of such numbers: the lowest that no pixel exceeds."""

FAILURES = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, MemoryError),
    *(ArithmeticError, LookupError, TypeError, struct.error),
)
"""What Pillow and its plugins raise over a damaged file."""


def decode(path: Path, content: bytes, header: StillHeader) -> Image:
    """Returns the first picture of a file as RGB ``uint8[height, width, 3]``, turned as the file says.

    HDR is mapped to SDR. ``content`` is what the file holds, ``header`` what its beginning says; the pixels
    that it states were allowed.

    Raises:
        DecodeError: the data is damaged or cut off, or a package is missing that decodes it.
    """
    picture = _decoded(path, content, header)
    return to_sdr(picture, header.transfer, header.primaries) if header.transfer in HDR_NAMES else picture


def _decoded(path: Path, content: bytes, header: StillHeader) -> Image:
    match header.format:
        case "JPEG XL":
            return decode_still(path, "jpegxl_pipe", header.format)
        case "HEIC":
            return _by_pillow(path, content, "HEIF", header, _register_heif)
        case "AVIF":
            return _by_pillow(path, content, "AVIF", header, _require_avif)
        case _:
            return _by_opencv(path, content, header)


def _by_pillow(
    path: Path, content: bytes, reader: str, header: StillHeader, prepare: Callable[[Path], None]
) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    prepare(path)
    try:
        with Pillow.open(io.BytesIO(content), formats=(reader,)) as picture:
            if picture.width * picture.height > header.width * header.height:
                raise ValueError("it is larger than its header says")
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)
    except FAILURES as error:
        raise _damaged(path, header) from error


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise DecodeError(
            f"{path}: HEIC takes a package that is not installed: pip install 'vidscan[stills]', or convert "
            "the picture to PNG or JPEG"
        ) from error
    pillow_heif.register_heif_opener(thumbnails=False)


def _require_avif(path: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        raise DecodeError(
            f"{path}: this build of Pillow reads no AVIF: pip install -U pillow, or convert it to PNG"
        )


def _by_opencv(path: Path, content: bytes, header: StillHeader) -> Image:
    # OpenCV logs its complaints to stderr by itself; the error below is what a person should read.
    log_level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    data = np.frombuffer(content, np.uint8)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if decoded is None and header.format == "TIFF" and header.width * header.height <= MAX_DEEP_PIXELS:
            decoded = _eight_bits(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    except cv2.error as error:
        raise DecodeError(
            f"{path}: the picture cannot be decoded ({quoted(error.err)}): check the file"
        ) from error
    finally:
        cv2.utils.logging.setLogLevel(log_level)
    if decoded is None:
        raise _damaged(path, header)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _eight_bits(deep: npt.NDArray[Any] | None) -> Image | None:
    """Reduces a picture of 32-bit integers or of floats to BGR ``uint8``; None if it is of another kind."""
    if deep is None or deep.dtype not in (np.int32, np.uint32, np.float32, np.float64):
        return None
    if deep.dtype == np.int32:  # OpenCV knows no unsigned ones
        deep = deep.view(np.uint32)
    levels = np.nan_to_num(deep.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(levels.max(initial=0.0))
    white = next((each for each in _FULL_SCALES if highest <= each), highest)
    grey_or_colour = np.asarray(np.clip(levels * (255.0 / white) + 0.5, 0, 255), np.uint8)
    if grey_or_colour.ndim == 2:
        return np.repeat(grey_or_colour[..., None], 3, axis=2)
    return np.ascontiguousarray(grey_or_colour[..., :3]) if grey_or_colour.shape[2] >= 3 else None


def _damaged(path: Path, header: StillHeader) -> DecodeError:
    return DecodeError(
        f"{path}: its {header.format} data is damaged or cut off: fetch it again, or convert it to PNG"
    )
