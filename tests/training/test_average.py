from __future__ import annotations

import numpy as np
from tiny_network import save_tiny

from training.cli import main
from vidscan.model import load_model, save_checkpoint
from vidscan.records import Calibration, ModelCard


def test_the_mean_of_two_checkpoints(tmp_path):
    first, second, out = (tmp_path / f"{name}.keras" for name in ("a", "b", "mean"))
    save_tiny(first)
    model = load_model(first)
    model.network.set_weights([array + 0.5 for array in model.network.get_weights()])
    card = ModelCard(
        "b", "tiny-net", model.card.input_size, calibration=Calibration(2.0, 1.0, "x"), metrics={"auc": 1}
    )
    save_checkpoint(model.network, second, card)

    assert main(["average", str(first), str(second), "--out", str(out)]) == 0
    mean = load_model(out)
    originals = load_model(first).network.get_weights()
    for array, original in zip(mean.network.get_weights(), originals, strict=True):
        np.testing.assert_allclose(array, original + 0.25, rtol=1e-6, atol=1e-6)
    assert (mean.card.name, mean.card.backbone) == ("mean", "tiny-net")
    assert mean.card.calibration is None and not mean.card.metrics


def test_one_alone_or_two_kinds_are_refused(tmp_path, capsys):
    first, other = tmp_path / "a.keras", tmp_path / "b.keras"
    save_tiny(first)
    assert main(["average", str(first), "--out", str(tmp_path / "out.keras")]) == 2
    assert "two checkpoints" in capsys.readouterr().err
    save_tiny(other, filters=(6, 9))
    assert main(["average", str(first), str(other), "--out", str(tmp_path / "out.keras")]) == 2
    assert "b.keras: its weights have other shapes" in capsys.readouterr().err
