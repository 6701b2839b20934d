"""CropBatch -> ScoredBatch, through anything that keeps the :class:`Scorer` promise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.records import CropBatch, Image, ModelCard, ScoredBatch


class Scorer(Protocol):
    """A network ready to score, with the card that says how to feed it."""

    @property
    def card(self) -> ModelCard:
        """Geometry, class convention, calibration and thresholds."""
        ...

    def score(self, crops: Image) -> npt.NDArray[np.float32]:
        """P(fake), ``float32[n]``, of RGB ``uint8[n, size, size, 3]`` crops."""
        ...


def score_batches(batches: Iterable[CropBatch], scorer: Scorer) -> Iterator[ScoredBatch]:
    """Scores batch after batch, in order.

    Args:
        batches: padded batches of crops at the scorer's input size.
        scorer: the network.

    Yields:
        Each batch with ``fake_probability`` ``float32[n, 1]``; padding holds 0.

    Raises:
        ScoringError: the network failed, or gave something that is no probability.
    """
    for batch in batches:
        started = time.perf_counter()
        probability = np.zeros((len(batch.mask), 1), np.float32)
        filled = int(batch.mask.sum())
        if filled:
            computed = _rows_to_score(filled, len(batch.mask))
            probability[:filled, 0] = scorer.score(batch.image[:computed])[:filled]
        if not np.all((probability >= 0) & (probability <= 1)):
            raise ScoringError(
                f"{scorer.card.name}: the network gave a score that is no probability: "
                "the checkpoint is damaged; fetch it again or name another with --model"
            )
        yield ScoredBatch(batch, probability, time.perf_counter() - started)


def _rows_to_score(filled: int, batch_size: int) -> int:
    """Rows of a batch worth computing: the next power of two.

    One still should not cost a whole batch, yet each new shape costs the runtime some preparation;
    powers of two keep the number of shapes small. Padding sits at the end of a batch.
    """
    return min(1 << (filled - 1).bit_length(), batch_size)
