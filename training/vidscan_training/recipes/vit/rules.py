"""When the detector says FAKE and REAL: thresholds and the networks' weights, chosen on sources left out.

Nothing that judges a fold was fitted on it, but for the weights, of which there is one pair for all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan_training.recipes.vit.folds import Clip, Folds, by_source
from vidscan_training.recipes.vit.fusion import (
    KINDS,
    STILLS,
    Array,
    ByMedium,
    Fit,
    Shares,
    apart,
    are_stills,
    figures,
)

FALSE_ALARMS, MISSES = 0.0165, 0.05
"""Shares of genuine people that may be called FAKE, and of synthesised ones that may be called REAL. More are
called of sources that a threshold was not fitted on: with 0.0175, over 2% of the genuine ones."""
ALARMS_OF_ONE, MANY = 0.06, 30
"""And of the genuine people of any one source of this many."""

SHARES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The first network's weights that are tried."""
LEAST_DETAIL = 0.1
"""Mean detail of a clip's faces (``vidscan.faces.quality.detail``) below which FAKE is not said of it: chosen
from :data:`vidscan_training.recipes.vit.uploads.TRIED`, see training/README.md."""
LOSS = 0.03
"""By how much AUC the two together may fall below the better network alone, in any kind."""
TIE = 0.005
"""Weights whose mean figures are this near to the highest count as equally good."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A clip is FAKE from the logit ``fake`` on, and REAL up to ``real``."""

    fake: float
    real: float


def thresholds(clips: Sequence[Clip], logits: Array, fine: npt.NDArray[np.bool_]) -> Thresholds:
    """The most decided thresholds that keep to the shares of mistakes stated above, on the clips given.

    Mistakes are counted both over all clips of a label and as a mean over its sources; the larger counts.
    ``fine``: of which clips FAKE may be said at all.
    """
    genuine, forged = places_by_source(clips, fake=False), places_by_source(clips, fake=True)
    return Thresholds(
        _lowest(logits, lambda limit: _alarms_allowed(_shares(genuine, (logits >= limit) & fine))),
        -_lowest(-logits, lambda limit: _worse(_shares(forged, -logits >= limit)) <= MISSES),
    )


def _lowest(logits: Array, allowed: Callable[[float], bool]) -> float:
    """The lowest of the logits that is allowed as a limit; the lower it is, the more are called."""
    limits = np.unique(logits)[::-1]
    refused = bisect_left(limits, True, key=lambda limit: not allowed(float(limit)))
    return float(limits[refused - 1]) if refused else float(limits[0]) + 1e-6


Places = Mapping[tuple[str, str], npt.NDArray[np.int64]]
"""By kind and source: the numbers of the clips of one label."""

SharesBySource = Mapping[tuple[str, str], tuple[float, int]]
"""By kind and source: the share of the clips of one label that are called, and the number of clips."""


def _alarms_allowed(shares: SharesBySource) -> bool:
    crowded = [share for share, count in shares.values() if count >= MANY]
    return _worse(shares) <= FALSE_ALARMS and max(crowded, default=0.0) <= ALARMS_OF_ONE


def _worse(shares: SharesBySource) -> float:
    """The share over all clips, or the mean over sources: the larger."""
    total = sum(count for _, count in shares.values())
    return max(
        sum(share * count for share, count in shares.values()) / total,
        sum(share for share, _ in shares.values()) / len(shares),
    )


def places_by_source(clips: Sequence[Clip], *, fake: bool) -> Places:
    """Where the clips of one label are; small sources of a kind stand together."""
    return {
        (kind, source): np.asarray(places, np.int64)
        for kind in dict.fromkeys(clip.row.collection for clip in clips)
        for (label, source), places in by_source(clips, range(len(clips)), kind).items()
        if label == fake
    }


def _shares(places: Places, called: npt.NDArray[np.bool_]) -> SharesBySource:
    return {source: (float(called[own].mean()), len(own)) for source, own in places.items()}


