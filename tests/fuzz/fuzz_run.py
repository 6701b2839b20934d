"""Reads damaged media as a scan does, in worker processes, and says what became of each.

    python tests/fuzz/fuzz_run.py --mutants 2000 --seed 0

Each mutant must end in a result or in a failure of one line that names the file, within its time, and
leave no process, thread, open file or temporary file behind. What breaks this rule is listed, its file is
kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import corpus
import mutation

MUTANT_LIMIT_S = 150.0
"""A mutant that takes its worker longer than this hangs."""

STALL_S = 60.0
"""How long ffmpeg may be silent here: vidscan's own limit would let one mutant take minutes."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant; ``faults`` must be empty."""

    number: int
    source: str
    damage: str
    result: str
    seconds: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """What a worker is told: which of the mutants, made of what, with what detector."""

    numbers: Sequence[int]
    seed: int
    media: Sequence[Path]
    real_detector: bool
    kept: Path


class Crew:
    """Workers under way: each has mutants left, the first of which it is at, and a pipe to tell of them."""

    def __init__(self, task: Task) -> None:
        self.outcomes: list[Outcome] = []
        self._task = task
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[Connection, tuple[Any, list[int], float]] = {}

    def start(self, numbers: list[int]) -> None:
        """Starts a worker on these mutants, if there are any."""
        if numbers:
            ours, theirs = self._context.Pipe(duplex=False)
            process = self._context.Process(
                target=work, args=(replace(self._task, numbers=numbers), theirs), daemon=True
            )
            process.start()
            theirs.close()
            self._running[ours] = process, numbers, time.monotonic()

    def listen(self) -> bool:
        """Takes what the workers have to tell, and replaces those that died or hang; whether any are left."""
        ready = wait(list(self._running), timeout=1.0)
        for pipe, (process, _, since) in list(self._running.items()):
            if pipe in ready:
                self._hear(pipe)
            elif time.monotonic() - since > MUTANT_LIMIT_S:
                process.kill()
                self._replace(pipe, f"hung for {MUTANT_LIMIT_S:.0f} s")
        return bool(self._running)

    def _hear(self, pipe: Connection) -> None:
        process, numbers, _ = self._running[pipe]
        try:
            self.outcomes.append(pipe.recv())
        except EOFError:
            process.join()
            if numbers:
                self._replace(pipe, f"the worker died with exit code {process.exitcode}")
            else:
                del self._running[pipe]
        else:
            numbers.pop(0)
            self._running[pipe] = process, numbers, time.monotonic()

    def _replace(self, pipe: Connection, fault: str) -> None:
        _, numbers, since = self._running.pop(pipe)
        taken = time.monotonic() - since
        self.outcomes.append(Outcome(numbers.pop(0), "?", "?", "crash or hang", taken, (fault,)))
        self.start(numbers)


def run(task: Task, workers: int) -> list[Outcome]:
    """Puts every mutant of the task through vidscan; a worker that dies or hangs is replaced."""
    crew = Crew(task)
    for start in range(workers):
        crew.start(list(task.numbers[start::workers]))
    while crew.listen():
        pass
    return sorted(crew.outcomes, key=lambda outcome: outcome.number)


def work(task: Task, pipe: Connection) -> None:
    """A worker: scans its share of the mutants one after the other."""
    from vidscan.media.ffmpeg import decode

    decode.STALL_TIMEOUT_S = STALL_S
    contents = {path: path.read_bytes() for path in task.media}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)  # what vidscan leaves behind shows up here
        detector = stack.enter_context(_detector(task.real_detector))
        for path in task.media:  # what is opened once and kept is open now
            read(path, detector)
        before = _held(folder)
        for number in task.numbers:
            rng = random.Random(f"{task.seed}:{number}")
            source = rng.choice(task.media)
            atoms = source.suffix in (".mp4", ".mov", ".3gp", ".heic", ".avif")
            damaged, damage = mutation.mutate(contents[source], list(contents.values()), rng, atoms=atoms)
            path = folder / f"mutant-{number}{source.suffix}"
            path.write_bytes(damaged)
            started = time.monotonic()
            result, faults = read(path, detector)
            seconds = time.monotonic() - started
            if faults:
                (task.kept / path.name).write_bytes(damaged)
            path.unlink()
            faults += _leaks(before, _held(folder))
            pipe.send(Outcome(number, source.name, damage, result, seconds, tuple(faults)))


