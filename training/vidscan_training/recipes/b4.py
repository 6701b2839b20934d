"""EfficientNetB4 at 380 px from crops to a measured checkpoint, in one command and a given time.

    python -m vidscan_training.recipes.b4 CROPS OUT [--weights imagenet|PATH|none] [--teacher CHECKPOINT]
    [--tiny]

For an NVIDIA GPU with JAX and Keras; TensorFlow is not needed, and JAX is chosen where it is missing. The
crops are made elsewhere by ``vidscan-train crops --size 380``. Four stages, each through the same functions
that ``vidscan-train`` calls: a head on the frozen base, from cached features; a few steps of full training,
which tell how many pictures fit into the time left; the full training, whose weights are stored in float16
if that keeps the scores; calibration and figures on the validation split. ``--tiny`` goes the same way with
a small network and a few crops.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vidscan.errors import VidscanError
from vidscan_training.crops.folder import CropFolder, open_crop_folder
from vidscan_training.crops.reader import CropReader
from vidscan_training.crops.split import assign_splits, spread_over_clips
from vidscan_training.crops.subset import subset
from vidscan_training.evaluation.calibrate import CalibrateOptions, calibrate_checkpoint
from vidscan_training.evaluation.calibrate import as_text as calibration_text
from vidscan_training.evaluation.evaluate import EvaluateOptions, evaluate
from vidscan_training.fitting.half_precision import LARGEST_CHANGE, store_in_half
from vidscan_training.fitting.loop import FitOptions, SamplingOptions, SplitOptions, fit
from vidscan_training.fitting.pace import Pace, pace_of, steps_that_fit
from vidscan_training.fitting.progress import StepClock

NAME = "vidscan-b4"

METHOD_WEIGHTS: Mapping[str, float] = {"stylegan256": 1.2, "ffhq512": 0.6, "ffhq256": 0.5}
RESOLUTIONS: Mapping[str, tuple[float, float] | str] = {
    "ffhq512": (120.0, 300.0),
    "ffhq256": (120.0, 260.0),
    "stylegan256": (120.0, 260.0),
}
"""How often portraits are drawn, and to which sides they are reduced; those that are missing are left out."""

MOST_PASSES = 60
"""Full training sees each crop this often at most, however much time there is."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is.

    ``copies`` of each crop are cached for the head, which learns for ``head_epochs`` at most. The full
    training is validated ``validations`` times; the trial before it has two epochs of ``trial_steps``.
    ``most_images`` limits the full training, ``crops`` the crops of each split; None does not.
    """

    backbone: str = "efficientnetb4"
    batch_size: int = 32
    copies: int = 3
    head_epochs: int = 12
    trial_steps: int = 30
    validations: int = 8
    val_per_clip: int = 6
    most_images: int | None = None
    crops: int | None = None


FULL = Scale()
TINY = Scale("efficientnetb0", 4, 1, 2, 3, 2, 2, most_images=32, crops=16)


@dataclass
class Recipe:
    """The stages, in the order in which :meth:`run` calls them."""

    crops: Path
    output: Path
    weights: str = "imagenet"
    head: str = "reference"
    teacher: Path | None = None
    minutes: float = 22.0
    scale: Scale = FULL
    began: float = field(default_factory=time.perf_counter)

    def run(self) -> Path:
        """Goes through all stages and returns the path of the checkpoint."""
        if self.scale.crops is not None:
            self._take_few_crops()
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
        clock, began = StepClock(), time.perf_counter()
        fit(replace(options, steps_per_epoch=steps, images=2 * steps * batch), clock)
        shutil.rmtree(options.output)
        images = self._images(pace_of(clock, began))
        options = replace(
            options,
            output=self.output / "full",
            images=images,
            steps_per_epoch=-(-images // (batch * self.scale.validations)),
        )
        return fit(options)

    def halve(self, checkpoint: Path) -> None:
        """Stores the weights in float16 where that keeps the scores."""
        folder, places = self._validation()
        reader = CropReader(folder)
        change = store_in_half(checkpoint, np.stack([reader(place) for place in places[:128]]))
        kept = "so they are" if change <= LARGEST_CHANGE else "so they stay in float32"
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

    def _take_few_crops(self) -> None:
        assert self.scale.crops is not None
        counts = {"train": self.scale.crops, "val": self.scale.crops}
        self.crops = subset(self.crops, self.output / "crops", counts, split_of(self.crops))

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

    def _validation(self) -> tuple[CropFolder, list[int]]:
        """The crops, and which of them validation sees."""
        folder = open_crop_folder(self.crops)
        rows = assign_splits(folder.rows, split_of(self.crops))
        places = [place for place, row in enumerate(rows) if row.split == "val"]
        return folder, spread_over_clips(places, rows, self.scale.val_per_clip)

    def _images(self, pace: Pace) -> int:
        folder, seen = self._validation()
        rows = assign_splits(folder.rows, split_of(self.crops))
        counts = {split: sum(row.split == split for row in rows) for split in ("train", "val")}
        left = 60 * self.minutes - self._seconds()
        steps = steps_that_fit(pace, left, self.scale.validations, counts["val"] / len(seen))
        fitting = steps * self.scale.batch_size
        limits = [MOST_PASSES * counts["train"], self.scale.most_images or fitting]
        images = min(fitting, *limits)
        self.say(
            f"{self.scale.batch_size / pace.step:.1f} pictures a second; {fitting} fit into "
            f"{left / 60:.1f} minutes, {images} are trained on ({images / counts['train']:.1f} passes)"
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
    parser.add_argument("--head", choices=("reference", "linear", "region"), default="reference")
    parser.add_argument("--teacher", type=Path, metavar="CHECKPOINT", help="learn from its scores too")
    parser.add_argument("--minutes", type=float, default=22.0, help="all stages together (22)")
    parser.add_argument("--tiny", action="store_true", help="a small network, a few crops and steps")
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
