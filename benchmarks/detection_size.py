"""Whether finding faces on a reduced frame would pay: processor time, and what becomes of the boxes.

    python benchmarks/detection_size.py CLIP [CLIP ...]

Every sampled frame is searched whole and reduced to several sizes (longer side, area averaging), boxes
scaled back. ``found``: share of the faces found whole that are found reduced too, overlapping by half;
``more``: faces that only the reduced frame shows, beside those. ``shift`` and ``size``: by how much the
crop's square moves, in face sides, and grows; medians with their sign, so that a systematic change shows.
``--enlarge 3`` makes the frames larger first, for the times of larger clips: they show no more than before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from vidscan.faces import FaceDetector, MediaPipeFaceDetector
from vidscan.ffmpeg import stream_frames
from vidscan.image import intersection_over_union, resize
from vidscan.options import DetectionOptions
from vidscan.records import Box, Image


@dataclass
class Measured:
    """Of one size: processor seconds a frame, counts of faces, how each box that was found again changed."""

    seconds: list[float] = field(default_factory=list)
    found: int = 0
    more: int = 0
    overlaps: list[float] = field(default_factory=list)
    shifts: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)


def detect(detector: FaceDetector, image: Image, side: int) -> list[Box]:
    """The boxes of a picture whose longer side is reduced to ``side``, in pixels of the whole one."""
    height, width = image.shape[:2]
    factor = max(1.0, max(height, width) / side)
    small = (
        image if factor == 1 else resize(image, width=round(width / factor), height=round(height / factor))
    )
    return [Box(*(value * factor for value in found.box)) for found in detector.detect(small)]


def compare(whole: Sequence[Box], reduced: Sequence[Box], into: Measured) -> None:
    """Notes what became of the boxes of one frame."""
    left = list(reduced)
    for box in whole:
        best = max(left, key=lambda other: intersection_over_union(box, other), default=None)
        if best is None or intersection_over_union(box, best) < 0.5:
            continue
        left.remove(best)
        side = box.longer_side
        into.found += 1
        into.overlaps.append(intersection_over_union(box, best))
        moved = (best.x + best.w / 2 - box.x - box.w / 2, best.y + best.h / 2 - box.y - box.h / 2)
        into.shifts.append((moved[0] / side, moved[1] / side))
        into.sizes.append(best.longer_side / side)
    into.more += len(left)


def row(side: int, measured: Measured, faces: int, whole_s: float) -> str:
    """One size as a row of the table."""
    spent = mean(measured.seconds)
    columns = [
        f"{side} px",
        f"{spent * 1e3:.1f} ms",
        f"{spent / whole_s:.2f}",
        f"{measured.found / max(faces, 1):.1%}",
        f"{measured.more / max(faces, 1):.1%}",
        f"{median(measured.overlaps or [0]):.3f}",
        ", ".join(f"{median(axis):+.4f}" for axis in zip(*(measured.shifts or [(0.0, 0.0)]), strict=True)),
        f"{median(measured.sizes or [0]):.4f}",
    ]
    return f"| {' | '.join(columns)} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Face detection on reduced frames.")
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--side", type=int, action="append", help="longer sides tried (480, 640, 960)")
    parser.add_argument("--enlarge", type=int, default=1)
    parser.add_argument("--fps", type=float, default=1.0)
    flags = parser.parse_args(argv)
    sizes = {side: Measured() for side in flags.side or (480, 640, 960)}
    faces, whole_s = 0, []
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        for clip in flags.clips:
            for _, frame in stream_frames(clip, flags.fps):
                height, width = frame.shape[:2]
                image = resize(frame, width=width * flags.enlarge, height=height * flags.enlarge)
                started = time.process_time()
                whole = [found.box for found in detector.detect(image)]
                whole_s.append(time.process_time() - started)
                faces += len(whole)
                for side, measured in sizes.items():
                    started = time.process_time()
                    reduced = detect(detector, image, side)
                    measured.seconds.append(time.process_time() - started)
                    compare(whole, reduced, measured)
    print(
        "| longer side | CPU time | ratio | found | more | overlap | shift x, y | size |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    print(f"| whole | {mean(whole_s) * 1e3:.1f} ms | 1.00 | 100% ({faces}) | | | | |")
    for side, measured in sizes.items():
        print(row(side, measured, faces, mean(whole_s)))


if __name__ == "__main__":
    main()
