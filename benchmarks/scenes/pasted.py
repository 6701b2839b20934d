"""Scenes of many faces from far to near in 1080p, each moving smoothly, none covering another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scenes.portraits import CUT_OUT, Canvas, Portrait, Pose, cast
from scenes.truth import Face, Scene, SceneFrame
from vidscan.records import Image

WIDTH, HEIGHT = 1920, 1080
SIZES = (24, 32, 40, 48, 64, 96, 128, 200, 400)
"""Longer sides of a face's box in pixels, at their smallest."""
BELOW_MIN_FACE = 24
"""Faces of this size are smaller than ``--min-face`` allows: nobody need find them, and may."""
FROM_NEAR_TO_FAR = (24, 24, 32, 32, 40, 40, 48, 48, 64, 64, 96, 128, 200, 400)
FAR = (24, 24, 32, 32, 32, 40, 40, 40, 48, 48, 48, 64, 64, 96)
"""What one scene holds: everything at once, or a crowd far off."""
FPS = 2.0

_GROWTH = 0.12
"""By this much a face grows and shrinks again."""
_TRIES = 100


@dataclass(frozen=True, slots=True)
class _Place:
    """The centre about which a face moves; its sway in pixels, and seconds a round."""

    x: float
    y: float
    sway: float
    period_s: float
    phase: float


def crowds(
    people: Iterator[Portrait], backgrounds: Sequence[Image], *, count: int, frames: int, seed: int
) -> list[Scene]:
    """So many scenes of so many frames at 2 a second, all of different people."""
    scenes = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        sizes = (FROM_NEAR_TO_FAR, FAR)[number % 2]
        places = _places(sizes, rng)
        shown = cast(people, len(places))
        behind = backgrounds[int(rng.integers(len(backgrounds)))]
        feather = (0.06, 0.0)[number // 2 % 2]
        scenes.append(_crowd(shown, sizes, places, behind, feather, frames))
    return scenes


def _crowd(
    people: Sequence[Portrait],
    sizes: Sequence[int],
    places: Sequence[_Place],
    behind: Image,
    feather: float,
    frames: int,
) -> Scene:
    def make() -> Iterator[SceneFrame]:
        for index in range(frames):
            time_s = index / FPS
            canvas, faces = Canvas(behind, feather), []
            for portrait, size, place in zip(people, sizes, places, strict=True):
                box = canvas.paste(portrait, _pose(size, place, time_s))
                faces.append(Face(portrait.person, box, size != BELOW_MIN_FACE, size))
            yield SceneFrame(index, time_s, canvas.image, tuple(faces))

    return Scene("crowd", make)


def _pose(size: int, place: _Place, time_s: float) -> Pose:
    turn = 2 * math.pi * time_s / place.period_s + place.phase
    return Pose(
        place.x + place.sway * math.cos(turn),
        place.y + place.sway / 2 * math.sin(turn),
        size * (1 + _GROWTH * (0.5 + 0.5 * math.sin(turn / 2))),
    )


def _places(sizes: Sequence[int], rng: np.random.Generator) -> list[_Place]:
    """Places where the faces stay in the picture and apart from each other.

    Raises:
        RuntimeError: they do not fit.
    """
    for _ in range(_TRIES):
        places = _places_tried(sizes, rng)
        if places is not None:
            return places
    raise RuntimeError(f"no room for faces of {sizes} px")


def _places_tried(sizes: Sequence[int], rng: np.random.Generator) -> list[_Place] | None:
    """One try, in which the largest choose first; None where no place is left for one."""
    chosen: dict[int, tuple[_Place, float]] = {}
    for row in sorted(range(len(sizes)), key=lambda row: -sizes[row]):
        sway = min(0.8 * sizes[row], 48.0)
        reach = sizes[row] * (1 + _GROWTH) * CUT_OUT / 2 + sway
        for _ in range(_TRIES):
            x, y = (float(rng.uniform(reach, side - reach)) for side in (WIDTH, HEIGHT))
            apart = (
                max(abs(x - other.x), abs(y - other.y)) - other_reach
                for other, other_reach in chosen.values()
            )
            if all(distance > reach for distance in apart):
                place = _Place(x, y, sway, float(rng.uniform(8, 20)), float(rng.uniform(0, 2 * math.pi)))
                chosen[row] = place, reach
                break
        else:
            return None
    return [chosen[row][0] for row in range(len(sizes))]
