from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_crops import SIZE, make_crop_folder
from tiny_network import build_tiny
from without_tensorflow import run_without_tensorflow

from vidscan.errors import UsageError
from vidscan.models.card_file import card_path, read_card
from vidscan.models.checkpoint import load_model
from vidscan_training.crops.folder import open_crop_folder, read_manifest, write_manifest
from vidscan_training.crops.split import assign_splits
from vidscan_training.fitting.backbones import BACKBONES
from vidscan_training.recipes import b4
from vidscan_training.recipes.b4 import FULL, TINY, Recipe, choose_backend, split_of

pytestmark = pytest.mark.slow

SMALL_NETWORK = """
from tiny_network import tiny_features
from vidscan_training.fitting import backbones, build

small = backbones.Backbone("efficientnetb0", 32, tiny_features)
backbones.BACKBONES = build.BACKBONES = {"efficientnetb0": small}
"""
"""EfficientNetB0 takes minutes to compile under JAX on a CPU; this stands in its place."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    make_crop_folder(folder / "crops", groups=12, portraits=12)
    network = build_tiny()
    from vidscan.system.frameworks import import_keras

    features = import_keras().Model(network.input, network.get_layer("top_activation").output)
    features.save_weights(folder / "small.weights.h5")
    return folder


def test_the_whole_recipe_under_jax_without_tensorflow(made, tmp_path):
    flags = [
        str(made / "crops"),
        str(tmp_path / "out"),
        "--tiny",
        "--weights",
        str(made / "small.weights.h5"),
    ]
    done = run_without_tensorflow(
        f"{SMALL_NETWORK}\nfrom vidscan_training.recipes.b4 import main\nassert main({flags!r}) == 0\n"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint = Path(done.stdout.strip())
    assert checkpoint == tmp_path / "out" / "full" / "vidscan-b4.keras"
    card = read_card(card_path(checkpoint))
    assert (card.backbone, card.input_size) == ("efficientnetb0", SIZE)
    assert card.calibration is not None
    assert set(card.split["train"]["groups"]).isdisjoint(card.split["val"]["groups"])
    assert "# " in (tmp_path / "out" / "validation.md").read_text()
    assert load_model(checkpoint).card.sha256 == card.sha256
    lines = [line for line in done.stderr.splitlines() if re.match(r"\[ *[\d.]+ min\]", line)]
    for stage in ("head of", "trial of", "32 are trained on", "calibration", "float16", "done: "):
        assert any(stage in line for line in lines), stage
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "compiled",
        "full",
        "head",
        "validation.md",
    }


@pytest.mark.parametrize("flags", [{"weights": "none"}, {"head": "region"}])
def test_no_head_is_trained_first_where_it_makes_no_sense(made, tmp_path, monkeypatch, capsys, flags):
    ran = []
    monkeypatch.setattr(b4, "fit", lambda options: pytest.fail("trained a head"))
    monkeypatch.setattr(Recipe, "train_all", lambda self, initial: ran.append(("all", initial)))
    for stage in ("measure", "halve"):
        monkeypatch.setattr(Recipe, stage, lambda self, checkpoint, stage=stage: ran.append(stage))
    Recipe(made / "crops", tmp_path, **flags).run()
    assert ran == [("all", None), "halve", "measure"]
    assert "no head is trained first" in capsys.readouterr().err


def test_every_stage_is_told_the_recipe(made, tmp_path, monkeypatch):
    asked = []

    def fit(options):
        asked.append(options)
        options.output.mkdir(parents=True)
        state = {"seconds": 0.01 * 59, "step": 60}
        (options.output / "state.json").write_text(json.dumps(state))
        return options.output / "vidscan-b4.keras"

    monkeypatch.setattr(b4, "fit", fit)
    recipe = Recipe(made / "crops", tmp_path, teacher=made / "teacher.keras")
    recipe.train_all(recipe.train_head())
    head, trial, full = asked
    assert (head.phase, head.weights, head.cache_features, head.teacher) == ("head", "imagenet", 3, None)
    assert trial.initial == full.initial == tmp_path / "head" / "vidscan-b4.keras"
    assert trial.images == 2 * 30 * 32
    for options in (trial, full):
        assert (options.phase, options.map_loss, options.teacher) == ("full", 1.0, made / "teacher.keras")
    for options in asked:
        assert (options.backbone, options.precision) == ("efficientnetb4", "mixed_bfloat16")
        assert (options.augmentation, options.sampling.batch_size) == ("broad", 32)
        assert (options.sampling.self_blend, options.sampling.swap_blend) == (0.25, 0.4)
        assert options.sampling.method_weights["stylegan256"] == 1.2
        assert options.sampling.match_resolution["ffhq512"] == (120.0, 300.0)
    trained = sum(row.split == "train" for row in assign_splits(open_crop_folder(made / "crops").rows))
    assert full.images == b4.MAX_PASSES * trained
    assert full.steps_per_epoch == -(-full.images // (32 * FULL.validations))
    assert not (tmp_path / "trial").exists()


def test_methods_that_are_missing_are_left_out(made, tmp_path):
    folder = make_crop_folder(tmp_path / "crops", portraits=0)
    sampling = Recipe(folder, tmp_path)._options("full", tmp_path).sampling
    assert sampling.method_weights == sampling.match_resolution == {}


def test_the_split_is_the_manifests_where_it_names_one(made, tmp_path):
    folder = make_crop_folder(tmp_path / "crops")
    assert split_of(folder).test > 0
    rows = assign_splits(read_manifest(folder / "manifest.csv"))
    write_manifest(folder / "manifest.csv", rows)
    assert split_of(folder).test > 0
    (folder / "landmarks.npy").unlink()
    write_manifest(folder / "manifest.csv", [row for row in rows if row.split != "test"])
    assert split_of(folder).test == 0


@pytest.mark.parametrize(
    ("installed", "chosen", "expected"),
    [(True, None, None), (False, None, "jax"), (False, "torch", "torch"), (True, "jax", "jax")],
)
def test_jax_is_chosen_where_tensorflow_is_missing(tmp_path, monkeypatch, installed, chosen, expected):
    import os

    monkeypatch.setattr(b4, "find_spec", lambda name: object() if installed else None)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if chosen is not None:
        monkeypatch.setenv("KERAS_BACKEND", chosen)
    with monkeypatch.context() as inner:
        inner.setattr(os, "environ", dict(os.environ))
        choose_backend(tmp_path)
        assert os.environ.get("KERAS_BACKEND") == expected
        assert Path(os.environ["JAX_COMPILATION_CACHE_DIR"]) == tmp_path / "compiled"


def test_failures_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(b4, "choose_backend", lambda output: None)
    assert b4.main([str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    assert re.search(r"^b4_recipe: .*manifest\.csv does not exist", capsys.readouterr().err, re.M)


def test_full_scale_is_what_the_name_says():
    assert FULL.backbone == "efficientnetb4"
    assert BACKBONES[FULL.backbone].input_size == 380
    assert TINY.max_images is not None
    assert FULL.max_images is None


def test_images_fill_the_time_that_is_left(made, tmp_path, monkeypatch):
    monkeypatch.setattr(Recipe, "_seconds", lambda self: 60.0)
    recipe = Recipe(made / "crops", tmp_path, minutes=2)
    assert recipe._images(0.5) == int(b4.TRAINING_SHARE * 60 / 0.5) * 32
    with pytest.raises(UsageError, match="--minutes"):
        recipe._images(10.0)
