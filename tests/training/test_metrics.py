from __future__ import annotations

import numpy as np
import pytest

from training import metrics

FAKE = np.array([False, False, False, False, True, True, True, True])
SCORE = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9])


def test_known_values():
    assert metrics.auc(FAKE, SCORE) == pytest.approx(15 / 16)
    # One of four reals is above one of four fakes: 0.6 against 0.4.
    assert metrics.equal_error_rate(FAKE, SCORE) == pytest.approx(0.25)
    assert metrics.average_precision(FAKE, SCORE) == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)


def test_the_error_rate_is_interpolated():
    """Two reals, three fakes: the curve goes from (0, 2/3) to (1/2, 2/3); the rates meet at 1/3."""
    fake = np.array([True, True, False, True, False])
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    assert metrics.equal_error_rate(fake, score) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("score", "rate", "area"), [([0, 0, 1, 1], 0, 1), ([1, 1, 0, 0], 1, 0), ([5] * 4, 0.5, 0.5)]
)
def test_perfect_inverted_and_constant_scores(score, rate, area):
    fake = np.array([False, False, True, True])
    assert metrics.equal_error_rate(fake, np.array(score, float)) == pytest.approx(rate)
    assert metrics.auc(fake, np.array(score, float)) == pytest.approx(area)


@pytest.mark.parametrize("levels", [3, 10, 10**6])
def test_areas_and_curves_agree_with_scikit_learn_also_with_ties(levels):
    from sklearn.metrics import roc_auc_score, roc_curve

    rng = np.random.default_rng(levels)
    for _ in range(20):
        fake = rng.random(40) < rng.uniform(0.2, 0.8)
        score = rng.integers(0, levels, 40) / levels + (0.2 * fake if levels > 3 else 0)
        assert metrics.auc(fake, score) == pytest.approx(roc_auc_score(fake, score))
        false_alarms, caught, _ = roc_curve(fake, score, drop_intermediate=False)
        ours = metrics.roc_curve(fake, score)
        assert np.allclose(ours[0], false_alarms)
        assert np.allclose(ours[1], caught)


def test_one_class_alone_has_no_ranking_but_has_the_rest():
    fake, score = np.array([True, True]), np.array([0.9, 0.2])
    result = metrics.summary(fake, score, 0.5, intervals=True)
    assert [result[name] for name in ("auc", "eer", "average_precision", "auc_interval")] == [None] * 4
    assert result["accuracy"] == 0.5


def test_figures_at_a_threshold():
    result = metrics.at_threshold(FAKE, SCORE, 0.4)
    assert result["confusion"] == [[3, 1], [0, 4]]
    assert result["accuracy"] == pytest.approx(7 / 8)
    assert result["classes"]["fake"] == pytest.approx(
        {"precision": 0.8, "recall": 1, "f1": 8 / 9, "support": 4}
    )
    assert result["classes"]["real"] == pytest.approx(
        {"precision": 1, "recall": 0.75, "f1": 6 / 7, "support": 4}
    )
    assert metrics.at_threshold(FAKE, SCORE, 0.41)["confusion"] == [[3, 1], [1, 3]]


def test_log_loss_survives_certainty():
    assert metrics.log_loss(np.array([True]), np.array([0.5])) == pytest.approx(np.log(2))
    assert metrics.log_loss(np.array([True]), np.array([0.0])) == pytest.approx(-np.log(1e-7))


def test_calibration_error_of_honest_and_boastful_probabilities():
    fake = np.array([True] * 9 + [False] * 11)
    honest = np.array([0.9] * 10 + [0.0] * 10)
    assert metrics.calibration_error(fake, honest) == pytest.approx(0)
    boastful = np.array([1.0] * 10 + [0.0] * 10)
    assert metrics.calibration_error(fake, boastful) == pytest.approx(0.05)
    rows = metrics.reliability(fake, honest)
    assert [row["count"] for row in rows] == [10, 10]
    assert rows[1]["low"] == 0.9
    assert rows[1]["fakes"] == pytest.approx(0.9)


def test_the_bootstrap_is_seeded_and_holds_the_figure():
    rng = np.random.default_rng(1)
    fake = np.arange(60) % 2 == 0
    score = rng.normal(fake * 1.0, 1.0)
    first = metrics.bootstrap_interval(metrics.auc, fake, score, rounds=300)
    assert first == metrics.bootstrap_interval(metrics.auc, fake, score, rounds=300)
    assert first[0] < metrics.auc(fake, score) < first[1]
    assert 0.1 < first[1] - first[0] < 0.4
    many = np.tile(fake, 16), np.tile(score, 16)
    narrow = metrics.bootstrap_interval(metrics.auc, *many, rounds=300)
    assert narrow[1] - narrow[0] < (first[1] - first[0]) / 2
