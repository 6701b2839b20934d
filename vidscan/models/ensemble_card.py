"""The card of an ensemble whose members have no card together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vidscan.models.calibration import LOGIT_LIMIT
from vidscan.probability import average
from vidscan.records import Calibration, ModelCard, member_names


def ensemble_card(cards: Sequence[ModelCard]) -> ModelCard:
    """The card of the combined score of one or more members (see ``probability.combine``); one has its own.

    Each threshold is the weighted mean of the members' thresholds, taken of their logits as that of the
    scores is: a face that every member finds beyond its own threshold is then beyond this one too. The
    ensemble is uncalibrated if any member is. ``input_size``, ``margin`` and ``least_face`` are the largest
    of the members', and the card is ``level`` where all of them are.
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
        quantisation="int8" if all(card.quantisation == "int8" for card in cards) else "none",
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
