from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_network import save_tiny

from vidscan.errors import UsageError
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model
from vidscan.records import Calibration
from vidscan_training.cli.main import main
from vidscan_training.fitting.average import average_checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path):
    """Two checkpoints of one architecture with other weights."""
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for place, path in enumerate(paths):
        save_tiny(path)
        model = load_model(path)
        model.network.set_weights([array + place for array in model.network.get_weights()])
        model.network.save(path)
        card_path(path).unlink(missing_ok=True)
    return paths


def test_every_weight_is_the_mean(pair, tmp_path, capsys):
    assert main(["average", str(tmp_path / "out.keras"), *map(str, pair)]) == 0
    assert "mean of 2" in capsys.readouterr().out
    first, second, mean = (load_model(path).network.get_weights() for path in (*pair, tmp_path / "out.keras"))
    for one, other, between in zip(first, second, mean, strict=True):
        assert (other != one).any()
        np.testing.assert_allclose(between, (one + other) / 2, rtol=1e-6)


def test_the_card_claims_no_calibration_and_no_figures(pair, tmp_path):
    for path in pair:
        model = load_model(path)
        card = replace(
            model.card,
            fake_threshold=0.9,
            real_threshold=0.1,
            calibration=Calibration(2.0, 0.5, "test"),
            metrics={"validation": {"clip_auc": 1.0}},
            limits="none",
            terms="mine",
        )
        write_card(card, card_path(path))
    card = average_checkpoints(pair, tmp_path / "out.keras")
    assert read_card(card_path(tmp_path / "out.keras")) == card
    assert (card.calibration, card.metrics, card.limits) == (None, {}, "")
    assert (card.fake_threshold, card.real_threshold) == (0.6, 0.4)
    assert (card.terms, card.name) == ("mine", "out")


def test_one_checkpoint_is_no_mean(pair, tmp_path):
    with pytest.raises(UsageError, match="at least two"):
        average_checkpoints(pair[:1], tmp_path / "out.keras")


def test_checkpoints_of_other_splits_are_refused(pair, tmp_path):
    write_card(replace(load_model(pair[1]).card, split={"seed": 3}), card_path(pair[1]))
    with pytest.raises(UsageError, match=r"b\.keras: its card's split"):
        average_checkpoints(pair, tmp_path / "out.keras")
