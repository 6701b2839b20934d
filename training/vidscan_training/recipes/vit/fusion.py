"""Both networks as one detector: weights and calibration, fitted on sources left out.

The second network's logits are those of heads that never saw the source (see
:mod:`vidscan_training.recipes.vit.folds`).
The first network has seen none of ``talking`` and ``stills``, and of FaceForensics++ only pairs that are
not used here. ``faces``, which it was trained on, is neither measured nor fitted on. Each kind counts
alike, within it each label, within that each source by the root of its clips. A clip's logit is the mean
over its faces of ``slope * sum(weight * member's logit) + intercept``. Stills have weights and a calibration
of their own: the first network says little of generators of portraits, and one frame less than eight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidscan.verdict.judge import CLIP_AT
from vidscan_training.recipes.vit.folds import Clip, by_source, mean_over_pairs

KINDS = ("talking", "stills", "ffpp")
STILLS = ("stills", "faces")
"""The collections whose clips are single pictures."""

_CLIPPED = float(np.log((1 - CLIP_AT) / CLIP_AT))
_RIDGE = 1e-3

Array = npt.NDArray[np.float64]


def are_stills(clips: Sequence[Clip]) -> npt.NDArray[np.bool_]:
    """Which of them are single pictures."""
    return np.array([clip.row.collection in STILLS for clip in clips])


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


def means(logits: Array, clips: Sequence[Clip], faces: int | None = None) -> Array:
    """The mean over each clip's faces, or over the first few of them."""
    return np.array([logits[list(clip.places[:faces])].mean() for clip in clips])


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


@dataclass(frozen=True, slots=True)
class Shares:
    """The first network's weight of 1 for clips and for stills."""

    clips: float
    stills: float

    def mixed(self, members: Array, still: npt.NDArray[np.bool_]) -> Array:
        """The weighted mean of the members' logits, ``[n]``; the second's weight is the rest of 1."""
        share = np.where(still, self.stills, self.clips)
        return np.asarray(share * members[:, 0] + (1.0 - share) * members[:, 1])


@dataclass(frozen=True, slots=True)
class ByMedium:
    """How clips and how stills are put together; the same where a network has a single calibration."""

    clips: Fusion
    stills: Fusion

    def logits(self, members: Array, still: npt.NDArray[np.bool_]) -> Array:
        """The calibrated logit of P(fake), ``[n]``."""
        return np.where(still, self.stills.logits(members), self.clips.logits(members))


Fit = Callable[[Sequence[Clip], Array], ByMedium]
"""Fits weights' calibration on clips and their members' logits."""


def apart(shares: Shares) -> Fit:
    """Clips and stills are calibrated each by themselves."""

    def fit(clips: Sequence[Clip], members: Array) -> ByMedium:
        still = are_stills(clips)
        return ByMedium(
            _fused(clips, members, ~still, shares.clips), _fused(clips, members, still, shares.stills)
        )

    return fit


def second_alone(clips: Sequence[Clip], members: Array) -> ByMedium:
    """The second network, calibrated on everything, as its own card has it."""
    whole = _fused(clips, members, np.ones(len(clips), bool), 0.0)
    return ByMedium(whole, whole)


def _fused(clips: Sequence[Clip], members: Array, own: npt.NDArray[np.bool_], share: float) -> Fusion:
    some = [clip for clip, each in zip(clips, own, strict=True) if each]
    return fuse(members[own], np.array([clip.row.fake for clip in some]), balanced(some), share)


def figures(clips: Sequence[Clip], logits: Array, kinds: Sequence[str] = KINDS) -> dict[str, float]:
    """The figures that the share is chosen by: for each kind the mean AUC over pairs of sources.

    FaceForensics++ is one source, so that its figure is the plain AUC.
    """
    return {kind: mean_over_pairs(by_source(clips, logits, kind)) for kind in kinds}


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
