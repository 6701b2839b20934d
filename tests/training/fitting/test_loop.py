from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_crops import SIZE, make_crop_folder
from tiny_network import save_tiny
from without_tensorflow import run_without_tensorflow

from vidscan.errors import ModelError, UsageError
from vidscan.models.checkpoint import load_model
from vidscan.system.frameworks import import_keras
from vidscan_training.crops.folder import open_crop_folder, read_manifest
from vidscan_training.crops.split import spread_over_clips
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.evaluation.metrics import comparable_reals
from vidscan_training.fitting import loop as fit_module
from vidscan_training.fitting.loop import fit
from vidscan_training.fitting.options import FitOptions
from vidscan_training.fitting.validation import Validation

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    make_crop_folder(folder / "crops", groups=8, portraits=8)
    save_tiny(folder / "tiny.keras")
    return folder


def options(made, output, **changed):
    basis = FitOptions(
        crops=made / "crops",
        output=output,
        initial=made / "tiny.keras",
        phase="full",
        sampling=SamplingOptions(batch_size=8),
        augmentation="none",
        epochs=3,
        steps_per_epoch=12,
        learning_rate=0.02,
        average=0.9,
    )
    return replace(basis, **changed)


def weights_of(path):
    return import_keras().saving.load_model(path, compile=False).get_weights()


def history(run):
    with (run / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def trained(made):
    """A whole run with all the trimmings: (path of the checkpoint, the run's folder)."""
    run = made / "whole"
    sampling = SamplingOptions(8, self_blend=0.2, match_resolution={"ffhq512": "ffhq256"})
    changed = {"name": "whole", "epochs": 5, "sampling": sampling, "augmentation": "robust"}
    return fit(options(made, run, terms="tests alone", **changed)), run


def test_a_run_leaves_a_checkpoint_with_its_card(trained):
    path, run = trained
    model = load_model(path)
    assert path == run / "whole.keras"
    assert (model.card.backbone, model.card.input_size, model.card.margin) == ("tiny-net", SIZE, 1.4)
    assert model.card.positive_class == "real"
    assert model.card.terms == "tests alone"
    assert "deepfakes (fake)" in model.card.data
    named = {name: set(model.card.split[name]["groups"]) for name in ("train", "val", "test")}
    assert sum(map(len, named.values())) == 8
    rows = read_manifest(run / "manifest.csv")
    assert {row.group for row in rows if row.split == "test" and "pair" in row.group} == named["test"]


def test_a_run_learns_and_says_so(trained):
    path, run = trained
    records = history(run)
    assert [int(record["epoch"]) for record in records] == [1, 2, 3, 4, 5]
    assert float(records[-1]["loss"]) < float(records[0]["loss"])
    best = max(float(record["clip_auc"]) for record in records)
    assert best > 0.9
    assert load_model(path).card.metrics["validation"]["clip_auc"] == pytest.approx(best)
    assert {"auc_deepfakes", "auc_faceswap", "auc_stylegan256", "log_loss"} <= set(records[0])


def test_the_checkpoint_holds_the_average_of_the_best_epoch_without_optimiser(trained):
    path, run = trained
    for ours, theirs in zip(weights_of(path), weights_of(run / "best.keras"), strict=True):
        assert np.array_equal(ours, theirs)
    last = weights_of(run / "last.keras")
    assert any(not np.allclose(a, b) for a, b in zip(weights_of(path), last, strict=True))
    assert import_keras().saving.load_model(path).compiled is False
    assert import_keras().saving.load_model(run / "last.keras").compiled


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_epoch_asked_for_becomes_the_checkpoint(made, tmp_path, monkeypatch, keep):
    """The first of three epochs is made to look best."""
    monkeypatch.setattr("vidscan_training.fitting.loop._merit", lambda record: (-record["epoch"], 0.0))
    path = fit(options(made, tmp_path / "run", keep=keep))
    kept = {"best": 1, "last": 3}[keep]
    assert load_model(path).card.metrics["validation"]["epoch"] == kept


@pytest.mark.parametrize(("phase", "map_loss"), [("full", 0.0), ("full", 1.0), ("head", 0.0)])
def test_a_killed_training_goes_on_as_if_it_had_not_been(made, tmp_path, monkeypatch, phase, map_loss):
    sampling = SamplingOptions(8, self_blend=0.2, swap_blend=0.2)
    changed = {"phase": phase, "augmentation": "robust", "map_loss": map_loss, "sampling": sampling}
    whole = fit(options(made, tmp_path / "whole", **changed))
    save = fit_module.save_progress
    saved = []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(fit_module, "save_progress", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        fit(options(made, tmp_path / "killed", **changed))
    monkeypatch.setattr(fit_module, "save_progress", save)
    resumed = fit(options(made, tmp_path / "killed", resume=True, **changed))
    for name in ("last.keras", "best.keras"):
        pairs = zip(weights_of(whole.parent / name), weights_of(resumed.parent / name), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, atol=2e-4)
    for ours, theirs in zip(history(whole.parent), history(resumed.parent), strict=True):
        assert ours["step"] == theirs["step"]
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), abs=1e-3)
        assert float(ours["learning_rate"]) == pytest.approx(float(theirs["learning_rate"]))


