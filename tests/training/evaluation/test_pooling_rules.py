from __future__ import annotations

import numpy as np
import pytest
from toy_scorer import CARD
from vidscan_training.crops.folder import CropRow
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.pooling_rules import (
    RULES,
    compare_rules,
    confident,
    highest_mean,
    trimmed_mean,
)
from vidscan_training.evaluation.scores import ScoredRow, by_clip

from vidscan.errors import UsageError


def apply(name, *scores):
    return RULES[name].apply(np.array(scores))


def test_the_rule_in_use_is_that_of_the_verdict():
    scores = [0.0, 0.2, 0.7, 0.99, 1.0]
    rows = [CropRow(f"{i}.png", "fake", "m", "g", "c", float(i), 0, 0, 9, 9, 0.9) for i in range(len(scores))]
    clip = by_clip([ScoredRow(row, score) for row, score in zip(rows, scores, strict=True)], CARD)[0]
    assert apply("mean_logit", *scores) == pytest.approx(clip.fake_probability, abs=1e-8)


def test_rules_by_hand():
    scores = (0.1, 0.9, 0.2, 0.3, 0.5)
    assert apply("mean", *scores) == pytest.approx(0.4)
    assert apply("median", *scores) == pytest.approx(0.3)
    assert apply("trimmed_mean", *scores) == pytest.approx((0.2 + 0.3 + 0.5) / 3)
    assert apply("top_3", *scores) == pytest.approx((0.9 + 0.5 + 0.3) / 3)
    assert apply("top_quarter", *scores) == pytest.approx((0.9 + 0.5) / 2)
    assert apply("maximum", *scores) == 0.9


def test_rules_take_clips_of_any_length():
    for name, rule in RULES.items():
        for length in range(1, 30):
            assert rule.apply(np.full(length, 0.3)) == pytest.approx(0.3), name
    assert trimmed_mean(np.array([0.0, 0.0, 1.0, 1.0])) == 0.5, "a fifth of four crops is none"
    assert highest_mean(np.array([0.2, 0.4]), 3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("fakes", "rest", "expected"),
    [
        (12, 10, 0.9),  # 12 of 22: over 40%, over 11
        (11, 10, None),  # 11 are not enough
        (12, 18, None),  # 12 of 30 are 40%, not more
        (13, 18, 0.9),
    ],
)
def test_sure_fakes_decide_where_enough_of_them_agree(fakes, rest, expected):
    scores = np.array([0.9] * fakes + [0.5] * rest)
    assert confident(scores) == pytest.approx(scores.mean() if expected is None else expected)


def test_sure_reals_decide_where_nearly_all_agree():
    assert confident(np.array([0.1] * 10 + [0.7])) == pytest.approx(0.1)
    nine_of_ten = np.array([0.1] * 9 + [0.7])
    assert confident(nine_of_ten) == pytest.approx(nine_of_ten.mean())


def test_rules_are_compared_on_clips_of_several_crops():
    rng = np.random.default_rng(0)
    fake = np.arange(20) % 2 == 0
    clips = [np.clip(rng.normal(0.4 + 0.2 * truth, 0.15, 6), 0, 1) for truth in fake]
    # A lone crop scores the same under every rule, and tells nothing about them.
    result = compare_rules([*clips, np.array([0.99])], np.append(fake, False))
    assert (result["clips"], result["fake"], result["real"]) == (20, 10, 10)
    assert [row["name"] for row in result["rules"]] == list(RULES)
    mean = next(row for row in result["rules"] if row["name"] == "mean")
    score = np.array([clip.mean() for clip in clips])
    assert mean["auc"] == metrics.auc(fake, score)
    assert mean["auc_interval"] == metrics.bootstrap_interval(metrics.auc, fake, score)
    assert mean["eer"] == metrics.equal_error_rate(fake, score)
    assert mean["accuracy"] == pytest.approx(((score >= 0.5) == fake).mean())


def test_single_crops_alone_cannot_compare_rules():
    with pytest.raises(UsageError, match="--rules"):
        compare_rules([np.array([0.3])] * 4, np.array([True, False, True, False]))
