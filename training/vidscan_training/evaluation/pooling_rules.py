"""Ways to bring the scores of a clip's crops together into one, and which of them ranks clips best.

Pure functions on calibrated P(fake), ``float64[n]``, 0-1, of one clip's crops in any order. The program
itself uses ``mean_logit``; the others are here to be compared with it, on validation clips: whoever picks
the best rule on test clips has fitted it to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vidscan.errors import UsageError
from vidscan.verdict.judge import CLIP_AT
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.metrics import Scores


class Rule(NamedTuple):
    """A way to bring scores together, and its name in a table."""

    title: str
    apply: Callable[[Scores], float]


def mean_logit(probability: Scores) -> float:
    """What a verdict does: the sigmoid of the mean logit, each score kept ``CLIP_AT`` from 0 and 1."""
    clipped = np.clip(probability, CLIP_AT, 1 - CLIP_AT)
    return float(1 / (1 + np.exp(-np.mean(np.log(clipped / (1 - clipped))))))


def trimmed_mean(probability: Scores, share: float = 0.2) -> float:
    """The mean without the ``share`` of the crops that score highest and the ``share`` that score lowest.

    The number left out at either end is rounded down, so a handful of crops is averaged as a whole.
    """
    cut = int(share * len(probability))
    return float(np.sort(probability)[cut : len(probability) - cut].mean())


def highest_mean(probability: Scores, count: int) -> float:
    """The mean of the ``count`` highest scores, of all where there are fewer."""
    return float(np.sort(probability)[-count:].mean())


def highest_quarter(probability: Scores) -> float:
    """The mean of the highest quarter of the scores, rounded up to whole crops."""
    return highest_mean(probability, -(-len(probability) // 4))


def confident(probability: Scores) -> float:
    """The mean of the crops that are sure, where enough of them agree; else the mean of all.

    Sure fakes are above 0.8, and there must be more than 11 of them and more than 40% (of the crops, and
    the 40% rounded down); sure reals are below 0.2 and must be over 90%. With fewer than 12 crops a
    clip's score can therefore be lowered but never raised.

    Source: S. Seferbekov, winner of the Deepfake Detection Challenge, 2020: ``confident_strategy`` in
    kernel_utils.py of github.com/selimsef/dfdc_deepfake_challenge.
    """
    fakes, reals = probability[probability > 0.8], probability[probability < 0.2]
    if len(fakes) > len(probability) // 2.5 and len(fakes) > 11:
        return float(fakes.mean())
    if len(reals) > 0.9 * len(probability):
        return float(reals.mean())
    return float(probability.mean())


RULES: Mapping[str, Rule] = {
    "mean_logit": Rule("mean of logits (in use)", mean_logit),
    "mean": Rule("mean of probabilities", lambda probability: float(probability.mean())),
    "median": Rule("median", lambda probability: float(np.median(probability))),
    "trimmed_mean": Rule("mean without 20% at either end", trimmed_mean),
    "top_3": Rule("mean of the 3 highest", lambda probability: highest_mean(probability, 3)),
    "top_quarter": Rule("mean of the highest quarter", highest_quarter),
    "maximum": Rule("maximum", lambda probability: float(probability.max())),
    "confident": Rule("confident ones (DFDC winner)", confident),
}


def compare_rules(clips: Sequence[Scores], fake: metrics.Flags) -> dict[str, Any]:
    """Ranks clips by each rule.

    Clips of a single crop are left out: all rules give them the same score. Where fake clips have fewer
    crops than real ones, the rules that look at the highest scores have a handicap that is not their own;
    ``--per-clip`` evens that out.

    Args:
        clips: for each clip the calibrated P(fake) of its crops, ``float64[n]``.
        fake: ``bool[clips]``, True for fake.

    Returns:
        ``clips``, ``fake``, ``real`` (how many were ranked), and ``rules``: one entry each with ``name``,
        ``title``, ``auc``, ``auc_interval`` (95%), ``eer`` and ``accuracy`` (at 0.5).

    Raises:
        UsageError: no clip has two crops.
    """
    several = np.array([len(scores) > 1 for scores in clips], bool)
    if not several.any():
        raise UsageError("--rules compares ways to bring crops together, but no clip here has two")
    truth = metrics.as_flags(fake)[several]
    ranked = [scores for scores, kept in zip(clips, several, strict=True) if kept]
    rows = []
    for name, rule in RULES.items():
        score = np.array([rule.apply(np.asarray(scores, np.float64)) for scores in ranked])
        rows.append(
            {
                "name": name,
                "title": rule.title,
                "auc": metrics.auc(truth, score),
                "auc_interval": metrics.bootstrap_interval(metrics.auc, truth, score),
                "eer": metrics.equal_error_rate(truth, score),
                "accuracy": float(((score >= 0.5) == truth).mean()),
            }
        )
    return {
        "clips": len(truth),
        "fake": int(truth.sum()),
        "real": int((~truth).sum()),
        "rules": rows,
    }
