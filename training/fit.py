"""Trains a network on a crop folder: ``fit(options)`` and the steps that it is made of.

Runs under any Keras backend, and loads none before a network is built. A run is a folder:
``last.keras`` (to resume from), ``best.keras`` (averaged weights of the best epoch), ``history.csv``,
``manifest.csv`` (with the split that was used) and, at the end, ``NAME.keras`` with its card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.augment import preset
from training.dataset import SamplingOptions, TrainingBatches
from training.fit_options import DEFAULT_EPOCHS, FitOptions
from training.manifest import CropFolder, CropRow, open_crop_folder, write_manifest
from training.networks import (
    choose_trainable,
    compile_network,
    map_cells,
    peak_rate,
    read_network,
    scoring_part,
    seed_dropout,
    set_normalisation_momentum,
    with_map_head,
    with_precision,
)
from training.progress import StepDisplay
from training.resume import LAST_NAME, Progress, load_progress, save_progress, write_history
from training.schedule import Plateau, WeightAverage, warmed_cosine
from training.split import SplitOptions, assign_splits, split_record
from training.validation import Validation
from vidscan.errors import ModelError, UsageError
from vidscan.records import ModelCard

__all__ = ["FitOptions", "SamplingOptions", "SplitOptions", "fit"]


@dataclass
class _Run:
    """All parts of a training in progress.

    ``averaged`` is a float32 copy of the network with averaged weights, ``serving`` its scoring part.
    """

    options: FitOptions
    folder: CropFolder
    rows: tuple[CropRow, ...]
    batches: TrainingBatches
    validation: Validation
    network: Any
    averaged: Any
    serving: Any
    average: WeightAverage
    progress: Progress

    @property
    def steps_per_epoch(self) -> int:
        return self.options.steps_per_epoch or self.batches.steps_per_pass

    @property
    def total_steps(self) -> int:
        """Batches in all; without meaning where a time was given."""
        if self.options.images is not None:
            return math.ceil(self.options.images / self.options.sampling.batch_size)
        return (self.options.epochs or DEFAULT_EPOCHS[self.options.phase]) * self.steps_per_epoch

    @property
    def fraction(self) -> float:
        """How much of the training is done, 0-1."""
        if self.options.minutes is not None:
            return min(1.0, self.progress.seconds / (60 * self.options.minutes))
        return min(1.0, self.progress.step / self.total_steps)

    @property
    def finished(self) -> bool:
        early = self.options.phase != "full" and self.progress.plateau.exhausted
        return self.fraction >= 1 or early

    def rate(self) -> float:
        """Learning rate of the next step."""
        if self.options.phase != "full":
            return self.progress.plateau.rate
        peak = self.options.learning_rate or peak_rate("full")
        return warmed_cosine(self.fraction, peak, self.options.warmup)


def fit(options: FitOptions) -> Path:
    """Trains as ``options`` say and returns the path of the final checkpoint.

    Raises:
        UsageError: the options contradict each other or the run's folder.
        SourceError: the crop folder is malformed.
        ModelError: the checkpoint to start from is refused.
    """
    run = _prepare(options)
    display = StepDisplay()
    while not run.finished:
        started = run.progress.step
        loss = _train_epoch(run, display)
        run.averaged.set_weights(run.average.weights)
        figures = run.validation.measure(run.serving)
        _record_epoch(run, loss, figures, run.progress.step - started)
        display.epoch(run.progress.history[-1])
        save_progress(options.output, run.network, run.average, run.progress)
    return _finish(run)


def _prepare(options: FitOptions) -> _Run:
    # Loader threads share the cores with training; OpenCV's own threads would only compete with both.
    cv2.setNumThreads(1)
    folder = open_crop_folder(options.crops)
    rows = assign_splits(folder.rows, options.split)
    validation = Validation(
        folder,
        rows,
        per_clip=options.val_per_clip,
        batch_size=options.sampling.batch_size,
        workers=options.workers,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    network, average, progress = _resumed(options) if options.resume else _started(options, folder)
    batches = TrainingBatches(
        folder,
        [i for i, row in enumerate(rows) if row.split == "train"],
        replace(options.sampling, seed=options.seed),
        preset(options.augmentation),
        map_cells(network),
    )
    write_manifest(options.output / "manifest.csv", rows)
    averaged = with_precision(network, "float32")
    return _Run(
        options,
        folder,
        rows,
        batches,
        validation,
        network,
        averaged,
        scoring_part(averaged),
        average,
        progress,
    )


def _started(options: FitOptions, folder: CropFolder) -> tuple[Any, WeightAverage, Progress]:
    if (options.output / LAST_NAME).exists():
        raise UsageError(f"{options.output} holds a training already; go on with --resume, or name another")
    size = folder.geometry.input_size
    network = _initial_network(options, size)
    if tuple(network.input_shape[1:3]) != (size, size):
        raise UsageError(f"the network takes {network.input_shape[1]} px, but the crops have {size}")
    if options.map_loss > 0:
        network = with_map_head(network)
    network = with_precision(network, options.precision)
    choose_trainable(network, options.phase, options.unfreeze)
    set_normalisation_momentum(network, options.norm_momentum)
    compile_network(network, options.phase, **options.compilation())
    plateau = Plateau(options.learning_rate or peak_rate(options.phase))
    average = WeightAverage(network.get_weights(), options.average)
    return network, average, Progress(plateau, fingerprint=_fingerprint(options))


def _initial_network(options: FitOptions, size: int) -> Any:
    from vidscan.model import build_network
    from vidscan.startup import import_keras

    import_keras().utils.set_random_seed(options.seed)
    if options.initial is not None:
        return read_network(options.initial)
    named = {"imagenet": "imagenet", "none": None}
    weights = named[options.weights] if options.weights in named else Path(options.weights)
    return build_network(
        options.backbone,
        input_size=size,
        head=options.head,  # type: ignore[arg-type]
        dropout=options.dropout,
        weights=weights,  # type: ignore[arg-type]
    )


def _resumed(options: FitOptions) -> tuple[Any, WeightAverage, Progress]:
    network, average, progress = load_progress(
        options.output, options.phase, decay=options.average, **options.compilation()
    )
    changed = [
        name for name, value in _fingerprint(options).items() if progress.fingerprint.get(name) != value
    ]
    if changed:
        raise UsageError(
            f"--resume needs the options it was started with; these differ: {', '.join(changed)}"
        )
    return network, average, progress


def _fingerprint(options: FitOptions) -> dict[str, Any]:
    """Options that a continued training must share with its beginning."""
    return {
        "phase": options.phase,
        "backbone": options.backbone,
        "batch_size": options.sampling.batch_size,
        "precision": options.precision,
        "map_loss": options.map_loss,
        "seed": options.seed,
        "split": asdict(options.split),
    }


def _train_epoch(run: _Run, display: StepDisplay) -> float:
    """Trains to the next validation; returns the mean loss of its batches."""
    progress = run.progress
    seed_dropout(run.network, run.options.seed, progress.epoch)
    total = math.inf if run.options.minutes is not None else run.total_steps
    stop = int(min(progress.step + run.steps_per_epoch, total))
    losses = []
    steps, batch_size = stop - progress.step, run.options.sampling.batch_size
    for loss in display.watch(_steps(run, stop), progress.epoch + 1, steps, batch_size, run.rate):
        losses.append(loss)
        if not math.isfinite(loss) and run.options.precision != "mixed_float16":
            raise ModelError(
                f"the loss became {loss} at step {progress.step}; lower --learning-rate and start again"
            )
    progress.epoch += 1
    return float(np.mean(losses))


def _steps(run: _Run, stop: int) -> Iterator[float]:
    """Trains batch by batch up to step ``stop``, or until the time is up; yields each batch's loss."""
    progress, first = run.progress, run.network.train_function is None
    stream = run.batches.stream(progress.step, stop, workers=run.options.workers)
    try:
        for batch in stream:
            began = time.perf_counter()
            run.network.optimizer.learning_rate = run.rate()
            loss = run.network.train_on_batch(batch.image, batch.targets, sample_weight=batch.sample_weights)
            progress.step += 1
            if run.average.due(progress.step):
                run.average.update(run.network.get_weights(), progress.step)
            if not first:  # the first step compiles, which says nothing about the speed of the others
                progress.seconds += time.perf_counter() - began
            first = False
            yield float(np.asarray(loss).reshape(-1)[0])
            if run.options.minutes is not None and run.fraction >= 1:
                return
    finally:
        stream.close()


