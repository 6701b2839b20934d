"""The networks that look at every face, as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from vidscan.models.calibration import LOGIT_LIMIT
from vidscan.probability import average, combine
from vidscan.protocols import Scorer
from vidscan.records import Calibration, Geometry, ModelCard, member_names

AnyScorer = TypeVar("AnyScorer", bound=Scorer, covariant=True)


@dataclass(frozen=True, slots=True)
class Ensemble(Sequence[AnyScorer]):
    """The networks that look at every face, each at crops of its own geometry; often a single one.

    What they say is put together by ``probability.combine``, with the weights of their cards or, of a still,
    with those that a detector card has for it. It is a sequence of its members, and goes wherever models go.

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

    def together(self, scores: Sequence[float], *, still: bool) -> float:
        """P(fake) of one face of a still or of a clip, 0-1, from what each member says of it, in order."""
        rule = self.detector.stills if still and self.detector is not None else None
        if rule is not None:
            return combine(scores, rule.weights, rule.calibration)
        return combine(scores, self.weights, self.calibration)

    @property
    def weights(self) -> tuple[float, ...]:
        """Each member's say, above 0."""
        return tuple(member.card.ensemble_weight for member in self.members)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """How faces must be cut out for the members; what several of them want is listed once."""
        return tuple(dict.fromkeys(each for member in self.members for each in member.card.geometries))

    @property
    def least_face(self) -> int:
        """Longer side in pixels from which a face can be judged: by every member, if no card says it."""
        return self.card.least_face


def ensemble_card(cards: Sequence[ModelCard]) -> ModelCard:
    """The card of the combined score of one or more members (see ``probability.combine``); one has its own.

    Each threshold is the weighted mean of the members' thresholds, taken of their logits as that of the
    scores is: a face that every member finds beyond its own threshold is then beyond this one too. The
    ensemble is uncalibrated if any member is. ``input_size``, ``margin``, ``least_face`` and ``least_detail``
    are the largest of the members', the card is ``level`` where all of them are, and has ``mouth`` where any
    has.
    """
    if len(cards) == 1:
        return cards[0]
    weights, names = [card.ensemble_weight for card in cards], member_names(cards)
    own = Calibration(1.0, 0.0, "each member by its own card; the combination itself was not fitted")

    def told(field: str) -> str:
        said = {name: getattr(card, field) for name, card in zip(names, cards, strict=True)}
        return "; ".join(f"{name}: {text}" for name, text in said.items() if text)

    return ModelCard(
        name=" + ".join(names),
        backbone="ensemble",
        input_size=max(card.input_size for card in cards),
        margin=max(card.margin for card in cards),
        level=all(card.level for card in cards),
        least_face=max(card.least_face for card in cards),
        least_detail=max(card.least_detail for card in cards),
        quantisation="int8" if all(card.quantisation == "int8" for card in cards) else "none",
        mouth=any(card.mouth for card in cards),
        positive_class="fake",
        fake_threshold=_average_threshold([card.fake_threshold for card in cards], weights),
        real_threshold=_average_threshold([card.real_threshold for card in cards], weights),
        calibration=None if any(card.calibration is None for card in cards) else own,
        terms=told("terms"),
        data=told("data"),
        limits=f"{_COMBINED} {told('limits')}".rstrip(),
    )


_COMBINED = (
    "Scores and thresholds are the weighted means of the members', taken of their logits; "
    "how well the members do together was not measured."
)


def _average_threshold(thresholds: Sequence[float], weights: Sequence[float]) -> float:
    """A threshold of 0 or 1, which no score reaches, has no logit; that of ``LOGIT_LIMIT`` does as well."""
    least = 1.0 / (1.0 + math.exp(LOGIT_LIMIT))
    return average([min(max(threshold, least), 1.0 - least) for threshold in thresholds], weights)
