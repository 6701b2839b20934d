"""Files per second on a Ray cluster of one and of two workers of a core each, against the local engine.

    python benchmarks/ray_scaling.py [--clips 48] [--rounds 3]

Nodes are raylets on this machine, each pinned to a core of its own, with one worker on it; the local engine
is pinned to the first of these cores. Start-up is left out: everybody scans some clips first. A round is
all three, one after the other, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from folder import copies

from vidscan.api import load_models, with_runtimes
from vidscan.bundled import FAST
from vidscan.options import ModelOptions, RayOptions, ScanOptions
from vidscan.records import Report, Source
from vidscan.sources import from_folder

WARM_UP = 6
"""Clips that everybody scans before the clock runs."""


@contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """Has this thread, and what it starts, run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def files_per_second(reports: Iterator[Report], count: int) -> float:
    """The rate at which so many reports come."""
    started = time.perf_counter()
    assert sum(1 for report in reports if report.error is None) == count
    return count / (time.perf_counter() - started)


def local_rate(sources: Sequence[Source]) -> float:
    """Of the local engine, in this process."""
    from vidscan.engines import local

    models = load_models(FAST)
    options = with_runtimes(ScanOptions(model=ModelOptions((Path(FAST),))), models)
    list(local.scan_sources(sources[:WARM_UP], options, models=models))
    return files_per_second(local.scan_sources(sources, options, models=models), len(sources))


def ray_rate(sources: Sequence[Source], cores: Sequence[int]) -> float:
    """Of a cluster with a node and a worker on each core."""
    from ray.cluster_utils import Cluster as Nodes

    from vidscan.engines.ray_engine import Cluster

    models = load_models(FAST)
    options = with_runtimes(ScanOptions(model=ModelOptions((Path(FAST),))), models)
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for core in cores:
            with pinned([core]):
                nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        with Cluster(options, models, RayOptions(nodes.address, workers=len(cores), cpus=1)) as cluster:
            list(cluster.scan_sources(sources[: WARM_UP * len(cores)]))
            return files_per_second(cluster.scan_sources(sources), len(sources))
    finally:
        nodes.shutdown()


def measured(folder: Path, who: str, cores: Sequence[int]) -> float:
    """The rate of one of them, in a process of its own."""
    command = [sys.executable, __file__, "--measure", who, "--folder", str(folder)]
    pin = ["taskset", "-c", str(cores[0])] if who == "local" else []
    chosen = ["--cores", ",".join(map(str, cores))]
    done = subprocess.run([*pin, *command, *chosen], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Ray with one and two workers against the local engine.")
    parser.add_argument("--clips", type=int, default=48, help="copies of the samples (48)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (3)")
    parser.add_argument("--measure", choices=["local", "ray"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cores", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.measure:
        sources, cores = from_folder(flags.folder), [int(core) for core in flags.cores.split(",")]
        print(local_rate(sources) if flags.measure == "local" else ray_rate(sources, cores))
        return
    first, second = sorted(os.sched_getaffinity(0))[:2]
    setups = {"local": [first], "ray 1": [first], "ray 2": [first, second]}
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = copies(Path(made) / "clips", flags.clips)
        rounds = [
            {name: measured(folder, name.split()[0], cores) for name, cores in setups.items()}
            for _ in range(flags.rounds)
        ]
    print(
        "| round | local, 1 core | Ray, 1 worker | Ray, 2 workers "
        "| 1 worker / local | 2 workers / 1 | overhead a file |"
    )
    print("|---|---|---|---|---|---|---|")
    for number, rate in enumerate(rounds, start=1):
        one, two = rate["ray 1"] / rate["local"], rate["ray 2"] / rate["ray 1"]
        overhead = 1000 * (1 / rate["ray 1"] - 1 / rate["local"])
        rates = " | ".join(f"{rate[name]:.2f}/s" for name in setups)
        print(f"| {number} | {rates} | {one:.2f} | {two:.2f} | {overhead:.0f} ms |")
    one = statistics.median(rate["ray 1"] / rate["local"] for rate in rounds)
    two = statistics.median(rate["ray 2"] / rate["ray 1"] for rate in rounds)
    print(f"\nMedian: one worker {one:.2f} of the local engine, two workers {two:.2f} times one.")


if __name__ == "__main__":
    main()
