"""EfficientNetB4 at 380 px from crops to a measured checkpoint, in one command and a given time.

    python -m vidscan_training.recipes.b4 CROPS OUT [--weights imagenet|PATH|none] [--teacher CHECKPOINT]
    [--tiny]

For an NVIDIA GPU with JAX and Keras; TensorFlow is not needed, and JAX is chosen where it is missing. The
crops are made elsewhere by ``vidscan-train crops --size 380``. Four stages, each through the same functions
that ``vidscan-train`` calls: a head on the frozen base, from cached features; a few steps of full training,
which tell how many pictures fit into the time left; the full training, whose weights are stored in float16
if that keeps the scores; calibration and figures on the validation split. ``--tiny`` goes the same way with
a small network and a few steps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np

from vidscan.errors import UsageError, VidscanError
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.reader import CropReader
from vidscan_training.crops.split import SplitOptions, assign_splits, spread_over_clips
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.evaluation.calibrate import CalibrateOptions, calibrate_checkpoint
from vidscan_training.evaluation.calibrate import as_text as calibration_text
from vidscan_training.evaluation.evaluate import EvaluateOptions, evaluate
from vidscan_training.fitting.build import Head
from vidscan_training.fitting.checkpointing import STATE_NAME
from vidscan_training.fitting.loop import fit
from vidscan_training.fitting.options import FitOptions
from vidscan_training.recipes.half_precision import MAX_CHANGE, store_in_half

NAME = "vidscan-b4"

METHOD_WEIGHTS: Mapping[str, float] = {"stylegan256": 1.2, "ffhq512": 0.6, "ffhq256": 0.5}
RESOLUTIONS: Mapping[str, tuple[float, float] | str] = {
    "ffhq512": (120.0, 300.0),
    "ffhq256": (120.0, 260.0),
    "stylegan256": (120.0, 260.0),
}
"""How often portraits are drawn, and to which sides they are reduced; those that are missing are left out."""

MAX_PASSES = 60
"""Upper limit on how often full training sees each crop, however much time there is."""

TRAINING_SHARE = 0.7
"""Share of the time left that full training's steps may take. Compiling, its validations, calibration and the
figures have the rest."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is.

    ``copies`` of each crop are cached for the head, which learns for ``head_epochs`` at most. The full
    training is validated ``validations`` times; the trial before it has two epochs of ``trial_steps``.
    ``max_images`` limits the full training; None does not.
    """

    backbone: str = "efficientnetb4"
    batch_size: int = 32
    copies: int = 3
    head_epochs: int = 12
    trial_steps: int = 30
    validations: int = 8
    val_per_clip: int = 6
    max_images: int | None = None


FULL = Scale()
TINY = Scale("efficientnetb0", 4, 1, 2, 3, 2, 2, max_images=32)


@dataclass
class Recipe:
    """The stages, in the order in which :meth:`run` calls them."""

    crops: Path
    output: Path
    weights: str = "imagenet"
    head: Head = "reference"
    teacher: Path | None = None
    minutes: float = 22.0
    scale: Scale = FULL
    began: float = field(default_factory=time.perf_counter)

    def run(self) -> Path:
        """Goes through all stages and returns the path of the checkpoint."""
        checkpoint = self.train_all(self.train_head())
        self.halve(checkpoint)  # first, so that what is measured is what is kept
        self.measure(checkpoint)
        self.say(f"done: {checkpoint}")
        return checkpoint

    def train_head(self) -> Path | None:
        """Trains a new head on the frozen base, where that makes sense, and returns the checkpoint."""
        if self.weights == "none" or self.head == "region":
            self.say("no head is trained first: that needs a trained base, and features that are pooled")
            return None
        self.say(f"head of {self.scale.backbone} from features of {self.scale.copies} views of each crop")
        options = replace(
            self._options("head", self.output / "head"),
            weights=self.weights,
            cache_features=self.scale.copies,
            epochs=self.scale.head_epochs,
        )
        return fit(options)

    def train_all(self, initial: Path | None) -> Path:
        """Trains all layers, for as many pictures as fit, and returns the checkpoint."""
        options = self._options("full", self.output / "trial")
        options = replace(options, initial=initial, weights=self.weights, map_loss=1.0, teacher=self.teacher)
        steps, batch = self.scale.trial_steps, self.scale.batch_size
        self.say(f"trial of all layers: 2 x {steps} steps of {batch} pictures")
        fit(replace(options, steps_per_epoch=steps, images=2 * steps * batch))
        trial = json.loads((options.output / STATE_NAME).read_text("utf-8"))
        shutil.rmtree(options.output)
        images = self._images(trial["seconds"] / (trial["step"] - 1))  # the first one compiled, untimed
        options = replace(
            options,
            output=self.output / "full",
            images=images,
            steps_per_epoch=-(-images // (batch * self.scale.validations)),
        )
        return fit(options)

    def halve(self, checkpoint: Path) -> None:
        """Stores the weights in float16 where that keeps the scores."""
        folder = open_crop_folder(self.crops)
        rows = assign_splits(folder.rows, split_of(self.crops))
        places = [place for place, row in enumerate(rows) if row.split == "val"]
        places = spread_over_clips(places, rows, self.scale.val_per_clip)
        reader = CropReader(folder)
        change = store_in_half(checkpoint, np.stack([reader(place) for place in places[:128]]))
        kept = "so they are" if change <= MAX_CHANGE else "so they stay in float32"
        self.say(f"weights in float16 would change a score by up to {change:.1e}, {kept}")

    def measure(self, checkpoint: Path) -> None:
        """Calibrates the checkpoint, and measures it, on the validation split."""
        self.say("calibration and figures, on the validation clips alone")
        card = calibrate_checkpoint(CalibrateOptions(checkpoint, self.crops))
        self.say(calibration_text(card).replace("\n", "; "))
        report = self.output / "validation.md"
        result = evaluate(EvaluateOptions(checkpoint, self.crops, split="val", reports=[report], record=True))
        clips = result["clips"]
        self.say(f"validation clips: AUC {clips['auc']:.3f}, EER {clips['eer']:.3f}; all figures: {report}")

    def say(self, text: str) -> None:
        """Prints a line with the minutes since the beginning."""
        print(f"[{self._seconds() / 60:5.1f} min] {text}", file=sys.stderr, flush=True)

    def _seconds(self) -> float:
        return time.perf_counter() - self.began

    def _options(self, phase: str, output: Path) -> FitOptions:
        known = {row.method for row in open_crop_folder(self.crops).rows}
        sampling = SamplingOptions(
            batch_size=self.scale.batch_size,
            method_weights={name: value for name, value in METHOD_WEIGHTS.items() if name in known},
            match_resolution={name: value for name, value in RESOLUTIONS.items() if name in known},
            self_blend=0.25,
            swap_blend=0.4,
        )
        return FitOptions(
            crops=self.crops,
            output=output,
            name=NAME,
            backbone=self.scale.backbone,
            head=self.head,
            phase=phase,
            sampling=sampling,
            augmentation="broad",
            split=split_of(self.crops),
            weight_decay=0.05,
            label_smoothing=0.05,
            precision="mixed_bfloat16",
            val_per_clip=self.scale.val_per_clip,
            workers=os.cpu_count() or 2,
        )

    def _images(self, step_s: float) -> int:
        """How many pictures fit into the time left where a step takes ``step_s`` seconds."""
        rows = assign_splits(open_crop_folder(self.crops).rows, split_of(self.crops))
        count = sum(row.split == "train" for row in rows)
        left, batch = 60 * self.minutes - self._seconds(), self.scale.batch_size
        fitting = max(0, int(TRAINING_SHARE * left / step_s)) * batch
        if fitting < 2 * batch * self.scale.validations:
            raise UsageError(
                f"no time is left to train in: of {self.minutes:g} minutes {left / 60:.1f} remain; "
                "give more with --minutes"
            )
        images = min(fitting, MAX_PASSES * count, self.scale.max_images or fitting)
        self.say(
            f"{batch / step_s:.1f} pictures a second; {fitting} fit into {left / 60:.1f} minutes, "
            f"{images} are trained on ({images / count:.1f} passes)"
        )
        return images


def split_of(crops: Path) -> SplitOptions:
    """The default split, or where the manifest names every split, that one, with or without a test."""
    stated = {row.split for row in open_crop_folder(crops, check_files=False).rows}
    return SplitOptions() if stated & {"", "test"} else SplitOptions(test=0.0)


def choose_backend(output: Path) -> None:
    """Chooses JAX where TensorFlow is missing, unless the user chose; must come before Keras is imported."""
    if "KERAS_BACKEND" not in os.environ and find_spec("tensorflow") is None:
        os.environ["KERAS_BACKEND"] = "jax"
    # What the trial compiles, the training after it need not compile again.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(output.resolve() / "compiled"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m vidscan_training.recipes.b4",
        description="EfficientNetB4 from crops to a measured checkpoint.",
    )
    parser.add_argument("crops", type=Path, metavar="CROPS", help="made by 'vidscan-train crops --size 380'")
    parser.add_argument("out", type=Path, metavar="OUT", help="new folder for the results")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none, or a weights file")
    parser.add_argument("--head", choices=get_args(Head), default="reference")
    parser.add_argument("--teacher", type=Path, metavar="CHECKPOINT", help="learn from its scores too")
    parser.add_argument("--minutes", type=float, default=22.0, help="all stages together (22)")
    parser.add_argument("--tiny", action="store_true", help="a small network and a few steps")
    flags = parser.parse_args(argv)
    choose_backend(flags.out)
    scale = TINY if flags.tiny else FULL
    recipe = Recipe(flags.crops, flags.out, flags.weights, flags.head, flags.teacher, flags.minutes, scale)
    try:
        print(recipe.run())
    except VidscanError as error:
        print(f"b4_recipe: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
