"""CropBatch -> ScoredBatch, by one or several networks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.models.ensemble import Ensemble
from vidscan.protocols import Scorer
from vidscan.records import CropBatch, ModelCard, ScoredBatch


def score_batches(batches: Iterable[CropBatch], ensemble: Ensemble[Scorer]) -> Iterator[ScoredBatch]:
    """Scores batch after batch by every member; ``images`` come in the order of ``ensemble.geometries``.

    Raises ScoringError where a network failed, or gave something that is no probability.
    """
    wanted = [
        [ensemble.geometries.index(geometry) for geometry in member.card.geometries]
        for member in ensemble.members
    ]
    waited, asked = 0.0, time.perf_counter()
    for batch in batches:
        started = time.perf_counter()
        waited += started - asked
        filled, computed = len(batch.faces), 0
        probability = np.zeros((filled, len(ensemble.members)), np.float32)
        if filled:
            for column, (member, places) in enumerate(zip(ensemble.members, wanted, strict=True)):
                rows = filled if _row_by_row(member) else _padded(filled, len(batch.images[0]))
                computed = max(computed, rows)
                crops, *mouths = (batch.images[place][:rows] for place in places)
                probability[:, column] = member.score(crops, *mouths)[:filled]
                _refuse_no_probability(probability[:, column], member.card)
        yield ScoredBatch(batch, probability, time.perf_counter() - started, waited, computed)
        waited, asked = 0.0 if filled else waited, time.perf_counter()


def _refuse_no_probability(scores: npt.NDArray[np.float32], card: ModelCard) -> None:
    if not np.all((scores >= 0) & (scores <= 1)):  # written so that NaN fails as well
        raise ScoringError(
            f"{card.name}: the network gave a score that is no probability: "
            "the checkpoint is damaged; fetch it again or name another with --model"
        )


def _row_by_row(member: Scorer) -> bool:
    """Whether the network's runtime takes one crop at a time, so that it needs no padding."""
    runtime = getattr(member, "runtime", None)
    return runtime is not None and runtime.name == "onnx"


def _padded(filled: int, batch_size: int) -> int:
    """Rows of a batch worth computing: the next power of two up to 8, then the next multiple of 8.

    One still should not cost a whole batch, yet each new shape costs the runtime some preparation, so
    there are few. Padding sits at the end of a batch.
    """
    wanted = 1 << (filled - 1).bit_length() if filled <= 8 else -(-filled // 8) * 8
    return min(wanted, batch_size)
