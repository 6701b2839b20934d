"""Times the head phase with and without cached features, on the same crops.

    python benchmarks/feature_cache.py CROPS --weights lite2.weights.h5

Takes some training and validation crops of a folder made by ``vidscan-train crops`` and trains the same new
head with and without a cache, for several seeds. An epoch's time is from its first batch to its figures:
training and validation, not saving. The first epoch, which compiles, is left out. AUCs are those of the
validation crops at the best epoch, mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median, stdev

from training.fit import FitOptions, SamplingOptions, SplitOptions, fit
from training.progress import StepClock
from training.subset import subset


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one training: seconds an epoch (median), seconds before the first batch, and the best crop AUC."""

    epoch_s: float
    before_s: float
    auc: float


def measure(options: FitOptions) -> Measured:
    """Trains and times."""
    clock, began = StepClock(), time.perf_counter()
    fit(options, clock)
    epochs = [figures - started for started, figures in zip(clock.starts, clock.epochs, strict=True)]
    auc = max(record["crop_auc"] for record in clock.records)
    return Measured(median(epochs[1:]), clock.starts[0] - began, auc)


def row(options: FitOptions, copies: int, seeds: int) -> str:
    """Trains with and without the cache, once for each seed, and gives the table's row."""
    shown, cached = [], []
    for seed in range(seeds):
        once = replace(options, seed=seed, output=options.output / f"shown{seed}")
        shown.append(measure(once))
        once = replace(once, output=options.output / f"cached{seed}", cache_features=copies)
        cached.append(measure(once))
    slow, fast = (median(each.epoch_s for each in runs) for runs in (shown, cached))
    making = median(each.before_s for each in cached) - median(each.before_s for each in shown)
    aucs = [spread([each.auc for each in runs]) for runs in (shown, cached)]
    return f"| {slow:.2f} s | {fast:.3f} s | {slow / fast:.0f} | {making:.0f} s | {aucs[0]} | {aucs[1]} |"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times the head phase with and without cached features.")
    parser.add_argument("crops", type=Path, metavar="CROPS")
    parser.add_argument("--backbone", default="lite2")
    parser.add_argument("--weights", default="none", help="imagenet, none, or a weights file")
    parser.add_argument("--train", type=int, default=200, help="training crops (200)")
    parser.add_argument("--val", type=int, default=100, help="validation crops (100)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--copies", type=int, default=4, help="cached views of each crop (4)")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--augment", default="moderate")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of either kind (3)")
    parser.add_argument("--self-blend", type=float, default=0.25)
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        options = FitOptions(
            crops=subset(flags.crops, Path(folder) / "crops", {"train": flags.train, "val": flags.val}),
            output=Path(folder),
            backbone=flags.backbone,
            weights=flags.weights,
            phase="head",
            sampling=SamplingOptions(flags.batch_size, self_blend=flags.self_blend),
            augmentation=flags.augment,
            split=SplitOptions(test=0.0),  # a subset names its splits, and has no crops for the test
            epochs=flags.epochs,
            average=0.9,  # of so few steps, more would hold on to the first weights
            val_per_clip=0,
        )
        measured = row(options, flags.copies, flags.seeds)
    print("| epoch | epoch, cached | ratio | making the cache | val AUC | val AUC, cached |")
    print("|---|---|---|---|---|---|")
    print(measured)


if __name__ == "__main__":
    main()
