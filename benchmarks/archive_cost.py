"""What an archive of one-minute clips costs: core-hours and gigabytes of results for a million of them.

    taskset -c 0 python benchmarks/archive_cost.py [--clips 6]

Clips are samples said over and over, 640x360, a face in most frames, two frames a second looked at. Run it
pinned to one core: seconds are then core-seconds. Loading and a first clip are left out, as an archive hides
them.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clips import looped, random_b4

from vidscan.api import load_models, with_runtimes
from vidscan.archive import open_dataset
from vidscan.bundled import FAST
from vidscan.engines import local
from vidscan.options import SamplingOptions, ScanOptions
from vidscan.records import Report, Source
from vidscan.report.document import Document, result_document
from vidscan.report.parquet_dataset import Scan, Stamped
from vidscan.sources import from_paths

MILLION = 1_000_000
NAMES = ("camera-move.mp4", "self-blended.mp4")


def scanned(
    sources: Sequence[Source], model: Path | None, sampling: SamplingOptions
) -> tuple[float, list[Report]]:
    """Seconds for a clip, and the reports."""
    models = load_models(model or FAST)
    options = with_runtimes(ScanOptions(sampling=sampling), models)
    list(local.scan_sources(sources[:1], options, models=models))
    started = time.perf_counter()
    reports = list(local.scan_sources(sources, options, models=models))
    assert all(report.error is None for report in reports)
    return (time.perf_counter() - started) / len(sources), reports


def varied(result: Document, rng: random.Random) -> Document:
    """A result whose scores and boxes are no other's, as copies would be pressed to nothing."""
    other = copy.deepcopy(result)
    for face in (face for point in other["timeline"] for face in point["faces"]):
        face["box"] = [round(side + rng.uniform(-9, 9), 1) for side in face["box"]]
        face |= {name: round(rng.random(), 6) for name in ("fake_probability", "detection_confidence")}
        face["quality"] = round(rng.random(), 3)
    for point in other["timeline"]:
        point["fake_probability"] = max(face["fake_probability"] for face in point["faces"])
    return other


def bytes_a_clip(reports: Sequence[Report], folder: Path) -> tuple[float, float]:
    """What a clip takes as JSON, and in a part of a Parquet dataset of a thousand."""
    results = [result_document(report) for report in reports]
    rng = random.Random(1)
    repeated = [varied(results[number % len(results)], rng) for number in range(1000)]
    dataset = open_dataset(str(folder / "out.parquet"), ScanOptions(), load_models(FAST), resume=False)
    dataset.append([Stamped(each, "1-2") for each in repeated], Scan("0", "m", None), datetime.now(UTC))
    taken = sum(path.stat().st_size for path in folder.rglob("*.parquet") if path.is_file())
    return sum(len(json.dumps(each)) for each in results) / len(results), taken / 1000


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="What a million one-minute clips cost.")
    parser.add_argument("--clips", type=int, default=6, help="one-minute clips scanned by each network (6)")
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = Path(made)
        paths = [
            looped(NAMES[number % len(NAMES)], 60, folder / f"{number}.mp4") for number in range(flags.clips)
        ]
        sources = from_paths(paths)
        print("| network | looked at | faces a clip | core-seconds a clip | core-hours a million |")
        print("|---|---|---|---|---|")
        for name, model, sampling in (
            ("lite2", None, SamplingOptions(2)),
            ("lite2", None, SamplingOptions(frames=16)),
            ("b4", random_b4(folder), SamplingOptions(2)),
        ):
            seconds, reports = scanned(sources, model, sampling)
            faces = sum(report.stats.faces_scored for report in reports) / len(reports)
            how = f"--frames {sampling.frames}" if sampling.frames else f"--fps {sampling.fps:g}"
            hours = seconds * MILLION / 3600
            print(f"| {name} | `{how}` | {faces:.0f} | {seconds:.2f} | {hours:,.0f} |")
            if name == "lite2" and sampling.frames is None:
                as_json, as_parquet = bytes_a_clip(reports, folder)
    gigabytes = ", ".join(
        f"{what} {size * MILLION / 1e9:.1f} GB" for what, size in (("JSON", as_json), ("Parquet", as_parquet))
    )
    print(f"\nResults of a million at two frames a second: {gigabytes}.")


if __name__ == "__main__":
    main()
