"""How alike frames of one shot, and sightings of one person, are: the figures that thresholds rest on.

    python benchmarks/likeness.py [DATA]

DATA is the folder of research data (``../shared/data`` beside the repository). Looks at the first 20 seconds
of the genuine clips of all pairs of people but those of the test split, and prints what the docstrings of
``vidscan/cuts.py``, ``appearance.py`` and ``quality.py`` state.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from scenes.footage import Clip, clips
from scenes.tables import table

from vidscan.appearance import CLEARLY_ANOTHER, SURELY_THE_SAME, describe, distance
from vidscan.cuts import CutFinder, Reduced, are_apart, difference, reduced
from vidscan.faces import FaceDetector, MediaPipeFaceDetector
from vidscan.ffmpeg import stream_frames
from vidscan.options import DetectionOptions
from vidscan.quality import SURE, sharpness
from vidscan.records import Appearance, Box, Image

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FPS = 10.0
SECONDS = 20.0
FRAMES_A_FACE = 10
"""Faces are looked for once a second."""

GAPS = (4, 5, 10)
"""Frames between two that are compared: 0.4, 0.5 and 1 s."""
PAIRS = 5000
"""Pairs that are drawn where there would be too many."""
BLURS = (1, 3)
"""Standard deviations of Gaussian blur, in pixels of a face of 64 pixels a side."""


@dataclass
class Seen:
    """What one clip shows: frames, the same frames close up and mirrored, and the faces of its person.

    ``looks`` holds shots, times in seconds and appearances, ``sharp`` the sharpness of each face as it is and
    blurred.
    """

    frames: list[Reduced] = field(default_factory=list)
    mirrored: list[Reduced] = field(default_factory=list)
    looks: list[tuple[int, float, Appearance]] = field(default_factory=list)
    sharp: list[list[float]] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)


def watch(clip: Clip, detector: FaceDetector) -> Seen:
    """Goes through a clip's first seconds."""
    seen, cuts, shot = Seen(), CutFinder(), 0
    for index, (time_s, image) in enumerate(stream_frames(clip.path, FPS)):
        if time_s >= SECONDS:
            break
        shot += cuts.is_cut(image)
        seen.frames.append(reduced(image))
        seen.mirrored.append(reduced(other_camera(image)))
        if index % FRAMES_A_FACE == 0:
            for face in sorted(detector.detect(image), key=lambda each: -each.box.longer_side)[:1]:
                seen.looks.append((shot, time_s, describe(image, face.box)))
                seen.sharp.append([sharpness(each, face.box) for each in blurred(image, face.box)])
                seen.confidence.append(face.confidence)
    return seen


