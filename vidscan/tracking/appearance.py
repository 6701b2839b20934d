"""Describes the appearance of a face and its surroundings: colours and lightness of face, hair and clothes.

It serves to follow a person through a clip, never to name one: nothing here outlasts the scan, and two
people in the same clothes and light may look alike to it.

Six histograms, each as square roots of its shares, so that Euclidean distance is Hellinger's (times the
square root of 2): colour (a* and b* of CIE L*a*b*) and lightness, of the face, the hair and the chest. On 26
interview clips (``benchmarks/likeness.py``), two sightings 1 s apart in one shot are nearer than
``SURELY_THE_SAME`` in 97% of cases, ones 4 s apart or more in 95%, and of 20,000 pairs of sightings from
different clips not one is: the nearest are 0.63 apart. Two people under the same studio lights may be nearer.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vidscan.faces.crops import square_crop
from vidscan.records import Appearance, Box, Image

SURELY_THE_SAME = 0.5
"""Distance below which two sightings are of one person, however far apart in time."""

CLEARLY_ANOTHER = 1.0
"""Distance above which two sightings are of two people, however near in place and time. Of pairs 1 s
apart in one shot 99.5% are nearer, of pairs from different clips 3.3%."""

_SIDE, _MARGIN = 96, 3.0  # of the described square: pixels, and multiples of the box's longer side
_NEUTRAL, _REACH = 140, 30  # middle and half width of the range of a* and b*
_LIGHTNESS_WEIGHT = 0.7  # it changes with every shadow


def _ellipse(x: int, y: int, width: int, height: int) -> Image:
    """Returns a mask ``[_SIDE, _SIDE]``: 255 within an ellipse around (x, y) with these half axes."""
    down, across = np.mgrid[:_SIDE, :_SIDE]
    return np.where(((across - x) / width) ** 2 + ((down - y) / height) ** 2 <= 1, 255, 0).astype(np.uint8)


def _rows(mask: Image, first: int, last: int) -> Image:
    down = np.arange(_SIDE)[:, None]
    return np.where((down >= first) & (down < last), mask, 0).astype(np.uint8)


class _Part(NamedTuple):
    """A part of the picture, the bins of its histograms (along each of a* and b*, lightness), its weight."""

    mask: Image
    colours: int
    lightnesses: int
    weight: float


_FACE = _ellipse(48, 48, 14, 17)
_HEAD = _ellipse(48, 44, 22, 28)
_CHEST = np.zeros((_SIDE, _SIDE), np.uint8)
_CHEST[71:, 24:72] = 255  # what the picture shows below the head, 1.5 boxes wide
_PARTS = (
    _Part(_FACE, 5, 8, 1.0),
    _Part(_rows(np.where(_FACE, 0, _HEAD), 0, 44), 5, 8, 1.0),  # hair, or what is worn on it
    _Part(_CHEST, 4, 6, 0.5),
)
"""The described parts. Ellipses rather than rectangles: the corners around a head are mostly background,
which all people in a room share and which changes behind a walking person."""


def describe(image: Image, box: Box) -> Appearance:
    """Describes the face at ``box``, which touches the frame, by ``float32[APPEARANCE]`` of length 0 to 1.84.

    ``image`` is RGB ``uint8[height, width, 3]``.
    """
    # Of a large face only every n-th pixel is read, for speed.
    step = max(1, int(box.longer_side * _MARGIN / (2 * _SIDE)))
    thinned = Box(box.x / step, box.y / step, box.w / step, box.h / step)
    around = square_crop(image[::step, ::step], thinned, margin=_MARGIN, size=_SIDE)
    lab = cv2.cvtColor(around, cv2.COLOR_RGB2LAB)
    within = [_NEUTRAL - _REACH, _NEUTRAL + _REACH]
    shares: list[Appearance] = []
    for part in _PARTS:
        shares += [
            part.weight * _shares(lab, part.mask, [1, 2], [part.colours] * 2, within),
            part.weight * _LIGHTNESS_WEIGHT * _shares(lab, part.mask, [0], [part.lightnesses], [0, 256]),
        ]
    return np.asarray(np.concatenate(shares), np.float32)


def _shares(lab: Image, mask: Image, channels: list[int], cells: list[int], within: list[int]) -> Appearance:
    """Returns the square roots of the shares of the mask's pixels in each bin, flat."""
    counts = cv2.calcHist([lab], channels, mask, cells, within * len(channels)).ravel()
    return np.asarray(np.sqrt(counts / np.count_nonzero(mask)), np.float32)


def distance(one: Appearance, other: Appearance) -> float | None:
    """Returns the distance of two appearances, 0 if equal; None if one is unknown (``no_appearance``)."""
    if not (one.any() and other.any()):
        return None
    return float(np.linalg.norm(one - other))
