"""What a training can be told: the options of ``vidscan-train fit``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vidscan.errors import UsageError
from vidscan.flags import flag, flags_of, part
from vidscan_training.crops.split import SplitOptions
from vidscan_training.data.augment_presets import PRESETS
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.fitting.build import Head
from vidscan_training.fitting.network import PHASES, PRECISIONS

DEFAULT_EPOCHS = {"head": 30, "last": 15, "full": 10}
DEFAULT_TERMS = "research use; see the terms of the training data"
_NETWORK: dict[str, Any] = {"group": "network"}
_LENGTH: dict[str, Any] = {"group": "length and learning rate"}
_DATA: dict[str, Any] = {"group": "data"}


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What to train, on what, and for how long; each field's help says what it is.

    ``images`` overrides ``epochs``, and ``minutes``, which counts steps alone and is not reproducible, both.
    ``average`` 0 keeps the last weights. ``keep`` ``last`` is for validation clips too few to choose an epoch
    by.
    """

    crops: Path = flag(help_text="folder made by 'vidscan-train crops'")
    output: Path = flag(help_text="folder for the results", name="out", metavar="RUN", required=True)
    name: str = flag("detector", "name of the checkpoint (default: detector)")
    resume: bool = flag(False, "go on from RUN/last.keras")
    backbone: str = flag("efficientnetb4", "default: efficientnetb4", **_NETWORK)
    head: Head = flag("reference", choices=get_args(Head), **_NETWORK)
    dropout: float = flag(0.5, "before the last layer (default: 0.5)", **_NETWORK)
    weights: str = flag("imagenet", "imagenet, none, or a weights file", **_NETWORK)
    initial: Path | None = flag(None, "go on from this checkpoint", metavar="CHECKPOINT", **_NETWORK)
    phase: str = flag("head", "what learns (default: head)", choices=PHASES, **_NETWORK)
    unfreeze: int = flag(20, "layers that 'last' unfreezes", metavar="N", **_NETWORK)
    precision: str = flag("float32", choices=PRECISIONS, **_NETWORK)
    teacher: Path | None = flag(None, "learn from its scores too", metavar="CHECKPOINT", **_NETWORK)
    teacher_weight: float = flag(0.5, "their share of a target (0.5)", **_NETWORK)
    epochs: int | None = flag(None, "default: 30 (head), 15 (last), 10 (full)", **_LENGTH)
    images: int | None = flag(None, "training pictures in all, instead of --epochs", **_LENGTH)
    minutes: float | None = flag(None, "training time in all, instead of --epochs", **_LENGTH)
    steps_per_epoch: int | None = flag(None, "batches between validations (default: one pass)", **_LENGTH)
    learning_rate: float | None = flag(None, "default: 1e-3 (head), 1e-4 (last), 4e-4 (full)", **_LENGTH)
    weight_decay: float = flag(0.02, **_LENGTH)
    label_smoothing: float = flag(0.0, **_LENGTH)
    map_loss: float = flag(0.0, "of a map of what was forged", metavar="WEIGHT", **_LENGTH)
    warmup: float = flag(0.1, "share of 'full' in which the rate rises", **_LENGTH)
    norm_momentum: float = flag(0.9, "of batch normalisation's statistics (default: 0.9)", **_LENGTH)
    keep: str = flag(
        "best", "the epoch that becomes the checkpoint (default: best)", choices=("best", "last"), **_LENGTH
    )
    average: float = flag(0.999, "decay of the average of the weights", **_LENGTH)
    sampling: SamplingOptions = part(SamplingOptions)
    augmentation: str = flag("robust", name="augment", choices=tuple(sorted(PRESETS)), **_DATA)
    split: SplitOptions = part(SplitOptions)
    val_per_clip: int = flag(6, "validation crops a clip, 0 for all", **_DATA)
    workers: int = flag(2, "threads that load crops (default: 2)", **_DATA)
    seed: int = flag(0, **_DATA)
    terms: str = flag(DEFAULT_TERMS, "terms of use of the checkpoint", group="card")
    data: str = flag("", "what it was trained on (default: the methods' names)", group="card")

    def __post_init__(self) -> None:
        """Refuses what cannot be trained, before anything is read."""
        for name, declared in flags_of(FitOptions).items():
            if declared.choices and (value := getattr(self, name)) not in declared.choices:
                known = ", ".join(declared.choices)
                raise UsageError(f"--{declared.name or name} must be one of {known}, not '{value}'")
        for name in ("epochs", "images", "minutes", "steps_per_epoch", "learning_rate", "workers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"--{name.replace('_', '-')} must be above 0")
        if not self.map_loss >= 0:
            raise UsageError("--map-loss cannot be negative")
        if not 0 <= self.average < 1:
            raise UsageError("--average must be at least 0 and below 1")
        if not 0 <= self.teacher_weight <= 1:
            raise UsageError("--teacher-weight must be from 0 to 1")

    def compilation(self) -> dict[str, float]:
        """Keyword arguments of :func:`vidscan_training.fitting.network.compile_network`."""
        return {
            "weight_decay": self.weight_decay,
            "label_smoothing": self.label_smoothing,
            "map_loss": self.map_loss,
        }
