"""What ``--frames`` costs in a minute and in two hours, against reading the clip through.

    python benchmarks/seeking.py

The clips are a sample looped without encoding it anew. Each is looked at in turn, some rounds over, with the
bundled checkpoint loaded beforehand; medians. ``reading`` is decoding alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from clips import looped

import vidscan
from vidscan.media.frames import sample_frames
from vidscan.options import SamplingOptions
from vidscan.records import Source, SourceKind


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def read(path: Path, options: SamplingOptions) -> int:
    """Decodes what a scan would look at, and counts it."""
    return sum(1 for _ in sample_frames(Source("0", path, SourceKind.VIDEO), options))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times --frames on a short and on a long clip.")
    parser.add_argument("--frames", type=int, default=32, help="frames looked at (32)")
    parser.add_argument("--long", type=int, default=7200, help="seconds of the long clip (7200)")
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args(argv)
    model = vidscan.load_model()
    spread = SamplingOptions(frames=flags.frames)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        clips = {
            length: looped("camera-move.mp4", length, Path(folder) / f"{length}.mp4")
            for length in (60, flags.long)
        }
        report = vidscan.scan(clips[60], frames=flags.frames, model=model)  # warms everything up
        assert report.stats.frames_sampled == flags.frames, "not all frames were found"
        scans: dict[int, list[float]] = {length: [] for length in clips}
        reads: dict[int, list[float]] = {length: [] for length in clips}
        for _ in range(flags.rounds):
            for length, path in clips.items():
                reads[length].append(seconds(lambda path=path: read(path, spread)))
                scans[length].append(
                    seconds(lambda path=path: vidscan.scan(path, frames=flags.frames, model=model))
                )
        through = seconds(lambda: read(clips[60], SamplingOptions(2.0)))
    print(
        f"| clip | reading {flags.frames} frames | scan with --frames {flags.frames} | scan, ratio |\n"
        "|---|---|---|---|"
    )
    for length in clips:
        ratio = median(scans[length]) / median(scans[60])
        print(f"| {length} s | {median(reads[length]):.2f} s | {median(scans[length]):.2f} s | {ratio:.2f} |")
    print(f"\nReading the clip of 60 s through: {through:.2f} s.")


if __name__ == "__main__":
    main()
