"""What a training can be told: the options of ``vidscan-train fit``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidscan.errors import UsageError
from vidscan_training.crops.split import SplitOptions
from vidscan_training.data.augment_presets import PRESETS
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.fitting.network import PHASES, PRECISIONS

DEFAULT_EPOCHS = {"head": 30, "last": 15, "full": 10}
KEPT = ("best", "last")
DEFAULT_TERMS = "research use; see the terms of the training data"


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What to train, on what, and for how long.

    Attributes:
        crops: the crop folder.
        output: the run's folder.
        name: of the final checkpoint.
        backbone: see ``vidscan_training.fitting.backbones.BACKBONES``.
        head: ``reference`` or ``linear``.
        weights: what the backbone starts from: ``imagenet``, ``none`` or a weights file.
        initial: a checkpoint to go on from, instead of a new network.
        phase: ``head``, ``last`` or ``full``; see ``networks.choose_trainable``.
        unfreeze: layers that ``last`` unfreezes.
        images: training pictures in all; overrides ``epochs``.
        minutes: training time in all (steps alone); overrides both, and is not reproducible.
        steps_per_epoch: batches between two validations; one pass over the crops if None.
        map_loss: weight of the forgery map's loss beside the score's; 0 trains without a map.
        learning_rate: where to start from (head, last) or to rise to (full).
        norm_momentum: of batch normalisation's statistics; see ``networks.set_normalisation_momentum``.
        cache_features: augmented copies of each crop that ``head`` is trained on, seen by the base but once
            (see :mod:`vidscan_training.fitting.feature_cache`); 0 shows the base every picture anew.
        teacher: a checkpoint whose scores become part of the targets (see
            :mod:`vidscan_training.fitting.distillation`).
        teacher_weight: the teacher's share of a target, 0-1; the label has the rest.
        average: decay of the weights' moving average; 0 keeps the last weights.
        keep: whose weights become the checkpoint: those of the ``best`` epoch on validation, or of the
            ``last`` one, where the validation clips are too few to choose by.
        val_per_clip: validation crops of each clip, 0 for all.
    """

    crops: Path
    output: Path
    name: str = "detector"
    backbone: str = "efficientnetb4"
    head: str = "reference"
    dropout: float = 0.5
    weights: str = "imagenet"
    initial: Path | None = None
    phase: str = "head"
    unfreeze: int = 20
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    augmentation: str = "robust"
    split: SplitOptions = field(default_factory=SplitOptions)
    epochs: int | None = None
    images: int | None = None
    minutes: float | None = None
    steps_per_epoch: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.02
    label_smoothing: float = 0.0
    map_loss: float = 0.0
    clip_norm: float = 1.0
    warmup: float = 0.1
    norm_momentum: float = 0.9
    average: float = 0.999
    keep: str = "best"
    cache_features: int = 0
    teacher: Path | None = None
    teacher_weight: float = 0.5
    precision: str = "float32"
    val_per_clip: int = 6
    workers: int = 2
    seed: int = 0
    resume: bool = False
    terms: str = DEFAULT_TERMS
    data: str = ""

    def __post_init__(self) -> None:
        """Refuses what cannot be trained, before anything is read."""
        if self.phase not in PHASES or self.precision not in PRECISIONS:
            raise UsageError(
                f"--phase must be one of {', '.join(PHASES)}; --precision of {', '.join(PRECISIONS)}"
            )
        if self.keep not in KEPT:
            raise UsageError(f"--keep must be one of {', '.join(KEPT)}, not '{self.keep}'")
        if self.augmentation not in PRESETS:
            raise UsageError(f"--augment must be one of {', '.join(PRESETS)}, not '{self.augmentation}'")
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
        self._check_cache()

    def _check_cache(self) -> None:
        if self.cache_features < 0:
            raise UsageError("--cache-features cannot be negative")
        if self.cache_features and self.phase != "head":
            raise UsageError(f"--cache-features needs a frozen base: --phase head, not {self.phase}")
        if self.cache_features and (self.map_loss > 0 or self.teacher is not None):
            raise UsageError(
                "--cache-features trains without pictures, which --map-loss and --teacher need: "
                "leave one of them out"
            )

    def compilation(self) -> dict[str, float]:
        """Keyword arguments of ``networks.compile_network``."""
        return {
            "weight_decay": self.weight_decay,
            "label_smoothing": self.label_smoothing,
            "clip_norm": self.clip_norm,
            "map_loss": self.map_loss,
        }
