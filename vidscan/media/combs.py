"""Finds the combs of interlaced video in a frame: lines of two moments, one between the other's."""

from __future__ import annotations

import numpy as np

from vidscan.records import Image

MIN_SHARE = 0.004
"""Share of pixels that stand out from the lines above and below them, from which on a frame is suspected. In
frames of four talking heads with combs it was 1.4% to 19%, in the same without combs 0% to 0.8%."""

MIN_RATIO = 3.0
"""How many times more of them there must be than of pixels that stand out from their left and right: texture
stands out both ways. It was 25 and more with combs, and less than 1 without."""

_CONTRAST = 12
"""Levels by which such a pixel is brighter, or darker, than both of its neighbours."""

_STEP = 4
"""Every so many columns, or lines, are looked at, for speed."""


def combed(image: Image) -> bool:
    """Tells whether a frame, RGB ``uint8[height, width, 3]``, looks as if it had combs: within a millisecond.

    Fine stripes across the picture do so as well, so more than one frame is needed to be sure.
    """
    green = image[..., 1]
    lines = _standing_out(green[:, ::_STEP].astype(np.int16))
    return lines > MIN_SHARE and lines > MIN_RATIO * _standing_out(green[::_STEP].T.astype(np.int16))


def _standing_out(levels: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> float:
    """The share of levels that stand out from the ones above and below."""
    if len(levels) < 3:
        return 0.0
    steps = np.diff(levels, axis=0)
    into, out = steps[:-1], steps[1:]
    brighter = (into > _CONTRAST) & (out < -_CONTRAST)
    return float((brighter | ((into < -_CONTRAST) & (out > _CONTRAST))).mean())
