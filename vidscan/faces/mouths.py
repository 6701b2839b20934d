"""Cuts mouths out, as a network wants them that looks at the mouth beside the face.

Lip-sync changes little else, and a crop of the whole face shows the mouth too coarsely (training/README.md,
"The mouth").
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidscan.faces.boxes import shared_area
from vidscan.faces.crops import crop_square, upright_crop
from vidscan.faces.rotation import nearest_quarter, points_back
from vidscan.protocols import Landmarker
from vidscan.records import Box, FaceSeen, Geometry, Image

FIRST, EARLY, LATER = 8, 2, 4
"""A track's mouth is cut out anew at every second of its first faces and at every fourth later, and stays the
same between them, so that the network need not look at it again: four looks at eight faces tell as much as
eight (training/README.md)."""

MESH_CROP = Geometry(256, 1.4)
"""The crop in which the mesh is looked for."""

OUTER_EYES, INNER_EYES = (33, 263), (133, 362)
LIPS = (61, 291, 0, 17)
"""Points of the mesh, the person's right first: corners of the eyes; corners, top and bottom of the lips."""

OF_EYES, OF_LIPS = 1.15, 1.4
"""Side of the square in distances of the outer corners of the eyes; and, for a face that looks aside, in
widths of the mouth: the larger counts."""

MAX_TRACKS = 64
"""Tracks whose last mouth is kept; that of the one unseen longest goes first."""


class Mouth(NamedTuple):
    """The square around a mouth, and by how many degrees it is turned clockwise from upright."""

    square: Box
    roll: float


def mouth_of(points: npt.NDArray[np.floating[Any]]) -> Mouth:
    """The mouth of a face whose mesh is ``[468, 2]``; in the pixels that ``points`` are in."""
    right, left = (points[list(eye)].mean(axis=0) for eye in zip(OUTER_EYES, INNER_EYES, strict=True))
    across, down = left - right
    eyes, lips = (float(np.linalg.norm(points[one] - points[other])) for one, other in (OUTER_EYES, LIPS[:2]))
    x, y = points[list(LIPS)].mean(axis=0)
    return Mouth(_square(x, y, max(OF_EYES * eyes, OF_LIPS * lips)), math.degrees(math.atan2(down, across)))


def _square(x: float, y: float, side: float) -> Box:
    return Box(float(x - side / 2), float(y - side / 2), float(side), float(side))


def mouth_crop(image: Image, mouth: Mouth, size: int) -> Image:
    """The mouth with its eyes level, RGB ``uint8[size, size, 3]``."""
    return upright_crop(image, mouth.square, geometry=Geometry(size, 1.0, level=True), roll=mouth.roll)


def _mostly_in(image: Image, square: Box) -> bool:
    height, width = image.shape[:2]
    return shared_area(square, Box(0, 0, width, height)) >= square.w * square.h / 2


class MouthCutter:
    """Cuts out the mouths of one source, frame after frame."""

    def __init__(self, landmarker: Landmarker) -> None:
        self._landmarker = landmarker
        self._tracks: dict[tuple[int, int], tuple[int, Image]] = {}

    def cut(self, image: Image, face: FaceSeen, size: int) -> Image:
        """RGB ``uint8[size, size, 3]``: the mouth of a face, or of a clip the one last cut out of its track.

        ``image`` is the frame, RGB ``uint8[height, width, 3]``. All zeros where no mouth is seen in it, and
        for a still, of which mouths tell nothing.
        """
        if face.still:
            return np.zeros((size, size, 3), np.uint8)
        count, last = self._tracks.pop((face.track, size), (0, None))
        if last is None or count % (EARLY if count < FIRST else LATER) == 0:
            last = self._anew(image, face, size)
        self._tracks[face.track, size] = count + 1, last
        if len(self._tracks) > MAX_TRACKS:
            del self._tracks[next(iter(self._tracks))]
        return last

    def _anew(self, image: Image, face: FaceSeen, size: int) -> Image:
        mouth = self._found(image, face)
        if mouth is None or not _mostly_in(image, mouth.square):
            return np.zeros((size, size, 3), np.uint8)
        return mouth_crop(image, mouth, size)

    def _found(self, image: Image, face: FaceSeen) -> Mouth | None:
        quarters = nearest_quarter(face.roll)
        points = self._landmarker.locate(
            upright_crop(image, face.box, geometry=MESH_CROP, roll=90.0 * quarters)
        )
        if points is None:
            return None
        left, top, side = crop_square(face.box, MESH_CROP.margin)
        upright = points_back(points, quarters, MESH_CROP.input_size, MESH_CROP.input_size)
        return mouth_of(upright * (side / MESH_CROP.input_size) + np.array([left, top]))
