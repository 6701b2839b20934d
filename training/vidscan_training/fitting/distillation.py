"""Targets softened by another network's opinion, so that a new network learns from it as well as from labels.

After G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015, at
temperature 1: with two classes, a score between the two says all that there is to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vidscan.faces.crops import resize
from vidscan_training.crops.folder import CropRow
from vidscan_training.data.batches import Batch
from vidscan_training.evaluation.scores import refuse_leaks, uncalibrated


class Teacher:
    """A trained detector that scores every training picture, augmented as the new network sees it."""

    def __init__(self, checkpoint: Path, weight: float, rows: Sequence[CropRow]) -> None:
        """Loads the checkpoint.

        Raises ModelError where the checkpoint is refused; UsageError where its card has people of the
        validation or test split in another.
        """
        from vidscan.models.checkpoint import load_model

        # The calibration was fitted on validation clips, and must not reach the training.
        self._model = uncalibrated(load_model(checkpoint))
        self.name, self._weight = str(self._model.card.name), weight
        for split in ("val", "test"):
            refuse_leaks(self._model.card, {row.group for row in rows if row.split == split}, split)

    def soften(self, batch: Batch) -> Batch:
        """``batch`` with targets ``(1 - weight) * label + weight * P(real)`` by the teacher."""
        side = self._model.card.input_size
        # Whole numbers from 0 to 255 are what augmentation put out, so nothing is lost.
        pictures = np.stack(
            [resize(image, width=side, height=side) for image in batch.inputs.astype(np.uint8)]
        )
        real = 1 - self._model.score(pictures)[:, None]
        target = (1 - self._weight) * batch.target + self._weight * real
        return batch._replace(target=target.astype(np.float32))