def _record_epoch(run: _Run, loss: float, figures: dict[str, float | None], steps: int) -> None:
    progress = run.progress
    record = {
        "epoch": progress.epoch,
        "step": progress.step,
        "images": progress.step * run.options.sampling.batch_size,
        "minutes": round(progress.seconds / 60, 2),
        "learning_rate": run.rate(),
        "loss": loss,
        **figures,
    }
    progress.history.append(record)
    progress.plateau.update(float(figures["crop_log_loss"] or 0.0))
    if not progress.best or _merit(record) > _merit(progress.best):
        progress.best = record
        partial = run.options.output / "best.partial.keras"
        run.serving.save(partial, include_optimizer=False)
        partial.replace(run.options.output / "best.keras")
    write_history(run.options.output / "history.csv", progress.history)


def _merit(record: dict[str, Any]) -> tuple[float, float]:
    """Ranks epochs: by the mean of the manipulations' clip AUCs on validation, ties by log loss.

    The mean, since one manipulation with many clips (stills, say) would outvote the others.
    """
    by_method = [value for name, value in record.items() if name.startswith("auc_") and value is not None]
    return (round(sum(by_method) / len(by_method), 4) if by_method else 0.0, -record["log_loss"])


def _finish(run: _Run) -> Path:
    """Writes the best epoch's network as the checkpoint, with its card."""
    from vidscan.model import save_checkpoint
    from vidscan.startup import import_keras

    options = run.options
    best = import_keras().saving.load_model(options.output / "best.keras", compile=False)
    path = options.output / f"{options.name}.keras"
    save_checkpoint(best, path, _card(run))
    return path


def _card(run: _Run) -> ModelCard:
    options, geometry = run.options, run.folder.geometry
    methods = sorted({f"{row.method} ({row.label})" for row in run.rows})
    return ModelCard(
        name=options.name,
        backbone=_backbone_name(options, run.network),
        input_size=geometry.input_size,
        margin=geometry.margin,
        positive_class="real",
        terms=options.terms,
        data=options.data or f"face crops of {', '.join(methods)}",
        split=split_record(run.rows, options.split),
        metrics={"validation": dict(run.progress.best)},
    )


def _backbone_name(options: FitOptions, network: Any) -> str:
    """The backbone asked for, or where training went on from a checkpoint, that one's.

    It stands in the checkpoint's card; without one, in the name that ``build_network`` gave.
    """
    from vidscan.backbones import BACKBONES
    from vidscan.cards import card_path, read_card

    if options.initial is None:
        return options.backbone
    if (card := card_path(options.initial)).is_file():
        return read_card(card).backbone
    name = str(network.name).rsplit("_", 1)[0]
    return name if name in BACKBONES else "unknown"
