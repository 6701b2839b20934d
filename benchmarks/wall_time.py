"""Wall time of the default detector, both networks, against ``--fast``, side by side in one run.

    python benchmarks/wall_time.py

The clip is ten seconds of a sample with one face, looked at twice a second: twenty faces. "Command" is the
whole of ``vidscan run``, with its start; "scan" is what is left of it where both detectors are loaded and
warm. The two take turns, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from clips import SAMPLES
from imageio_ffmpeg import get_ffmpeg_exe

import vidscan
from vidscan.models.checkpoint import LoadedModel

FPS = 2
LENGTH_S = 10


def one_face(target: Path) -> Path:
    """Writes ``LENGTH_S`` of a sample of one face, said over and over without encoding it anew."""
    command = [get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-stream_loop", "1"]
    command += ["-i", str(SAMPLES / "camera-move.mp4"), "-t", str(LENGTH_S), "-c", "copy", str(target)]
    subprocess.run(command, check=True)
    return target


def run_command(clip: Path, flags: Sequence[str]) -> None:
    """Scans in a process of its own, as a user does."""
    command = [sys.executable, "-m", "vidscan", "run", str(clip), "--fps", str(FPS), "--quiet", *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def run_scan(clip: Path, models: list[LoadedModel]) -> None:
    """Scans in this process, with networks that are loaded."""
    scored = vidscan.scan(clip, fps=FPS, model=models).stats.faces_scored
    if abs(scored - FPS * LENGTH_S) > 1:
        raise SystemExit(f"{scored} faces were scored where {FPS * LENGTH_S} are to be seen")


def seconds(work: Callable[[], None]) -> float:
    """Wall time in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times the default detector against --fast.")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args(argv)
    fast, second = vidscan.load_model("vidscan-lite2"), vidscan.load_model("vidscan-vit")
    print("| | both networks | `--fast` | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        clip = one_face(Path(folder) / "one-face.mp4")
        for name, both, alone in (
            ("command", partial(run_command, clip, []), partial(run_command, clip, ["--fast"])),
            ("scan", partial(run_scan, clip, [fast, second]), partial(run_scan, clip, [fast])),
        ):
            both()
            alone()
            pairs = [(seconds(both), seconds(alone)) for _ in range(flags.rounds)]
            ratio = median(mine / theirs for mine, theirs in pairs)
            slow, quick = (median(each) for each in zip(*pairs, strict=True))
            print(f"| {name} | {slow:.2f} s | {quick:.2f} s | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
