"""Figures of merit, each from labels and scores in the same order.

Everywhere: ``fake`` is ``bool[n]`` (True: manipulated; zeros and ones are taken too) and ``score`` is
``float[n]``, higher for more likely fake. Where a probability is needed it says ``probability`` (0-1).
All raise ValueError where ``fake`` is anything else: labels in words or two kinds of fakes, say, would
otherwise pass for True and give a figure of nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan_training.crops.folder import CropRow

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


def as_flags(fake: npt.ArrayLike) -> Flags:
    """``bool[n]`` of booleans, zeros and ones; ValueError for anything else.

    Never indices: an integer array of zeros and ones would pick the first and the second row over and over.
    """
    values = np.asarray(fake)
    if values.dtype == bool:
        return values
    if values.dtype.kind not in "iuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(f"truth must be booleans (True: fake) or zeros and ones, not {values.dtype}")
    return values.astype(bool)


def has_both(fake: Flags) -> bool:
    """Whether ranking figures exist at all: they need both classes."""
    fake = as_flags(fake)
    return bool(fake.any() and not fake.all())


def auc(fake: Flags, score: Scores) -> float | None:
    """Area under the ROC curve, ties counting half; None with one class only.

    As the share of pairs in order (Mann and Whitney, 1947), which a bootstrap can afford.
    """
    fake = as_flags(fake)
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
    fake, thresholds = as_flags(fake), np.unique(score)[::-1]

    def reached(members: Scores) -> Scores:
        at_least = len(members) - np.searchsorted(np.sort(members), thresholds, "left")
        return np.concatenate([[0.0], at_least / len(members)])

    return reached(score[~fake]), reached(score[fake])


def average_precision(fake: Flags, score: Scores) -> float | None:
    """Area under the precision-recall curve of the class fake; None with one class only."""
    from sklearn.metrics import average_precision_score

    fake = as_flags(fake)
    return float(average_precision_score(fake, score)) if has_both(fake) else None


def log_loss(fake: Flags, probability: Scores) -> float:
    """Mean negative log-likelihood, probabilities clipped to 1e-7 from 0 and 1."""
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(as_flags(fake), np.log(clipped), np.log1p(-clipped))))


_BINS = 10
"""Bins of a reliability diagram: equally wide (0-0.1, 0.1-0.2, …), not equally full."""


def calibration_error(fake: Flags, probability: Scores) -> float:
    """Expected calibration error: mean over all rows of their bin's |share of fakes - mean probability|.

    With few rows the figure is too high: a bin of three can hardly hold the share that its probability
    promises, and every miss counts as an error (R. Roelofs et al., "Mitigating Bias in Calibration Error
    Estimation", 2022).

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", 2017, for the class fake.
    """
    surplus = np.bincount(_bin_of(probability), as_flags(fake) - probability, _BINS)
    return float(np.abs(surplus).sum() / len(probability))


def calibration_error_by_chance(probability: Scores, rounds: int = 2000) -> dict[str, float]:
    """What the calibration error of these very probabilities would be, were they perfect.

    Truths are drawn from the probabilities ``rounds`` times, each row by itself (after J. Bröcker and
    L. A. Smith, "Increasing the Reliability of Reliability Diagrams", 2007). 95 draws in 100 stay below
    ``high``: an error no larger is no sign of wrong probabilities, so few rows cannot tell.
    """
    rng, probability = np.random.default_rng(0), np.sort(probability)
    errors = [
        calibration_error(rng.random(len(probability)) < probability, probability) for _ in range(rounds)
    ]
    return {"mean": float(np.mean(errors)), "high": float(np.quantile(errors, 0.95))}


def reliability(fake: Flags, probability: Scores) -> list[dict[str, float]]:
    """The bins of a reliability diagram that hold anything.

    Each has ``low``, ``high``, ``count``, ``share`` (of all), ``mean`` probability and share of ``fakes``.
    """
    fake, place = as_flags(fake), _bin_of(probability)
    return [
        {
            "low": number / _BINS,
            "high": (number + 1) / _BINS,
            "count": int((inside := place == number).sum()),
            "share": float(inside.mean()),
            "mean": float(probability[inside].mean()),
            "fakes": float(fake[inside].mean()),
        }
        for number in np.unique(place)
    ]


def _bin_of(probability: Scores) -> npt.NDArray[np.int64]:
    return np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)


def at_threshold(fake: Flags, score: Scores, threshold: float) -> dict[str, Any]:
    """Accuracy, confusion matrix and per-class precision, recall, F1 and support; fake at or above.

    ``confusion`` is ``[[real as real, real as fake], [fake as real, fake as fake]]``. Figures whose
    denominator is 0 are 0.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    fake, called = as_flags(fake), score >= threshold
    precision, recall, f1, support = precision_recall_fscore_support(
        fake, called, labels=[False, True], zero_division=0
    )
    classes = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(("real", "fake"), precision, recall, f1, support, strict=True)
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
    clusters: npt.ArrayLike | None = None,
    rounds: int = 1000,
) -> tuple[float, float] | None:
    """95% percentile bootstrap interval of ``figure``, the rows drawn anew within each class.

    All rows of one of the ``clusters``, names ``[n]``, are drawn together: the crops of one clip are no
    independent observations, so give their clips. None draws each row by itself, and one class only gives
    None. The same number of clusters gives the same draws, so two figures on the same rows can be compared.
    """
    fake = as_flags(fake)
    if not has_both(fake):
        return None
    rng = np.random.default_rng(0)
    names = np.arange(len(fake)) if clusters is None else np.asarray(clusters)
    classes = [_Clusters(np.flatnonzero(members), names) for members in (fake, ~fake)]
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([members.draw(rng) for members in classes])
        values.append(figure(fake[drawn], score[drawn]))
    low, high = np.quantile(np.array(values, np.float64), [0.025, 0.975])
    return float(low), float(high)


