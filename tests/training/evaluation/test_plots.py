from __future__ import annotations

import cv2
import numpy as np
import pytest
from vidscan_training.evaluation.plots import history_plot, reliability_plot, robustness_plots, roc_plot


def record(images, **figures):
    return {"images": images, "loss": 1 / images, "learning_rate": 1e-4, "log_loss": 0.5, **figures}


def drawn(path):
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_a_history_becomes_a_picture(tmp_path):
    history = [
        record(1000 * i, clip_auc=0.5 + 0.05 * i, crop_auc=None, crop_log_loss=0.6, auc_deepfakes=0.7)
        for i in range(1, 5)
    ]
    history_plot(history, tmp_path / "a.png")
    first = drawn(tmp_path / "a.png")
    assert first.shape[0] > 500
    assert np.ptp(first) == pytest.approx(255, abs=40)
    history_plot(history, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    history[2]["clip_auc"] = 0.1
    history_plot(history, tmp_path / "a.png")
    assert not np.array_equal(drawn(tmp_path / "a.png"), first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_history_of_one_epoch_and_odd_names_can_be_drawn(tmp_path):
    """A dollar sign would begin a formula, a leading underscore hide a name: neither may stop a training."""
    history_plot([record(16, **{"auc_$a": 0.5, "auc__b": 0.6, "auc_c$": None})], tmp_path / "a.png")
    drawn(tmp_path / "a.png")
    with pytest.raises(ValueError, match="without an epoch"):
        history_plot([], tmp_path / "a.png")


def test_the_same_figures_give_the_same_drawing():
    rows = [{"low": 0.0, "high": 0.1, "count": 3, "share": 1.0, "mean": 0.05, "fakes": 0.2}]
    assert reliability_plot(rows, "clips") == reliability_plot(rows, "clips")
    assert ">3<" in reliability_plot(rows, "clips")


def test_roc_curves_carry_the_area_and_skip_what_does_not_exist():
    confusion = [[3, 1], [1, 3]]
    result = {
        "roc": {"crops": None, "clips": [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]},
        "clips": {"auc": 0.75, "confusion": confusion},
        "crops": {"auc": None, "confusion": confusion},
    }
    svg = roc_plot(result)
    assert "clips, AUC 0.750" in svg
    assert "crops" not in svg


def test_without_an_auc_there_is_no_robustness_to_draw():
    assert robustness_plots({"undegraded": {"clip_auc": None}, "degradations": []}) == {}
