from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from made_crops import make_crop_folder
from toy_scorer import CARD, ToyScorer

from vidscan.errors import UsageError
from vidscan.records import ModelCard
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.evaluate import EvaluateOptions
from vidscan_training.evaluation.robustness import measure_robustness, ranking
from vidscan_training.evaluation.scores import ScoredRow, score_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_crop_folder(make_crop_folder(tmp_path_factory.mktemp("made") / "crops", groups=9))


def scored_by(model, folder):
    return score_rows(model, folder, list(range(len(folder.rows))))


def test_figures_belong_to_their_strengths(folder):
    """The toy looks at colour alone: without colour it is blind, and compression does not hurt it."""
    result = measure_robustness(ToyScorer(), folder, scored_by(ToyScorer(), folder), ["saturation", "jpeg"])
    grey, plain = result["degradations"][0]["strengths"][0], result["undegraded"]
    assert result["degradations"][0]["title"] == "Saturation, times"
    assert grey["strength"] == 0
    assert plain["clip_auc"] > 0.8
    assert 0.3 < grey["clip_auc"] < 0.7
    assert grey["detection_rate"] == grey["false_alarm_rate"] == 0
    for row in result["degradations"][1]["strengths"]:
        assert row["clip_auc"] == pytest.approx(plain["clip_auc"], abs=0.05)
    assert [row["strength"] for row in result["degradations"][1]["strengths"]] == [90, 70, 50, 30]


@pytest.mark.slow
def test_a_shuffled_manifest_gives_identical_figures(folder):
    """By kinds that take crops together, need each one's name, or its size in the video."""
    kinds = ["h264", "noise", "size"]
    order = list(range(len(folder.rows)))
    random.Random(4).shuffle(order)
    mixed = replace(folder, rows=tuple(folder.rows[i] for i in order), landmarks=folder.landmarks[order])
    expected = measure_robustness(ToyScorer(), folder, scored_by(ToyScorer(), folder), kinds)
    found = measure_robustness(ToyScorer(), mixed, scored_by(ToyScorer(), mixed)[::-1], kinds, batch_size=7)
    assert found == expected


@dataclass(frozen=True)
class Memory:
    """Gives crops away by what it has seen of them before."""

    card: ModelCard = CARD

    def score(self, crops):
        return np.array([crop.mean() / 255 for crop in crops], np.float32)


def test_only_the_crops_that_were_scored_are_scored_again(folder):
    some = score_rows(Memory(), folder, [0, 1, 2, 3, 4, 5, 9, 10, 11])
    result = measure_robustness(Memory(), folder, some, ["contrast"])
    assert result["undegraded"] == ranking(some, CARD)
    # A contrast turned about mid-grey keeps the order of what does not leave 0-255.
    assert result["degradations"][0]["strengths"][1]["crop_auc"] == result["undegraded"]["crop_auc"]


def test_the_ranking_is_that_of_the_evaluation(folder):
    rng = np.random.default_rng(1)
    scored = [
        ScoredRow(row, float(np.clip(rng.normal(0.4 + 0.3 * (row.label == "fake"), 0.2), 0, 1)))
        for row in folder.rows
    ]
    found = ranking(scored, CARD)
    fake = np.array([item.row.label == "fake" for item in scored])
    score = np.array([item.fake_probability for item in scored])
    assert found["crop_auc"] == metrics.auc(fake, score)
    low, high = found["crop_auc_interval"]
    assert low < found["crop_auc"] < high
    assert found["detection_rate"] > found["false_alarm_rate"] > 0


def test_one_class_alone_has_rates_but_no_ranking(folder):
    reals = [item for item in scored_by(ToyScorer(), folder) if item.row.label == "real"]
    found = ranking(reals, CARD)
    assert found["clip_auc"] is found["crop_auc_interval"] is found["detection_rate"] is None
    assert found["false_alarm_rate"] >= 0


def test_an_unknown_degradation_is_refused():
    with pytest.raises(UsageError, match="fog: not among jpeg"):
        EvaluateOptions(Path("model.keras"), Path("crops"), robustness=True, degradations=["fog"])
