"""Finds a face that the picture cuts off at forehead and chin, by adding a border to the picture.

Collections ship faces so, and both networks miss them: they were trained on faces with something around.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidscan.faces.boxes import merge_detections
from vidscan.faces.crops import resize
from vidscan.faces.frame_search import CHECKED_CONFIDENCE, TURNED_SIDE, FrameSearch, Policy
from vidscan.faces.rotation import scaled
from vidscan.protocols import FaceDetector
from vidscan.records import Detection, Image

BORDERS = (0.5, 0.25)
"""Widths of the border that are tried, in longer sides of the picture.

Of 100 portraits of FFHQ and StyleGAN, cut to 0.85 of the detector's box and reduced to 224 pixels, 54 show no
face without a border, and none with one of these.
"""

GREY = 127
"""The border's level: with it, second looks confirm 54 of those 54; with black 47, with the picture's mean or
its outermost pixels repeated 33 to 41, since both look like more of the face."""

MIN_SHARE = 0.6
"""Minimum longer side of a face found so, in shorter sides of the picture: a smaller one has surroundings."""

MAX_RATIO = 3
"""A picture whose sides differ more is filled by no face."""

BORDERED = Policy(trusted=False, min_second_look=CHECKED_CONFIDENCE)


def find_bordered(detector: FaceDetector, image: Image, turn: int) -> list[Detection]:
    """Returns the faces that fill a picture, with boxes in its pixels, which may reach over its edges.

    ``image`` is RGB ``uint8[height, width, 3]``, turned anticlockwise by ``turn`` quarters for the search.
    Costs two calls of the full-range network, and two of the other for each candidate.
    """
    height, width = image.shape[:2]
    if max(height, width) > MAX_RATIO * min(height, width):
        return []
    factor = max(1.0, max(height, width) / TURNED_SIDE)
    small = resize(image, width=max(1, round(width / factor)), height=max(1, round(height / factor)))
    for share in BORDERS:
        border = round(share * max(small.shape[:2]))
        search = FrameSearch(detector, _bordered(small, border), ())
        search.add(merge_detections(search.candidates(detector.far, turn)), turn, BORDERED)
        found = [scaled(each, factor, -border * factor, -border * factor) for each in search.found]
        filling = [each for each in found if each.box.longer_side >= MIN_SHARE * min(height, width)]
        if filling:
            return filling
    return []


def _bordered(image: Image, border: int) -> Image:
    sides = (border, border, border, border)
    filled = cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
    return np.asarray(filled, np.uint8)
