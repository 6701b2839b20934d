"""What a scan costs, in whole commands as a user gives them, and which stage it goes to. Linux.

    python benchmarks/cost.py                       # a still, 10 s, a minute of two people, 200 stills
    python benchmarks/cost.py --older CHECKOUT      # beside another version, side by side in one run
    python benchmarks/cost.py --isolate             # 200 stills and 50 short clips, with and without it

Processor time is that of the program and all that it started; "busy" is how much of all cores it used from
start to end. Stages go by threads: the main one starts and reports, the reading thread and MediaPipe's own
find faces and cut crops, onnxruntime's score. The older version runs with the same interpreter and packages.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

IMPORTS = "import sys; sys.modules['tensorflow'] = None; import onnxruntime, cv2, mediapipe.tasks.python"
"""The least that a scan must import, for comparison."""

STAGES = ("start, report", "faces", "networks", "children")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and processor time, MiB of the largest process, processor time by stage."""

    wall: float
    cpu: float
    peak: float
    stages: dict[str, float]


def cost_of(command: Sequence[str], checkout: Path | None = None) -> Cost:
    """What a process of its own costs that runs ``vidscan`` with arguments, or ``imports`` alone."""
    environment = dict(os.environ) if checkout is None else os.environ | {"PYTHONPATH": str(checkout)}
    began = time.perf_counter()
    line = [sys.executable, __file__, "--child", *command]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)  # with all that it waited for itself
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {child.returncode}")
    wall, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return Cost(wall, cpu, used.ru_maxrss / 1024, json.loads(told.splitlines()[-1]))


def run_child(command: Sequence[str]) -> None:
    """Runs what :func:`cost_of` measures, in this process, and prints where it computed."""
    with thread_times() as stages:
        if command == ["imports"]:
            exec(IMPORTS, {})
        else:
            sys.argv = ["vidscan", *command]
            try:
                runpy.run_module("vidscan", run_name="__main__")
            except SystemExit as ended:
                if ended.code:
                    raise
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({**stages, "children": started.ru_utime + started.ru_stime}))


@contextmanager
def thread_times() -> Iterator[dict[str, float]]:
    """Yields what becomes, once left, the seconds that this process's threads computed, by stage."""
    stages: dict[str, float] = defaultdict(float)
    seconds: dict[str, float] = {}
    names: dict[str, str] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            look()

    def look() -> None:
        names.update({str(each.native_id): each.name for each in threading.enumerate()})
        for task in Path("/proc/self/task").iterdir():
            try:
                seconds[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except OSError:  # it has ended
                continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield stages
    finally:
        over.set()
        watching.join()
        look()
        for task, taken in seconds.items():
            name = names.get(task, "")
            stages[STAGES[0] if name == "MainThread" else "networks" if "onnx" in name else "faces"] += taken


def jobs_in(folder: Path) -> dict[str, list[str]]:
    """The arguments of each job, over media made of the samples in ``folder``."""
    from clips import SAMPLES, looped

    minute = looped("two-faces.mp4", 60, folder / "minute.mp4")
    ten = looped("camera-move.mp4", 10, folder / "ten.mp4")
    return {
        "a still": ["image", str(SAMPLES / "astronaut.jpg")],
        "10 s, one face, 2 fps": ["run", str(ten), "--fps", "2"],
        "a minute, two faces, 2 fps": ["run", str(minute), "--fps", "2"],
        "200 stills": ["dir", str(stills(folder / "stills"))],
    }


def stills(folder: Path) -> Path:
    """A folder of 200 pictures, each a file of its own."""
    from clips import SAMPLES

    folder.mkdir()
    for number in range(200):
        name = ("astronaut.jpg", "astronaut-self-blended.jpg")[number % 2]
        shutil.copy(SAMPLES / name, folder / f"{number:03}.jpg")
    return folder


def short_clips(folder: Path) -> Path:
    """A folder of 50 clips of two seconds."""
    from clips import looped

    folder.mkdir()
    for number in range(50):
        looped("camera-move.mp4", 2, folder / f"{number:02}.mp4")
    return folder


Kind = tuple[list[str], Path | None]
"""What to add to a job's arguments, and the checkout that runs it."""


def compare(jobs: dict[str, list[str]], kinds: dict[str, Kind], rounds: int) -> None:
    """Prints the costs of every kind of every job; wall times also as parts of the last kind's."""
    cores = len(os.sched_getaffinity(0))
    imports = median(cost_of(["imports"]).cpu for _ in range(rounds + 1))
    *_, last = kinds
    print(f"Imports alone: {imports:.2f} s of processor time.\n")
    heads = ("job", "", "wall", f"of {last}", "processor", "of imports", "busy", "peak MiB", *STAGES)
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for job, arguments in jobs.items():
        taken: dict[str, list[Cost]] = {kind: [] for kind in kinds}
        for number in range(rounds + 1):
            for kind, (more, checkout) in kinds.items():
                cost = cost_of([*arguments, "--quiet", *more], checkout)
                taken[kind] += [cost] if number else []  # the first round fills the caches
        for kind, costs in taken.items():
            wall, cpu = median(each.wall for each in costs), median(each.cpu for each in costs)
            part = median(mine.wall / other.wall for mine, other in zip(costs, taken[last], strict=True))
            stages = [median(each.stages.get(stage, 0.0) for each in costs) for stage in STAGES]
            busy, peak = cpu / wall / cores, max(each.peak for each in costs)
            told = f"{wall:.2f} s | {part:.2f} | {cpu:.2f} s | {cpu / imports:.2f} | {busy:.2f} | {peak:.0f}"
            print(f"| {job} | {kind} | {told} | {' | '.join(f'{each:.2f}' for each in stages)} |", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times whole commands, by stage.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--older", type=Path, metavar="CHECKOUT", help="another version, to run beside")
    parser.add_argument("--jobs", nargs="+", metavar="WORD", help="only jobs whose names hold one of these")
    parser.add_argument("--isolate", action="store_true", help="compare folders with and without --isolate")
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = Path(made)
        if flags.isolate:
            jobs = {"200 stills": stills(folder / "stills"), "50 clips": short_clips(folder / "clips")}
            kinds: dict[str, Kind] = {"isolated": (["--isolate"], None), "plain": ([], None)}
            compare({job: ["dir", str(where)] for job, where in jobs.items()}, kinds, flags.rounds)
            return
        kinds = {"both networks": ([], None), "--fast": (["--fast"], None)}
        if flags.older is not None:
            kinds["older"] = ([], flags.older.resolve())
        jobs = {
            job: arguments
            for job, arguments in jobs_in(folder).items()
            if not flags.jobs or any(word in job for word in flags.jobs)
        }
        compare(jobs, kinds, flags.rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run_child(sys.argv[2:])
    else:
        main()
