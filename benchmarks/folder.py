"""A folder of short clips in one stream: share of batch slots filled, and files per second.

    python benchmarks/folder.py [FOLDER]

Without a folder, copies of the samples. The whole folder goes through one ``vidscan dir``; some of its files
through a process each, from which the rate of such processes is taken. Start-up counts in both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from clips import SAMPLES

from vidscan.sources import from_folder


def vidscan(*arguments: str | Path) -> float:
    """Runs the command line as a process of its own; seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "vidscan", *map(str, arguments), "--quiet"]
    if subprocess.run(command, check=False).returncode not in (0, 1):
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - started


def copies(folder: Path, count: int) -> Path:
    """A folder of so many clips with faces, each a sample."""
    folder.mkdir()
    names = ("camera-move.mp4", "self-blended.mp4", "two-faces.mp4")
    for number in range(count):
        shutil.copy(SAMPLES / names[number % len(names)], folder / f"{number:03}.mp4")
    return folder


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="A folder in one stream against a process for each file.")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--files", type=int, default=100, help="clips made where no folder is given (100)")
    parser.add_argument("--alone", type=int, default=5, help="files scanned by a process of their own (5)")
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = flags.folder or copies(Path(made) / "clips", flags.files)
        files, report = from_folder(folder), Path(made) / "report.json"
        vidscan("run", files[0].path)  # the first scan of a checkpoint may convert it
        together = vidscan("dir", folder, "--report", report) / len(files)
        chosen = files[:: max(1, len(files) // flags.alone)][: flags.alone]
        alone = sum(vidscan("run", source.path) for source in chosen) / len(chosen)
        stats = [result["stats"] for result in json.loads(report.read_text("utf-8"))["results"]]
    counts = ("faces_scored", "crops_scored", "batch_slots")
    faces, crops, slots = (sum(each[name] for each in stats) for name in counts)
    print(
        "| files | faces | batch slots filled | files/s, one stream | files/s, a process each | ratio |\n"
        "|---|---|---|---|---|---|"
    )
    print(
        f"| {len(files)} | {faces} | {crops / slots:.1%} | {1 / together:.2f} | {1 / alone:.2f} | "
        f"{alone / together:.1f} |"
    )


if __name__ == "__main__":
    main()