def shares_by_source(clips: Sequence[Clip], called: npt.NDArray[np.bool_], *, fake: bool) -> SharesBySource:
    """The shares of the clips of one label that are called, by kind and source."""
    return _shares(places_by_source(clips, fake=fake), called)


@dataclass(frozen=True, slots=True)
class Rule:
    """How members' logits become a verdict."""

    fusion: ByMedium
    limits: Thresholds

    def verdicts(self, members: Array, still: npt.NDArray[np.bool_], fine: npt.NDArray[np.bool_]) -> Array:
        """1 for FAKE, which is said of ``fine`` clips alone, -1 for REAL, 0 for UNCERTAIN, ``[n]``."""
        logits = self.fusion.logits(members, still)
        real = np.where(logits <= self.limits.real, -1.0, 0.0)
        return np.where((logits >= self.limits.fake) & fine, 1.0, real)


def rules(
    clips: Sequence[Clip], members: Array, folds: Folds, fit: Fit, fine: npt.NDArray[np.bool_]
) -> Mapping[str, Rule]:
    """By fold, the rule whose calibration and thresholds were fitted without it."""
    of, still = np.array([folds.fold(clip.row) for clip in clips]), are_stills(clips)
    found = {}
    for fold in np.unique(of):
        rest = np.flatnonzero(of != fold)
        others = [clips[place] for place in rest]
        fusion = fit(others, members[rest])
        limits = thresholds(others, fusion.logits(members[rest], still[rest]), fine[rest])
        found[str(fold)] = Rule(fusion, limits)
    return found


def left_out(
    clips: Sequence[Clip],
    members: Array,
    fine: npt.NDArray[np.bool_],
    rule_of: Mapping[str, Rule],
    folds: Folds,
) -> tuple[Array, Array]:
    """What the detector says of each fold by the rule that was fitted without it.

    Returns:
        The calibrated logits ``[n]``, and the verdicts: 1 for FAKE, -1 for REAL, 0 for UNCERTAIN.
    """
    of, still = np.array([folds.fold(clip.row) for clip in clips]), are_stills(clips)
    logits, verdicts = np.zeros(len(clips)), np.zeros(len(clips))
    for fold, rule in rule_of.items():
        own = of == fold
        logits[own] = rule.fusion.logits(members[own], still[own])
        verdicts[own] = rule.verdicts(members[own], still[own], fine[own])
    return logits, verdicts


def chosen_shares(clips: Sequence[Clip], members: Array, folds: Folds, fine: npt.NDArray[np.bool_]) -> Shares:
    """Of the weights that rank best, those by which most fakes are called FAKE, as a mean over sources.

    All of one medium whose mean figure is within ``TIE`` of the highest rank equally well; no figure may fall
    more than ``LOSS`` below that of the better network alone.
    """
    found = [
        Shares(of_clips, of_stills)
        for of_clips in _ranking_best(clips, members, [kind for kind in KINDS if kind not in STILLS])
        for of_stills in _ranking_best(clips, members, [kind for kind in KINDS if kind in STILLS])
    ]

    def called(shares: Shares) -> float:
        rule_of = rules(clips, members, folds, apart(shares), fine)
        said = left_out(clips, members, fine, rule_of, folds)[1]
        by = shares_by_source(clips, said == 1, fake=True)
        return float(np.mean([share for share, _ in by.values()]))

    return max(found, key=called)


def _ranking_best(clips: Sequence[Clip], members: Array, kinds: Sequence[str]) -> list[float]:
    alone = [figures(clips, members[:, column], kinds) for column in range(2)]
    best = {kind: max(each[kind] for each in alone) for kind in kinds}
    found = {share: figures(clips, members @ np.array([share, 1.0 - share]), kinds) for share in SHARES}
    fit = {
        share: float(np.mean(list(own.values())))
        for share, own in found.items()
        if all(own[kind] >= best[kind] - LOSS for kind in kinds)
    }
    if not fit:
        raise UsageError(
            f"no weight keeps every figure within {LOSS} of the better network's: fit another head"
        )
    return [share for share, mean in fit.items() if mean >= max(fit.values()) - TIE]
