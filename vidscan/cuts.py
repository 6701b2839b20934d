"""Where a clip cuts from one shot to another, told from the sampled frames alone.

Two frames of one shot share their scenery, even when the camera moves and the person gestures; two frames
of different shots share next to nothing. So the picture is reduced and split into blocks, and every block
is looked for near its place in the frame before: a new shot is one in which most blocks are nowhere to be
found. A studio screen that changes behind a speaker, half the picture at times, is no cut by this measure;
a histogram of the whole frame would say so.

On 32 interview clips (frames 0.4 s apart: at most 5 in 1,000 pairs pass the bar, and several of those are
the clips' own cuts; 1 s apart: 14) against frames of different clips (all of 1,000 pass) and against
mirrored close-ups of the same clip, as another camera would give them (998 in 1,000).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.image import resize
from vidscan.records import Image

WIDTH, HEIGHT, BLOCK = 96, 54, 9
"""Pixels of the reduced frame, and the side of a block in it."""

REACH = 10
"""How far from its place a block is looked for, in pixels of the reduced frame: a tenth of its width."""

LOST_SHARE = 0.5
"""A new shot is where more than this share of the picture is nowhere to be found in the frame before."""

ALIKE_AT_ONCE = 20.0
"""Mean difference (levels of 0-255) below which two frames are of one shot without a closer look. Frames of
different shots differ by 33 at the least, frames 0.5 s apart by less than 13 in nine cases of ten."""

_FOUND = 0.8  # normalised cross-correlation from which a block is found again
_TEXTURED = 3.0  # standard deviation (levels) below which a block has nothing to correlate
_SAME_COLOUR = 8.0  # levels by which a flat block may change
_FLAT_WEIGHT = 0.5  # a flat block found again says less: any white wall is like another

_Reduced = npt.NDArray[np.float32]
"""A reduced frame in CIE L*a*b*, ``float32[HEIGHT, WIDTH, 3]``, 0-255 each."""


class CutFinder:
    """Goes through the sampled frames of one clip in order; remembers the last one, reduced."""

    def __init__(self) -> None:
        self._last: tuple[Image, _Reduced] | None = None

    def is_cut(self, image: Image) -> bool:
        """Whether ``image`` (RGB ``uint8[height, width, 3]``) begins a new shot; never True of the first."""
        small = _reduced(image)
        reduced = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
        before, self._last = self._last, (small, reduced)
        if before is None:
            return False
        if np.abs(small.astype(np.int16) - before[0]).mean() < ALIKE_AT_ONCE:
            return False
        # Either way round: what came into sight and what went out of it.
        return max(lost_share(before[1], reduced), lost_share(reduced, before[1])) > LOST_SHARE


def _reduced(image: Image) -> Image:
    """``uint8[HEIGHT, WIDTH, 3]``; of a large picture only every n-th pixel is averaged, for speed."""
    step = max(1, min(image.shape[0] // (2 * HEIGHT), image.shape[1] // (2 * WIDTH)))
    return resize(image[::step, ::step], width=WIDTH, height=HEIGHT)


def lost_share(before: _Reduced, after: _Reduced) -> float:
    """The share of ``after`` that is nowhere to be found near its place in ``before``, 0-1."""
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


def _recurs(block: _Reduced, around: _Reduced) -> bool:
    lightness, searched = np.ascontiguousarray(block[..., 0]), np.ascontiguousarray(around[..., 0])
    return float(cv2.matchTemplate(searched, lightness, cv2.TM_CCOEFF_NORMED).max()) >= _FOUND


def _stays(block: _Reduced, around: _Reduced) -> bool:
    there = around[REACH : REACH + BLOCK, REACH : REACH + BLOCK]
    return float(np.abs(block.mean((0, 1)) - there.mean((0, 1))).max()) <= _SAME_COLOUR
