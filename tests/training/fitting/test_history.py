from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidscan_training.fitting.history import history_plot


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
