"""Confirms, orients and follows faces with the short-range network, on mosaics of up to four close-ups.

A mosaic is one picture of two by two close-ups, so that one call (1.7 ms) looks at four faces, or at one
face in all four orientations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union
from vidscan.faces.crops import crop_square, square_crop
from vidscan.faces.detector import SECOND_LOOK_CONFIDENCE, SECOND_LOOK_MARGIN
from vidscan.faces.predicted import KnownFace
from vidscan.faces.rotation import angle_within, scaled, turned, turned_back
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

CELLS = 4
"""Close-ups in a mosaic, two by two."""
CELL_SIDE = 64
"""Side of a close-up in pixels; the mosaic then has the 128 by 128 pixels that the network sees.

The short-range network found as many faces (97 to 100 in 100) in cells of 64, 96 and 128 pixels, with the
face taking a half or a third of the side, and whether it had 24, 32, 64 or 128 pixels in the frame.
"""

TURNED_CONFIDENCE = 0.75
"""Minimum confidence for a face that is turned away from the orientation in which it was found.

Of 40 portraits of FFHQ, turned by any angle and reduced to 48 pixels, 19 in 20 reach 0.84 in the close-up
that is turned the right way; galaxies, turned by quarters, reached 0.7 in a plain second look.
"""

TURNED_LEAD = 0.05
"""A turned face must be this much more confident than the same face in the orientation it was found in."""

KNOWN_MARGIN = 3.0
"""Margin of the close-up of a known face, which may have moved by its own side."""
KNOWN_CONFIDENCE = 0.65
"""Minimum confidence for a known face; it was confirmed when it was new."""

_MAX_SIDE_RATIO = 1.7  # of a known face's sides in two frames
_MAX_OFFSET = 1.3  # sides from the middle of the close-up; a neighbour may lie further out


class CloseUp(NamedTuple):
    """A square around a box, as ``crop_square`` cuts it, turned anticlockwise by ``quarters`` (0 to 3)."""

    box: Box
    margin: float
    quarters: int = 0


def second_look(
    detector: FaceDetector,
    image: Image,
    box: Box,
    quarters: int,
    min_confidence: float = SECOND_LOOK_CONFIDENCE,
) -> Detection | None:
    """Looks at ``box`` in all four orientations, in one call; returns the most confident face there, or None.

    ``image`` is RGB ``uint8[height, width, 3]``; ``box`` touches it. A face was detected there in the picture
    turned by ``quarters``, 0 to 3; in that orientation ``min_confidence`` is required, in another
    ``TURNED_CONFIDENCE``.
    """
    views = [CloseUp(box, SECOND_LOOK_MARGIN, (quarters + turn) % 4) for turn in range(CELLS)]
    cells = faces_in(detector.near(mosaic(image, views)), views)
    best = [
        max((face for face in cell if _is_at(face, box)), key=lambda face: face.confidence, default=None)
        for cell in cells
    ]
    own, *others = best
    other = max((face for face in others if face), key=lambda face: face.confidence, default=None)
    if other is not None and other.confidence >= TURNED_CONFIDENCE:
        bar = own.confidence + TURNED_LEAD if own is not None else 0.0
        if other.confidence > bar:
            return other
    return own if own is not None and own.confidence >= min_confidence else None


def _is_at(face: Detection, box: Box) -> bool:
    return intersection_over_union(face.box, box) > SAME_FACE_OVERLAP


def follow_faces(
    detector: FaceDetector, image: Image, known: Sequence[KnownFace]
) -> list[tuple[KnownFace, Detection]]:
    """Looks for known faces where they are expected, four in each call; returns those it finds."""
    found: list[tuple[KnownFace, Detection]] = []
    for start in range(0, len(known), CELLS):
        faces = known[start : start + CELLS]
        views = [CloseUp(face.box, KNOWN_MARGIN, face.quarters) for face in faces]
        cells = faces_in(detector.near(mosaic(image, views)), views)
        for face, cell in zip(faces, cells, strict=True):
            likely = [each for each in cell if _may_be(each, face)]
            if likely:
                found.append((face, min(likely, key=lambda each: _offset(each.box, face))))
    return found


def _may_be(seen: Detection, face: KnownFace) -> bool:
    ratio = seen.box.longer_side / max(face.box.longer_side, 1.0)
    return (
        seen.confidence >= KNOWN_CONFIDENCE
        and 1 / _MAX_SIDE_RATIO <= ratio <= _MAX_SIDE_RATIO
        and _offset(seen.box, face) <= _MAX_OFFSET
    )


def _offset(box: Box, face: KnownFace) -> float:
    """Returns the distance of a box's centre from the expected one, in sides of the face."""
    x = box.x + box.w / 2 - face.box.x - face.box.w / 2
    y = box.y + box.h / 2 - face.box.y - face.box.h / 2
    return float((x * x + y * y) ** 0.5) / max(face.box.longer_side, 1.0)


def tilt(face: Detection, quarters: int) -> float:
    """Returns how many degrees, 0-180, a face leans away from the turn of the picture it was found in."""
    return abs(angle_within(face.roll - 90 * quarters))


def mosaic(image: Image, close_ups: Sequence[CloseUp]) -> Image:
    """Puts up to ``CELLS`` close-ups, whose boxes touch the picture, side by side; the rest is black.

    Takes RGB ``uint8[height, width, 3]``, returns RGB ``uint8[2 * CELL_SIDE, 2 * CELL_SIDE, 3]``.
    """
    picture = np.zeros((2 * CELL_SIDE, 2 * CELL_SIDE, 3), np.uint8)
    for number, (box, margin, quarters) in enumerate(close_ups):
        left, top = _corner(number)
        cut = _cut(image, box, margin)
        picture[top : top + CELL_SIDE, left : left + CELL_SIDE] = turned(cut, quarters)
    return picture


def _cut(image: Image, box: Box, margin: float) -> Image:
    """Cuts a close-up, ``uint8[CELL_SIDE, CELL_SIDE, 3]``, from every n-th pixel if it is large, for speed.

    Bilinear samples alone would be faster still, but fewer faces of 48 and 64 pixels are followed by them.
    """
    step = max(1, int(box.longer_side * margin / (2 * CELL_SIDE)))
    thinned = Box(box.x / step, box.y / step, box.w / step, box.h / step)
    return square_crop(image[::step, ::step], thinned, margin=margin, size=CELL_SIDE)


def faces_in(found: Iterable[Detection], close_ups: Sequence[CloseUp]) -> tuple[tuple[Detection, ...], ...]:
    """Sorts what was found in a mosaic by close-up, in pixels of the picture that it was cut from."""
    cells: tuple[list[Detection], ...] = tuple([] for _ in close_ups)
    for face in found:
        x, y = face.box.x + face.box.w / 2, face.box.y + face.box.h / 2
        number = int(x >= CELL_SIDE) + 2 * int(y >= CELL_SIDE)
        if number < len(close_ups):
            cells[number].append(_in_picture(face, number, close_ups[number]))
    return tuple(tuple(cell) for cell in cells)


def _corner(number: int) -> tuple[int, int]:
    return number % 2 * CELL_SIDE, number // 2 * CELL_SIDE


def _in_picture(found: Detection, number: int, close_up: CloseUp) -> Detection:
    left, top = _corner(number)
    upright = scaled(found, 1.0, -left, -top)
    x, y, side = crop_square(close_up.box, close_up.margin)
    return scaled(turned_back(upright, close_up.quarters, CELL_SIDE, CELL_SIDE), side / CELL_SIDE, x, y)
