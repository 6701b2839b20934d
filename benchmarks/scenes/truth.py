"""What a scene is, and which of the faces found in it are which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from vidscan.faces.boxes import intersection_over_union
from vidscan.records import Box, Image

SAME_PLACE = 0.4
"""A face was found where a box overlaps it by this much (intersection over union)."""

SHOWN = 0.6
"""Share of a face that must be in sight and uncovered for it to count."""


class Face(NamedTuple):
    """One person in one frame; a passer-by, of whom nobody knows who it is, has no name.

    ``counted`` is False for what may be found but need not be: too small, half covered, half outside, or
    a passer-by. ``size`` is what the scene calls it, in pixels; 0 where sizes play no part.
    """

    person: str
    box: Box
    counted: bool = True
    size: int = 0


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """One sampled picture with its truth; ``shot`` counts the stretches between cuts from 0."""

    index: int
    time_s: float
    image: Image
    faces: tuple[Face, ...]
    shot: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, made anew and alike whenever its frames are asked for. ``kind`` groups scenes in a table."""

    kind: str
    frames: Callable[[], Iterator[SceneFrame]]

    def lasting(self, seconds: float) -> Scene:
        """The same scene, ended early."""

        def shortened() -> Iterator[SceneFrame]:
            for frame in self.frames():
                if frame.time_s >= seconds:
                    return
                yield frame

        return replace(self, frames=shortened)


def share_within(box: Box, width: float, height: float) -> float:
    """How much of a box lies within a picture, 0-1."""
    w = min(box.x + box.w, width) - max(box.x, 0.0)
    h = min(box.y + box.h, height) - max(box.y, 0.0)
    return max(w, 0.0) * max(h, 0.0) / (box.w * box.h)


def match(found: Sequence[Box], faces: Sequence[Face]) -> list[Face | None]:
    """The face that each found box shows, None where there is none; best overlaps first, each face once."""
    overlaps = [
        (intersection_over_union(box, face.box), row, column)
        for row, box in enumerate(found)
        for column, face in enumerate(faces)
    ]
    chosen: list[Face | None] = [None] * len(found)
    taken: set[int] = set()
    for overlap, row, column in sorted(overlaps, key=lambda each: (-each[0], each[1], each[2])):
        if overlap >= SAME_PLACE and chosen[row] is None and column not in taken:
            chosen[row] = faces[column]
            taken.add(column)
    return chosen


def by_kind(scenes: Iterable[Scene]) -> list[tuple[str, list[Scene]]]:
    """Scenes in groups of one kind, in the order given."""
    return [(kind, list(group)) for kind, group in groupby(scenes, key=lambda scene: scene.kind)]
