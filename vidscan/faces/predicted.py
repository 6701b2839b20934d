"""Predicts where the faces of earlier frames are, and drops a face after ``KEPT_FRAMES`` misses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidscan.faces.boxes import same_face
from vidscan.faces.rotation import nearest_quarter
from vidscan.records import Box, Detection

KEPT_FRAMES = 3
"""A face that is not found is looked for in this many more frames before it is dropped."""

_REACH = 1.5  # distance of a face from its predicted place, in sides of the face
_MAX_SIDE_RATIO = 2.0  # of a face's sides in two frames


@dataclass(frozen=True, slots=True)
class KnownFace:
    """A face of earlier frames and its predicted box in the current one, in pixels.

    ``step``: movement from frame to frame in pixels; ``quarters``: the turn, 0 to 3, that brings it upright;
    ``unseen``: frames since it was last found, 0 for the frame before.
    """

    box: Box
    step: tuple[float, float] = (0.0, 0.0)
    quarters: int = 0
    unseen: int = 0

    def moved(self) -> KnownFace:
        """Returns the face one frame later, at constant velocity."""
        x, y = self.step
        return replace(self, box=self.box._replace(x=self.box.x + x, y=self.box.y + y))


class PredictedFaces:
    """The known faces of one source; :meth:`forget` them at a cut."""

    def __init__(self) -> None:
        self._faces: tuple[KnownFace, ...] = ()

    def forget(self) -> None:
        """Drops all faces."""
        self._faces = ()

    def advance(self, width: int, height: int) -> tuple[KnownFace, ...]:
        """Moves the faces on by a frame, ``width x height`` pixels; drops those whose centres leave it."""
        moved = (face.moved() for face in self._faces)
        self._faces = tuple(
            face
            for face in moved
            if 0 <= face.box.x + face.box.w / 2 < width and 0 <= face.box.y + face.box.h / 2 < height
        )
        return self._faces

    def update(self, found: Sequence[Detection]) -> None:
        """Takes in all faces found in the frame that :meth:`advance` moved on to."""
        pairs = paired(self._faces, found)
        seen = [
            _followed(self._faces[pairs[n]] if n in pairs else None, each) for n, each in enumerate(found)
        ]
        missed = [
            replace(face, step=(face.step[0] / 2, face.step[1] / 2), unseen=face.unseen + 1)
            for number, face in enumerate(self._faces)
            if number not in pairs.values() and face.unseen < KEPT_FRAMES
        ]
        apart = [face for face in missed if not any(same_face(face.box, each.box) for each in found)]
        self._faces = (*seen, *apart)


def paired(known: Sequence[KnownFace], found: Sequence[Detection]) -> dict[int, int]:
    """Pairs detections with known faces, nearest first: position in ``found`` -> position in ``known``."""
    expected = [_spot(face.box) for face in known]
    spots = [_spot(each.box) for each in found]
    distances = sorted(
        (distance, place, number)
        for place, (x, y, side) in enumerate(expected)
        for number, (now_x, now_y, now_side) in enumerate(spots)
        if side <= _MAX_SIDE_RATIO * now_side
        and now_side <= _MAX_SIDE_RATIO * side
        and (distance := math.hypot(now_x - x, now_y - y) / side) <= _REACH
    )
    pairs: dict[int, int] = {}
    for _, place, number in distances:
        if number not in pairs and place not in pairs.values():
            pairs[number] = place
    return pairs


def missing(known: Sequence[KnownFace], found: Sequence[Detection]) -> list[KnownFace]:
    """Returns the known faces that no detection shows."""
    seen = set(paired(known, found).values())
    return [face for place, face in enumerate(known) if place not in seen]


def _spot(box: Box) -> tuple[float, float, float]:
    """Returns the centre of a box and its longer side, at least 1."""
    x, y, w, h = box
    return x + w / 2, y + h / 2, max(w, h, 1.0)


def _followed(face: KnownFace | None, now: Detection) -> KnownFace:
    """Returns the face as it is now; its step moves halfway to the observed one, against jitter."""
    quarters = nearest_quarter(now.roll)
    if face is None:
        return KnownFace(now.box, quarters=quarters)
    # The predicted box lies one step ahead of the last observed one.
    x = now.box.x + now.box.w / 2 - face.box.x - face.box.w / 2
    y = now.box.y + now.box.h / 2 - face.box.y - face.box.h / 2
    return KnownFace(now.box, (face.step[0] + x / 2, face.step[1] + y / 2), quarters)
