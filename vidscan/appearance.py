"""What a face and its surroundings look like: colours and lightness of the head and of what is worn below.

It serves to follow a person through a clip, never to name one: nothing here outlasts the scan, and two
people in the same clothes and light may well look alike to it.

Four histograms, each as square roots of its shares, so that Euclidean distance is Hellinger's (times the
square root of 2): colour (a* and b* of CIE L*a*b*) and lightness, of the head and of the chest. On 30
interview clips sighted once a second, two sightings of one clip 1 s apart are nearer than
``SURELY_THE_SAME`` in 97% of cases, ones 4 s apart or more in 92%, and of 20,000 pairs of sightings from
different clips not one is. Two people under the same studio lights are nearer to each other than that.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidscan.image import square_crop
from vidscan.records import Appearance, Box, Image

SURELY_THE_SAME = 0.45
"""Distance below which two sightings are of one person, whatever lies between them."""

CLEARLY_ANOTHER = 1.1
"""Distance above which two sightings are not of one person, however near in place and time. Those of one
person 1 s apart are nearer in 997 of 1,000 cases, those of different clips farther in nine of ten."""

_SIDE, _MARGIN = 96, 3.0  # pixels, and lengths of the box's longer side, of the picture that is described
_HEAD = (slice(25, 71), slice(25, 71))  # rows and columns: 1.4 boxes around the middle
_CHEST = (slice(71, 96), slice(24, 72))  # what the picture shows below the head, 1.5 boxes wide
_COLOURS, _NEUTRAL, _REACH = 6, 140, 36  # cells a side, middle and half width of the a* and b* looked at
_LIGHTNESSES = 8
_LIGHTNESS_WEIGHT = 0.5  # it changes with every shadow


def describe(image: Image, box: Box) -> Appearance:
    """The description of one face.

    Args:
        image: the frame, RGB ``uint8[height, width, 3]``.
        box: the face in it; it must touch the picture.

    Returns:
        ``float32[APPEARANCE]``, of length between 0 and 1.6.
    """
    # Of a large face only every n-th pixel is looked at, for speed.
    step = max(1, int(box.longer_side * _MARGIN / (2 * _SIDE)))
    thinned = Box(box.x / step, box.y / step, box.w / step, box.h / step)
    around = square_crop(image[::step, ::step], thinned, margin=_MARGIN, size=_SIDE)
    lab = cv2.cvtColor(around, cv2.COLOR_RGB2LAB)
    parts = [np.ascontiguousarray(lab[part]) for part in (_HEAD, _CHEST)]
    colours = [
        _shares(part, [1, 2], [_COLOURS] * 2, [_NEUTRAL - _REACH, _NEUTRAL + _REACH]) for part in parts
    ]
    lightness = [_shares(part, [0], [_LIGHTNESSES], [0, 256]) * _LIGHTNESS_WEIGHT for part in parts]
    return np.asarray(np.concatenate([*colours, *lightness]), np.float32)


def _shares(part: Image, channels: list[int], cells: list[int], reach: list[int]) -> Appearance:
    """Square roots of the shares of the pixels in each cell, flat."""
    counts = cv2.calcHist([part], channels, None, cells, reach * len(channels)).ravel()
    return np.asarray(np.sqrt(counts / (part.shape[0] * part.shape[1])), np.float32)


def distance(one: Appearance, other: Appearance) -> float | None:
    """How differently two faces and their surroundings look; 0 for the same picture.

    None where one of them was never described (see ``records.no_appearance``).
    """
    if not (one.any() and other.any()):
        return None
    return float(np.linalg.norm(one - other))
