"""Times the start: ``vidscan --help``, and ``vidscan image`` on one still with Keras and with onnxruntime.

    python benchmarks/startup.py

Each is a process of its own; the runtimes take turns, after one start of each that fills the caches.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

STILL = Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg"


def seconds(arguments: Sequence[str]) -> float:
    """Wall time of one run of the program."""
    program = "import sys; from vidscan.cli.main import main; sys.exit(main())"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times the start of the program.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--still", type=Path, default=STILL)
    flags = parser.parse_args(argv)
    commands = {"--help": ["--help"]}
    for runtime in ("keras", "onnx"):
        commands[f"image --runtime {runtime}"] = ["image", str(flags.still), "--fast", "--runtime", runtime]
    for arguments in commands.values():
        seconds(arguments)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(flags.rounds):
        for name, arguments in commands.items():
            taken[name].append(seconds(arguments))
    keras = taken["image --runtime keras"]
    print("| command | seconds | of keras's |")
    print("|---|---|---|")
    for name, each in taken.items():
        ratio = median(mine / theirs for mine, theirs in zip(each, keras, strict=True))
        print(f"| `vidscan {name}` | {median(each):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