def test_resuming_a_finished_training_only_writes_its_checkpoint(trained, made, monkeypatch):
    path, run = trained
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(fit_module, "_train_epoch", lambda *_: pytest.fail("trained again"))
    sampling = SamplingOptions(8, self_blend=0.2, match_resolution={"ffhq512": "ffhq256"})
    again = options(made, run, name="whole", epochs=5, sampling=sampling, resume=True)
    assert fit(again) == path
    assert path.stat().st_mtime_ns > before


def test_resuming_with_other_options_or_nothing_is_refused(trained, made, tmp_path):
    _, run = trained
    with pytest.raises(UsageError, match="these differ: batch_size"):
        fit(options(made, run, sampling=SamplingOptions(16), resume=True))
    with pytest.raises(UsageError, match="holds a training already"):
        fit(options(made, run))
    with pytest.raises(ModelError, match="does not exist"):
        fit(options(made, tmp_path / "empty", resume=True))
    (tmp_path / "empty" / "last.keras").write_bytes(b"torn")
    with pytest.raises(ModelError, match="cannot be resumed from"):
        fit(options(made, tmp_path / "empty", resume=True))


def test_the_length_is_images_or_minutes_where_given(made, tmp_path):
    fit(options(made, tmp_path / "images", images=8 * 15, steps_per_epoch=10))
    assert [int(record["step"]) for record in history(tmp_path / "images")] == [10, 15]
    fit(options(made, tmp_path / "minutes", minutes=0.03, steps_per_epoch=10))
    records = history(tmp_path / "minutes")
    assert int(records[-1]["step"]) > 3
    assert float(records[-1]["learning_rate"]) == pytest.approx(0.02 * 1e-3)


def test_a_head_that_no_longer_improves_stops_early(made, tmp_path, monkeypatch):
    flat = {"clip_auc": 0.5, "crop_auc": 0.5, "log_loss": 0.7, "crop_log_loss": 0.7}
    monkeypatch.setattr(Validation, "measure", lambda self, network: flat)
    fit(options(made, tmp_path / "run", phase="head", epochs=30, steps_per_epoch=1, learning_rate=1e-2))
    rates = [float(record["learning_rate"]) for record in history(tmp_path / "run")]
    assert len(rates) == 8
    assert rates[-1] == pytest.approx(1e-2 * 0.3**2)


