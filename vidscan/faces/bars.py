"""Tells a picture from the bars around it: of one colour, or a blurred copy of the picture beside it.

Bars say nothing of a face, yet a network that sees their edges in a crop takes them for traces of a montage.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vidscan.records import Image

SAME_COLOUR = 16
"""Levels by which a pixel of a bar may differ from the bar's colour: what compression leaves. A blurred copy
spans more."""

MIN_SAME = 0.98
"""Share of a line's pixels that have the bar's colour; the rest may be noise or a logo's edge."""

MIN_STRAIGHT, MIN_STRAIGHT_PAIR = 0.6, 0.45
"""Share of the pixels along a bar's edge where the picture must begin, and where there are two opposite
bars. Straight hair in front of an even wall reaches 0.46 on one side; bars in clips 0.79 and more."""

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

UNEQUAL = 2
"""Pixels by which the two bars may differ: encoders move pictures to even columns."""

ROWS = 120
"""About so many rows are looked at for blurred bars; of lower pictures, one in four."""


Steps: TypeAlias = npt.NDArray[np.float64]
"""Of each column, how far its levels differ on average: from the next one's, or from row to row."""


class Area(NamedTuple):
    """A part of a picture in whole pixels, ``right`` and ``bottom`` exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def holds(self, x: float, y: float) -> bool:
        """Tells whether a point, in pixels of the picture, lies in it."""
        return self.left <= x < self.right and self.top <= y < self.bottom


def picture_area(image: Image, before: Area | None = None) -> Area:
    """Returns the part of a picture, RGB ``uint8[height, width, 3]``, that no bar covers: mostly all.

    ``before`` is that of the frame before: where blurred bars were, they are found by an edge half as clear,
    so that a face is not cut out now with them and now without.
    """
    height, width = image.shape[:2]
    turned = image.swapaxes(0, 1)
    upright, lying = _candidates(image), _candidates(turned)
    # Where there are bars all around, the picture begins between the others alone.
    top, bottom = _straight(image[:, lying[0] : width - lying[1]], upright)
    left, right = _straight(turned[:, upright[0] : height - upright[1]], lying)
    if not (top or bottom or left or right):
        green = image[..., 1]
        known = before or Area(0, 0, width, height)
        left, right = _blurred_bars(green, (known.left, width - known.right))
        if not left:
            top, bottom = _blurred_bars(green.T, (known.top, height - known.bottom))
    return Area(left, top, width - right, height - bottom)


def _candidates(image: Image) -> tuple[int, int]:
    """Returns how many of a picture's upper and lower rows may be bars of one colour."""
    return _even_bar(image), _even_bar(image[::-1])


def _straight(image: Image, bars: tuple[int, int]) -> tuple[int, int]:
    """Returns the rows of those of the upper and the lower bar whose edge is straight, 0 for others."""
    least = MIN_STRAIGHT_PAIR if all(bars) else MIN_STRAIGHT
    sides = zip(bars, (image, image[::-1]), strict=True)
    upper, lower = (bar if bar and _straight_share(each, bar) >= least else 0 for bar, each in sides)
    return upper, lower


def _even_bar(image: Image) -> int:
    """Returns how many of a picture's upper rows have one colour, if they may be a bar; else 0."""
    rows = image.shape[0]
    colour = np.median(image[0], axis=0)
    most = int(MAX_BAR * rows)
    for start, end in ((0, 1), *((first, first + 16) for first in range(1, most, 16))):
        same = (np.abs(image[start:end] - colour).max(axis=2) <= SAME_COLOUR).mean(axis=1) >= MIN_SAME
        if not same.all():  # nearly always, the first row settles it
            bar = start + int(np.argmin(same))
            return bar if MIN_BAR * rows <= bar < most else 0
    return 0


def _straight_share(image: Image, bar: int) -> float:
    """Returns in which share of the columns the picture begins at once; a wall darkens little by little."""
    step = np.abs(image[bar + EDGE - 1].astype(np.int16) - image[max(0, bar - EDGE)]).max(axis=1)
    return float((step > EDGE_STEP).mean())


def _blurred_bars(levels: Image, known: tuple[int, int]) -> tuple[int, int]:
    """Returns the columns of the two blurred bars at the sides of one colour's levels, 0 for none.

    ``known``: those of the frame before, which come first.
    """
    height, width = levels.shape
    least, most = max(8, round(MIN_BAR * width)), int(MAX_BAR * width)
    if most <= least or height < 3:
        return 0, 0
    step = max(4, height // ROWS)
    rows = levels[1 : height - 1 : step].astype(np.int16)
    steps = np.abs(np.diff(rows, axis=1)).mean(axis=0)
    above, below = (levels[first : height - 2 + first : step] for first in (0, 2))
    detail = np.abs(above + below.astype(np.int16) - 2 * rows).mean(axis=0)
    sides = (steps, steps[::-1])
    if all(least <= bar < most for bar in known) and _are_bars(rows, steps, detail, known, clear=0.5):
        return known
    about = least + int(np.argmax(sum(_highest_near(each)[least - 1 : most - 1] for each in sides)))
    bars = _edge_near(sides[0], about), _edge_near(sides[1], about)
    return bars if _are_bars(rows, steps, detail, bars, clear=1.0) else (0, 0)


def _are_bars(
    rows: npt.NDArray[np.int16], steps: Steps, detail: Steps, bars: tuple[int, int], *, clear: float
) -> bool:
    """Tells whether so many columns at the left and right are blurred, and end in edges so ``clear``."""
    left, right = bars
    for side, edges, bar in ((rows, steps, left), (rows[:, ::-1], steps[::-1], right)):
        if edges[bar - 1] < clear * STEP * np.percentile(edges[: bar - 2], 90):
            return False
        straight = (np.abs(side[:, bar + 1] - side[:, bar - 2]) > BLUR_STEP).mean()
        if straight < clear * MIN_STRAIGHT_BLUR:  # as of a head before a blurred wall
            return False
        if np.ptp(np.percentile(side[:, : bar - 1], (5, 95))) <= SAME_COLOUR:
            return False
    blurred = max(detail[: left - 1].mean(), detail[1 - right :].mean())
    return bool(blurred <= BLUR * detail[left + 1 : -right - 1].mean())


def _highest_near(steps: Steps) -> Steps:
    """Returns the highest of each step and those up to ``UNEQUAL`` away."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(steps, UNEQUAL), 2 * UNEQUAL + 1)
    return np.asarray(windows.max(axis=1))


def _edge_near(steps: Steps, bar: int) -> int:
    """Returns the columns of the bar about so wide that ends with the highest step."""
    first = max(bar - UNEQUAL, 3)
    return first + int(np.argmax(steps[first - 1 : bar + UNEQUAL]))
