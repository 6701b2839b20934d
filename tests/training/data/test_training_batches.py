from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_crops import SIZE, make_crop_folder

from vidscan.errors import DecodeError, UsageError
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.reader import in_order
from vidscan_training.data import batches as dataset
from vidscan_training.data import forge
from vidscan_training.data.augment import reduce_resolution
from vidscan_training.data.augment_presets import PRESETS, AugmentOptions
from vidscan_training.data.batches import TrainingBatches
from vidscan_training.data.draw import FAKE, REAL, SamplingOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_crop_folder(make_crop_folder(tmp_path_factory.mktemp("made") / "crops"))


def batches(folder, augmentation=None, **sampling):
    options = SamplingOptions(**{"batch_size": 8, **sampling})
    return TrainingBatches(folder, range(len(folder.rows)), options, augmentation)


def drawn_rows(loader, monkeypatch, steps):
    """Which rows ``steps`` batches read, in order."""
    seen = []
    original = dataset.CropReader.__call__

    def spy(self, row):
        seen.append(row)
        return original(self, row)

    monkeypatch.setattr(dataset.CropReader, "__call__", spy)
    for step in range(steps):
        loader.batch(step)
    return seen


def test_a_batch_has_the_shapes_and_ranges_it_promises(folder):
    batch = batches(folder, PRESETS["robust"]).batch(0)
    assert batch.inputs.shape == (8, SIZE, SIZE, 3)
    assert batch.inputs.dtype == np.float32
    assert 100 < batch.inputs.max() <= 255
    assert batch.inputs.min() >= 0
    assert batch.target.ravel().tolist() == [REAL] * 4 + [FAKE] * 4


def test_targets_belong_to_their_pictures(folder):
    """Fakes of the made-up crops are greener; whatever is read from disc shows it."""
    for step in range(5):
        batch = batches(folder).batch(step)
        green = batch.inputs[..., 1].mean(axis=(1, 2)) - batch.inputs[..., [0, 2]].mean(axis=(1, 2, 3))
        reals, fakes = green[batch.target.ravel() == REAL], green[batch.target.ravel() == FAKE]
        assert fakes.mean() > reals.mean()
    rows = [place for place, row in enumerate(folder.rows) if row.method == "deepfakes"][:1]
    rows += [place for place, row in enumerate(folder.rows) if row.method == "original"][:1]
    batch = TrainingBatches(folder, rows, SamplingOptions(batch_size=2)).batch(0)
    read = dataset.CropReader(folder)
    assert np.array_equal(batch.inputs[0], read(rows[1]))
    assert np.array_equal(batch.inputs[1], read(rows[0]))


def test_an_odd_batch_gives_the_extra_place_to_each_class_in_turn(folder):
    loader = batches(folder, batch_size=5)
    assert [int(loader.batch(step).target.sum()) for step in range(4)] == [2, 3, 2, 3]


def test_batches_are_functions_of_their_number(folder):
    first, second = batches(folder, PRESETS["robust"]), batches(folder, PRESETS["robust"])
    order = [5, 0, 3]
    ours = {step: first.batch(step) for step in order}
    for step in sorted(order):
        assert np.array_equal(ours[step].inputs, second.batch(step).inputs)
    assert not np.array_equal(ours[0].inputs, ours[3].inputs)
    assert not np.array_equal(ours[0].inputs, batches(folder, PRESETS["robust"], seed=1).batch(0).inputs)


def test_the_stream_gives_the_same_batches_as_one_thread(folder):
    loader = batches(folder, PRESETS["robust"])
    for step, batch in enumerate(loader.stream(2, 9, workers=4, ahead=3), start=2):
        assert np.array_equal(batch.inputs, loader.batch(step).inputs)
    assert step == 8


def test_method_weights_decide_how_often_a_method_is_drawn(folder, monkeypatch):
    loader = batches(
        folder, batch_size=40, method_weights={"faceswap": 0.0, "stylegan256": 3.0, "ffhq512": 0.5}
    )
    counts = Counter(folder.rows[row].method for row in drawn_rows(loader, monkeypatch, 60))
    assert counts["faceswap"] == 0
    assert counts["stylegan256"] / counts["deepfakes"] == pytest.approx(3.0, rel=0.25)
    assert counts["ffhq512"] / counts["original"] == pytest.approx(0.5, rel=0.25)


