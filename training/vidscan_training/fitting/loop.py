"""Trains a network on a crop folder: ``fit(options)`` and the steps that it is made of.

Runs under any Keras backend, and loads none before a network is built. A run is a folder:
``last.keras`` (to resume from), ``best.keras`` (averaged weights of the best epoch), ``history.csv``,
``manifest.csv`` (with the split that was used) and, at the end, ``NAME.keras`` with its
card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vidscan.errors import ModelError
from vidscan.records import ModelCard
from vidscan.system.files import replacing
from vidscan_training.crops.split import split_record
from vidscan_training.fitting.checkpointing import save_progress, write_history
from vidscan_training.fitting.network import seed_dropout
from vidscan_training.fitting.options import FitOptions
from vidscan_training.fitting.progress import print_epoch, shown
from vidscan_training.fitting.run import Run, prepare

SAVE_EVERY_S = 10.0
"""Seconds that pass at least between two savings: a whole network is written each time."""


def fit(options: FitOptions) -> Path:
    """Trains as ``options`` say and returns the path of the final checkpoint.

    Raises:
        UsageError: the options contradict each other or the run's folder.
        SourceError: the crop folder is malformed.
        ModelError: the checkpoint to start from is refused.
    """
    run = prepare(options)
    while not run.finished:
        loss = _train_epoch(run)
        run.networks.averaged.set_weights(run.average.weights)
        _record_epoch(run, loss, run.validation.measure(run.networks.serving))
        print_epoch(run.progress.history[-1])
        if run.finished or time.monotonic() - run.saved_at >= SAVE_EVERY_S:
            _save(run)
    return _finish(run)


def _train_epoch(run: Run) -> float:
    """Trains to the next validation; returns the mean loss of its batches."""
    progress = run.progress
    seed_dropout(run.networks.whole, run.options.seed, progress.epoch)
    total = math.inf if run.options.minutes is not None else run.total_steps
    stop = int(min(progress.step + run.steps_per_epoch, total))
    losses = []
    steps, batch_size = stop - progress.step, run.options.sampling.batch_size
    for loss in shown(_steps(run, stop), progress.epoch + 1, steps, batch_size, run.rate):
        losses.append(loss)
        if not math.isfinite(loss) and run.options.precision != "mixed_float16":
            raise ModelError(
                f"the loss became {loss} at step {progress.step}; lower --learning-rate and start again"
            )
    progress.epoch += 1
    return float(np.mean(losses))


def _steps(run: Run, stop: int) -> Iterator[float]:
    """Trains batch by batch up to step ``stop``, or until the time is up; yields each batch's loss."""
    progress, networks = run.progress, run.networks
    first = networks.trained.train_function is None
    stream = run.batches.stream(progress.step, stop, workers=run.options.workers)
    try:
        for batch in stream:
            began = time.perf_counter()
            if run.teacher is not None:
                batch = run.teacher.soften(batch)
            networks.whole.optimizer.learning_rate = run.rate()
            inputs = batch.inputs
            if networks.base is not None:
                inputs = np.asarray(networks.base.predict_on_batch(inputs), np.float32)
            loss = networks.trained.train_on_batch(inputs, batch.targets, sample_weight=batch.sample_weights)
            progress.step += 1
            if run.average.due(progress.step):
                run.average.update(networks.trained.get_weights(), progress.step)
            if not first:  # the first step compiles, which says nothing about the speed of the others
                progress.seconds += time.perf_counter() - began
            first = False
            yield float(np.asarray(loss).reshape(-1)[0])
            if run.options.minutes is not None and run.fraction >= 1:
                return
    finally:
        stream.close()


def _record_epoch(run: Run, loss: float, figures: dict[str, float | None]) -> None:
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
    if run.options.keep == "last" or not progress.best or _merit(record) > _merit(progress.best):
        progress.best = record
        run.best_weights = [np.array(array) for array in run.average.weights]


def _save(run: Run) -> None:
    """Writes the run's files, ``last.keras`` last: it must not tell of a best epoch that is not saved yet."""
    output = run.options.output
    if run.best_weights is not None:
        run.networks.averaged.set_weights(run.best_weights)
        with replacing(output / "best.keras") as partial:
            run.networks.serving.save(partial, include_optimizer=False)
        run.best_weights = None
    write_history(output / "history.csv", run.progress.history)
    save_progress(output, run.networks.whole, run.average, run.progress)
    run.saved_at = time.monotonic()


def _merit(record: dict[str, Any]) -> tuple[float, float]:
    """Ranks epochs: by the mean of the manipulations' clip AUCs on validation, ties by log loss.

    The mean, since one manipulation with many clips (stills, say) would outvote the others.
    """
    by_method = [value for name, value in record.items() if name.startswith("auc_") and value is not None]
    return (round(sum(by_method) / len(by_method), 4) if by_method else 0.0, -record["log_loss"])


def _finish(run: Run) -> Path:
    """Writes the best epoch's network as the checkpoint, with its card."""
    from vidscan.models.checkpoint import save_checkpoint
    from vidscan.system.frameworks import import_keras

    options = run.options
    best = import_keras().saving.load_model(options.output / "best.keras", compile=False)
    path = options.output / f"{options.name}.keras"
    save_checkpoint(best, path, _card(run))
    return path


def _card(run: Run) -> ModelCard:
    options, geometry = run.options, run.folder.geometry
    methods = sorted({f"{row.method} ({row.label})" for row in run.rows})
    taught = f"; taught by {run.teacher.name}" if run.teacher is not None else ""
    return ModelCard(
        name=options.name,
        backbone=_backbone_name(options, run.networks.whole),
        input_size=geometry.input_size,
        margin=geometry.margin,
        level=geometry.level,
        positive_class="real",
        terms=options.terms,
        data=options.data or f"face crops of {', '.join(methods)}{taught}",
        split=split_record(run.rows, options.split),
        metrics={"validation": dict(run.progress.best)},
    )


def _backbone_name(options: FitOptions, network: Any) -> str:
    """The backbone asked for, or where training went on from a checkpoint, that one's.

    It stands in the checkpoint's card; without one, in the name that ``build_network`` gave.
    """
    from vidscan.models.card_file import card_path, read_card
    from vidscan_training.fitting.backbones import BACKBONES

    if options.initial is None:
        return options.backbone
    if (card := card_path(options.initial)).is_file():
        return read_card(card).backbone
    name = str(network.name).rsplit("_", 1)[0]
    return name if name in BACKBONES else "unknown"
