"""Kills a scan of a folder at random moments, resumes it, and compares the report with that of one unharmed.

Each round scans the folder with ``vidscan dir --report --resume`` in a child process, which is killed by
SIGKILL at a moment drawn from the time that a whole scan takes; when a scan comes to its end first, its
report must equal the reference but for times, and the next one starts from nothing. No file that the journal
holds may be done again, and the report may never be half a file. Ends with 1 where anything of it fails.

The child is forked after the heavy modules were imported, which saves most of a start.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from many_files import make_folder

TOLERANCE = 2e-6
"""A crop's place in its batch may move the last digit of its score, of six."""

STARTING_SHARE = 0.2
"""Kills that fall before the first file is finished; the others fall between the first and the last."""


def start(arguments: list[str], log: Path) -> int:
    """Runs the command in a child process; returns its id."""
    from vidscan.cli import main

    child = os.fork()
    if child:
        return child
    code = 70
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = main(arguments)
    finally:
        os._exit(code)


def wait(child: int, seconds: float) -> int | None:
    """The child's exit code, or None where it still runs after so long."""
    end = time.monotonic() + seconds
    while True:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def without_times(report: Path) -> dict[str, Any]:
    """A report's content but for when it was made, what took how long and how full its batches were."""
    document = json.loads(report.read_text("utf-8"))
    del document["created"]
    for result in document["results"]:
        del result["stats"]["seconds"], result["stats"]["batch_slots"]
    return document


def same(one: Any, other: Any) -> bool:
    """Whether two documents are equal; numbers up to the tolerance."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE
    return type(one) is type(other) and one == other


def finished_in(journal: Path) -> list[str]:
    """The paths of a journal's whole lines, in order."""
    with suppress(FileNotFoundError):
        lines = journal.read_bytes().split(b"\n")[1:-1]
        return [json.loads(line)["source"] for line in lines]
    return []


class Trial:
    """One folder scanned again and again."""

    def __init__(self, folder: Path, work: Path, draw: random.Random, model: list[str]) -> None:
        self.report, self.journal = work / "out.json", work / "out.json.journal"
        self._log, self._draw = work / "log", draw
        self._command = ["dir", str(folder), "--quiet", "--fps", "1", "--batch-size", "4", *model, "--report"]
        reference = work / "reference.json"
        started = time.monotonic()
        child = start([*self._command, str(reference)], self._log)
        first: float | None = None
        while (code := wait(child, 0)) is None:
            if first is None and finished_in(work / "reference.json.journal"):
                first = time.monotonic()
            time.sleep(0.002)
        if code != 0 or first is None:
            raise SystemExit(f"the reference scan ended with {code}:\n{self._log.read_text()}")
        self.before_s, self.after_s = first - started, time.monotonic() - first
        self.reference = without_times(reference)
        self.kills: Counter[str] = Counter()
        self.compared = 0
        self.faults: list[str] = []

    def scan(self) -> None:
        """One scan, killed unless it ends first."""
        held = finished_in(self.journal)
        child = start([*self._command, str(self.report), "--resume"], self._log)
        if self._draw.random() < STARTING_SHARE:
            code = wait(child, self._draw.uniform(0, self.before_s))
        else:
            while (code := wait(child, 0)) is None and len(finished_in(self.journal)) <= len(held):
                time.sleep(0.002)
            code = wait(child, self._draw.uniform(0, self.after_s / 2)) if code is None else code
        if code is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self._look_at_the_remains(held)
        else:
            self._look_at_the_end(code)

    def _look_at_the_remains(self, held: list[str]) -> None:
        if not self.journal.exists() and self.report.exists():
            self.kills["after the report"] += 1
            self._look_at_the_end(0)
            return
        found = finished_in(self.journal)
        whole = len(self.reference["results"])
        place = "before the first" if not found else "after the last" if len(found) == whole else "between"
        self.kills[place] += 1
        if found[: len(held)] != held:
            self.faults.append(f"the journal lost some of the {len(held)} files it held")
        if len(set(found)) != len(found):
            self.faults.append("a finished file was done again")
        if self.report.exists() and not same(without_times(self.report), self.reference):
            self.faults.append("a report was left that is not whole")

    def _look_at_the_end(self, code: int) -> None:
        self.compared += 1
        if code != 0:
            self.faults.append(f"a resumed scan ended with {code}: {self._log.read_text().strip()}")
        elif not same(without_times(self.report), self.reference):
            self.faults.append("the report of a resumed scan differs from the reference")
        elif self.journal.exists():
            self.faults.append("a journal was left behind")
        self.report.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)


def main() -> int:
    """Kills, resumes, compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--files", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--model", metavar="NAME|PATH", help="a checkpoint (default: both that ship)")
    flags = parser.parse_args()
    model = ["--model", flags.model] if flags.model else []
    import vidscan.faces
    import vidscan.model
    import vidscan.startup

    vidscan.startup.import_keras()
    vidscan.startup.import_quietly("mediapipe")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = make_folder(work / "media", flags.files, portrait_every=3, clip_every=20)
        trial = Trial(folder, work, random.Random(flags.seed), model)
        while trial.kills.total() < flags.kills and not trial.faults:
            trial.scan()
            print(f"\r{trial.kills.total()} kills", end="", file=sys.stderr, flush=True)
        while (trial.journal.exists() or not trial.compared) and not trial.faults:
            code = wait(start([*trial._command, str(trial.report), "--resume"], trial._log), 600)
            trial._look_at_the_end(-1 if code is None else code)
    places = ", ".join(f"{count} {place}" for place, count in trial.kills.items())
    print(
        f"{flags.files} files, {trial.before_s:.1f} s to the first and {trial.after_s:.1f} s for the others"
    )
    print(f"{trial.kills.total()} kills ({places}); {trial.compared} reports compared with the reference")
    print("\n".join(trial.faults) or "all equal, nothing lost, nothing done twice")
    return 1 if trial.faults else 0


if __name__ == "__main__":
    sys.exit(main())
