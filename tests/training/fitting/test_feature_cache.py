from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_crops import SIZE, make_crop_folder
from tiny_network import build_tiny, save_tiny

from vidscan.errors import ModelError, UsageError
from vidscan.system.frameworks import import_keras
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.split import assign_splits
from vidscan_training.data.batches import TrainingBatches
from vidscan_training.data.draw import Sampler, SamplingOptions
from vidscan_training.data.forge import Forgery
from vidscan_training.fitting import feature_cache as features_module
from vidscan_training.fitting import loop as fit_module
from vidscan_training.fitting.build import put_head
from vidscan_training.fitting.feature_cache import (
    FeatureBatches,
    feature_key,
    load_or_make_features,
    views_to_cache,
)
from vidscan_training.fitting.loop import fit
from vidscan_training.fitting.network import feature_part, head_part, with_precision
from vidscan_training.fitting.options import FitOptions
from vidscan_training.fitting.validation import Validation

pytestmark = pytest.mark.slow

SAMPLING = SamplingOptions(8, self_blend=0.3, swap_blend=0.3)


@pytest.fixture
def made(tmp_path):
    make_crop_folder(tmp_path / "crops", groups=8, portraits=8)
    save_tiny(tmp_path / "tiny.keras")
    return tmp_path


def options(made, **changed):
    basis = FitOptions(
        crops=made / "crops",
        output=made / "run",
        initial=made / "tiny.keras",
        phase="head",
        sampling=SAMPLING,
        augmentation="none",
        epochs=3,
        learning_rate=0.02,
        average=0.9,
        cache_features=2,
    )
    return replace(basis, **changed)


def parts(made, asked):
    """What :func:`load_or_make_features` is given for ``asked`` options."""
    folder = open_crop_folder(made / "crops")
    rows = assign_splits(folder.rows, asked.split)
    train = [place for place, row in enumerate(rows) if row.split == "train"]
    validation = Validation(folder, rows, per_clip=asked.val_per_clip, batch_size=8)
    return folder, Sampler(folder, train, replace(asked.sampling, seed=asked.seed)), validation


def made_features(made, **changed):
    asked = options(made, **changed)
    folder, sampler, validation = parts(made, asked)
    network = build_tiny()
    return sampler, validation, load_or_make_features(asked, folder, sampler, validation, network, network)


def key(made, network=None, **changed):
    asked = options(made, **changed)
    return feature_key(asked, *parts(made, asked), network or build_tiny())


def files(made):
    return sorted((made / "crops" / "features").glob("*"))


def test_features_are_what_the_base_makes_of_each_crop(made):
    sampler, validation, features = made_features(made, sampling=SamplingOptions(8))
    base, folder = feature_part(build_tiny()), open_crop_folder(made / "crops")
    for place, row in list(enumerate(sampler.rows))[:5]:
        picture = cv2.imread(str(folder.image_path(folder.rows[row])))[..., ::-1].astype(np.float32)
        expected = np.asarray(base.predict_on_batch(picture[None]))[0]
        for copy in range(2):
            np.testing.assert_allclose(features.train[place, copy], expected, atol=1e-5)
    assert features.train.shape == (len(sampler.rows), 2, 8)
    assert features.val.shape == (len(validation.rows), 8)
    assert features.train.dtype == features.val.dtype == np.float32


def test_validation_from_features_is_validation_of_pictures(made):
    _, validation, features = made_features(made)
    network = build_tiny()
    from_pictures = validation.measure(network)
    validation.score_features(features.val)
    assert validation.measure(head_part(network)) == pytest.approx(from_pictures, abs=1e-6)


def test_every_forgery_that_may_be_drawn_is_cached_as_a_fake(made):
    sampler, _, features = made_features(made)
    views = views_to_cache(sampler)
    reals = {row for row in sampler.rows.tolist() if sampler.forger.can(row)}
    for forgery in (Forgery.SELF_BLEND, Forgery.SWAP_BLEND):
        assert {row for kind, row in views if kind is forgery} == reals
    batches = FeatureBatches(sampler, features.train)
    place = {view: number for number, view in enumerate(views)}
    for step in range(10):
        batch, drawn = batches.batch(step), sampler.draw(step)
        for i, (kind, row, look) in enumerate(zip(drawn.forgery, drawn.row, drawn.look, strict=True)):
            number = place[Forgery(kind), int(row)]
            assert np.array_equal(batch.inputs[i], features.train[number, int(look) % 2])
            assert batch.targets[i] == (sampler.target[row] if kind == Forgery.NONE else 0)
            # A forgery differs from the crop that it was made of.
            if kind != Forgery.NONE:
                plain = features.train[place[Forgery.NONE, int(row)], int(look) % 2]
                assert not np.array_equal(batch.inputs[i], plain)


