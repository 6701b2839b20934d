"""Looks at faces close up: whether a claim is true, which way up a face is, where a known one went.

All by the short-range network on mosaics of close-ups, 1.7 ms a call.
"""

from __future__ import annotations

from collections.abc import Sequence

from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union
from vidscan.faces.detector import SECOND_LOOK_CONFIDENCE, SECOND_LOOK_MARGIN
from vidscan.faces.mosaic import CELLS, CloseUp, mosaic, seen_in
from vidscan.faces.predicted import KnownFace
from vidscan.faces.rotation import angle_within
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

TURNED_CONFIDENCE = 0.75
"""How sure the network must be of a face that is turned away from what was expected.

Of 40 portraits of FFHQ, turned by any angle and reduced to 48 pixels, 19 in 20 reach 0.84 in the close-up
that is turned the right way; galaxies, turned by quarters, reached 0.7 in a plain second look.
"""

TURNED_LEAD = 0.05
"""By how much it must be surer of a turned face than of one that stands as expected."""

KNOWN_MARGIN = 3.0
KNOWN_CONFIDENCE = 0.65
"""The close-up of a known face: it may have moved by its own side; it was confirmed when it was new."""

_MOST_RATIO = 1.7  # of a known face's sides in two frames
_MOST_OFFSET = 1.3  # sides from the middle of the close-up, beyond which a neighbour would be taken for it


def second_look(
    detector: FaceDetector, image: Image, box: Box, quarters: int, least: float = SECOND_LOOK_CONFIDENCE
) -> Detection | None:
    """The face at ``box`` as four close-ups show it, one for each quarter turn; one call.

    Args:
        detector: its ``near`` is called.
        image: RGB ``uint8[height, width, 3]``.
        box: where a face is claimed, in pixels of ``image``, which it touches.
        quarters: the turn by which the face was found, 0 to 3.
        least: what the network must be sure of where the face stands as found.

    Returns:
        The face of the surest turn, with its roll; None if no turn shows one of about that place and size.
    """
    looks = [CloseUp(box, SECOND_LOOK_MARGIN, (quarters + turn) % 4) for turn in range(CELLS)]
    seen = seen_in(detector.near(mosaic(image, looks)), looks)
    shown = [
        max((each for each in cell if _is_at(each, box)), key=lambda each: each.confidence, default=None)
        for cell in seen
    ]
    own, *others = shown
    other = max((each for each in others if each), key=lambda each: each.confidence, default=None)
    if other is not None and other.confidence >= TURNED_CONFIDENCE:
        bar = own.confidence + TURNED_LEAD if own is not None else 0.0
        if other.confidence > bar:
            return other
    return own if own is not None and own.confidence >= least else None


def _is_at(seen: Detection, box: Box) -> bool:
    return intersection_over_union(seen.box, box) > SAME_FACE_OVERLAP


def close_ups(
    detector: FaceDetector, image: Image, known: Sequence[KnownFace]
) -> list[tuple[KnownFace, Detection]]:
    """Those of the known faces that close-ups show, four a call, where they are now."""
    seen: list[tuple[KnownFace, Detection]] = []
    for start in range(0, len(known), CELLS):
        faces = known[start : start + CELLS]
        looks = [CloseUp(face.box, KNOWN_MARGIN, face.quarters) for face in faces]
        cells = seen_in(detector.near(mosaic(image, looks)), looks)
        for face, cell in zip(faces, cells, strict=True):
            likely = [each for each in cell if _may_be(each, face)]
            if likely:
                seen.append((face, min(likely, key=lambda each: _offset(each.box, face))))
    return seen


def _may_be(seen: Detection, face: KnownFace) -> bool:
    ratio = seen.box.longer_side / max(face.side, 1.0)
    return (
        seen.confidence >= KNOWN_CONFIDENCE
        and 1 / _MOST_RATIO <= ratio <= _MOST_RATIO
        and _offset(seen.box, face) <= _MOST_OFFSET
    )


def _offset(box: Box, face: KnownFace) -> float:
    x = box.x + box.w / 2 - face.box.x - face.box.w / 2
    y = box.y + box.h / 2 - face.box.y - face.box.h / 2
    return float((x * x + y * y) ** 0.5) / max(face.side, 1.0)


def tilt(face: Detection, quarters: int) -> float:
    """By how many degrees, 0-180, a face leans away from the turn of the picture it was found in."""
    return abs(angle_within(face.roll - 90 * quarters))