def test_a_clip_with_many_crops_is_drawn_as_often_as_one_with_few(folder, monkeypatch):
    kept = [i for i, row in enumerate(folder.rows) if row.clip != "original_0.mp4" or row.time_s == 0]
    loader = TrainingBatches(folder, kept, SamplingOptions(40, method_weights={"ffhq256": 0, "ffhq512": 0}))
    counts = Counter(folder.rows[row].clip for row in drawn_rows(loader, monkeypatch, 60))
    others = [counts[f"original_{group}.mp4"] for group in range(1, 6)]
    assert counts["original_0.mp4"] == pytest.approx(np.mean(others), rel=0.25)


def test_the_self_blended_share_is_made_from_reals_with_landmarks(folder, monkeypatch):
    blended, shown = [], []

    def blend(image, landmarks, rng):
        assert np.isfinite(landmarks).all()
        blended.append(image)
        return np.full_like(image, 7), np.ones(image.shape[:2], np.float32)

    monkeypatch.setattr(forge, "self_blend", blend)
    loader = batches(folder, batch_size=20, self_blend=0.4)
    for step in range(40):
        batch = loader.batch(step)
        made = (batch.inputs == 7).all(axis=(1, 2, 3))
        assert not made[batch.target.ravel() == REAL].any()
        assert int(batch.target.sum()) == 10
        shown.append(made.sum())
    assert sum(shown) / 400 == pytest.approx(0.4, abs=0.08)
    reals = {
        dataset.CropReader(folder)(i).tobytes() for i, row in enumerate(folder.rows) if row.label == "real"
    }
    assert all(image.tobytes() in reals for image in blended)


def test_a_forged_fake_is_preferably_the_twin_of_a_real_in_its_batch(folder, monkeypatch):
    monkeypatch.setattr(forge, "self_blend", lambda image, landmarks, rng: (image, None))
    for augmentation in (None, PRESETS["robust"]):
        batch = batches(folder, augmentation, batch_size=8, self_blend=1.0).batch(1)
        reals = {picture.tobytes() for picture in batch.inputs[:4]}
        # Twins share the augmentation, so that only the forgery sets them apart.
        assert sum(picture.tobytes() in reals for picture in batch.inputs[4:]) >= 3


def test_the_swap_blended_share_pastes_other_people(folder, monkeypatch):
    groups = [row.group for row in folder.rows]
    picture = {dataset.CropReader(folder)(i).tobytes(): groups[i] for i in range(len(groups))}
    seen = []

    def swap(image, mesh, source, source_mesh, rng):
        seen.append((picture[image.tobytes()], picture[source.tobytes()]))
        return np.full_like(image, 7), np.ones(image.shape[:2], np.float32)

    monkeypatch.setattr(forge, "swap_blend", swap)
    loader = batches(folder, batch_size=20, self_blend=0.2, swap_blend=0.5)
    made = sum((loader.batch(step).inputs == 7).all(axis=(1, 2, 3)).sum() for step in range(30))
    assert made / 300 == pytest.approx(0.5, abs=0.08)
    assert all(target != source for target, source in seen)


