from __future__ import annotations

import numpy as np
import pytest

from vidscan_training.evaluation import metrics

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
    result = metrics.summary(fake, score, 0.5)
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


TAKING_FLAGS = {
    "has_both": metrics.has_both,
    "auc": lambda fake: metrics.auc(fake, SCORE),
    "equal_error_rate": lambda fake: metrics.equal_error_rate(fake, SCORE),
    "roc_curve": lambda fake: np.stack(metrics.roc_curve(fake, SCORE)).tolist(),
    "average_precision": lambda fake: metrics.average_precision(fake, SCORE),
    "log_loss": lambda fake: metrics.log_loss(fake, SCORE),
    "calibration_error": lambda fake: metrics.calibration_error(fake, SCORE),
    "reliability": lambda fake: metrics.reliability(fake, SCORE),
    "at_threshold": lambda fake: metrics.at_threshold(fake, SCORE, 0.5),
    "bootstrap_interval": lambda fake: metrics.bootstrap_interval(metrics.auc, fake, SCORE, rounds=20),
    "summary": lambda fake: metrics.summary(fake, SCORE, 0.5),
}


@pytest.mark.parametrize("name", TAKING_FLAGS)
def test_zeros_and_ones_are_truth_and_no_indices(name):
    figure = TAKING_FLAGS[name]
    expected = figure(FAKE)
    for dtype in (int, np.uint8, float):
        assert figure(FAKE.astype(dtype)) == expected
    for wrong in (FAKE + 1, np.where(FAKE, "fake", "real"), np.where(FAKE, 1.0, np.nan), FAKE.astype(object)):
        with pytest.raises(ValueError, match="booleans"):
            figure(wrong)


def test_calibration_error_uses_equally_wide_bins():
    """Three rows in one bin: |1/3 - 0.02|. Bins that were equally full would tell them apart."""
    fake, probability = np.array([False, False, True]), np.array([0.01, 0.02, 0.03])
    assert metrics.calibration_error(fake, probability) == pytest.approx(1 / 3 - 0.02)
    rows = metrics.reliability(FAKE, SCORE)
    by_hand = sum(row["share"] * abs(row["fakes"] - row["mean"]) for row in rows)
    assert metrics.calibration_error(FAKE, SCORE) == pytest.approx(by_hand)


def test_the_calibration_error_has_an_interval_too():
    rng = np.random.default_rng(3)
    probability = rng.random(400)
    fake = rng.random(400) < probability
    few = metrics.summary(fake[:20], probability[:20], 0.5)["calibration_error_interval"]
    many = metrics.summary(fake, probability, 0.5)["calibration_error_interval"]
    assert few[1] - few[0] > 2 * (many[1] - many[0]) > 0


def test_rows_that_hang_together_are_drawn_together():
    """Ten clips of twenty equal crops say no more than ten crops: the interval must not shrink."""
    rng = np.random.default_rng(5)
    fake = np.arange(10) % 2 == 0
    score = rng.normal(fake * 0.7, 1.0)
    alone = metrics.bootstrap_interval(metrics.auc, fake, score)
    crops = np.repeat(fake, 20), np.repeat(score, 20)
    clips = np.repeat(np.arange(10), 20)
    assert metrics.bootstrap_interval(metrics.auc, *crops, clusters=clips) == pytest.approx(alone)
    naive = metrics.bootstrap_interval(metrics.auc, *crops)
    assert naive[1] - naive[0] < (alone[1] - alone[0]) / 2


def test_clusters_of_different_sizes_are_kept_whole():
    fake = np.array([True, False, True, False, False, True])
    score = np.arange(6.0)
    clusters = np.array(["a", "x", "b", "x", "x", "b"])
    seen = set()

    def look(drawn_fake, drawn_score):
        seen.add(tuple(sorted(drawn_score[drawn_fake])))
        assert sorted(drawn_score[~drawn_fake]) == [1, 3, 4]
        return 0.0

    metrics.bootstrap_interval(look, fake, score, clusters=clusters, rounds=200)
    assert seen == {(0, 0), (0, 2, 5), (2, 2, 5, 5)}


def test_calibration_error_by_chance_is_that_of_perfect_probabilities():
    probability = np.random.default_rng(1).random(20)
    chance = metrics.calibration_error_by_chance(probability)
    assert 0.12 < chance["mean"] < 0.25
    assert chance["mean"] < chance["high"] < 0.4
    assert metrics.calibration_error_by_chance(probability[::-1]) == chance
    many = metrics.calibration_error_by_chance(np.random.default_rng(1).random(2000), rounds=100)
    assert many["high"] < 0.05
    certain = metrics.calibration_error_by_chance(np.array([0.0, 1.0, 1.0]))
    assert certain == {"mean": 0.0, "high": 0.0}


def test_perfect_probabilities_of_twenty_clips_have_a_calibration_error_of_a_fifth():
    """What training/README.md says of small tests."""
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(300):
        probability = rng.random(20)
        errors.append(metrics.calibration_error(rng.random(20) < probability, probability))
    assert np.mean(errors) == pytest.approx(0.2, abs=0.05)
