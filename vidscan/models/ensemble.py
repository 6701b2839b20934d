"""CropBatch -> ScoredBatch, through one or several of what keeps the :class:`Scorer` promise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.models.card_file import ensemble_card
from vidscan.records import Calibration, CropBatch, Geometry, Image, ModelCard, ScoredBatch


class Scorer(Protocol):
    """A network ready to score, with the card that says how to feed it."""

    @property
    def card(self) -> ModelCard:
        """Geometry, class convention, calibration and thresholds."""
        ...

    def score(self, crops: Image) -> npt.NDArray[np.float32]:
        """P(fake), ``float32[n]``, of RGB ``uint8[n, size, size, 3]`` crops."""
        ...


AnyScorer = TypeVar("AnyScorer", bound=Scorer, covariant=True)


@dataclass(frozen=True, slots=True)
class Ensemble(Sequence[AnyScorer]):
    """The networks that look at every face, each at crops of its own geometry; often a single one.

    What they say is put together by ``evidence.combine``, with the weights of their cards. It is a sequence
    of its members, and goes wherever models go.

    ``detector`` is the detector card that was fitted for exactly these members, None where there is none;
    then the weights on the members' cards are those that it gives them.
    """

    members: tuple[AnyScorer, ...]
    detector: ModelCard | None = None

    @classmethod
    def of(cls, models: Sequence[AnyScorer]) -> Ensemble[AnyScorer]:
        """The models as an ensemble; what is one already is given back, with its detector card."""
        return models if isinstance(models, Ensemble) else cls(tuple(models))

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, place: int) -> AnyScorer: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[AnyScorer, ...]: ...
    def __getitem__(self, place: int | slice) -> AnyScorer | tuple[AnyScorer, ...]:
        return self.members[place]

    @property
    def card(self) -> ModelCard:
        """What holds for the combined score: the detector card, a single member's, or one put together."""
        return self.detector or ensemble_card([member.card for member in self.members])

    @property
    def calibration(self) -> Calibration | None:
        """What scales the members' mean logit; None where nobody fitted it."""
        return None if self.detector is None else self.detector.calibration

    @property
    def member_cards(self) -> tuple[ModelCard, ...]:
        """The members' cards as reports list them: none where one model is all there is."""
        return tuple(member.card for member in self.members) if len(self.members) > 1 else ()

    @property
    def weights(self) -> tuple[float, ...]:
        """Each member's say, above 0."""
        return tuple(member.card.ensemble_weight for member in self.members)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """How faces must be cut out for the members; what several of them want is listed once."""
        return tuple(dict.fromkeys(member.card.geometry for member in self.members))

    @property
    def least_face(self) -> int:
        """Longer side in pixels from which a face can be judged: by every member, if no card says it."""
        return self.card.least_face


def score_batches(batches: Iterable[CropBatch], ensemble: Ensemble[Scorer]) -> Iterator[ScoredBatch]:
    """Scores batch after batch, in order, by every member.

    Args:
        batches: padded batches of crops, their ``images`` in the order of ``ensemble.geometries``.
        ensemble: the network or networks.

    Yields:
        Each batch with ``fake_probability`` ``float32[n, members]``; padding holds 0.

    Raises:
        ScoringError: a network failed, or gave something that is no probability.
    """
    places = [ensemble.geometries.index(member.card.geometry) for member in ensemble.members]
    waited, asked = 0.0, time.perf_counter()
    for batch in batches:
        started = time.perf_counter()
        waited += started - asked
        probability = np.zeros((len(batch.mask), len(ensemble.members)), np.float32)
        filled, computed = int(batch.mask.sum()), 0
        if filled:
            computed = _rows_to_score(filled, len(batch.mask))
            for column, (member, place) in enumerate(zip(ensemble.members, places, strict=True)):
                probability[:filled, column] = member.score(batch.images[place][:computed])[:filled]
                _refuse_no_probability(probability[:, column], member.card)
        yield ScoredBatch(batch, probability, time.perf_counter() - started, waited, computed)
        waited, asked = 0.0 if filled else waited, time.perf_counter()


def _refuse_no_probability(scores: npt.NDArray[np.float32], card: ModelCard) -> None:
    if not np.all((scores >= 0) & (scores <= 1)):  # written so that NaN fails as well
        raise ScoringError(
            f"{card.name}: the network gave a score that is no probability: "
            "the checkpoint is damaged; fetch it again or name another with --model"
        )


def _rows_to_score(filled: int, batch_size: int) -> int:
    """Rows of a batch worth computing: the next power of two up to 8, then the next multiple of 8.

    One still should not cost a whole batch, yet each new shape costs the runtime some preparation, so
    there are few. Padding sits at the end of a batch.
    """
    wanted = 1 << (filled - 1).bit_length() if filled <= 8 else -(-filled // 8) * 8
    return min(wanted, batch_size)
