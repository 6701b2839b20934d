"""Clips side by side as files to scan: one fake among real people, or real people alone."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenes.footage import Clip, cells
from vidscan.ffmpeg import find_program, probe

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


class Writer:
    """Writes scenes into a folder; what it needs of each clip is decoded once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sparse: dict[Path, tuple[Path, float]] = {}

    def write(self, gathering: Gathering, name: str) -> Path:
        """The scene as an H.264 file in 1080p; each clip as large as it is or as its cell allows."""
        target = self._folder / f"{name}.mp4"
        inputs: list[str] = []
        filters = [f"color=black:size=1920x1080:rate={RATE}:duration={LENGTH_S}[v]"]
        for number, (stretch, cell) in enumerate(
            zip(gathering.stretches, cells(len(gathering.stretches)), strict=True)
        ):
            path, spare_s = self._thinned(stretch.clip)
            inputs += ["-ss", f"{stretch.offset * spare_s:.3f}", "-t", f"{LENGTH_S}", "-i", str(path)]
            left, top, width, height = cell
            filters.append(
                f"[{number}]setpts=PTS-STARTPTS,scale=w='min(iw,{width})':h='min(ih,{height})'"
                f":force_original_aspect_ratio=decrease:flags=area[s{number}]"
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

    def _thinned(self, clip: Clip) -> tuple[Path, float]:
        """The clip at a lower rate without further loss, and how many seconds it has to spare."""
        if clip.path not in self._sparse:
            target = self._folder / f"thinned-{len(self._sparse)}.mkv"
            coding = ["-r", str(RATE), "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0"]
            command = [find_program(), *_QUIET, "-i", str(clip.path), "-an", *coding, str(target)]
            subprocess.run(command, check=True)
            length_s = probe(target).duration_s or LENGTH_S
            self._sparse[clip.path] = target, max(0.0, length_s - LENGTH_S)
        return self._sparse[clip.path]
