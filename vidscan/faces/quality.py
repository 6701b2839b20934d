"""Measures how well a face can be judged: by its size, sharpness, pose and visibility.

The figures describe the picture, not who made it: a poor face says little either way. They weigh a person's
sightings against each other (``verdict.people``), and no verdict rests on poor faces alone
(``verdict.judge``).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vidscan.faces.boxes import shared_area
from vidscan.faces.crops import square_crop
from vidscan.records import Box, Detection, Image, Quality

FULL_SIZE = 128.0
"""Longer side of the box in pixels from which size lowers the quality no more. Between here and 48 pixels the
bundled network ranks interview clips as well as before, but calls all of them less and less genuine; below 48
it ranks them worse (``vidscan-train evaluate --robustness --degradations pixels``)."""

SHARP, BLURRED = 0.30, 0.06
"""Relative sharpness (see :func:`sharpness`) of full and of no quality: of faces in interview clips 19 in 20
have more than 0.36; blurred by a Gaussian of 1 pixel in 64 they have 0.24 at the median, of 3 pixels 0.10
(``benchmarks/likeness.py``)."""

FRONTAL, PROFILE = 0.45, 1.0
"""Asymmetry of the ears around the nose up to which a face counts as frontal, and that of a full profile."""

SURE, DOUBTFUL = 0.75, 0.5
"""Detector confidence of full quality (99 in 100 faces in interview clips exceed it, by
``benchmarks/likeness.py``), and the least that occurs."""

SURROUNDED = 1.2
"""What should be seen around a face, in longer sides of its box. A picture without room for it shows a face
cut off at forehead and chin: of a box as large as the picture 0.69 is left. No face of the research clips is
so tight (0.76 of the picture at most)."""

_MIN_SHARPNESS = 0.05  # left even of the worst blur, so that no weight vanishes
_MIN_POSE, _MIN_CONFIDENCE = 0.3, 0.3
_LEAST_DETAIL = 0.05  # levels, of an area of one colour
_SHARPNESS_SIDE, _DETAIL_SIDE = 64, 224
_RIGHT_EYE, _LEFT_EYE, _NOSE, _RIGHT_EAR, _LEFT_EAR = 0, 1, 2, 4, 5


def assess(image: Image, detection: Detection, others: Sequence[Box]) -> Quality:
    """Measures the quality of a face, whose box touches the frame; ``others`` are the frame's other faces.

    ``image`` is RGB ``uint8[height, width, 3]``.
    """
    box = detection.box
    return Quality(
        size=min(box.longer_side / FULL_SIZE, 1.0),
        sharpness=_ramp(sharpness(image, box), BLURRED, SHARP, _MIN_SHARPNESS),
        pose=_ramp(-_asymmetry(detection), -PROFILE, -FRONTAL, _MIN_POSE),
        visible=_inside(box, image)
        * _room(box, image)
        * (1.0 - _covered(box, others))
        * _ramp(detection.confidence, DOUBTFUL, SURE, _MIN_CONFIDENCE),
    )


def _ramp(value: float, low: float, high: float, least: float) -> float:
    """Returns ``least`` at ``low`` and below, 1 at ``high`` and above, and a straight line between."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return least + (1.0 - least) * share


def detail(image: Image, box: Box) -> float:
    """Returns :func:`sharpness` at 224 pixels a side, about the resolution at which networks see a face.

    It falls where a face is blurred, and where it was enlarged: by the scan, or by whoever made the file.
    """
    return sharpness(image, box, _DETAIL_SIDE)


def outlines(image: Image, box: Box) -> float:
    """Returns how far a face's hardest edges stand out from its usual detail: high for a drawing.

    Of the absolute differences from the face blurred by a Gaussian of 1 pixel, at 224 pixels a side, the 95th
    percentile over the median. Skin, and the noise of any camera, have some detail everywhere; areas that are
    filled with paint have none.
    """
    face = square_crop(image, box, margin=1.0, size=_DETAIL_SIDE)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    apart = cv2.absdiff(grey, cv2.GaussianBlur(grey, (0, 0), 1.0))
    usual, hard = np.percentile(apart, (50, 95))
    return float(hard / max(usual, _LEAST_DETAIL))


def sharpness(image: Image, box: Box, side: int = _SHARPNESS_SIDE) -> float:
    """Returns the standard deviation of the Laplacian over that of the face, at ``side`` pixels a side.

    The variance of the Laplacian is the usual measure of focus (J. L. Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", 2000); divided by the contrast, it is independent of the light.
    """
    face = square_crop(image, box, margin=1.0, size=side)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std() / max(float(grey.std()), 1.0))


def _asymmetry(detection: Detection) -> float:
    """Returns how unequally far the ears are from the nose along the eyes: 0 frontal, 1 in profile."""
    points = detection.keypoints
    if len(points) <= _LEFT_EAR:
        return 0.0
    eyes = points[_LEFT_EYE] - points[_RIGHT_EYE]
    length = float(np.hypot(*eyes))
    if length == 0:
        return 0.0
    along = eyes / length
    right = float((points[_NOSE] - points[_RIGHT_EAR]) @ along)
    left = float((points[_LEFT_EAR] - points[_NOSE]) @ along)
    whole = abs(right) + abs(left)
    return abs(right - left) / whole if whole else 0.0


def _inside(box: Box, image: Image) -> float:
    """Returns the share of the box that lies within the picture, 0-1."""
    height, width = image.shape[:2]
    return shared_area(box, Box(0, 0, width, height)) / (box.w * box.h)


def _room(box: Box, image: Image) -> float:
    """Returns the share of a face's close surroundings for which the picture is large enough, 0-1."""
    height, width = image.shape[:2]
    fits: float = min(1.0, min(height, width) / (SURROUNDED * box.longer_side))
    return fits * fits


def _covered(box: Box, others: Sequence[Box]) -> float:
    """Returns the largest share of the box that another, larger face may cover, 0-1."""
    nearer = [other for other in others if other.w * other.h > box.w * box.h]
    return max((shared_area(box, other) / (box.w * box.h) for other in nearer), default=0.0)