def other_camera(image: Image) -> Image:
    """The middle of a frame, mirrored, as a camera on the other side might show it closer."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[height // 5 : -(height // 5), width // 5 : -(width // 5)][:, ::-1])


def blurred(image: Image, box: Box) -> Iterator[Image]:
    """The frame as it is, and with the face blurred by each of ``BLURS``."""
    yield image
    for pixels in BLURS:
        yield np.asarray(cv2.GaussianBlur(image, (0, 0), pixels * box.longer_side / 64), np.uint8)


def shots(people: Sequence[Seen], rng: np.random.Generator) -> None:
    """How often two frames are taken for two shots, and by how much they differ."""
    kinds = {
        f"one clip, {gap / FPS:g} s apart": [
            pair for seen in people for pair in zip(seen.frames, seen.frames[gap:], strict=False)
        ]
        for gap in GAPS
    }
    kinds["one clip, the later one mirrored and closer"] = [
        pair for seen in people for pair in zip(seen.frames, seen.mirrored[GAPS[-1] :], strict=False)
    ]
    kinds["different clips"] = [
        (some.frames[rng.integers(len(some.frames))], other.frames[rng.integers(len(other.frames))])
        for some, other in (_two(people, rng) for _ in range(PAIRS))
    ]
    rows = []
    for kind, pairs in kinds.items():
        apart = np.mean([are_apart(*pair) for pair in pairs])
        levels = np.percentile([difference(*pair) for pair in pairs], [0, 10, 50, 90, 100])
        rows.append((kind, str(len(pairs)), f"{1000 * apart:.0f}", *(f"{level:.1f}" for level in levels)))
    heads = ("pairs", "apart, of 1,000", "levels: least", "10%", "median", "90%", "most")
    table("Frames (cuts.py):", ("frames of", *heads), rows)


def looks(people: Sequence[Seen], rng: np.random.Generator) -> None:
    """Distances of appearance."""
    near: list[float] = []
    far: list[float] = []
    for seen in people:
        for (shot, time_s, one), (other_shot, other_s, other) in combinations(seen.looks, 2):
            if shot == other_shot and abs(other_s - time_s - 1.0) < 0.3:
                near.append(_distance(one, other))
            elif shot == other_shot and other_s - time_s >= 4.0:
                far.append(_distance(one, other))
    kinds = {"one shot, 1 s apart": near, "one shot, 4 s apart or more": far}
    kinds["different clips"] = [
        _distance(
            some.looks[rng.integers(len(some.looks))][2], other.looks[rng.integers(len(other.looks))][2]
        )
        for some, other in (_two(people, rng) for _ in range(4 * PAIRS))
    ]
    rows = []
    for kind, apart in kinds.items():
        shares = [np.mean(np.array(apart) < bar) for bar in (SURELY_THE_SAME, CLEARLY_ANOTHER)]
        places = np.percentile(apart, [0, 50, 99.7])
        figures = (*(f"{share:.2%}" for share in shares), *(f"{place:.2f}" for place in places))
        rows.append((kind, str(len(apart)), *figures))
    bars = (f"below {SURELY_THE_SAME}", f"below {CLEARLY_ANOTHER}")
    table("Appearance (appearance.py):", ("sightings of", "pairs", *bars, "least", "median", "99.7%"), rows)


def faces(people: Sequence[Seen]) -> None:
    """Sharpness, and the detector's confidence."""
    sharp = np.array([figures for seen in people for figures in seen.sharp])
    rows = [
        (name, *(f"{figure:.2f}" for figure in (*np.percentile(column, [5, 50]), column.mean())))
        for name, column in zip(
            ["as it is", *(f"blurred, {p} px in 64" for p in BLURS)], sharp.T, strict=True
        )
    ]
    confidence = [each for seen in people for each in seen.confidence]
    sure = np.mean(np.array(confidence) >= SURE)
    table("Sharpness (quality.py):", ("face", "19 in 20 have more than", "median", "mean"), rows)
    print(f"\nThe detector is sure ({SURE}) of {sure:.1%} of {len(confidence)} faces (quality.py).")


def _two(people: Sequence[Seen], rng: np.random.Generator) -> tuple[Seen, Seen]:
    one, other = rng.choice(len(people), 2, replace=False)
    return people[one], people[other]


def _distance(one: Appearance, other: Appearance) -> float:
    apart = distance(one, other)
    assert apart is not None
    return apart


def main(argv: Sequence[str] | None = None) -> None:
    """Looks at the clips and prints tables for docstrings."""
    parser = argparse.ArgumentParser(description="How alike frames of a shot and sightings of a person are.")
    parser.add_argument("data", nargs="?", type=Path, default=DATA, metavar="DATA")
    flags = parser.parse_args(argv)
    if not (flags.data / "ffpp" / "manifest.csv").exists():
        parser.error(f"{flags.data} holds no ffpp/manifest.csv: name the folder of research data")
    genuine = [clip for clip in clips(flags.data, "train", "val") if not clip.fake]
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        people = [watch(clip, detector) for clip in genuine]
    print(f"{len(people)} clips")
    rng = np.random.default_rng(0)
    shots(people, rng)
    looks(people, rng)
    faces(people)


if __name__ == "__main__":
    main()
