"""Both networks as one detector: weights, calibration and thresholds, fitted on sources left out.

The second network's logits are those of heads that never saw the source (see
:mod:`vidscan_training.recipes.vit.folds`).
The first network has seen none of ``talking`` and ``stills``, and of FaceForensics++ only pairs that are
not used here. ``faces``, which it was trained on, is neither measured nor fitted on. Each kind counts
alike, within it each label, within that each source by the root of its clips. A clip's logit is the mean
over its faces of ``slope * sum(weight * member's logit) + intercept``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.verdict.judge import CLIP_AT
from vidscan_training.recipes.vit.folds import Clip, Folds, by_source, mean_over_pairs

KINDS = ("talking", "stills", "ffpp")
FALSE_ALARMS, MISSES = 0.02, 0.05
"""Shares of genuine people that may be called FAKE, and of synthesised ones that may be called REAL."""
ALARMS_OF_ONE, MANY = 0.06, 30
"""And of the genuine people of any one source of this many."""

SHARES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The first network's weights that are tried."""
LEAST_DETAIL = 0.1
"""Mean detail of a clip's faces (``vidscan.faces.quality.detail``) below which FAKE is not said of it: chosen
from :data:`vidscan_training.recipes.vit.uploads.TRIED`, see training/README.md."""
LOSS = 0.03
"""By how much AUC the two together may fall below the better network alone, in any kind."""

_CLIPPED = float(np.log((1 - CLIP_AT) / CLIP_AT))
_RIDGE = 1e-3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fusion:
    """``weights`` of the members, which add up to 1; ``slope`` and ``intercept`` of the combined logit."""

    weights: tuple[float, ...]
    slope: float
    intercept: float

    def logits(self, members: Array) -> Array:
        """The calibrated logit of P(fake), ``[n]``, from the members' clipped ones, ``[n, members]``."""
        return np.asarray(self.slope * (members @ np.asarray(self.weights)) + self.intercept)


def clipped(logits: npt.ArrayLike) -> Array:
    """Logits as a scan takes them into a mean (``probability.clipped``)."""
    return np.clip(np.asarray(logits, np.float64), -_CLIPPED, _CLIPPED)


