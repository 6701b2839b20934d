"""Scenes of people who pass each other, turn round before they have, leave, come back, or are replaced."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from scenes.portraits import Canvas, Portrait, Pose, cast
from scenes.truth import SHOWN, Face, Scene, SceneFrame
from vidscan.faces.crops import resize
from vidscan.records import Image

WIDTH, HEIGHT = 1280, 720
LENGTH_S = 8.0
HIDDEN = 0.1
"""Share of a face in sight below which nobody could find it."""

Walk = Callable[[float], Pose | None]
"""Where somebody's face is at a time in seconds; None while away."""


def walks(
    people: Iterator[Portrait], backgrounds: Sequence[Image], *, fps: float, repeats: int, seed: int
) -> list[Scene]:
    """Every kind of encounter so many times. The same seed and people give the same at any rate of frames."""
    scenes = []
    for repeat in range(repeats):
        for number, (kind, plan) in enumerate(ENCOUNTERS.items()):
            rng = np.random.default_rng((seed, repeat, number))
            behind = resize(backgrounds[int(rng.integers(len(backgrounds)))], width=WIDTH, height=HEIGHT)
            paths = plan(rng)
            scenes.append(_scene(kind, cast(people, len(paths)), paths, behind, fps))
    return sorted(scenes, key=lambda scene: list(ENCOUNTERS).index(scene.kind))


def _scene(kind: str, people: Sequence[Portrait], paths: Sequence[Walk], behind: Image, fps: float) -> Scene:
    """Later people walk in front of earlier ones."""

    def make() -> Iterator[SceneFrame]:
        for index in range(round(LENGTH_S * fps)):
            time_s = index / fps
            canvas, shown = Canvas(behind, feather=0.05, heads=True), []
            for portrait, path in zip(people, paths, strict=True):
                pose = path(time_s)
                if pose is not None:
                    shown.append((portrait.person, canvas.paste(portrait, pose)))
            faces = [
                Face(person, box, share >= SHOWN)
                for (person, box), share in zip(shown, canvas.visible(), strict=True)
                if share >= HIDDEN
            ]
            yield SceneFrame(index, time_s, canvas.image, tuple(faces))

    return Scene(kind, make)


def _along(
    rng: np.random.Generator, start: float, end: float, y: float, side: float, turns: bool = False
) -> Walk:
    """From one place to another, in pixels across, with a slight sway; ``turns``: half way, then back."""
    phase, depth = rng.uniform(0, 2 * math.pi), rng.uniform(-0.1, 0.1)

    def path(time_s: float) -> Pose:
        way = time_s / LENGTH_S
        if turns:
            way = 0.5 - abs(way - 0.5)
        sway = 0.06 * side * math.sin(2 * time_s + phase)
        return Pose(start + (end - start) * way, y + sway, side * (1 + depth * way))

    return path


def _level(rng: np.random.Generator) -> tuple[float, float]:
    """A height in the picture and a face's side, in pixels."""
    return float(rng.uniform(300, 400)), float(rng.uniform(110, 170))


def _pass(rng: np.random.Generator) -> list[Walk]:
    """Two people pass each other, one half a head lower."""
    y, side = _level(rng)
    lower = y + side * rng.uniform(0.2, 0.6)
    return [_along(rng, 180, 1100, y, side), _along(rng, 1100, 180, lower, side * rng.uniform(0.85, 1.15))]


def _three(rng: np.random.Generator) -> list[Walk]:
    """Two pass each other in front of a third who stands."""
    y, side = _level(rng)
    stands = _along(rng, 640, 640, y - side * rng.uniform(0.4, 0.8), side)
    return [stands, *_pass(rng)]


def _turn_round(rng: np.random.Generator) -> list[Walk]:
    """Two people meet until they touch, and go back where they came from."""
    y, side = _level(rng)
    left, right = 640 - 0.3 * side, 640 + 0.3 * side
    lower = y + side * rng.uniform(0.2, 0.5)
    return [
        _along(rng, 240, left + (left - 240), y, side, turns=True),
        _along(rng, 1040, right - (1040 - right), lower, side, turns=True),
    ]


def _come_back(rng: np.random.Generator) -> list[Walk]:
    """One stays; another leaves over the edge and is back within two seconds."""
    y, side = _level(rng)
    speed = side * rng.uniform(0.9, 1.3)
    gone = rng.uniform(2.5, 4.0)
    back = gone + rng.uniform(1.0, 1.8)

    def leaves(time_s: float) -> Pose | None:
        if gone < time_s < back:
            return None
        away = max(0.0, min(gone - time_s, 2.0)) if time_s <= gone else min(time_s - back, 2.0)
        return Pose(away * speed, y, side)

    return [_along(rng, 800, 850, y, side), leaves]


def _replaced(rng: np.random.Generator) -> list[Walk]:
    """One leaves over the edge; a second later another comes in over the same edge."""
    y, side = _level(rng)
    speed = side * rng.uniform(0.9, 1.3)
    gone = rng.uniform(2.5, 3.5)
    enters = gone + rng.uniform(0.8, 1.5)

    def leaves(time_s: float) -> Pose | None:
        return Pose(min(gone - time_s, 2.0) * speed, y, side) if time_s <= gone else None

    def comes(time_s: float) -> Pose | None:
        return Pose(min(time_s - enters, 2.0) * speed, y, side) if time_s >= enters else None

    return [_along(rng, 800, 850, y, side), leaves, comes]


ENCOUNTERS: dict[str, Callable[[np.random.Generator], list[Walk]]] = {
    "two pass": _pass,
    "two pass before a third": _three,
    "two meet and turn round": _turn_round,
    "one leaves and comes back": _come_back,
    "one leaves, another comes": _replaced,
}
