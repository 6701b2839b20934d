"""Finds the cuts of a clip from the sampled frames alone.

Two frames of one shot share their scenery, even if the camera moves and the person gestures; two frames of
different shots share next to nothing. So the picture is reduced and split into blocks, and every block is
searched near its place in the frame before: in a new shot most blocks are not found. A studio screen that
changes behind a speaker, half the picture at times, is no cut by this measure; a histogram of the whole frame
would say so.

On 26 interview clips (``benchmarks/likeness.py``): of frames 0.4 s apart 3 pairs in 1,000 pass the bar, of
frames 1 s apart 11, and several of those are the clips' own cuts; of frames of different clips all do, and of
frames and later ones mirrored and closer, as another camera would give them, 989.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.crops import resize
from vidscan.records import Image

WIDTH, HEIGHT, BLOCK = 96, 54, 9
"""Size of the reduced frame and side of its blocks, in pixels."""

REACH = 10
"""How far from its place a block is searched, in pixels of the reduced frame: a tenth of its width."""

LOST_SHARE = 0.5
"""A new shot begins if more than this share of the picture is not found in the frame before."""

ALIKE_AT_ONCE = 20.0
"""Mean difference (levels of 0-255) below which two frames are of one shot without a closer look. Frames of
different clips differ by 39 at the least, and by 31 where one is the other mirrored and closer; frames 0.5 s
apart by less than 13.5 in nine cases of ten (``benchmarks/likeness.py``)."""

_FOUND = 0.8  # normalised cross-correlation from which a block is found again
_TEXTURED = 3.0  # standard deviation (levels) below which a block has nothing to correlate
_SAME_COLOUR = 8.0  # levels by which a flat block may change
_FLAT_WEIGHT = 0.5  # a flat block found again says less: any white wall is like another

Lab = npt.NDArray[np.float32]
"""A reduced frame in CIE L*a*b*, ``float32[HEIGHT, WIDTH, 3]``, 0-255 each."""


class Reduced(NamedTuple):
    """A frame reduced, as RGB ``uint8[HEIGHT, WIDTH, 3]`` and in CIE L*a*b*."""

    rgb: Image
    lab: Lab


class CutFinder:
    """Compares each sampled frame of a clip with the one before."""

    def __init__(self) -> None:
        self._last: Reduced | None = None

    def is_cut(self, image: Image) -> bool:
        """Tells whether a frame begins a new shot: RGB ``uint8[height, width, 3]``; False for the first."""
        before, self._last = self._last, reduced(image)
        return before is not None and are_apart(before, self._last)


def reduced(image: Image) -> Reduced:
    """Reduces a frame for comparison; of a large one only every n-th pixel is averaged, for speed."""
    step = max(1, min(image.shape[0] // (2 * HEIGHT), image.shape[1] // (2 * WIDTH)))
    small = resize(image[::step, ::step], width=WIDTH, height=HEIGHT)
    return Reduced(small, cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32))


def are_apart(before: Reduced, after: Reduced) -> bool:
    """Tells whether two frames belong to different shots."""
    if difference(before, after) < ALIKE_AT_ONCE:
        return False
    # Either way round: what came into sight and what went out of it.
    return max(lost_share(before.lab, after.lab), lost_share(after.lab, before.lab)) > LOST_SHARE


def difference(before: Reduced, after: Reduced) -> float:
    """Returns the mean absolute difference of two frames, in levels of 0-255."""
    return float(np.abs(after.rgb.astype(np.int16) - before.rgb).mean())


def lost_share(before: Lab, after: Lab) -> float:
    """Returns the share of ``after`` that is not found near its place in ``before``, 0-1."""
    wider = cv2.copyMakeBorder(before, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    total = lost = 0.0
    for top in range(0, HEIGHT, BLOCK):
        for left in range(0, WIDTH - BLOCK + 1, BLOCK):
            block = after[top : top + BLOCK, left : left + BLOCK]
            around = wider[top : top + BLOCK + 2 * REACH, left : left + BLOCK + 2 * REACH]
            textured = float(block[..., 0].std()) > _TEXTURED
            weight = 1.0 if textured else _FLAT_WEIGHT
            total += weight
            lost += 0.0 if (_recurs(block, around) if textured else _stays(block, around)) else weight
    return lost / total


def _recurs(block: Lab, around: Lab) -> bool:
    lightness, searched = np.ascontiguousarray(block[..., 0]), np.ascontiguousarray(around[..., 0])
    return float(cv2.matchTemplate(searched, lightness, cv2.TM_CCOEFF_NORMED).max()) >= _FOUND


def _stays(block: Lab, around: Lab) -> bool:
    there = around[REACH : REACH + BLOCK, REACH : REACH + BLOCK]
    return float(np.abs(block.mean((0, 1)) - there.mean((0, 1))).max()) <= _SAME_COLOUR
