"""The networks that look at every face, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from vidscan.models.ensemble_card import ensemble_card
from vidscan.protocols import Scorer
from vidscan.records import Calibration, Geometry, ModelCard

AnyScorer = TypeVar("AnyScorer", bound=Scorer, covariant=True)


@dataclass(frozen=True, slots=True)
class Ensemble(Sequence[AnyScorer]):
    """The networks that look at every face, each at crops of its own geometry; often a single one.

    What they say is put together by ``probability.combine``, with the weights of their cards. It is a
    sequence of its members, and goes wherever models go.

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
