"""Arithmetic on probabilities: scores are averaged as logits, never as probabilities.

Scores are calibrated by a function that is affine in the logit (see ``records.Calibration``), so averaging
there
is averaging the evidence, be it that of one person's faces or that of an ensemble's members for one face;
and it makes no difference which of the two is averaged first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vidscan.records import Calibration

CLIP_AT = 0.005
"""Scores nearer than this to 0 or 1 count as this near, so that one crop cannot carry a whole clip, nor
one member an ensemble."""


def clipped(probability: float) -> float:
    """``probability`` (0-1), but no nearer to 0 or 1 than ``CLIP_AT``."""
    return min(max(probability, CLIP_AT), 1.0 - CLIP_AT)


def average(probabilities: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The sigmoid of the mean logit.

    Args:
        probabilities: one or more, above 0 and below 1.
        weights: as many, above 0; None counts all alike.
    """
    weights = [1.0] * len(probabilities) if weights is None else weights
    return sigmoid(mean_logit(probabilities, weights))


def mean_logit(probabilities: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted mean of log-odds; probabilities lie above 0 and below 1, weights above 0."""
    pairs = zip(probabilities, weights, strict=True)
    return math.fsum(weight * math.log(p / (1.0 - p)) for p, weight in pairs) / math.fsum(weights)


def sigmoid(logit: float) -> float:
    """The probability of a logit, rounded: what is exactly a threshold stays one there and back."""
    # A card's calibration may ask for any logit; beyond 40 nothing is left to be told after rounding.
    return round(1.0 / (1.0 + math.exp(-min(max(logit, -40.0), 40.0))), 9)


def combine(
    members: Sequence[float], weights: Sequence[float], calibration: Calibration | None = None
) -> float:
    """What the members of an ensemble say together about one face.

    The weighted mean of their calibrated logits, each clipped by ``CLIP_AT``, turned back into a
    probability: the logarithmic opinion pool (C. Genest and J. Zidek, "Combining probability
    distributions", 1986). A calibrated logit is the log of the odds: a member that is unsure (0.5) adds
    evidence for neither side, and one that is sure is heard better than in a mean of probabilities.
    Thresholds are combined in the same way (see ``models.ensemble_card``), so members that agree about
    a face are never overruled.

    Args:
        members: P(fake) by each member, 0-1.
        weights: as many, above 0, from the cards; only their ratios matter.
        calibration: a detector card's, fitted on the mean logit; None leaves that as it is.

    Returns:
        P(fake), 0-1; a single member's is given back as it is, to the last bit.
    """
    if len(members) == 1:
        return members[0]
    logit = mean_logit([clipped(probability) for probability in members], weights)
    return sigmoid(logit if calibration is None else calibration.slope * logit + calibration.intercept)