def test_copies_differ_and_a_forgery_shares_its_twins_look(made, monkeypatch):
    monkeypatch.setattr("vidscan_training.data.forge.self_blend", lambda image, mesh, rng: (image, None))
    sampler, _, features = made_features(
        made, sampling=SamplingOptions(8, self_blend=0.5), augmentation="robust"
    )
    assert not np.allclose(features.train[:, 0], features.train[:, 1])
    place = {view: number for number, view in enumerate(views_to_cache(sampler))}
    for (forgery, row), number in place.items():
        if forgery is Forgery.SELF_BLEND:
            assert np.array_equal(features.train[number], features.train[place[Forgery.NONE, row]])


def test_batches_are_drawn_as_pictures_are(made):
    asked = options(made, sampling=replace(SAMPLING, method_weights={"faceswap": 0.0}, balanced=False))
    folder, sampler, _ = parts(made, asked)
    pictures = TrainingBatches(folder, sampler.rows, sampler.sampling)
    cached = FeatureBatches(sampler, np.zeros((len(views_to_cache(sampler)), 2, 8), np.float32))
    assert cached.sampler.steps_per_pass == pictures.sampler.steps_per_pass
    for step, batch in enumerate(cached.stream(3, 9, workers=1), start=3):
        shown = pictures.batch(step)
        assert np.array_equal(batch.targets, shown.target)
        assert np.array_equal(batch.sample_weights, shown.weight)


def test_a_second_run_reads_what_the_first_one_made(made, monkeypatch, capsys):
    fit(options(made))
    assert "making features" in capsys.readouterr().err
    (path,) = files(made)
    monkeypatch.setattr(features_module, "_compute_features", lambda *_: pytest.fail("made again"))
    fit(options(made, output=made / "second", learning_rate=0.01, dropout=0.1, epochs=1))
    assert f"read from {path}" in capsys.readouterr().err
    assert files(made) == [path]


@pytest.mark.parametrize(
    "changed",
    [
        {"cache_features": 3},
        {"augmentation": "robust"},
        {"seed": 1},
        {"precision": "mixed_bfloat16"},
        {"val_per_clip": 1},
        {"sampling": replace(SAMPLING, self_blend=0.2)},
        {"sampling": replace(SAMPLING, swap_blend=0.0)},
        {"sampling": replace(SAMPLING, match_resolution={"ffhq512": "ffhq256"})},
        {"split": replace(FitOptions(Path(), Path()).split, val=0.4)},
    ],
)
def test_other_options_have_another_key(made, changed):
    assert key(made, **changed) != key(made)


def test_the_key_depends_on_what_features_are_made_of_and_on_nothing_else(made, monkeypatch):
    before = key(made)
    assert key(made, build_tiny(), output=made / "other", learning_rate=0.5, dropout=0.3) == before
    head = build_tiny()
    head.get_layer("probability").bias.assign([3.0])
    assert key(made, head) == before
    base = build_tiny()
    base.get_layer("bn0").moving_mean.assign(np.full(6, 0.1, np.float32))
    assert key(made, base) != before
    layout = build_tiny()
    layout.get_layer("rescaling").scale = 1 / 127
    assert key(made, layout) != before
    monkeypatch.setattr(features_module, "__version__", "99")
    assert key(made) != before


def test_the_key_depends_on_every_crop_that_is_used(made):
    before, crops = key(made), made / "crops"
    asked = options(made)
    folder, sampler, validation = parts(made, asked)
    used = {*sampler.rows.tolist(), *validation.places}
    for place in (int(sampler.rows[0]), validation.places[0]):
        path = folder.image_path(folder.rows[place])
        original = path.read_bytes()
        path.write_bytes(original + b"\0")
        assert key(made) != before
        path.write_bytes(original)
    untouched = next(place for place in range(len(folder.rows)) if place not in used)
    folder.image_path(folder.rows[untouched]).write_bytes(b"another picture")
    assert key(made) == before
    meshes = np.load(crops / "landmarks.npy")
    np.save(crops / "landmarks.npy", meshes + np.float16(1))
    assert key(made) != before
    np.save(crops / "landmarks.npy", meshes)
    manifest = crops / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("pair0", "pairX"))
    assert key(made) != before


