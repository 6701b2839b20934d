"""Peak resident memory of ``vidscan run`` on a short clip and on one ten times as long.

    python benchmarks/memory.py [--model b4]

Each scan is a process of its own, and its peak the kernel's figure for it. ffmpeg, its child, is left out:
what the kernel says of children begins with what their parent held when it started them. Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from clips import looped, random_b4

_SCAN = """
import json, resource, sys
from vidscan.cli.main import main
code = main(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit]))
"""


def peak(clip: Path, model: Path | None, batch_size: int) -> float:
    """Peak resident memory of a scan in MiB."""
    chosen = ["--fast"] if model is None else ["--model", str(model)]
    command = [
        sys.executable,
        "-c",
        _SCAN,
        "run",
        str(clip),
        "--quiet",
        "--batch-size",
        str(batch_size),
        *chosen,
    ]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    code, own = json.loads(answer.splitlines()[-1])
    if code != 0:
        raise SystemExit(f"the scan of {clip} failed with exit code {code}")
    return float(own) / 2**20


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Peak memory by length of the clip.")
    parser.add_argument("--model", choices=["b4", "lite2"], default="b4")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=60, help="length of the short clip (60)")
    parser.add_argument("--times", type=int, default=10, help="how often it goes into the long one (10)")
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        model = random_b4(Path(folder)) if flags.model == "b4" else None
        # Not the first scan of a checkpoint, which may convert it.
        peak(looped("camera-move.mp4", 6, Path(folder) / "first.mp4"), model, flags.batch_size)
        print("| clip | peak of vidscan | ratio |\n|---|---|---|")
        first = 0.0
        for length in (flags.seconds, flags.seconds * flags.times):
            clip = looped("camera-move.mp4", length, Path(folder) / f"{length}.mp4")
            own = peak(clip, model, flags.batch_size)
            first = first or own
            print(f"| {length} s | {own:.0f} MiB | {own / first:.3f} |", flush=True)


if __name__ == "__main__":
    main()
