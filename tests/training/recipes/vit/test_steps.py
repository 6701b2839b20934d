from __future__ import annotations

import pytest

from vidscan_training.recipes.vit import __main__ as steps
from vidscan_training.recipes.vit import mouths
from vidscan_training.recipes.vit.__main__ import main
from vidscan_training.recipes.vit.features import MOUTH, REFERENCE
from vidscan_training.recipes.vit.folds import UPLOADS
from vidscan_training.recipes.vit.judged import SETS


@pytest.mark.parametrize(
    "step", [["folds"], ["features", "weights.npz"], ["export", "weights.npz", "out"], ["cards", "out"]]
)
def test_missing_store_is_told_in_one_line(step, tmp_path, capsys):
    name, *rest = step
    store = tmp_path / "none"
    assert main([name, str(store), *(str(tmp_path / each) for each in rest)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"vidscan_training.recipes.vit: {store}: holds no faces.csv: cut faces out first\n"
    assert list(tmp_path.iterdir()) == []


def test_store_is_not_written_over(tmp_path, capsys):
    for name in ("ffpp", "talking", "stills"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.csv").write_text("file,label\n")
    store = tmp_path / "store"
    store.mkdir()
    (store / "faces.csv").write_text("here\n")
    assert main(["faces", str(tmp_path), str(store)]) == 1
    assert "already holds faces" in capsys.readouterr().err
    assert (store / "faces.csv").read_text() == "here\n"


def test_features_are_made_of_every_set_that_a_later_step_reads(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(steps.FaceStore, "open", lambda path: path)
    monkeypatch.setattr(steps.port, "load_weights", lambda path: {})
    monkeypatch.setattr(steps, "evened", lambda store, weights: weights)
    monkeypatch.setattr(steps, "cache", lambda store, name, weights: made.append(name))
    assert main(["features", str(tmp_path), "weights.npz"]) == 0
    assert sorted(made) == sorted([*SETS, UPLOADS, REFERENCE, *mouths.SETS, MOUTH + UPLOADS])


def test_step_that_is_unknown_is_refused():
    with pytest.raises(SystemExit) as stopped:
        main(["dance"])
    assert stopped.value.code == 2
