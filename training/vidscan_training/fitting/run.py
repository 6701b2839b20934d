"""Puts a training together: made anew, or read back to go on with."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.system.files import sha256_of
from vidscan_training.crops.folder import CropFolder, CropRow, open_crop_folder, write_manifest
from vidscan_training.crops.split import assign_splits
from vidscan_training.data.augment_presets import PRESETS
from vidscan_training.data.batches import TrainingBatches
from vidscan_training.fitting.checkpointing import LAST_NAME, Progress, load_progress
from vidscan_training.fitting.distillation import Teacher
from vidscan_training.fitting.network import (
    PEAK_RATES,
    choose_trainable,
    compile_like,
    compile_network,
    feature_part,
    head_part,
    map_cells,
    scoring_part,
    set_normalisation_momentum,
    with_map_head,
    with_precision,
)
from vidscan_training.fitting.options import DEFAULT_EPOCHS, FitOptions
from vidscan_training.fitting.schedule import Plateau, WeightAverage, warmed_cosine
from vidscan_training.fitting.validation import Validation


@dataclass(frozen=True, slots=True)
class Networks:
    """One network in its several roles; those of one precision share layers and weights.

    ``whole`` is compiled and saved to go on from; ``trained`` is what learns: all of it, or its head alone.
    ``base`` is what pictures pass through before such a head; None without one. ``averaged`` is a float32
    copy of ``trained`` that takes the averaged weights, and ``serving`` the network around it, which is
    validated and becomes the checkpoint.
    """

    whole: Any
    trained: Any
    base: Any
    averaged: Any
    serving: Any


@dataclass
class Run:
    """All parts of a training in progress.

    ``best_weights`` are those of ``networks.averaged`` at the best epoch, None once they are in
    ``best.keras``.
    """

    options: FitOptions
    folder: CropFolder
    rows: tuple[CropRow, ...]
    batches: TrainingBatches
    validation: Validation
    teacher: Teacher | None
    networks: Networks
    average: WeightAverage
    progress: Progress
    best_weights: list[npt.NDArray[np.float32]] | None = None
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def steps_per_epoch(self) -> int:
        """Batches between two validations."""
        return self.options.steps_per_epoch or self.batches.sampler.steps_per_pass

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
        """Whether nothing is left to train, or nothing is gained by it any more."""
        early = self.options.phase != "full" and self.progress.plateau.exhausted
        return self.fraction >= 1 or early

    def rate(self) -> float:
        """Learning rate of the next step."""
        if self.options.phase != "full":
            return self.progress.plateau.rate
        peak = self.options.learning_rate or PEAK_RATES["full"]
        return warmed_cosine(self.fraction, peak, self.options.warmup)


def prepare(options: FitOptions) -> Run:
    """Opens the crops, builds or reads the network, and makes the run's folder.

    Raises:
        UsageError: the options contradict each other, the crops or the run's folder.
        SourceError: the crop folder is malformed.
        ModelError: a checkpoint is refused.
    """
    # Loader threads share the cores with training; OpenCV's own threads would only compete with both.
    cv2.setNumThreads(1)
    folder = open_crop_folder(options.crops)
    rows = assign_splits(folder.rows, options.split)
    size, workers = options.sampling.batch_size, options.workers
    validation = Validation(folder, rows, per_clip=options.val_per_clip, batch_size=size, workers=workers)
    teacher = None if options.teacher is None else Teacher(options.teacher, options.teacher_weight, rows)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.resume:
        network, average, progress = _resume(options)
    else:
        network, progress = _start(options, folder)
        average = WeightAverage(_trained_part(network, options).get_weights(), options.average)
    exact = with_precision(network, "float32")
    train = [place for place, row in enumerate(rows) if row.split == "train"]
    sampling, augmentation = replace(options.sampling, seed=options.seed), PRESETS[options.augmentation]
    batches = TrainingBatches(folder, train, sampling, augmentation, map_cells(network))
    write_manifest(options.output / "manifest.csv", rows)
    networks = _networks(network, exact, options)
    return Run(options, folder, rows, batches, validation, teacher, networks, average, progress)


def _networks(network: Any, exact: Any, options: FitOptions) -> Networks:
    """The roles of ``network``, compiled, and of ``exact``, its float32 copy."""
    trained, averaged = _trained_part(network, options), _trained_part(exact, options)
    apart = trained is not network
    if apart:
        compile_like(trained, network)
    return Networks(
        whole=network,
        trained=trained,
        base=feature_part(network) if apart else None,
        averaged=averaged,
        serving=scoring_part(exact),
    )


def _trained_part(network: Any, options: FitOptions) -> Any:
    """What learns. A head is trained apart: so its base is frozen in all, stochastic depth included.

    With a forgery map beside it, which looks at features before they are pooled, it cannot be.
    """
    return head_part(network) if options.phase == "head" and options.map_loss == 0 else network


def _start(options: FitOptions, folder: CropFolder) -> tuple[Any, Progress]:
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
    plateau = Plateau(options.learning_rate or PEAK_RATES[options.phase])
    return network, Progress(plateau, fingerprint=_fingerprint(options))


def _initial_network(options: FitOptions, size: int) -> Any:
    from vidscan.models.checkpoint import load_model
    from vidscan.system.frameworks import import_keras
    from vidscan_training.fitting.build import build_network

    import_keras().utils.set_random_seed(options.seed)
    if options.initial is not None:
        return load_model(options.initial).network
    named = {"imagenet": "imagenet", "none": None}
    weights = named[options.weights] if options.weights in named else Path(options.weights)
    return build_network(
        options.backbone,
        input_size=size,
        head=options.head,
        dropout=options.dropout,
        weights=weights,  # type: ignore[arg-type]
    )


def _resume(options: FitOptions) -> tuple[Any, WeightAverage, Progress]:
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
        "teacher": None if options.teacher is None else [sha256_of(options.teacher), options.teacher_weight],
        "seed": options.seed,
        "split": asdict(options.split),
    }
