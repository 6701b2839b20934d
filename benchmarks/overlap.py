"""How much longer a scan takes than scoring its crops alone: what decoding and detection add.

    python benchmarks/overlap.py [CLIP ...] [--model b4] [--model lite2]

Without a clip, one minute of a sample. The model is loaded and warmed up beforehand by a scan, which also
gives the crops; then scans and scoring alone take turns. Both use the runtime that a scan takes by default.
``CPU, ratio`` compares processor time, ffmpeg's included: about what is left where no core is ever idle. It
holds on a busy machine too, which a ratio of wall times does not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from clips import looped, random_b4

import vidscan
from vidscan.batching import batch_crops
from vidscan.faces import MediaPipeFaceDetector
from vidscan.ledger import Ledger, read_crops
from vidscan.options import DetectionOptions, SamplingOptions, ScanOptions
from vidscan.records import CropBatch
from vidscan.scoring import Ensemble, Scorer, score_batches
from vidscan.sources import from_paths


def processor_seconds() -> float:
    """Used by this process and by its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def batches_of(paths: Sequence[Path], options: ScanOptions, scorer: Scorer) -> list[CropBatch]:
    """The very batches that a scan makes of these clips."""
    geometries, stop = [scorer.card.geometry], threading.Event()
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        crops = read_crops(
            from_paths(paths),
            options=options,
            geometries=geometries,
            least_face=scorer.card.least_face,
            detector=detector,
            ledger=Ledger(),
            observer=None,
            stop=stop,
        )
        found = list(batch_crops(crops, sizes=[scorer.card.input_size], options=options.batching, stop=stop))
    return [batch for batch in found if batch.mask.any()]


def row(name: str, scorer: Scorer, paths: Sequence[Path], options: ScanOptions, rounds: int) -> str:
    """Measures one model and gives the table's row."""
    batches = batches_of(paths, options, scorer)
    faces = sum(int(batch.mask.sum()) for batch in batches)
    whole, alone, busy, spent = [], [], [], []
    for round_ in range(rounds + 1):
        started, before = time.perf_counter(), processor_seconds()
        reports = list(vidscan.scan_many(paths, fps=options.sampling.fps, model=scorer))
        scanned, between = time.perf_counter(), processor_seconds()
        for _ in score_batches(batches, Ensemble((scorer,))):
            pass
        scored = time.perf_counter()
        if round_:  # the first one warms up
            whole.append(scanned - started)
            alone.append(scored - scanned)
            busy.append((between - before) / (processor_seconds() - between))
            spent.append(reports)
    assert all(sum(report.stats.faces_scored for report in each) == faces for each in spent)
    stages = [
        sum(getattr(report.stats.seconds, stage) for report in spent[-1])
        for stage in ("decode", "detect", "wait", "score")
    ]
    shown = " | ".join(f"{seconds:.2f} s" for seconds in stages)
    return (
        f"| {name} | {faces} | {median(alone):.2f} s | {median(whole):.2f} s | "
        f"{median(whole) / median(alone):.2f} | {median(busy):.2f} | {shown} |"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times a scan against scoring the same crops alone.")
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--model", action="append", choices=["b4", "lite2"], help="which (both)")
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=2)
    flags = parser.parse_args(argv)
    options = replace(ScanOptions(), sampling=SamplingOptions(flags.fps))
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        paths = flags.clips or [looped("camera-move.mp4", 60, Path(folder) / "minute.mp4")]
        print(
            "| model | crops | scoring alone | scan | ratio | CPU, ratio | decode | detect | wait | score |\n"
            "|---|---|---|---|---|---|---|---|---|---|"
        )
        for name in flags.model or ["b4", "lite2"]:
            scorer = vidscan.load_model(random_b4(Path(folder)) if name == "b4" else None)
            print(row(name, scorer, paths, options, flags.rounds), flush=True)


if __name__ == "__main__":
    main()
