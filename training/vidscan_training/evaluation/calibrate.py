"""Turns a network's scores into probabilities and thresholds, from validation clips alone.

Platt scaling (J. Platt, 1999) on the score that a verdict rests on: the mean over a clip's crops of
their clipped logits. Each class has the same weight, and each method within its class: how many clips
of a kind a collection has says nothing about how often it is met.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.flags import flag
from vidscan.models.calibration import LOGIT_LIMIT
from vidscan.models.card_file import card_path, write_card
from vidscan.records import TYPICAL_SPREAD, Calibration, ModelCard
from vidscan.verdict.judge import CLIP_AT
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.evaluation.scores import (
    ScoredRow,
    rows_by_clip,
    rows_of_split,
    score_rows,
    uncalibrated,
)
from vidscan_training.named_values import method_weights

_CLIPPED = float(np.log((1 - CLIP_AT) / CLIP_AT))
_PENALTY = 1e-3
"""Weight of ``log(slope)^2 + intercept^2`` beside the log loss: it matters only where the classes are
separable, and the likelihood alone would ask for an endless slope."""

_MIN_SPREAD = 0.05
"""No network says the same of every sighting; one that seems to had nothing but clipped scores."""


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What to fit on, and which mistakes to allow.

    ``false_alarms``: the share of real validation clips that may be called FAKE; ``misses``: the share
    of fake ones that may be called REAL. ``band``: both thresholds keep at least this far from 0.5, so
    that between them there is room for UNCERTAIN. ``method_weights`` multiply a method's weight.
    """

    checkpoint: Path = flag()
    crops: Path = flag()
    false_alarms: float = flag(0.05, "share of real clips that may be FAKE (default: 0.05)")
    misses: float = flag(0.05, "share of fake clips that may be REAL (default: 0.05)")
    band: float = flag(0.05, "least distance of thresholds from 0.5")
    method_weights: Mapping[str, float] = flag(
        help_text="within the method's class", read=method_weights, metavar="NAME=W,…"
    )
    batch_size: int = flag(32)

    def __post_init__(self) -> None:
        """Refuses rates that are none."""
        if not (0 < self.false_alarms < 1 and 0 < self.misses < 1 and 0 <= self.band < 0.5):
            raise UsageError("rates must lie between 0 and 1, and the band between 0 and 0.5")


@dataclass(frozen=True, slots=True)
class ClipLogits:
    """Validation clips: raw logits of P(fake) of their crops, truth, and weight (each class sums to 1)."""

    logits: tuple[npt.NDArray[np.float64], ...]
    fake: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]

    def means(self, slope: float = 1.0, intercept: float = 0.0) -> npt.NDArray[np.float64]:
        """Each clip's logit under a calibration, clipped crop by crop and averaged as a verdict does."""
        scaled = slope * np.concatenate(self.logits) + intercept
        lengths = [len(logits) for logits in self.logits]
        starts = np.cumsum([0, *lengths[:-1]])
        return np.add.reduceat(np.clip(scaled, -_CLIPPED, _CLIPPED), starts) / lengths

    def spread(self, slope: float, intercept: float) -> float:
        """Standard deviation of a clip's calibrated, clipped logits, pooled over clips of several crops."""
        several = [
            np.clip(slope * one + intercept, -_CLIPPED, _CLIPPED) for one in self.logits if len(one) > 1
        ]
        freedom = sum(len(logits) - 1 for logits in several)
        squares = sum(float(np.square(logits - logits.mean()).sum()) for logits in several)
        return max(math.sqrt(squares / freedom), _MIN_SPREAD) if freedom else TYPICAL_SPREAD


def calibrate_checkpoint(options: CalibrateOptions) -> ModelCard:
    """Fits calibration and thresholds on the validation split and writes them into the card.

    Raises UsageError where there is no validation split, or it lacks a class; ModelError or SourceError where
    the checkpoint or the crops are refused.
    """
    from vidscan.models.checkpoint import load_model

    model = load_model(options.checkpoint)
    folder = open_crop_folder(options.crops)
    places = rows_of_split(folder, model.card, "val")
    scored = score_rows(uncalibrated(model), folder, places, batch_size=options.batch_size)
    card = calibrated_card(model.card, scored, options)
    write_card(card, card_path(options.checkpoint))
    return card


def calibrated_card(card: ModelCard, scored: Sequence[ScoredRow], options: CalibrateOptions) -> ModelCard:
    """``card`` with calibration and thresholds fitted on ``scored``, uncalibrated validation crops."""
    clips = clip_logits(scored, options.method_weights)
    slope, intercept = fit_platt(clips)
    probability = 1 / (1 + np.exp(-clips.means(slope, intercept)))
    fake_from, real_to = choose_thresholds(clips, probability, options)
    fitted_on = f"{len(clips.fake)} validation clips, {int(clips.fake.sum())} of them fake"
    figures = {
        "fitted_on": fitted_on,
        "false_alarm_rate_allowed": options.false_alarms,
        "miss_rate_allowed": options.misses,
        "false_alarm_rate": _share(probability >= fake_from, ~clips.fake, clips.weight),
        "miss_rate": _share(probability <= real_to, clips.fake, clips.weight),
    }
    return replace(
        card,
        calibration=Calibration(slope, intercept, fitted_on, clips.spread(slope, intercept)),
        fake_threshold=fake_from,
        real_threshold=real_to,
        metrics={**card.metrics, "calibration": figures},
    )