@pytest.mark.parametrize("phase", ["full", "head"])
def test_other_precisions(made, tmp_path, phase):
    changed = {"precision": "mixed_bfloat16", "epochs": 1, "steps_per_epoch": 4, "phase": phase}
    path = fit(options(made, tmp_path / "run", **changed))
    network = load_model(path).network
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_a_head_can_learn_beside_a_forgery_map(made, tmp_path):
    """The map looks at features that are not pooled yet, so the head is not trained apart."""
    sampling = SamplingOptions(8, self_blend=0.5)
    path = fit(options(made, tmp_path / "run", phase="head", map_loss=1.0, sampling=sampling))
    for place, (ours, before) in enumerate(
        zip(weights_of(path), weights_of(made / "tiny.keras"), strict=True)
    ):
        # Averaging what stays the same rounds it a little.
        assert np.allclose(ours, before, atol=1e-6) == (place < 10)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_forgery_map_is_learnt_in_training_and_left_out_of_the_checkpoint(made, tmp_path, precision):
    sampling = SamplingOptions(8, self_blend=0.3, swap_blend=0.3)
    path = fit(options(made, tmp_path / "run", map_loss=1.0, sampling=sampling, precision=precision))
    assert load_model(path).network.output_names == ["probability"]
    for ours, theirs in zip(weights_of(path), weights_of(tmp_path / "run" / "best.keras"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(weights_of(tmp_path / "run" / "last.keras")) == len(weights_of(path)) + 2


def test_short_epochs_are_not_saved_one_by_one(made, tmp_path, monkeypatch):
    saved = []
    save = fit_module.save_progress
    monkeypatch.setattr(
        fit_module, "save_progress", lambda *given: saved.append(given[3].epoch) or save(*given)
    )
    monkeypatch.setattr(fit_module, "SAVE_EVERY_S", 3600.0)  # whatever a busy machine takes
    path = fit(options(made, tmp_path / "seldom", epochs=4))
    assert saved == [4]
    monkeypatch.setattr(fit_module, "SAVE_EVERY_S", 0)
    again = fit(options(made, tmp_path / "often", epochs=4))
    assert saved == [4, 1, 2, 3, 4]
    for ours, theirs in zip(weights_of(path), weights_of(again), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_a_loss_that_is_no_number_ends_the_training(made, tmp_path):
    with pytest.raises(ModelError, match="the loss became"):
        fit(options(made, tmp_path / "run", learning_rate=1e30, warmup=0.0, steps_per_epoch=40))


@pytest.mark.parametrize(
    "changed",
    [
        {"phase": "tail"},
        {"precision": "int8"},
        {"images": 0},
        {"average": 1.0},
        {"augmentation": "gentle"},
        {"keep": "first"},
        {"map_loss": -1.0},
        {"teacher_weight": 1.5},
    ],
)
def test_impossible_options_are_refused(tmp_path, changed):
    with pytest.raises(UsageError):
        FitOptions(crops=tmp_path, output=tmp_path, **changed)


def test_a_network_of_another_size_is_refused(made, tmp_path):
    make_crop_folder(tmp_path / "crops", size=48)
    with pytest.raises(UsageError, match="the network takes 32 px, but the crops have 48"):
        fit(options(made, tmp_path / "run", crops=tmp_path / "crops"))


def test_validation_takes_few_crops_of_a_clip_evenly(made):
    rows = open_crop_folder(made / "crops").rows
    kept = spread_over_clips(range(len(rows)), rows, 2)
    assert [rows[place].time_s for place in kept if rows[place].clip == "original_0.mp4"] == [0.0, 1.0]
    assert sorted(kept) == kept
    assert spread_over_clips([3, 1], rows, 0) == [3, 1]


def test_manipulations_are_compared_with_the_same_people_or_medium(made):
    rows = open_crop_folder(made / "crops").rows
    found = comparable_reals(rows)
    assert found["deepfakes"] == found["faceswap"] == {"original"}
    assert found["stylegan256"] == {"ffhq256", "ffhq512"}
    assert comparable_reals(rows, {"stylegan256": ["ffhq256"]})["stylegan256"] == {"ffhq256"}


def test_the_training_modules_load_no_backend():
    code = (
        "import sys, vidscan_training.fitting.loop, vidscan_training.evaluation.evaluate\n"
        "import vidscan_training.evaluation.calibrate, vidscan_training.cli.main\n"
        "print([name for name in ('tensorflow', 'jax', 'torch', 'keras', 'sklearn') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_training_and_measuring_under_jax_without_tensorflow(made, tmp_path):
    done = run_without_tensorflow(
        f"""
from pathlib import Path
from vidscan_training.evaluation.calibrate import CalibrateOptions, calibrate_checkpoint
from vidscan_training.evaluation.evaluate import EvaluateOptions, evaluate
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.fitting.loop import fit
from vidscan_training.fitting.options import FitOptions

crops = Path({str(made / "crops")!r})
path = fit(FitOptions(crops, Path({str(tmp_path / "run")!r}), initial=Path({str(made / "tiny.keras")!r}),
    phase="full", epochs=1, steps_per_epoch=3, sampling=SamplingOptions(8), average=0.9))
calibrate_checkpoint(CalibrateOptions(path, crops))
print(evaluate(EvaluateOptions(path, crops, split="val"))["clips"]["auc"])
assert "jax" in sys.modules
""",
        KERAS_BACKEND="jax",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 <= float(done.stdout) <= 1
    model = load_model(tmp_path / "run" / "detector.keras")
    assert model.card.calibration is not None
    assert model.score(np.zeros((1, SIZE, SIZE, 3), np.uint8)).size == 1


def test_no_module_of_the_training_needs_tensorflow_to_be_imported():
    names = [
        ".".join(path.relative_to(ROOT / "training").with_suffix("").parts)
        for path in sorted((ROOT / "training").rglob("*.py"))
        if path.stem != "__init__"
    ]
    assert "vidscan_training.fitting.loop" in names
    code = "".join(f"import {name}\n" for name in names)
    done = run_without_tensorflow(
        code + "assert 'jax' not in sys.modules\nassert 'keras' not in sys.modules\n"
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(("network", "known"), [("lite2_linear", "lite2"), ("somebodys_own", "unknown")])
def test_the_card_names_the_backbone_that_training_went_on_from(made, tmp_path, network, known):
    going_on = options(made, tmp_path, backbone="efficientnetb0", initial=tmp_path / "without-card.keras")
    assert fit_module._backbone_name(going_on, SimpleNamespace(name=network)) == known
    anew = replace(going_on, initial=None)
    assert fit_module._backbone_name(anew, SimpleNamespace(name=network)) == "efficientnetb0"