def test_maps_say_what_was_forged_and_where_nobody_knows(folder, monkeypatch):
    def blend(image, landmarks, rng):
        mask = np.zeros(image.shape[:2], np.float32)
        mask[: len(mask) // 2, : len(mask) // 2] = 1.0
        return np.full_like(image, 7), mask

    monkeypatch.setattr(forge, "self_blend", blend)
    options = SamplingOptions(20, self_blend=0.5)
    loader = TrainingBatches(folder, range(len(folder.rows)), options, AugmentOptions(flip=0.5), 4)
    corners = Counter()
    for step in range(10):
        batch = loader.batch(step)
        assert batch.map.shape == (20, 16)
        assert batch.map.dtype == np.float32
        forged = (batch.inputs == 7).all(axis=(1, 2, 3))
        known = forged | (batch.target.ravel() == REAL)
        assert batch.map_weight.tolist() == known.astype(float).tolist()
        assert not batch.map[~forged].any()
        for cells in batch.map[forged].reshape(-1, 4, 4):
            assert cells.sum() == pytest.approx(4, abs=0.05)
            corners["left" if cells[0, 0] > 0.9 else "right" if cells[0, 3] > 0.9 else "?"] += 1
        assert batch.targets[1] is batch.map
        assert batch.sample_weights[1] is batch.map_weight
    assert set(corners) == {"left", "right"}
    assert batches(folder).batch(0).map is None


def test_the_map_of_a_whole_synthetic_face_is_all_forged(folder):
    loader = TrainingBatches(
        folder, range(len(folder.rows)), SamplingOptions(20, whole_face=("stylegan256",)), None, 4
    )
    methods = {dataset.CropReader(folder)(i).tobytes(): row.method for i, row in enumerate(folder.rows)}
    seen = set()
    for step in range(5):
        batch = loader.batch(step)
        for image, cells, known in zip(batch.inputs, batch.map, batch.map_weight, strict=True):
            method = methods[image.astype(np.uint8).tobytes()]
            seen.add(method)
            if method == "stylegan256":
                assert known
                assert (cells == 1).all()
            elif method in ("deepfakes", "faceswap"):
                assert not known
            else:
                assert known
                assert not cells.any()
    assert {"stylegan256", "deepfakes", "original"} <= seen


def test_batches_are_compressed_where_the_augmentation_says_so(folder):
    plain, coded = (batches(folder, AugmentOptions(h264=share)).batch(0).inputs for share in (0.0, 1.0))
    assert (np.abs(plain - coded).reshape(len(plain), -1).max(axis=1) > 0).all()


def test_self_blending_without_landmarks_is_refused(folder):
    with pytest.raises(UsageError, match="no landmarks"):
        batches(replace(folder, landmarks=None), self_blend=0.1)


def test_resolution_is_matched_where_asked_for(folder, monkeypatch):
    sides = []
    monkeypatch.setattr(
        dataset, "reduce_resolution", lambda image, side: sides.append(side) or reduce_resolution(image, side)
    )
    only = {"original": 0.0, "ffhq256": 0.0}
    batches(folder, method_weights=only, match_resolution={"ffhq512": "ffhq256"}).batch(0)
    assert set(sides) == {round(14 * 1.4)}
    sides.clear()
    for step in range(20):
        batches(folder, method_weights=only, match_resolution={"ffhq512": (10, 20)}).batch(step)
    assert min(sides) >= 10
    assert max(sides) <= 20
    assert len(set(sides)) > 5


def test_reducing_resolution_removes_detail_and_leaves_small_pictures_alone():
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert reduce_resolution(picture, 32) is picture
    reduced = reduce_resolution(picture, 8)
    assert reduced.shape == picture.shape
    assert reduced.std() < 0.6 * picture.std()


@pytest.mark.parametrize(
    "sampling",
    [
        {"method_weights": {"lipsync": 1.0}},
        {"match_resolution": {"ffhq512": "ffhq128"}},
        {"whole_face": ("lipsync",)},
    ],
)
def test_an_unknown_method_is_refused(folder, sampling):
    with pytest.raises(UsageError, match="no crops of"):
        batches(folder, **sampling)


def test_a_class_that_is_weighted_away_is_refused(folder):
    with pytest.raises(UsageError, match="no fake crops"):
        batches(folder, method_weights={"deepfakes": 0, "faceswap": 0, "stylegan256": 0})


@pytest.mark.parametrize(
    "sampling",
    [
        {"batch_size": 1},
        {"self_blend": 1.5},
        {"self_blend": 0.6, "swap_blend": 0.6},
        {"method_weights": {"a": -1.0}},
    ],
)
def test_impossible_sampling_is_refused(sampling):
    with pytest.raises(UsageError):
        SamplingOptions(**sampling)


def test_a_damaged_picture_is_named(tmp_path):
    folder = open_crop_folder(make_crop_folder(tmp_path / "crops"))
    (folder.path / folder.rows[2].file).write_bytes(b"no picture")
    with pytest.raises(DecodeError, match=r"original_0-01000\.png"):
        dataset.CropReader(folder)(2)


def test_in_order_keeps_order_and_bounds_what_waits():
    running, most, lock = set(), [0], threading.Lock()

    def slow(number):
        with lock:
            running.add(number)
            most[0] = max(most[0], len(running))
        time.sleep(0.002 * (number % 3))
        with lock:
            running.discard(number)
        return number

    assert list(in_order(slow, range(30), workers=3, ahead=4)) == list(range(30))
    assert 1 < most[0] <= 3


def test_in_order_passes_an_error_on_in_its_place():
    def work(number):
        if number == 3:
            raise ValueError("three")
        return number

    seen = []
    with pytest.raises(ValueError, match="three"):
        for value in in_order(work, range(10)):
            seen.append(value)
    assert seen == [0, 1, 2]


def test_augmentation_gets_both_classes_alike(folder, monkeypatch):
    calls = []

    def augment(image, rng, options):
        calls.append(options)
        return image

    monkeypatch.setattr(dataset, "augment", augment)
    options = AugmentOptions(flip=0.5)
    batches(folder, options, self_blend=0.5).batch(0)
    assert calls == [options] * 8
