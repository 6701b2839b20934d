"""Reads the header of a JPEG XL file (ISO/IEC 18181), whose fields are bits, lowest first."""

from __future__ import annotations

import struct

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width over height of pictures that state their height alone."""

_SIDE_BITS = (9, 13, 18, 30)
_MAX_BOXES = 1000


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


def read_jxl(content: bytes) -> tuple[int, int, bool]:
    """Returns the width and height as stored, and whether the file is an animation.

    Raises:
        struct.error: the header is cut off.
        ValueError: the file holds no code stream.
    """
    stream = content if content.startswith(b"\xff\x0a") else _code_stream(content)
    if not stream.startswith(b"\xff\x0a"):
        raise ValueError("it holds no code stream")
    bits = _Bits(stream[2:66])
    width, height = _size(bits)
    animated = False
    if not bits.take(1) and bits.take(1):  # not all defaults, and more fields than usual
        bits.take(3)  # orientation
        if bits.take(1):  # a size that was meant for display
            _size(bits)
        animated = not bits.take(1) and bool(bits.take(1))  # after a preview's size, which is rare
    return width, height, animated


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
    place, stream = 0, b""
    for _ in range(_MAX_BOXES):
        length, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        if length and length < head:
            raise ValueError("one of its boxes is shorter than its own header")
        after = place + length if length else len(content)
        if kind == b"jxlc":
            return content[place + head : after]
        if kind == b"jxlp":  # a number before each part
            stream += content[place + head + 4 : after]
            if len(stream) >= 66:
                return stream
        place = after
        if place >= len(content) and stream:
            return stream
    raise ValueError("it holds no code stream")
