"""Clips of FaceForensics++ as scenes: side by side, one after the other, turned.

The truth is what the plain detector sees in the upright clip: the largest face of a frame is the clip's
person; further faces may be found and need not be.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from scenes.truth import SHOWN, Face, Scene, SceneFrame, share_within
from vidscan.faces.crops import resize
from vidscan.media.ffmpeg.decode import stream_frames
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Image

CARD = Path(__file__).resolve().parents[2] / "model" / "checkpoints" / "vidscan-lite2.json"
"""Its split says which pairs of people the bundled checkpoint has not seen."""

WIDTH, HEIGHT = 1920, 1080
COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}
"""Clips beside each other in a row, by the number of all."""
_MOST_WIDE = 960
_MOST_S = 12.0
"""Clips are kept this wide (pixels) and long, so that many fit into the memory."""


class Clip(NamedTuple):
    """One line of the manifest. In a fake, the face of ``source`` was put on the clip of ``target``."""

    path: Path
    fake: bool
    method: str
    target: str
    source: str
    pair: str

    @property
    def people(self) -> frozenset[str]:
        """All whose looks are in it."""
        return frozenset({self.target, self.source} - {""})


def clips(data: Path, *parts: str) -> list[Clip]:
    """The clips of the pairs that the bundled checkpoint's card names in these parts of its split."""
    split = json.loads(CARD.read_text("utf-8"))["split"]
    pairs = {pair for part in parts for pair in split[part]["groups"]}
    folder = data / "ffpp"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        return [
            Clip(
                folder / row["file"],
                row["label"] == "fake",
                row["method"],
                row["target"],
                row["source"],
                row["pair"],
            )
            for row in csv.DictReader(lines)
            if row["pair"] in pairs
        ]


class Shown(NamedTuple):
    """A frame of a clip with its person's face and those of passers-by."""

    image: Image
    faces: tuple[Face, ...]