def balanced(clips: Sequence[Clip]) -> Array:
    """A weight for each clip: each kind, within it each label counts alike."""
    groups: dict[str, dict[bool, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for place, clip in enumerate(clips):
        groups[clip.row.collection][clip.row.fake][clip.row.source].append(place)
    weights = np.zeros(len(clips))
    for labels in groups.values():
        for sources in labels.values():
            # By the root of their number: sources of a few clips must not dominate.
            say = {source: np.sqrt(len(places)) for source, places in sources.items()}
            for source, places in sources.items():
                weights[places] = say[source] / sum(say.values()) / len(places)
    return np.asarray(weights / weights.sum())


def platt(logits: Array, fake: npt.NDArray[np.bool_], weights: Array) -> tuple[float, float]:
    """Slope and intercept by which one network's logits become calibrated (J. Platt, 1999)."""
    found = _logistic(logits[:, None], fake, weights)
    return float(found[0]), float(found[1])


def fuse(members: Array, fake: npt.NDArray[np.bool_], weights: Array, share: float) -> Fusion:
    """Fits the calibration of the members' weighted mean; ``share`` is the first network's weight.

    ``members`` are the mean clipped logits of each clip by the first and the second network, ``[n, 2]``.
    """
    say = (share, 1.0 - share)
    return Fusion(say, *platt(members @ np.asarray(say), fake, weights))


def figures(clips: Sequence[Clip], logits: Array, kinds: Sequence[str] = KINDS) -> dict[str, float]:
    """The figures that the share is chosen by: for each kind the mean AUC over pairs of sources.

    FaceForensics++ is one source, so that its figure is the plain AUC.
    """
    return {kind: mean_over_pairs(by_source(clips, logits, kind)) for kind in kinds}


def chosen_share(clips: Sequence[Clip], members: Array) -> float:
    """The first network's weight at which the mean of the figures is highest.

    No figure may fall more than ``LOSS`` below that of the better network alone.
    """
    alone = [figures(clips, members[:, column]) for column in range(2)]
    best = {kind: max(each[kind] for each in alone) for kind in alone[0]}
    found = {share: figures(clips, members @ np.array([share, 1.0 - share])) for share in SHARES}
    fit = [share for share, own in found.items() if all(own[kind] >= best[kind] - LOSS for kind in own)]
    if not fit:
        raise UsageError(
            f"no weight keeps every figure within {LOSS} of the better network's: fit another head"
        )
    return max(fit, key=lambda share: sum(found[share].values()))


def _logistic(features: Array, fake: npt.NDArray[np.bool_], weights: Array) -> Array:
    from scipy.optimize import minimize

    sign = np.where(fake, 1.0, -1.0)

    def loss(parameters: Array) -> tuple[float, Array]:
        margin = sign * (features @ parameters[:-1] + parameters[-1])
        pull = -weights * sign / (1.0 + np.exp(margin))
        value = weights @ np.logaddexp(0.0, -margin) + _RIDGE * float(parameters @ parameters)
        return float(value), np.append(features.T @ pull, pull.sum()) + 2 * _RIDGE * parameters

    count = features.shape[1]
    bounds = [(1e-3, None)] * count + [(None, None)]
    return np.asarray(minimize(loss, np.full(count + 1, 0.1), jac=True, bounds=bounds, method="L-BFGS-B").x)


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
    return Thresholds(
        _lowest(logits, lambda limit: _alarms_allowed(clips, (logits >= limit) & fine)),
        -_lowest(-logits, lambda limit: _worse(clips, -logits >= limit, fake=True) <= MISSES),
    )


def _lowest(logits: Array, allowed: Callable[[float], bool]) -> float:
    """The lowest of the logits, tried from the top, down to which all are allowed."""
    best = float(logits.max()) + 1e-6
    for limit in np.unique(logits)[::-1]:
        if not allowed(float(limit)):
            break
        best = float(limit)
    return best


def _alarms_allowed(clips: Sequence[Clip], called: npt.NDArray[np.bool_]) -> bool:
    shares = shares_by_source(clips, called, fake=False)
    crowded = [share for share, count in shares.values() if count >= MANY]
    return _worse(clips, called, fake=False) <= FALSE_ALARMS and max(crowded, default=0.0) <= ALARMS_OF_ONE


def _worse(clips: Sequence[Clip], called: npt.NDArray[np.bool_], *, fake: bool) -> float:
    shares = shares_by_source(clips, called, fake=fake).values()
    total = sum(count for _, count in shares)
    return max(
        sum(share * count for share, count in shares) / total, sum(share for share, _ in shares) / len(shares)
    )


def shares_by_source(
    clips: Sequence[Clip], called: npt.NDArray[np.bool_], *, fake: bool
) -> Mapping[tuple[str, str], tuple[float, int]]:
    """By kind and source: the share of the clips of one label that are called, and the number of clips.

    Small sources of a kind stand together.
    """
    found = {}
    for kind in dict.fromkeys(clip.row.collection for clip in clips):
        for (label, source), own in by_source(clips, called.astype(float), kind).items():
            if label == fake:
                found[kind, source] = (float(np.mean(own)), len(own))
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """How members' logits become a verdict."""

    fusion: Fusion
    limits: Thresholds

    def verdicts(self, members: Array, fine: npt.NDArray[np.bool_]) -> Array:
        """1 for FAKE, which is said of ``fine`` clips alone, -1 for REAL, 0 for UNCERTAIN, ``[n]``."""
        logits = self.fusion.logits(members)
        real = np.where(logits <= self.limits.real, -1.0, 0.0)
        return np.where((logits >= self.limits.fake) & fine, 1.0, real)


def rules(
    clips: Sequence[Clip], members: Array, folds: Folds, share: float, fine: npt.NDArray[np.bool_]
) -> Mapping[str, Rule]:
    """By fold, the rule whose calibration and thresholds were fitted without it."""
    of = np.array([folds.fold(clip.row) for clip in clips])
    fake = np.array([clip.row.fake for clip in clips])
    found = {}
    for fold in np.unique(of):
        rest = np.flatnonzero(of != fold)
        others = [clips[place] for place in rest]
        fusion = fuse(members[rest], fake[rest], balanced(others), share)
        limits = thresholds(others, fusion.logits(members[rest]), fine[rest])
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
    of = np.array([folds.fold(clip.row) for clip in clips])
    logits, verdicts = np.zeros(len(clips)), np.zeros(len(clips))
    for fold, rule in rule_of.items():
        own = of == fold
        logits[own] = rule.fusion.logits(members[own])
        verdicts[own] = rule.verdicts(members[own], fine[own])
    return logits, verdicts
