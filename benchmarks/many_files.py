"""Ten thousand small files in one folder: does a long run slow down, grow or leak?

Scans a folder of tiny stills (one in fifty a portrait, one in a thousand a clip) with ``vidscan dir`` and
a journal, in this process, and prints after every thousandth of them (``--every``) the files per second
since the last line, the process's memory and its open files. Ends with 1 where the second half of the run
was much slower than the first, or memory or open files have grown by more than results explain.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

SAMPLES = Path(__file__).resolve().parents[1] / "samples"

SLOWER_AT_MOST = 2.0
"""Ratio of the times of the two halves: other programs on the machine explain less than this."""

GROWTH_AT_MOST_KIB = 24.0
"""Memory for each file of the run's second half. A result of one face takes about 10 KiB, twice over
(as a report and as an entry of the document); pixels would take 200 KiB a portrait."""


class Line(NamedTuple):
    """What was measured when ``files`` were finished."""

    files: int
    seconds: float
    memory_mib: float
    descriptors: int


def make_folder(folder: Path, count: int, *, portrait_every: int = 50, clip_every: int = 0) -> Path:
    """Fills ``folder`` with ``count`` files and returns it.

    Args:
        folder: made if it is not there.
        count: how many files.
        portrait_every: one of so many shows a face; the others are tiny stills of one colour.
        clip_every: one of so many is a clip without a face; 0 makes none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    portrait = cv2.resize(
        cv2.imread(str(SAMPLES / "astronaut.jpg")), (256, 256), interpolation=cv2.INTER_AREA
    )
    random = np.random.default_rng(0)
    for number in range(count):
        if clip_every and number % clip_every == clip_every - 1:
            shutil.copy(SAMPLES / "no-face.mp4", folder / f"{number:06}.mp4")
            continue
        if number % portrait_every == 0:
            # Every portrait is another, so that a score that lands at the wrong file shows.
            picture = cv2.convertScaleAbs(portrait, alpha=random.uniform(0.6, 1.4))
        else:
            picture = np.full((48, 64, 3), random.integers(0, 256, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:06}.jpg"), picture)
    return folder


def watched(every: int, lines: list[Line]) -> Callable[..., Iterator[object]]:
    """The engine of ``vidscan dir``, which adds a line of measurements after so many reports."""
    from vidscan.engines import local

    scan = local.scan_sources

    def scan_sources(*arguments: object, **options: object) -> Iterator[object]:
        for number, report in enumerate(scan(*arguments, **options)):
            if number % every == 0:
                lines.append(measured(number))
                print_line(lines)
            yield report
        lines.append(measured(number + 1))
        print_line(lines)

    return scan_sources


def measured(files: int) -> Line:
    """The state of this process now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return Line(files, time.monotonic(), pages * 4096 / (1 << 20), descriptors)


def print_line(lines: list[Line]) -> None:
    """The newest measurement as a row of the table; the first one stands before the first file."""
    now = lines[-1]
    if len(lines) == 1:
        print("| files | files/s | memory, MiB | open files |\n|---|---|---|---|", flush=True)
        return
    rate = (now.files - lines[-2].files) / max(1e-9, now.seconds - lines[-2].seconds)
    print(f"| {now.files:,} | {rate:.1f} | {now.memory_mib:.0f} | {now.descriptors} |", flush=True)


def faults(lines: list[Line]) -> Iterator[str]:
    """What the measurements show that should not be."""
    start, end = lines[0], lines[-1]
    middle = min(lines, key=lambda line: abs(line.files - end.files / 2))
    first, second = (
        (to.seconds - since.seconds) / (to.files - since.files)
        for since, to in ((start, middle), (middle, end))
    )
    if second > SLOWER_AT_MOST * first:
        yield f"the second half took {second / first:.1f} times as long as the first"
    growth = (end.memory_mib - middle.memory_mib) * 1024 / (end.files - middle.files)
    # A short run has no room for what the allocator takes in one go.
    if growth > GROWTH_AT_MOST_KIB and end.memory_mib - middle.memory_mib > 32:
        yield f"memory grew by {growth:.1f} KiB a file"
    if end.descriptors > middle.descriptors + 8:
        yield f"{end.descriptors - middle.descriptors} more files are open than half way"


def main() -> int:
    """Makes the folder, scans it and judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000, metavar="N")
    parser.add_argument("--every", type=int, default=1000, metavar="N", help="files between two lines")
    parser.add_argument("--model", metavar="NAME|PATH", help="a checkpoint (default: both that ship)")
    flags = parser.parse_args()
    model = ["--model", flags.model] if flags.model else []
    from vidscan.cli import main as vidscan
    from vidscan.engines import local

    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_folder(Path(temporary) / "media", flags.files, clip_every=1000)
        report = Path(temporary) / "out.json"
        local.scan_sources = watched(flags.every, lines)
        started = time.monotonic()
        code = vidscan(["dir", str(folder), "--report", str(report), "--quiet", *model])
        ended = time.monotonic()
        size = report.stat().st_size / (1 << 20)
    print(
        f"\n{ended - started:.0f} s in all, of them {lines[0].seconds - started:.0f} to start and "
        f"{ended - lines[-1].seconds:.1f} to write the report of {size:.1f} MiB"
    )
    found = [*faults(lines), *([f"vidscan ended with {code}"] if code else [])]
    print("\n".join(found) or "nothing grows, slows down or leaks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
