"""Pure geometry: the roll of faces, and quarter turns of pictures and back of what is found in them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Box, Detection, Image

_CODES = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def turned(image: Image, quarters: int) -> Image:
    """Turns a picture, ``uint8[height, width, 3]``, anticlockwise by 0 to 3 quarters.

    A face with a roll of 90 degrees is upright after one quarter.
    """
    return np.asarray(cv2.rotate(image, _CODES[quarters]), np.uint8) if quarters else image


def turned_back(found: Detection, quarters: int, width: int, height: int) -> Detection:
    """Maps a detection in ``turned(image, quarters)`` back to ``image``, which is ``width x height``."""
    if not quarters:
        return found
    corners = np.array([found.box[:2], (found.box.x + found.box.w, found.box.y + found.box.h)], np.float64)
    (x, y), (right, bottom) = np.sort(points_back(corners, quarters, width, height), axis=0)
    return Detection(
        Box(float(x), float(y), float(right - x), float(bottom - y)),
        found.confidence,
        points_back(found.keypoints, quarters, width, height).astype(np.float32),
        angle_within(found.roll + 90 * quarters),
    )


def points_back(
    points: npt.NDArray[np.floating[Any]], quarters: int, width: int, height: int
) -> npt.NDArray[np.floating[Any]]:
    """Maps points ``[n, 2]`` of ``turned(image, quarters)`` to those of ``image``, ``width x height``."""
    x, y = points[:, 0], points[:, 1]
    if not quarters:
        return points
    if quarters == 1:
        return np.stack([width - y, x], axis=1)
    if quarters == 2:
        return np.stack([width - x, height - y], axis=1)
    return np.stack([y, height - x], axis=1)


def scaled(found: Detection, factor: float, left: float = 0.0, top: float = 0.0) -> Detection:
    """Enlarges a detection with its picture by ``factor``, then moves it by ``left`` and ``top`` pixels."""
    box = found.box
    return Detection(
        Box(box.x * factor + left, box.y * factor + top, box.w * factor, box.h * factor),
        found.confidence,
        (found.keypoints * factor + np.array([left, top])).astype(np.float32),
        found.roll,
    )


def roll_of(keypoints: npt.NDArray[np.float32]) -> float:
    """Returns the degrees, above -180 and up to 180, by which the eyes are turned clockwise; 0 without them.

    Up to 45 degrees from upright the networks place the eyes to within 15 degrees of that angle; beyond 60
    they still see faces, but place their eyes at random (40 portraits of FFHQ, turned). ``keypoints`` are
    ``float32[n, 2]`` in MediaPipe's order: the person's right eye, left in an upright picture, comes first.
    """
    if len(keypoints) < 2:
        return 0.0
    across, down = (float(step) for step in keypoints[1] - keypoints[0])
    return angle_within(math.degrees(math.atan2(down, across)))


def nearest_quarter(roll: float) -> int:
    """Returns the quarter turns, 0 to 3, that bring a face closest to upright."""
    return round(roll / 90) % 4


def angle_within(degrees: float) -> float:
    """Returns the same angle above -180 and up to 180."""
    return 180.0 - (180.0 - degrees) % 360.0
