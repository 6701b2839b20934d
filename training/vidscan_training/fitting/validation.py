"""Measures a network on the validation split while it trains: cheap, order-safe, by clip and by method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan_training.crops.folder import CropFolder, CropRow
from vidscan_training.crops.reader import CropReader, in_order
from vidscan_training.crops.split import spread_over_clips
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.metrics import comparable_reals

_LOGIT_LIMIT = 8.0
"""Logits are clipped to this before they are averaged: one saturated crop may not decide for a clip."""


class Validation:
    """The validation rows of a folder, a few of each clip, ready to be scored again and again."""

    def __init__(
        self, folder: CropFolder, rows: Sequence[CropRow], *, per_clip: int, batch_size: int, workers: int = 2
    ) -> None:
        """Chooses the rows; ``rows`` are the folder's with their split, ``per_clip`` 0 takes all."""
        self._reader = CropReader(folder)
        self._batch_size, self._workers = batch_size, workers
        self.places = spread_over_clips(
            [i for i, row in enumerate(rows) if row.split == "val"], rows, per_clip
        )
        self.rows = [rows[place] for place in self.places]
        self._against = comparable_reals(self.rows)

    def measure(self, network: Any) -> dict[str, float | None]:
        """Scores all rows with ``network`` (float32, P(real)) and returns the figures by name."""
        logit = self._fake_logits(network)
        fake = np.array([row.label == "fake" for row in self.rows])
        clips = clip_means(self.rows, logit)
        clip_logit, clip_fake, methods = map(np.array, zip(*clips.values(), strict=True))
        figures = {
            "clip_auc": metrics.auc(clip_fake, clip_logit),
            "crop_auc": metrics.auc(fake, logit),
            "log_loss": metrics.log_loss(clip_fake, 1 / (1 + np.exp(-clip_logit))),
            "crop_log_loss": metrics.log_loss(fake, 1 / (1 + np.exp(-logit))),
        }
        for method, reals in self._against.items():
            chosen = (methods == method) | np.isin(methods, sorted(reals))
            figures[f"auc_{method}"] = metrics.auc(clip_fake[chosen], clip_logit[chosen])
        return figures

    def _fake_logits(self, network: Any) -> npt.NDArray[np.float64]:
        starts = range(0, len(self.places), self._batch_size)
        batches = in_order(self._pictures, starts, workers=self._workers)
        found = [np.asarray(network.predict_on_batch(batch), np.float64)[:, 0] for batch in batches]
        probability = np.clip(np.concatenate(found)[: len(self.places)], 1e-7, 1 - 1e-7)
        return np.asarray(
            np.clip(np.log1p(-probability) - np.log(probability), -_LOGIT_LIMIT, _LOGIT_LIMIT), np.float64
        )

    def _pictures(self, start: int) -> npt.NDArray[np.float32]:
        """The batch from ``start`` on, a whole one: a new shape would mean a new compilation."""
        pictures = np.stack([self._reader(place) for place in self.places[start : start + self._batch_size]])
        padded = np.zeros((self._batch_size, *pictures.shape[1:]), np.float32)
        padded[: len(pictures)] = pictures
        return padded


def clip_means(rows: Sequence[CropRow], logit: npt.NDArray[np.float64]) -> dict[str, tuple[float, bool, str]]:
    """Mean logit, truth (True: fake) and method of each clip."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        members[row.clip].append(i)
    return {
        clip: (float(logit[places].mean()), rows[places[0]].label == "fake", rows[places[0]].method)
        for clip, places in members.items()
    }