def test_the_key_depends_on_the_code_that_makes_views(made, monkeypatch):
    before = key(made)
    real = features_module.sha256_of
    monkeypatch.setattr(
        features_module, "sha256_of", lambda path: "0" if path.name == "augment.py" else real(path)
    )
    assert key(made) != before


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file_is_made_again_and_said_so(made, capsys, damage):
    fit(options(made, epochs=1))
    (path,) = files(made)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        np.savez(path, train=np.zeros((3, 2, 8), np.float32), val=np.zeros((2, 8), np.float32))
    capsys.readouterr()
    fit(options(made, output=made / "again", epochs=1))
    assert f"{path} is damaged" in capsys.readouterr().err
    assert path.read_bytes() == whole


def test_nothing_half_written_is_left_when_storing_fails(made, monkeypatch):
    def full(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UsageError, match="No space left"):
        fit(options(made))
    assert files(made) == []


def test_infinite_features_are_refused(made):
    network = build_tiny()
    network.get_layer("bn1").beta.assign(np.full(8, np.inf, np.float32))
    asked = options(made)
    with pytest.raises(ModelError, match="infinite features"):
        load_or_make_features(asked, *parts(made, asked), network, network)
    assert files(made) == []


def test_features_that_are_not_pooled_are_not_cached(made):
    base = build_tiny()
    region = put_head(base.get_layer("top_activation").output, "region", 0.0)
    network = import_keras().Model(base.input, region)
    asked = options(made)
    with pytest.raises(UsageError, match="begins with a global average pooling"):
        load_or_make_features(asked, *parts(made, asked), network, network)


def history(run):
    with (run / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


def weights_of(path):
    return import_keras().saving.load_model(path, compile=False).get_weights()


def test_a_head_from_features_is_trained_as_one_from_pictures(made):
    """Without augmentation, forgeries and dropout in the head, both ways see the same and learn the same.

    A frozen base drops nothing either, whether its features are cached or not.
    """
    network = build_tiny(dropout=0.0, base_dropout=0.5)
    network.save(made / "still.keras")
    same = {"initial": made / "still.keras", "sampling": SamplingOptions(8), "epochs": 4}
    cached = fit(options(made, output=made / "cached", **same))
    shown = fit(options(made, output=made / "shown", cache_features=0, **same))
    for name in ("best.keras", "last.keras"):
        pairs = zip(weights_of(cached.parent / name), weights_of(shown.parent / name), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, atol=2e-3)
    for ours, theirs in zip(history(cached.parent), history(shown.parent), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), abs=1e-4)
        assert float(ours["crop_log_loss"]) == pytest.approx(float(theirs["crop_log_loss"]), abs=1e-4)
    # The base has not moved, and the checkpoint is a whole network.
    for ours, before in zip(weights_of(cached)[:10], network.get_weights()[:10], strict=True):
        np.testing.assert_array_equal(ours, before)
    assert import_keras().saving.load_model(cached).input_shape == (None, SIZE, SIZE, 3)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_killed_training_from_features_goes_on_as_if_it_had_not_been(made, monkeypatch, precision):
    changed = {"augmentation": "robust", "precision": precision, "epochs": 4}
    whole = fit(options(made, output=made / "whole", **changed))
    save, saved = fit_module.save_progress, []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(fit_module, "save_progress", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        fit(options(made, output=made / "killed", **changed))
    monkeypatch.setattr(fit_module, "save_progress", save)
    monkeypatch.setattr(features_module, "_compute_features", lambda *_: pytest.fail("made again"))
    resumed = fit(options(made, output=made / "killed", resume=True, **changed))
    for name in ("last.keras", "best.keras"):
        pairs = zip(weights_of(whole.parent / name), weights_of(resumed.parent / name), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, atol=2e-4)
    with pytest.raises(UsageError, match="these differ: cache_features"):
        fit(options(made, output=made / "killed", resume=True, **{**changed, "cache_features": 0}))


def test_half_precision_trains_on_its_features_and_validates_in_full(made):
    asked = options(made)
    folder, sampler, validation = parts(made, asked)
    network = build_tiny()
    half = with_precision(network, "mixed_bfloat16")
    features = load_or_make_features(asked, folder, sampler, validation, half, network)
    exact = load_or_make_features(asked, folder, sampler, validation, network, network)
    assert np.array_equal(features.val, exact.val)
    assert not np.array_equal(features.train, exact.train)
    np.testing.assert_allclose(features.train, exact.train, atol=0.1)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"phase": "full"}, "needs a frozen base"),
        ({"map_loss": 1.0}, "without pictures"),
        ({"teacher": Path("teacher.keras")}, "without pictures"),
        ({"cache_features": -1}, "negative"),
    ],
)
def test_what_cannot_be_trained_from_features_is_refused(made, changed, reason):
    with pytest.raises(UsageError, match=reason):
        options(made, **changed)
