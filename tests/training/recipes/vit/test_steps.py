from __future__ import annotations

import pytest

from vidscan_training.recipes.vit.__main__ import main


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


def test_step_that_is_unknown_is_refused():
    with pytest.raises(SystemExit) as stopped:
        main(["dance"])
    assert stopped.value.code == 2
