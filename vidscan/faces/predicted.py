"""The faces seen in the shot so far: where each should be now, and for how long it may stay unseen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.faces.boxes import same_face
from vidscan.faces.rotation import nearest_quarter
from vidscan.records import Box, Detection

KEPT_FRAMES = 3
"""A face that no search sees is sought this many frames more before it is forgotten."""

_REACH = 1.5  # how far (in face sides) a face may be from where it is expected
_MOST_RATIO = 2.0  # of its sides in two frames


@dataclass(frozen=True, slots=True)
class KnownFace:
    """A face and where it is expected in the frame under way.

    ``box``: in pixels; ``step``: how far it moved from frame to frame, in pixels; ``quarters``: 0 to 3, the
    turn by which it stands most upright; ``unseen``: frames since it was seen last, 0 for the frame before.
    """

    box: Box
    step: tuple[float, float] = (0.0, 0.0)
    quarters: int = 0
    unseen: int = 0

    @property
    def side(self) -> float:
        """The longer side of the box in pixels."""
        return self.box.longer_side

    def moved(self) -> KnownFace:
        """The face one frame later, should it keep its course."""
        x, y = self.step
        return KnownFace(
            self.box._replace(x=self.box.x + x, y=self.box.y + y), self.step, self.quarters, self.unseen
        )


class KnownFaces:
    """The memory of one source, frame by frame; a new shot begins with :meth:`forget`."""

    def __init__(self) -> None:
        self._faces: tuple[KnownFace, ...] = ()

    def forget(self) -> None:
        """Nobody is known any more."""
        self._faces = ()

    def expected(self, width: int, height: int) -> tuple[KnownFace, ...]:
        """The known faces where they should be in the next frame, of ``width x height`` pixels.

        A face whose centre should lie outside of it has left.
        """
        moved = (face.moved() for face in self._faces)
        self._faces = tuple(
            face
            for face in moved
            if 0 <= face.box.x + face.box.w / 2 < width and 0 <= face.box.y + face.box.h / 2 < height
        )
        return self._faces

    def update(self, found: Sequence[Detection]) -> None:
        """Takes in all faces found in the frame that :meth:`expected` was asked about."""
        pairs = paired(self._faces, found)
        seen = [
            _followed(self._faces[pairs[n]] if n in pairs else None, each) for n, each in enumerate(found)
        ]
        missed = [
            KnownFace(face.box, (face.step[0] / 2, face.step[1] / 2), face.quarters, face.unseen + 1)
            for number, face in enumerate(self._faces)
            if number not in pairs.values() and face.unseen < KEPT_FRAMES
        ]
        apart = [face for face in missed if not any(same_face(face.box, each.box) for each in found)]
        self._faces = (*seen, *apart)


def paired(known: Sequence[KnownFace], found: Sequence[Detection]) -> dict[int, int]:
    """Which detection shows which known face, nearest pairs first: position in ``found`` -> in ``known``."""
    expected = [_spot(face.box) for face in known]
    spots = [_spot(each.box) for each in found]
    distances = sorted(
        (distance, place, number)
        for place, (x, y, side) in enumerate(expected)
        for number, (now_x, now_y, now_side) in enumerate(spots)
        if side <= _MOST_RATIO * now_side
        and now_side <= _MOST_RATIO * side
        and (distance := math.hypot(now_x - x, now_y - y) / side) <= _REACH
    )
    pairs: dict[int, int] = {}
    for _, place, number in distances:
        if number not in pairs and place not in pairs.values():
            pairs[number] = place
    return pairs


def missing(known: Sequence[KnownFace], found: Sequence[Detection]) -> list[KnownFace]:
    """The known faces that none of the detections shows."""
    seen = set(paired(known, found).values())
    return [face for place, face in enumerate(known) if place not in seen]


def _spot(box: Box) -> tuple[float, float, float]:
    """The centre and the longer side of a box, at least 1."""
    x, y, w, h = box
    return x + w / 2, y + h / 2, max(w, h, 1.0)


def _step(before: Box, now: Box) -> tuple[float, float]:
    return now.x + now.w / 2 - before.x - before.w / 2, now.y + now.h / 2 - before.y - before.h / 2


def _followed(face: KnownFace | None, now: Detection) -> KnownFace:
    """The face as it is now; its step goes half of the way to what was seen, as a hedge against jitter."""
    quarters = nearest_quarter(now.roll)
    if face is None:
        return KnownFace(now.box, quarters=quarters)
    # The expected box lies one step ahead of the last one seen.
    x, y = _step(face.box, now.box)
    return KnownFace(now.box, (face.step[0] + x / 2, face.step[1] + y / 2), quarters)