def _detector(real: bool) -> Any:
    if real:
        from vidscan.faces.detector import MediaPipeFaceDetector
        from vidscan.options import DetectionOptions

        return MediaPipeFaceDetector(DetectionOptions())
    sys.path.append(str(Path(__file__).parents[1] / "vidscan"))
    from toys import ToyDetector

    return ToyDetector()


def read(path: Path, detector: Any) -> tuple[str, list[str]]:
    """Reads one file as a scan does: the result in a few words, and what was not as it must be."""
    from vidscan.media.sources import from_paths
    from vidscan.options import ScanOptions
    from vidscan.records import Geometry
    from vidscan.scan.reading import Ledger, SourceReader

    ledger = Ledger()
    try:
        reader = SourceReader(detector, ScanOptions(), [Geometry(64, 1.4)])
        for crop in reader.read(from_paths([path]), ledger, threading.Event()):
            assert crop.images[0].shape == (64, 64, 3)
        reading = ledger.popleft()
    except Exception as error:  # noqa: BLE001 - that nothing gets through is what is tested
        return "crash", [f"{type(error).__name__} came through: {error}"]
    if reading.error is None:
        stats = reading.stats
        return ("faces" if stats.crops_scored else "no face" if stats.frames_sampled else "nothing"), []
    return f"{reading.error.type}: {_cause(reading.error.message, path)}", _unclear(reading.error, path)


def _unclear(error: Any, path: Path) -> list[str]:
    from vidscan import errors

    message: str = error.message
    faults = []
    if not isinstance(getattr(errors, error.type, None), type):
        faults.append(f"a failure that vidscan does not expect: {error.type}: {message}")
    if not message.startswith(f"{path}: "):
        faults.append(f"does not name the file: {message}")
    if not message.isprintable() or len(message) > len(str(path)) + 400:
        faults.append(f"is not one short line: {message!r}")
    return faults


def _cause(message: str, path: Path) -> str:
    """A message without what differs from file to file."""
    text = message.removeprefix(f"{path}: ")
    return re.sub(r"0x[0-9a-f]+|\d+", "N", re.sub(r"\(.*\)", "(…)", text)).partition(": ")[0]


def _held(folder: Path) -> dict[str, set[str]]:
    """What this process holds."""
    children, descriptors = "", set()
    for each in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            children += each.read_text()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            descriptors.add(f"{each.name} {each.readlink()}")
    return {
        "processes": set(children.split()),
        "open files": descriptors,
        "threads": {thread.name for thread in threading.enumerate()},
        "temporary files": {path.name for path in folder.iterdir()},
    }


def _leaks(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    return [
        f"leaked {kind}: {sorted(after[kind] - before[kind])}"
        for kind in before
        if after[kind] - before[kind]
    ]


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The outcomes as Markdown tables."""
    results = Counter(outcome.result for outcome in outcomes)
    ended = sum(count for result, count in results.items() if result in ("faces", "no face"))
    faulty = [outcome for outcome in outcomes if outcome.faults]
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    failed = len(outcomes) - ended - len(faulty)
    lines = [
        "| mutants | read to a result | clear failures | faults | seconds | slowest |",
        "|---|---|---|---|---|---|",
        f"| {len(outcomes)} | {ended} | {failed} | {len(faulty)} | {seconds:.0f} "
        f"| {slowest.seconds:.1f} s ({slowest.source}) |",
        "",
        "| result | mutants |",
        "|---|---|",
        *(f"| {result} | {count} |" for result, count in results.most_common()),
    ]
    lines += [
        f"\nFAULT mutant {each.number} ({each.source}, {each.damage}): {each.faults}" for each in faulty
    ]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="+", default=corpus.NAMES, help="names of corpus.py to damage")
    parser.add_argument("--toy", action="store_true", help="a toy detector instead of MediaPipe's")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-faults"), help="where faulty mutants are kept"
    )
    flags = parser.parse_args()
    flags.keep.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        media, missing = corpus.make(Path(folder), flags.only)
        print(f"{len(media)} media; no encoder for: {', '.join(missing) or 'none missing'}", flush=True)
        started = time.monotonic()
        numbers = range(flags.first, flags.first + flags.mutants)
        outcomes = run(Task(numbers, flags.seed, media, not flags.toy, flags.keep.resolve()), flags.workers)
        print(report(outcomes, time.monotonic() - started))
    return 1 if any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
