"""Tells a picture from the bars around it: of one colour, or a blurred copy of the picture beside it.

Bars say nothing of a face, yet a network that sees their edges in a crop takes them for traces of a montage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidscan.records import Image

SAME_COLOUR = 16
"""Levels by which a pixel of a bar may differ from the bar's colour: what compression leaves."""

MIN_SAME = 0.98
"""Share of a line's pixels that have the bar's colour; the rest may be noise or a logo's edge."""

MIN_STRAIGHT = 0.3
"""Share of the pixels along a bar's edge where the picture must begin: a head in front of an even wall has no
straight edge."""

EDGE, EDGE_STEP = 4, 20
"""Pixels over which compression smears an edge, and the levels by which the picture differs beyond it."""

MIN_BAR, MAX_BAR = 0.02, 0.45
"""Least and greatest width of one bar, as a share of the picture's side."""

BLUR = 0.7
"""A blurred bar has at most this part of the fine detail that the picture has on average."""

STEP = 15.0
"""The edge of a blurred bar is so many times as steep as what lies in the bar: 25 and more in clips with a
blurred copy behind, 4 at most in pictures without."""

BLUR_STEP, MIN_STRAIGHT_BLUR = 6, 0.35
"""Levels by which the picture differs from a blurred bar beside it, in this share of the rows or more."""

ROW_STEP = 4
"""Of so many rows one is looked at for blurred bars."""


class Area(NamedTuple):
    """A part of a picture in whole pixels, ``right`` and ``bottom`` exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def holds(self, x: float, y: float) -> bool:
        """Tells whether a point, in pixels of the picture, lies in it."""
        return self.left <= x < self.right and self.top <= y < self.bottom


def picture_area(image: Image) -> Area:
    """Returns the part of a picture, RGB ``uint8[height, width, 3]``, that no bar covers: mostly all."""
    height, width = image.shape[:2]
    turned = image.swapaxes(0, 1)
    top, bottom, left, right = (_even_bar(each) for each in (image, image[::-1], turned, turned[::-1]))
    if not (top or bottom or left or right):
        green = image[..., 1]
        left = right = _blurred_bars(green)
        if not left:
            top = bottom = _blurred_bars(green.T)
    return Area(left, top, width - right, height - bottom)


def _even_bar(image: Image) -> int:
    """Returns the rows of the bar of one colour at the upper edge of a picture, 0 for none."""
    rows = image.shape[0]
    colour = np.median(image[0], axis=0)
    most = int(MAX_BAR * rows)
    for start in range(0, most, 16):  # nearly always, the first rows settle it
        lines = image[start : start + 16]
        same = (np.abs(lines - colour).max(axis=2) <= SAME_COLOUR).mean(axis=1) >= MIN_SAME
        if not same.all():
            bar = start + int(np.argmin(same))
            return bar if MIN_BAR * rows <= bar < most and _is_sharp(image, bar) else 0
    return 0


def _is_sharp(image: Image, bar: int) -> bool:
    """Tells whether the picture begins all at once below a bar: a wall grows darker little by little."""
    step = np.abs(image[bar + EDGE - 1].astype(np.int16) - image[max(0, bar - EDGE)]).max(axis=1)
    return bool((step > EDGE_STEP).mean() >= MIN_STRAIGHT)


def _blurred_bars(levels: Image) -> int:
    """Returns the columns of the two equal blurred bars at the sides of one colour's levels, 0 for none."""
    height, width = levels.shape
    least, most = max(8, round(MIN_BAR * width)), int(MAX_BAR * width)
    if most <= least or height < 3:
        return 0
    above, rows, below = (
        levels[first : height - 2 + first : ROW_STEP].astype(np.int16) for first in range(3)
    )
    steps = np.abs(np.diff(rows, axis=1)).mean(axis=0)
    bar = least + int(np.argmax(steps[least - 1 : most - 1] + steps[::-1][least - 1 : most - 1]))
    for edges in (steps, steps[::-1]):
        if edges[bar - 1] < STEP * np.percentile(edges[: bar - 2], 90):
            return 0
    detail = np.abs(above - 2 * rows + below).mean(axis=0)
    blurred = max(detail[: bar - 1].mean(), detail[1 - bar :].mean())
    straight = _is_straight(rows, bar) and _is_straight(rows[:, ::-1], bar)
    return bar if straight and blurred <= BLUR * detail[bar + 1 : -bar - 1].mean() else 0


def _is_straight(rows: npt.NDArray[np.int16], bar: int) -> bool:
    """Tells whether the picture begins at one column in most rows; a head before a blurred wall does not."""
    return bool((np.abs(rows[:, bar + 1] - rows[:, bar - 2]) > BLUR_STEP).mean() >= MIN_STRAIGHT_BLUR)
