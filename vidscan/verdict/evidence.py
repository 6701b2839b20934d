"""Combines the scores of several people, and measures the uncertainty of one person's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import variance

from vidscan.records import TYPICAL_SPREAD, Interval

TAIL = 2.0
"""How fast high odds are taken to become rare among genuine people, as an exponent. Measured, by both
networks on sources left out: about 1.7 in 776 portraits (4.8% have odds above 2.7, 0.8% above 7.4) and 1.2 in
137 clips. So groups of six are called FAKE 1.4 and 2.5 times as often as one person (training/README.md);
lower exponents make up for little of that, and find fewer fakes among several people."""

_PRIOR_SIGHTINGS = 4
"""Number of sightings that the typical spread counts for beside the person's own."""

_TYPICAL_LIKENESS = 0.3
"""Assumed correlation of successive sightings. Frames 0.8 s apart showed none on validation clips; denser
ones are more alike, and the person's own sightings then outweigh this."""

_TWO_SIDED_95 = 1.96
"""Standard deviations of a normal distribution on either side that hold 95% of it."""


def any_of(probabilities: Sequence[float], weights: Sequence[float]) -> float:
    """Returns P(fake) of a source with several people, so that many people are no alarm by themselves.

    The odds of the source are the weighted power mean of its people's, with the exponent ``TAIL``. If the
    share of genuine people whose odds exceed x falls at least as x to the power of -``TAIL``, each of them
    brings the source beyond x with a chance of at most their weight times what it would be for one person
    alone; weights add up to 1, so together the chance is at most that of one person. The highest score alone
    would be one more chance with every person; a plain mean of the odds (an exponent of 1, which holds for
    calibrated scores) would find one clear forgery among genuine people less often.

    Each P(fake) lies above 0 and below 1, and of the weights, above 0, only their ratios matter.
    """
    if len(probabilities) == 1:
        return probabilities[0]
    pairs = zip(probabilities, weights, strict=True)
    powers = math.fsum(weight * (p / (1.0 - p)) ** TAIL for p, weight in pairs) / math.fsum(weights)
    odds = math.pow(powers, 1.0 / TAIL)
    return round(odds / (1.0 + odds), 9)


def interval(
    probabilities: Sequence[float], spread: float = TYPICAL_SPREAD, weights: Sequence[float] | None = None
) -> Interval:
    """Returns the range, 19 times in 20, of :func:`average` over other moments of the same person.

    A normal interval around the mean logit. The variance of one sighting is that of the person's own, drawn
    towards ``spread`` as if ``_PRIOR_SIGHTINGS`` more had been seen; sightings that resemble their
    predecessor count for less (effective sample size of a first-order autoregression, n (1 - r) / (1 + r)),
    and so do ones of unequal weight (L. Kish's effective sample size, the squared sum of the weights over the
    sum of their squares). It says nothing about what the network cannot see.

    The scores, one or more, come in order of time and lie above 0 and below 1. ``spread`` is the standard
    deviation of the logits of one person's sightings, from the card; ``weights`` None counts all alike.
    """
    logits = [math.log(p / (1.0 - p)) for p in probabilities]
    weights = [1.0] * len(logits) if weights is None else weights
    mean = math.fsum(w * logit for w, logit in zip(weights, logits, strict=True)) / math.fsum(weights)
    apart = [logit - mean for logit in logits]
    own = (_PRIOR_SIGHTINGS * spread**2 + math.fsum(r * r for r in apart)) / (
        _PRIOR_SIGHTINGS + len(apart) - 1
    )
    prior = _PRIOR_SIGHTINGS * own
    following = math.fsum(one * other for one, other in pairwise(apart))
    likeness = (prior * _TYPICAL_LIKENESS + following) / (prior + math.fsum(r * r for r in apart[:-1]))
    likeness = min(max(likeness, 0.0), 0.95)
    seen = math.fsum(weights) ** 2 / math.fsum(w * w for w in weights)
    effective = max(1.0, seen * (1.0 - likeness) / (1.0 + likeness))
    return _around(mean, own / effective)


def views_interval(views: Sequence[float], spread: float = TYPICAL_SPREAD) -> Interval:
    """Returns the range, 19 times in 20, of :func:`average` over another picture's views of the same person.

    A normal interval around the mean logit, of variance ``spread**2 + s**2``, where ``s**2`` is the sample
    variance of the logits of the views: two or more scores, above 0 and below 1. The variation between
    pictures of a person (``spread``, see :func:`interval`) and between boxes in this picture add up. The
    latter is not divided by the number of views: they show the same pixels and err together, so their mean is
    no surer than one of them. Views that agree make it no narrower than one sighting does, since they say
    nothing of other pictures.
    """
    logits = [math.log(p / (1.0 - p)) for p in views]
    return _around(math.fsum(logits) / len(logits), spread**2 + variance(logits))


def _around(logit: float, squared: float) -> Interval:
    """Returns the probabilities that hold 95% of a normal distribution of logits."""
    reach = _TWO_SIDED_95 * math.sqrt(squared)
    return Interval(*(round(1.0 / (1.0 + math.exp(-(logit + side * reach))), 9) for side in (-1, 1)))
