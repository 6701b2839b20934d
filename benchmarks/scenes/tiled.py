"""Clips side by side as files to scan: one fake among real people, or real people alone."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scenes.footage import Clip, cells
from vidscan.media.ffmpeg.decode import find_program, probe, stream_frames
from vidscan.protocols import FaceDetector
from vidscan.records import Image

RATE = 5
"""Frames per second of the files; a scan at 2 a second looks at fewer."""
LENGTH_S = 8.0
CRF = 14
"""Fine enough to leave the clips' own traces as they are."""

_QUIET = ("-nostdin", "-v", "error", "-y")


@dataclass(frozen=True, slots=True)
class Stretch:
    """``LENGTH_S`` seconds of a clip; ``offset``, 0-1, is that of the time which it has to spare."""

    clip: Clip
    offset: float


@dataclass(frozen=True, slots=True)
class Gathering:
    """Stretches by cell of the grid; ``fake_cell`` is None where all are real."""

    stretches: tuple[Stretch, ...]
    fake_cell: int | None


def gatherings(clips: Sequence[Clip], *, people: int, fake: bool, count: int, seed: int) -> list[Gathering]:
    """So many scenes of so many people, drawn from a seed; no person is twice in one.

    Fakes take turns, so that each is seen about equally often. Who lends a fake the face is not in its scene,
    but where there would be too few people without. An empty list where there are too few even so.
    """
    reals, fakes = [each for each in clips if not each.fake], [each for each in clips if each.fake]
    rng = np.random.default_rng((seed, people, fake))
    order = rng.permutation(len(fakes))
    made = []
    for number in range(count):
        chosen = [fakes[order[number % len(fakes)]]] if fake else []
        others = [each for each in reals if not any(each.people & one.people for one in chosen)]
        if len(others) < people - len(chosen):
            others = [each for each in reals if all(each.target != one.target for one in chosen)]
        if len(others) < people - len(chosen):
            return []
        chosen += [others[row] for row in rng.permutation(len(others))[: people - len(chosen)]]
        cast = [chosen[row] for row in rng.permutation(people)]
        stretches = tuple(Stretch(clip, float(rng.uniform())) for clip in cast)
        made.append(Gathering(stretches, cast.index(chosen[0]) if fake else None))
    return made


class Window(NamedTuple):
    """A clip's size in a scene, and the part of it that is shown: width, height, left, top; pixels."""

    scaled: tuple[int, int]
    shown: tuple[int, int, int, int]


def whole(size: tuple[int, int], cell: tuple[int, int]) -> Window:
    """All of a clip of a size in a cell of a size, reduced where it is too large."""
    scale = min(1.0, cell[0] / size[0], cell[1] / size[1])
    width, height = round(size[0] * scale), round(size[1] * scale)
    return Window((width, height), (width, height, 0, 0))


def filling(size: tuple[int, int], cell: tuple[int, int], face: tuple[float, float]) -> Window:
    """The part of a clip around a face's centre that fills a cell, reduced no more than that takes."""
    scale = min(1.0, max(cell[0] / size[0], cell[1] / size[1]))
    scaled = round(size[0] * scale), round(size[1] * scale)
    shown = min(scaled[0], cell[0]), min(scaled[1], cell[1])
    left, top = (
        min(max(round(centre * scale - part / 2), 0), all_of_it - part)
        for centre, part, all_of_it in zip(face, shown, scaled, strict=True)
    )
    return Window(scaled, (*shown, left, top))


class _Thinned(NamedTuple):
    """A clip at a lower rate; its spare time in seconds, its size, and where its person's face mostly is."""

    path: Path
    spare_s: float
    size: tuple[int, int]
    face: tuple[float, float]


class Writer:
    """Writes scenes into a folder; what it needs of each clip is decoded once.

    With ``fill``, clips fill their cells, cut around the person, as in a video conference; else all is shown.
    """

    def __init__(self, folder: Path, detector: FaceDetector, *, fill: bool = False) -> None:
        self._folder, self._detector, self._fill = folder, detector, fill
        self._sparse: dict[Path, _Thinned] = {}

    def write(self, gathering: Gathering, name: str) -> Path:
        """The scene as an H.264 file in 1080p; no clip is larger than it is."""
        target = self._folder / f"{name}.mp4"
        inputs: list[str] = []
        filters = [f"color=black:size=1920x1080:rate={RATE}:duration={LENGTH_S}[v]"]
        for number, (stretch, cell) in enumerate(
            zip(gathering.stretches, cells(len(gathering.stretches)), strict=True)
        ):
            clip = self._thinned(stretch.clip)
            inputs += [
                "-ss",
                f"{stretch.offset * clip.spare_s:.3f}",
                "-t",
                f"{LENGTH_S}",
                "-i",
                str(clip.path),
            ]
            left, top, width, height = cell
            window = (
                filling(clip.size, (width, height), clip.face)
                if self._fill
                else whole(clip.size, (width, height))
            )
            filters.append(
                f"[{number}]setpts=PTS-STARTPTS,scale={window.scaled[0]}:{window.scaled[1]}:flags=area,"
                f"crop={':'.join(map(str, window.shown))}:exact=1[s{number}]"
            )
            filters.append(
                f"[v][s{number}]overlay=x={left}+({width}-w)/2:y={top}+({height}-h)/2"
                f"{'[v]' if number + 1 < len(gathering.stretches) else ',format=yuv420p[v]'}"
            )
        graph = ["-filter_complex", ";".join(filters), "-map", "[v]"]
        coding = ["-c:v", "libx264", "-preset", "superfast", "-crf", str(CRF)]
        command = [find_program(), *_QUIET, *inputs, *graph, *coding, "-t", f"{LENGTH_S}", str(target)]
        subprocess.run(command, check=True)
        return target

    def _thinned(self, clip: Clip) -> _Thinned:
        """The clip at a lower rate without further loss."""
        if clip.path not in self._sparse:
            target = self._folder / f"thinned-{len(self._sparse)}.mkv"
            coding = ["-r", str(RATE), "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0"]
            command = [find_program(), *_QUIET, "-i", str(clip.path), "-an", *coding, str(target)]
            subprocess.run(command, check=True)
            length_s = probe(target).duration_s or LENGTH_S
            frames = [image for _, image in stream_frames(target, 1.0)]
            size = frames[0].shape[1], frames[0].shape[0]
            spare_s = max(0.0, length_s - LENGTH_S)
            self._sparse[clip.path] = _Thinned(target, spare_s, size, self._face(frames))
        return self._sparse[clip.path]

    def _face(self, frames: Sequence[Image]) -> tuple[float, float]:
        """Where the largest face mostly is; the middle where none is seen."""
        boxes = [
            max((each.box for each in found), key=lambda box: box.longer_side)
            for image in frames
            if (found := self._detector.detect(image))
        ]
        if not boxes:
            return frames[0].shape[1] / 2, frames[0].shape[0] / 2
        x, y = np.median([(box.x + box.w / 2, box.y + box.h / 2) for box in boxes], axis=0)
        return float(x), float(y)