class _Clusters:
    """The rows of one class, those of a cluster side by side, to be drawn cluster by cluster."""

    def __init__(self, rows: npt.NDArray[np.int64], names: npt.NDArray[Any]) -> None:
        _, cluster = np.unique(names[rows], return_inverse=True)
        self._rows = rows[np.argsort(cluster, kind="stable")]
        self._lengths = np.bincount(cluster)
        self._starts = np.cumsum(self._lengths) - self._lengths

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Rows of as many clusters as there are, drawn with replacement."""
        chosen = rng.choice(len(self._starts), len(self._starts))
        lengths = self._lengths[chosen]
        begins = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(begins, lengths)
        return np.asarray(self._rows[np.repeat(self._starts[chosen], lengths) + within])


INTERVALS: Mapping[str, Callable[[Flags, Scores], float | None]] = {
    "auc_interval": auc,
    "eer_interval": equal_error_rate,
    "calibration_error_interval": calibration_error,
}
"""The intervals of :func:`summary`. That of the calibration error is no more than a sign of how noisy it
is: drawing anew adds noise of its own, which this figure counts as error, so the interval sits too high
and may even leave out the figure."""


def summary(
    fake: Flags, probability: Scores, threshold: float, *, clusters: npt.ArrayLike | None = None
) -> dict[str, Any]:
    """All figures of one set of rows, with ``INTERVALS``; ``clusters`` as for :func:`bootstrap_interval`."""
    fake = as_flags(fake)
    return {
        "count": len(fake),
        "fake": int(fake.sum()),
        "real": int((~fake).sum()),
        "auc": auc(fake, probability),
        "eer": equal_error_rate(fake, probability),
        "average_precision": average_precision(fake, probability),
        "log_loss": log_loss(fake, probability),
        "calibration_error": calibration_error(fake, probability),
        **at_threshold(fake, probability, threshold),
        **{
            name: bootstrap_interval(figure, fake, probability, clusters=clusters)
            for name, figure in INTERVALS.items()
        },
    }


def comparable_reals(
    rows: Sequence[CropRow], stated: Mapping[str, Sequence[str]] | None = None
) -> dict[str, set[str]]:
    """For each manipulation, the real methods it is measured against.

    Those ``stated``; else those of the same people (groups); else those of the same medium (stills
    against stills); else all. Otherwise a figure could measure how collections differ.
    """
    stated = stated or {}
    groups: dict[str, set[str]] = defaultdict(set)
    clips: dict[str, set[str]] = defaultdict(set)
    crops: dict[str, int] = defaultdict(int)
    label = {row.method: row.label for row in rows}
    for row in rows:
        groups[row.method].add(row.group)
        clips[row.method].add(row.clip)
        crops[row.method] += 1
    still = {method: crops[method] <= 1.5 * len(clips[method]) for method in label}
    reals = {method for method, name in label.items() if name == "real"}
    result = {}
    for method in sorted(set(label) - reals):
        result[method] = (
            set(stated.get(method, ())) & reals
            or {real for real in reals if groups[real] & groups[method]}
            or {real for real in reals if still[real] == still[method]}
            or reals
        )
    return result
