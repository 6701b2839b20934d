"""Memory, and what the ETA promised, over long work: one clip of hours, and a folder of many stills. Linux.

    python benchmarks/long_work.py --hours 2 --stills 10000

With the network of ``--fast``, in one process for each. Memory is that process's resident size (without
ffmpeg, a child) after a tenth of the work and at the end of it; the ETA is what the progress display showed
after that tenth, against the time that the rest took.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from clips import SAMPLES, looped
from rich.console import Console

from vidscan.cli.progress import ScanProgress, seconds_left
from vidscan.engines.local import LocalEngine
from vidscan.media.sources import from_paths
from vidscan.models.loading import load_models
from vidscan.options import ScanOptions
from vidscan.records import Source, Status


class Tenth(ScanProgress):
    """A progress display that keeps what it showed after a tenth: the time since 1970, the ETA, and MiB."""

    found: tuple[float, float, float] | None = None

    def look(self) -> None:
        """Keeps it, once the work has come so far."""
        (task,) = self.tasks
        left = seconds_left(task)
        if self.found is None and task.total and left and task.completed >= task.total / 10:
            self.found = time.time(), left, resident_mib()

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """See :class:`vidscan.protocols.Observer`."""
        super().frame_sampled(source, time_s, duration_s)
        self.look()


def resident_mib() -> float:
    """Resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def scan(paths: Sequence[Path]) -> str:
    """Scans files, two frames a second, in this process; returns a row of the table."""
    sources, began = from_paths(paths), time.time()
    engine = LocalEngine(ScanOptions.of(fps=2), load_models(["vidscan-lite2"]))
    nowhere = Console(file=io.StringIO(), force_terminal=True)
    with Tenth(nowhere, len(sources), shown=True) as progress:
        for report in engine.scan(sources, progress):
            if report.status is Status.FAILED:
                raise SystemExit(f"{report.source.id}: {report.error}")
            progress.count(report)
            progress.look()
        ended, memory = time.time(), resident_mib()
    if progress.found is None:
        raise SystemExit("there was no ETA after a tenth: more work is needed")
    then, eta, before = progress.found
    rest = ended - then
    times = f"{ended - began:.0f} s | {eta:.0f} s | {rest:.0f} s | {eta / rest:.2f}"
    return f"{times} | {before:.0f} MiB | {memory:.0f} MiB | {memory - before:+.0f} MiB |"


def stills(folder: Path, count: int) -> list[Path]:
    """As many pictures, each a file of its own."""
    kinds = [SAMPLES / name for name in ("astronaut.jpg", "astronaut-self-blended.jpg")]
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        shutil.copy(kinds[number % len(kinds)], path)
    return paths


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Memory and ETA over long work.")
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--stills", type=int, default=10_000)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.alone:
        print(scan(sorted(flags.alone.iterdir())))
        return
    print("| work | took | ETA after a tenth | the rest took | ratio | after a tenth | at the end | more |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        clip, many = Path(made) / "clip", Path(made) / "stills"
        clip.mkdir()
        many.mkdir()
        looped("camera-move.mp4", round(flags.hours * 3600), clip / "long.mp4")
        stills(many, flags.stills)
        for work, folder in ((f"{flags.hours:g} h, one face", clip), (f"{flags.stills:,} stills", many)):
            command = [sys.executable, __file__, "--alone", str(folder)]
            row = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            print(f"| {work} | {row}", end="", flush=True)


if __name__ == "__main__":
    main()
