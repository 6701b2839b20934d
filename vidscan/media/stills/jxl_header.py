"""Reads the header of a JPEG XL file (ISO/IEC 18181), whose fields are bits, lowest first."""

from __future__ import annotations

import struct
from itertools import islice
from typing import NamedTuple

from vidscan.media.boxes import boxes, in_bytes

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width over height of pictures that state their height alone."""

_SIDE_BITS = (9, 13, 18, 30)
_MAX_BOXES = 1000
_HEADER_BYTES = 130  # what is read of it lies within these
_UNKNOWN = (2, 2)
_CUSTOM = 2  # a white point or primaries that are given in full


class _Bits:
    """The bits of a code stream in order."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")
        self._left = 8 * len(content)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise struct.error("the header is cut off")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def choice(self, *kinds: tuple[int, int]) -> int:
        """Returns a number that is coded in one of four ways: an offset, and the bits added to it."""
        offset, count = kinds[self.take(2)]
        return offset + self.take(count)

    def enum(self) -> int:
        """Returns the number of one of a list's values."""
        return self.choice((0, 0), (1, 0), (2, 4), (18, 6))


class JxlHeader(NamedTuple):
    """Width and height as stored, whether the file is an animation, and its colours by ITU-T H.273."""

    width: int
    height: int
    animated: bool = False
    transfer: int = 2
    primaries: int = 2


def read_jxl(content: bytes) -> JxlHeader:
    """Reads the header of a file's code stream.

    Raises:
        struct.error: the header is cut off.
        ValueError: the file holds no code stream.
    """
    stream = content if content.startswith(b"\xff\x0a") else _code_stream(content)
    if not stream.startswith(b"\xff\x0a"):
        raise ValueError("it holds no code stream")
    bits = _Bits(stream[2:_HEADER_BYTES])
    found = JxlHeader(*_size(bits))
    if bits.take(1):  # all defaults
        return found
    if bits.take(1):  # more fields than usual
        bits.take(3)  # orientation
        if bits.take(1):  # a size that was meant for display
            _size(bits)
        if bits.take(1):  # a preview, which is rare: what follows it is not read
            return found
        if bits.take(1):
            return found._replace(animated=True)
    transfer, primaries = _colours(bits)
    return found._replace(transfer=transfer, primaries=primaries)


def _colours(bits: _Bits) -> tuple[int, int]:
    """Reads the numbers of transfer and primaries where they are stated and what precedes them is usual."""
    if bits.take(1):  # floats: how many bits, and how many of the exponent
        bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)  # whether 16 bits are enough to decode it
    for _ in range(bits.choice((0, 0), (1, 0), (2, 4), (1, 12))):
        if not bits.take(1):  # a further channel that is no usual alpha
            return _UNKNOWN
    bits.take(1)  # whether it is coded as XYB
    if bits.take(1) or bits.take(1) or bits.enum() != 0:  # sRGB, an ICC profile, or no RGB
        return _UNKNOWN
    if bits.enum() == _CUSTOM or (primaries := bits.enum()) == _CUSTOM or bits.take(1):  # the last: a gamma
        return _UNKNOWN
    return bits.enum(), 12 if primaries == 11 else primaries


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _side(bits: _Bits, small: int) -> int:
    return (bits.take(5) + 1) * 8 if small else bits.take(_SIDE_BITS[bits.take(2)]) + 1


def _code_stream(content: bytes) -> bytes:
    """Returns the beginning of the code stream in a container of boxes, whole or in parts."""
    stream = b""
    for box in islice(boxes(in_bytes(content), 0, len(content)), _MAX_BOXES):
        if box.kind == b"jxlc":
            return content[box.start : box.end]
        if box.kind == b"jxlp":  # a number before each part
            stream += content[box.start + 4 : box.end]
            if len(stream) >= _HEADER_BYTES:
                break
    return stream
