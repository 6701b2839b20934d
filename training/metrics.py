"""Figures of merit, each from labels and scores in the same order.

Everywhere: ``fake`` is ``bool[n]`` (True: manipulated) and ``score`` is ``float[n]``, higher for more
likely fake. Where a probability is needed it says ``probability`` (0-1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


def has_both(fake: Flags) -> bool:
    """Whether ranking figures exist at all: they need both classes."""
    return bool(fake.any() and not fake.all())


def auc(fake: Flags, score: Scores) -> float | None:
    """Area under the ROC curve, ties counting half; None with one class only.

    As the share of pairs in order (Mann and Whitney, 1947), which a bootstrap can afford.
    """
    if not has_both(fake):
        return None
    reals, fakes = np.sort(score[~fake]), score[fake]
    below, up_to = np.searchsorted(reals, fakes, "left"), np.searchsorted(reals, fakes, "right")
    return float((below + up_to).mean() / (2 * len(reals)))


def equal_error_rate(fake: Flags, score: Scores) -> float | None:
    """Rate at which false alarms and misses are equally frequent, interpolated on the ROC curve."""
    if not has_both(fake):
        return None
    false_alarms, caught = roc_curve(fake, score)
    excess = false_alarms - (1 - caught)
    after = int(np.argmax(excess >= 0))  # never 0: the curve starts with all fakes missed
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(false_alarms[after - 1] + share * (false_alarms[after] - false_alarms[after - 1]))


def roc_curve(fake: Flags, score: Scores) -> tuple[Scores, Scores]:
    """False alarm rate and detection rate as the threshold falls, from (0, 0) to (1, 1)."""
    thresholds = np.unique(score)[::-1]

    def reached(members: Scores) -> Scores:
        at_least = len(members) - np.searchsorted(np.sort(members), thresholds, "left")
        return np.concatenate([[0.0], at_least / len(members)])

    return reached(score[~fake]), reached(score[fake])


def average_precision(fake: Flags, score: Scores) -> float | None:
    """Area under the precision-recall curve of the class fake; None with one class only."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(fake, score)) if has_both(fake) else None


def log_loss(fake: Flags, probability: Scores) -> float:
    """Mean negative log-likelihood, probabilities clipped to 1e-7 from 0 and 1."""
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(fake, np.log(clipped), np.log1p(-clipped))))


def calibration_error(fake: Flags, probability: Scores, bins: int = 10) -> float:
    """Expected calibration error over equally wide bins: mean |share of fakes - mean probability|.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", 2017, for the class fake.
    """
    return float(
        sum(row["share"] * abs(row["fakes"] - row["mean"]) for row in reliability(fake, probability, bins))
    )


def reliability(fake: Flags, probability: Scores, bins: int = 10) -> list[dict[str, float]]:
    """The bins of a reliability diagram that hold anything.

    Each has ``low``, ``high``, ``count``, ``share`` (of all), ``mean`` probability and share of ``fakes``.
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)
    rows = []
    for number in np.unique(place):
        inside = place == number
        rows.append(
            {
                "low": number / bins,
                "high": (number + 1) / bins,
                "count": int(inside.sum()),
                "share": float(inside.mean()),
                "mean": float(probability[inside].mean()),
                "fakes": float(fake[inside].mean()),
            }
        )
    return rows


def at_threshold(fake: Flags, score: Scores, threshold: float) -> dict[str, Any]:
    """Accuracy, confusion matrix and per-class precision, recall, F1 and support; fake at or above.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``confusion`` (``[[real as real, real as fake],
        [fake as real, fake as fake]]``), and ``classes``: by name ``precision``, ``recall``, ``f1``,
        ``support``. Figures whose denominator is 0 are 0.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    called = score >= threshold
    precision, recall, f1, support = precision_recall_fscore_support(
        fake, called, labels=[False, True], zero_division=0
    )
    classes = {
        name: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, name in enumerate(("real", "fake"))
    }
    return {
        "threshold": float(threshold),
        "accuracy": float((called == fake).mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "confusion": confusion_matrix(fake, called, labels=[False, True]).tolist(),
        "classes": classes,
    }


def bootstrap_interval(
    figure: Callable[[Flags, Scores], float | None],
    fake: Flags,
    score: Scores,
    *,
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of ``figure``, the rows drawn anew within each class.

    Pass clips, not crops: the crops of one clip are no independent observations.

    Returns:
        Lower and upper end, or None with one class only.
    """
    if not has_both(fake):
        return None
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(fake), np.flatnonzero(~fake)]
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([rng.choice(rows, len(rows)) for rows in classes])
        values.append(figure(fake[drawn], score[drawn]))
    low, high = np.quantile(np.array(values, np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summary(fake: Flags, probability: Scores, threshold: float, *, intervals: bool = False) -> dict[str, Any]:
    """All figures of one set of rows; with ``intervals`` also 95% bootstrap intervals of AUC and EER."""
    result: dict[str, Any] = {
        "count": len(fake),
        "fake": int(fake.sum()),
        "real": int((~fake).sum()),
        "auc": auc(fake, probability),
        "eer": equal_error_rate(fake, probability),
        "average_precision": average_precision(fake, probability),
        "log_loss": log_loss(fake, probability),
        "calibration_error": calibration_error(fake, probability),
        **at_threshold(fake, probability, threshold),
    }
    if intervals:
        result["auc_interval"] = bootstrap_interval(auc, fake, probability)
        result["eer_interval"] = bootstrap_interval(equal_error_rate, fake, probability)
    return result
