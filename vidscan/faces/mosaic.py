"""Several close-ups in one picture, so that one call of the short-range network looks at up to four faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from vidscan.faces.crops import crop_square, square_crop
from vidscan.faces.rotation import scaled, turned, turned_back
from vidscan.records import Box, Detection, Image

CELLS = 4
CELL_SIDE = 64
"""Close-ups a mosaic, two by two, and pixels a side of each: a mosaic is what the network sees, 128 by 128.

The short-range network found as many faces (97 to 100 in 100) in cells of 64, 96 and 128 pixels, with the
face taking a half or a third of the side, and whether it had 24, 32, 64 or 128 pixels in the frame.
"""


class CloseUp(NamedTuple):
    """A square around a face to look at, as ``image.crop_square`` cuts it.

    ``quarters``: 0 to 3, by which it is turned anticlockwise before it is looked at.
    """

    box: Box
    margin: float
    quarters: int = 0


def mosaic(image: Image, close_ups: Sequence[CloseUp]) -> Image:
    """Up to ``CELLS`` close-ups side by side, the rest black.

    Args:
        image: RGB ``uint8[height, width, 3]``.
        close_ups: their boxes touch the picture.

    Returns:
        RGB ``uint8[2 * CELL_SIDE, 2 * CELL_SIDE, 3]``.
    """
    picture = np.zeros((2 * CELL_SIDE, 2 * CELL_SIDE, 3), np.uint8)
    for number, (box, margin, quarters) in enumerate(close_ups):
        left, top = _corner(number)
        cut = _cut(image, box, margin)
        picture[top : top + CELL_SIDE, left : left + CELL_SIDE] = turned(cut, quarters)
    return picture


def _cut(image: Image, box: Box, margin: float) -> Image:
    """A close-up, ``uint8[CELL_SIDE, CELL_SIDE, 3]``; of a large one only every n-th pixel, for speed.

    Bilinear samples alone would be faster still, but fewer faces of 48 and 64 pixels are followed by them.
    """
    step = max(1, int(box.longer_side * margin / (2 * CELL_SIDE)))
    thinned = Box(box.x / step, box.y / step, box.w / step, box.h / step)
    return square_crop(image[::step, ::step], thinned, margin=margin, size=CELL_SIDE)


def seen_in(found: Iterable[Detection], close_ups: Sequence[CloseUp]) -> tuple[tuple[Detection, ...], ...]:
    """What was found in a mosaic, by close-up, in pixels of the picture that it was cut from."""
    seen: tuple[list[Detection], ...] = tuple([] for _ in close_ups)
    for each in found:
        x, y = each.box.x + each.box.w / 2, each.box.y + each.box.h / 2
        number = int(x >= CELL_SIDE) + 2 * int(y >= CELL_SIDE)
        if number < len(close_ups):
            seen[number].append(_in_picture(each, number, close_ups[number]))
    return tuple(tuple(each) for each in seen)


def _corner(number: int) -> tuple[int, int]:
    return number % 2 * CELL_SIDE, number // 2 * CELL_SIDE


def _in_picture(found: Detection, number: int, close_up: CloseUp) -> Detection:
    left, top = _corner(number)
    upright = scaled(found, 1.0, -left, -top)
    x, y, side = crop_square(close_up.box, close_up.margin)
    return scaled(turned_back(upright, close_up.quarters, CELL_SIDE, CELL_SIDE), side / CELL_SIDE, x, y)