def clip_logits(scored: Sequence[ScoredRow], method_weights: Mapping[str, float]) -> ClipLogits:
    """Gathers crops into weighted clips.

    Raises UsageError where one of the classes is missing.
    """
    members = rows_by_clip(sorted(scored, key=lambda item: item.row.file))
    rows = [items[0].row for items in members.values()]
    fake = np.array([row.label == "fake" for row in rows])
    if fake.all() or not fake.any():
        raise UsageError("calibration needs real and fake clips in the validation split")
    count = Counter(row.method for row in rows)
    weight = np.array([method_weights.get(row.method, 1.0) / count[row.method] for row in rows])
    for members_of_class in (fake, ~fake):
        weight[members_of_class] /= weight[members_of_class].sum()
    logits = tuple(_logit(np.array([item.fake_probability for item in items])) for items in members.values())
    return ClipLogits(logits, fake, weight)


def fit_platt(clips: ClipLogits) -> tuple[float, float]:
    """Slope (above 0) and intercept with the least weighted log loss of the clips.

    Targets are drawn in from 0 and 1 as in Platt's paper, by the number of clips of the class: a small
    validation set gives no licence for certainty.
    """
    from scipy.optimize import minimize

    fakes, reals = int(clips.fake.sum()), int((~clips.fake).sum())
    target = np.where(clips.fake, (fakes + 1) / (fakes + 2), 1 / (reals + 2))

    def cost(parameters: npt.NDArray[np.float64]) -> float:
        log_slope, intercept = parameters
        logit = clips.means(float(np.exp(log_slope)), float(intercept))
        loss = np.logaddexp(0, logit) - target * logit
        return float(clips.weight @ loss / 2 + _PENALTY * (log_slope**2 + intercept**2))

    # Without derivatives: the clipping makes the cost flat in places.
    best = minimize(cost, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
    return float(np.exp(np.clip(best.x[0], -6, 6))), float(best.x[1])


def choose_thresholds(
    clips: ClipLogits, probability: npt.NDArray[np.float64], options: CalibrateOptions
) -> tuple[float, float]:
    """FAKE and REAL thresholds on the calibrated P(fake); the former is never below the latter.

    The lowest FAKE threshold that keeps false alarms within their rate, and the highest REAL threshold
    that keeps misses within theirs, each pushed out of the band around 0.5.
    """
    real = ~clips.fake
    upper = lowest_allowed(probability[real], clips.weight[real], options.false_alarms)
    lower = 1 - lowest_allowed(1 - probability[clips.fake], clips.weight[clips.fake], options.misses)
    return fake_threshold(upper, options.band), real_threshold(lower, options.band)


def fake_threshold(lowest: float, band: float) -> float:
    """The threshold at ``lowest``, or at the upper edge of the band around 0.5."""
    kept = min(max(lowest, 0.5 + band), 1 - CLIP_AT)
    # Rounded away from the middle, so that rounding cannot let more mistakes through.
    return float(np.ceil(kept * 1e4) / 1e4)


def real_threshold(highest: float, band: float) -> float:
    """The threshold at ``highest``, or at the lower edge of the band around 0.5."""
    kept = max(min(highest, 0.5 - band), CLIP_AT)
    return float(np.floor(kept * 1e4) / 1e4)


def lowest_allowed(scores: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], rate: float) -> float:
    """A threshold that at most ``rate`` of the weight reaches: half way between two scores, or to 1."""
    order = np.argsort(-scores)
    descending, reached = scores[order], np.cumsum(weight[order]) / weight.sum()
    # A hair of slack: a sum of twentieths is not quite one twentieth times their number.
    too_many = np.flatnonzero(reached > rate + 1e-9)
    first = descending[too_many[0]]
    above = descending[descending > first]
    return float((first + (above[-1] if len(above) else 1.0)) / 2)


def _logit(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # The same limit as serving has, where calibration is applied.
    with np.errstate(divide="ignore"):
        logit = np.log(probability) - np.log1p(-probability)
    return np.asarray(np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT), np.float64)


def _share(
    called: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64]
) -> float:
    return float(weight[called & of].sum() / weight[of].sum())


def as_text(card: ModelCard) -> str:
    """What was fitted, in three lines for a terminal."""
    fitted: Mapping[str, Any] = card.metrics["calibration"]
    assert card.calibration is not None
    return (
        f"calibration: slope {card.calibration.slope:.4f}, intercept {card.calibration.intercept:.4f}, "
        f"fitted on {card.calibration.fitted_on}\n"
        f"FAKE at or above {card.fake_threshold:.4f}: {fitted['false_alarm_rate']:.1%} of real clips\n"
        f"REAL at or below {card.real_threshold:.4f}: {fitted['miss_rate']:.1%} of fake clips"
    )