class Library:
    """Reads clips with their truth; the latest stay in memory."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._kept: dict[tuple[Path, float], list[Shown]] = {}

    def read(self, clip: Clip, fps: float) -> list[Shown]:
        """The first seconds of a clip, so many frames each."""
        key = clip.path, fps
        if key not in self._kept:
            while len(self._kept) >= 8:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = list(self._look(clip, fps))
        return self._kept[key]

    def _look(self, clip: Clip, fps: float) -> Iterator[Shown]:
        for time_s, image in stream_frames(clip.path, fps):
            if time_s >= _MOST_S:
                return
            height, width = image.shape[:2]
            factor = min(1.0, _MOST_WIDE / width)
            shown = resize(image, width=round(width * factor), height=round(height * factor))
            boxes = (each.box for each in self._detector.detect(shown))
            found = sorted(boxes, key=lambda box: -box.longer_side)
            faces = (Face("" if row else clip.target, box, row == 0) for row, box in enumerate(found))
            yield Shown(shown, tuple(faces))


@dataclass(frozen=True, slots=True)
class _Placed:
    """How a picture lies in a frame: its scale, and where its upper left corner is."""

    scale: float
    left: int
    top: int

    def box(self, box: Box) -> Box:
        return Box(
            self.left + box.x * self.scale,
            self.top + box.y * self.scale,
            box.w * self.scale,
            box.h * self.scale,
        )


def cells(count: int) -> list[tuple[int, int, int, int]]:
    """The cells of a grid in 1080p: left, top, width, height."""
    columns = COLUMNS[count]
    width, height = WIDTH // columns, HEIGHT // math.ceil(count / columns)
    return [(number % columns * width, number // columns * height, width, height) for number in range(count)]


def side_by_side(library: Library, cast: Sequence[Clip], fps: float) -> Scene:
    """Clips in a grid, each as large as it is or as its cell allows; as long as the shortest."""

    def make() -> Iterator[SceneFrame]:
        for index, shown in enumerate(zip(*(library.read(clip, fps) for clip in cast), strict=False)):
            canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            faces: list[Face] = []
            for each, cell in zip(shown, cells(len(cast)), strict=True):
                faces += _into(canvas, each, cell)
            yield SceneFrame(index, index / fps, canvas, tuple(faces))

    return Scene(f"{len(cast)} side by side", make)


def _into(canvas: Image, shown: Shown, cell: tuple[int, int, int, int]) -> Iterator[Face]:
    """Lays a picture into the middle of a cell and gives its faces there."""
    left, top, width, height = cell
    image = shown.image
    scale = min(1.0, width / image.shape[1], height / image.shape[0])
    small = resize(image, width=int(image.shape[1] * scale), height=int(image.shape[0] * scale))
    placed = _Placed(scale, left + (width - small.shape[1]) // 2, top + (height - small.shape[0]) // 2)
    canvas[placed.top : placed.top + small.shape[0], placed.left : placed.left + small.shape[1]] = small
    for face in shown.faces:
        yield face._replace(box=placed.box(face.box))


class Part(NamedTuple):
    """A stretch of a clip, in seconds."""

    clip: Clip
    start_s: float
    length_s: float


def joined(library: Library, kind: str, parts: Sequence[Part], fps: float) -> Scene:
    """Stretches of clips one after the other, each filling a frame of 1280x720, with a cut between them."""

    def make() -> Iterator[SceneFrame]:
        index = 0
        for shot, part in enumerate(parts):
            first = round(part.start_s * fps)
            for shown in library.read(part.clip, fps)[first : first + round(part.length_s * fps)]:
                image, faces = _filling(shown, 1280, 720)
                yield SceneFrame(index, index / fps, image, faces, shot)
                index += 1

    return Scene(kind, make)


def _filling(shown: Shown, width: int, height: int) -> tuple[Image, tuple[Face, ...]]:
    """A picture enlarged or reduced so that it fills a frame; what reaches over is cut off."""
    high, wide = shown.image.shape[:2]
    scale = max(width / wide, height / high)
    large = resize(
        shown.image, width=max(width, round(wide * scale)), height=max(height, round(high * scale))
    )
    left, top = (large.shape[1] - width) // 2, (large.shape[0] - height) // 3
    placed = _Placed(scale, -left, -top)
    boxes = [placed.box(face.box) for face in shown.faces]
    faces = tuple(
        face._replace(box=box, counted=face.counted and share_within(box, width, height) >= SHOWN)
        for face, box in zip(shown.faces, boxes, strict=True)
        if share_within(box, width, height) > 0
    )
    return np.ascontiguousarray(large[top : top + height, left : left + width]), faces


def cut_up(reals: Sequence[Clip], rng: np.random.Generator) -> dict[str, list[Part]]:
    """One plan of each kind: who is seen when."""
    cast = [reals[number] for number in rng.permutation(len(reals))]
    several = cast[: int(rng.integers(3, 6))]
    lengths = [float(rng.integers(2, 7)) for _ in several]
    first, second = cast[0], cast[1]
    turns = [float(rng.integers(2, 5)) for _ in range(2)]
    fast = [cast[number % min(4, len(cast))] for number in range(8)]
    return {
        "every 2 to 6 s": [Part(clip, 0.0, length) for clip, length in zip(several, lengths, strict=True)],
        "to and fro (A B A B)": [
            Part(first, 0.0, turns[0]),
            Part(second, 0.0, turns[1]),
            Part(first, turns[0], turns[0]),
            Part(second, turns[1], turns[1]),
        ],
        "every second": [Part(clip, float(number // 4 * 2), 1.0) for number, clip in enumerate(fast)],
        "never": [Part(cast[-1], 0.0, 10.0)],
    }


def turned(library: Library, clip: Clip, degrees: int, fps: float) -> Scene:
    """A clip turned clockwise on a canvas that holds all of it."""

    def make() -> Iterator[SceneFrame]:
        for index, shown in enumerate(library.read(clip, fps)):
            image, to = _turned(shown.image, degrees)
            faces = tuple(face._replace(box=_moved(face.box, to)) for face in shown.faces)
            yield SceneFrame(index, index / fps, image, faces)

    return Scene(f"{degrees}°", make)


@cache
def _matrix(width: int, height: int, degrees: int) -> tuple[np.ndarray, int, int]:
    """The affine matrix of a clockwise turn, and the width and height of what comes of it."""
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    new_width = math.ceil(round(abs(width * cosine) + abs(height * sine), 6))
    new_height = math.ceil(round(abs(width * sine) + abs(height * cosine), 6))
    centre, new_centre = ((width - 1) / 2, (height - 1) / 2), ((new_width - 1) / 2, (new_height - 1) / 2)
    matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    matrix[:, 2] = new_centre - matrix[:, :2] @ centre
    return matrix, new_width, new_height


def _turned(image: Image, degrees: int) -> tuple[Image, np.ndarray]:
    matrix, width, height = _matrix(image.shape[1], image.shape[0], degrees)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8), matrix


def _moved(box: Box, matrix: np.ndarray) -> Box:
    """A box of the same size around where its centre has gone."""
    x, y = matrix @ (box.x + box.w / 2, box.y + box.h / 2, 1.0)
    return Box(float(x) - box.w / 2, float(y) - box.h / 2, box.w, box.h)
