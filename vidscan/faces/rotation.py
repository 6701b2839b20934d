"""Pure geometry: which way up faces are; pictures turned by quarters, what is found in them brought back."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Box, Detection, Image

_CODES = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def turned(image: Image, quarters: int) -> Image:
    """The picture turned anticlockwise, so that a face with a roll of 90 degrees a quarter stands upright.

    Args:
        image: ``uint8[height, width, 3]``.
        quarters: 0 to 3.

    Returns:
        ``uint8``, of the same shape, or with width and height exchanged.
    """
    return np.asarray(cv2.rotate(image, _CODES[quarters]), np.uint8) if quarters else image


def turned_back(found: Detection, quarters: int, width: int, height: int) -> Detection:
    """What was found in ``turned(image, quarters)``, in pixels of ``image``, which is ``width x height``."""
    if not quarters:
        return found
    corners = np.array([found.box[:2], (found.box.x + found.box.w, found.box.y + found.box.h)], np.float64)
    (x, y), (right, bottom) = np.sort(_points_back(corners, quarters, width, height), axis=0)
    return Detection(
        Box(float(x), float(y), float(right - x), float(bottom - y)),
        found.confidence,
        _points_back(found.keypoints, quarters, width, height).astype(np.float32),
        angle_within(found.roll + 90 * quarters),
    )


def _points_back(
    points: npt.NDArray[np.floating[Any]], quarters: int, width: int, height: int
) -> npt.NDArray[np.floating[Any]]:
    x, y = points[:, 0], points[:, 1]
    if quarters == 1:
        return np.stack([width - y, x], axis=1)
    if quarters == 2:
        return np.stack([width - x, height - y], axis=1)
    return np.stack([y, height - x], axis=1)


def scaled(found: Detection, factor: float, left: float = 0.0, top: float = 0.0) -> Detection:
    """A detection whose picture is enlarged by ``factor`` and then moved by ``left`` and ``top`` pixels."""
    box = found.box
    return Detection(
        Box(box.x * factor + left, box.y * factor + top, box.w * factor, box.h * factor),
        found.confidence,
        (found.keypoints * factor + np.array([left, top])).astype(np.float32),
        found.roll,
    )


def roll_of(keypoints: npt.NDArray[np.float32]) -> float:
    """By how many degrees a face is turned clockwise from upright, as its eyes say; 0 without them.

    Up to 45 degrees from upright the networks place the eyes to within 15 degrees of that angle; beyond 60
    they still see faces, but place their eyes at random (40 portraits of FFHQ, turned).

    Args:
        keypoints: ``float32[n, 2]`` in MediaPipe's order; the person's right eye, left in the picture of
            an upright face, comes first.

    Returns:
        Degrees above -180 and up to 180.
    """
    if len(keypoints) < 2:
        return 0.0
    across, down = (float(step) for step in keypoints[1] - keypoints[0])
    return angle_within(math.degrees(math.atan2(down, across)))


def nearest_quarter(roll: float) -> int:
    """The quarters, 0 to 3, by which a picture must be turned for a face to stand most upright."""
    return round(roll / 90) % 4


def angle_within(degrees: float) -> float:
    """The same angle above -180 and up to 180."""
    return 180.0 - (180.0 - degrees) % 360.0
