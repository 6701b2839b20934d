"""What enlarging a small face does to its score: why ``vidscan.faces.crops.resize`` changes its method.

    python benchmarks/small_faces.py [DATA]

DATA is the folder of research data (``../shared/data`` beside the repository). The portraits and clips of the
bundled checkpoint's validation split are reduced until a face has so many pixels, cut out, enlarged to the
network's input size bilinearly, bicubically, and as a scan does it, and scored. A clip counts by the mean
of the scores of 12 frames.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scenes.tables import table

import vidscan
from vidscan.faces import crops as enlarging
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media.ffmpeg.decode import stream_frames
from vidscan.media.frames import read_still
from vidscan.models.checkpoint import LoadedModel
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Image
from vidscan_training.crops.extract import LabelledSource, sources_from_folder, sources_from_manifest
from vidscan_training.crops.folder import CropRow
from vidscan_training.crops.split import SplitOptions, assign_splits
from vidscan_training.evaluation.metrics import auc

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIDES = (150, 110, 80, 64, 48)
"""Longer sides of faces, in pixels; what is smaller already is left out."""

FRAMES = 12
METHODS = {"bilinear": math.inf, "bicubic": 0.0, "as a scan": enlarging.MUCH_ENLARGED}
"""From which enlargement on the bicubic one is used."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A source of known truth, and faces in it."""

    fake: bool
    clip: bool
    faces: tuple[tuple[Image, Box], ...]


def validation(data: Path) -> list[LabelledSource]:
    """The validation split, dealt as in the bundled checkpoint's training."""
    listed = sources_from_manifest(data / "ffpp" / "manifest.csv", group_column="pair")
    for folder, label in (("ffhq512", "real"), ("ffhq256", "real"), ("stylegan256", "fake")):
        listed += sources_from_folder(data / "faces" / folder, label)
    rows = [
        CropRow("", each.label, each.method, each.group, str(each.path), 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
        for each in listed
    ]
    split = [row.split for row in assign_splits(rows, SplitOptions())]
    return [each for each, part in zip(listed, split, strict=True) if part == "val"]


def shown(source: LabelledSource, detector: FaceDetector) -> Shown:
    """A source with the largest face of each picture."""
    clip = source.path.suffix == ".mp4"
    pictures = (
        [image for _, image in islice(stream_frames(source.path, 1.0), FRAMES)]
        if clip
        else [read_still(source.path)]
    )
    faces = [
        (image, max((each.box for each in found), key=lambda box: box.longer_side))
        for image in pictures
        if (found := detector.detect(image))
    ]
    return Shown(source.label == "fake", clip, tuple(faces))


def scored(every: Sequence[Shown], side: int, model: LoadedModel) -> tuple[list[bool], list[float]]:
    """Of each source with large enough faces whether it is fake, and the mean logit at this size."""
    truth, scores = [], []
    for each in every:
        crops = [
            reduced_crop(image, box, side, model) for image, box in each.faces if box.longer_side >= side
        ]
        if crops:
            probability = np.clip(model.score(np.stack(crops)).astype(np.float64), 1e-6, 1 - 1e-6)
            truth.append(each.fake)
            scores.append(float(np.log(probability / (1 - probability)).mean()))
    return truth, scores


def reduced_crop(image: Image, box: Box, side: int, model: LoadedModel) -> Image:
    """The face as a scan would cut it out of a smaller picture."""
    height, width = image.shape[:2]
    scale = side / box.longer_side
    small = enlarging.resize(image, width=round(width * scale), height=round(height * scale))
    across, down = small.shape[1] / width, small.shape[0] / height
    placed = Box(box.x * across, box.y * down, box.w * across, box.h * down)
    return enlarging.upright_crop(small, placed, geometry=model.card.geometry)


def rows(every: Sequence[Shown], model: LoadedModel) -> Iterator[Sequence[str]]:
    """One row for each size and method."""
    for side in SIDES:
        for name, limit in METHODS.items():
            enlarging.MUCH_ENLARGED = limit
            truth, scores = scored(every, side, model)
            fake, score = np.array(truth), np.array(scores)
            yield (
                f"{side} px",
                name,
                str(len(fake)),
                f"{auc(fake, score):.3f}",
                _mean(score[~fake]),
                _mean(score[fake]),
            )


def _mean(scores: npt.NDArray[np.float64]) -> str:
    return f"{scores.mean():+.2f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="What enlarging a small face does to its score.")
    parser.add_argument("data", nargs="?", type=Path, default=DATA, metavar="DATA")
    flags = parser.parse_args(argv)
    model = vidscan.load_model()
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        every = [shown(source, detector) for source in validation(flags.data)]
    heads = ("face", "enlarged", "sources", "AUC", "mean logit, real", "mean logit, fake")
    for title, clips in (("Portraits:", False), ("Clips:", True)):
        table(title, heads, rows([each for each in every if each.clip == clips], model))


if __name__ == "__main__":
    main()
