from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textures import high_frequency_energy, textured

from vidscan.models.landmarks import MIN_SIDE
from vidscan_training.data import augment as module
from vidscan_training.data.augment import augment, augment_mask
from vidscan_training.data.augment_presets import PRESETS, AugmentOptions

CHANGES = ("flip", "geometry", "light", "colour", "grayscale", "cutout", "blur", "rescale", "noise")
COMPRESSIONS = ("codec", "jpeg")


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(MIN_SIDE, 140),
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(sorted(PRESETS)),
)
def test_any_side_and_seed_keep_shape_type_and_input(side, seed, name):
    image = textured(side, seed % 1000)
    before = image.copy()
    first = augment(image, np.random.default_rng(seed), PRESETS[name])
    again = augment(image, np.random.default_rng(seed), PRESETS[name])
    assert first.shape == (side, side, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert not np.shares_memory(first, image)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("change", CHANGES + COMPRESSIONS)
@pytest.mark.parametrize("side", [MIN_SIDE, 65, 260])
def test_each_change_alone_alters_the_picture_and_is_repeatable(change, side):
    image = textured(side)
    options = replace(AugmentOptions(), **{change: 1.0})
    for seed in range(5):
        changed = augment(image, np.random.default_rng(seed), options)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert (changed != image).any()
        np.testing.assert_array_equal(changed, augment(image, np.random.default_rng(seed), options))


def test_seeds_differ():
    image = textured(96)
    pictures = {augment(image, np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(pictures) >= 19  # robust does something nearly always, and rarely the same twice


def test_none_is_the_identity_in_a_new_array():
    image = textured(80)
    for seed in range(20):
        same = augment(image, np.random.default_rng(seed), PRESETS["none"])
        np.testing.assert_array_equal(same, image)
        assert not np.shares_memory(same, image)


def test_reference_never_degrades():
    # The recipe's geometry and brightness: a flat picture stays perfectly flat.
    flat = np.full((64, 64, 3), (90, 120, 150), np.uint8)
    for seed in range(20):
        changed = augment(flat, np.random.default_rng(seed), PRESETS["reference"])
        assert (changed == changed[0, 0]).all()


@pytest.mark.parametrize("change", ["rescale", "jpeg", "codec", "blur"])
def test_degradation_removes_fine_detail(change):
    image = textured(128)
    options = replace(AugmentOptions(jpeg_quality=(30, 60), rescale_min=0.35), **{change: 1.0})
    energy = [
        high_frequency_energy(augment(image, np.random.default_rng(seed), options)) for seed in range(30)
    ]
    assert np.mean(energy) < 0.8 * high_frequency_energy(image)


def test_lower_jpeg_quality_loses_more():
    image = textured(128)

    def loss(quality: int) -> float:
        changed = module.jpeg(image, np.random.default_rng(3), (quality, quality))
        return float(np.abs(changed.astype(int) - image).mean())

    assert loss(30) > loss(60) > loss(95)


def test_noise_adds_fine_detail_but_hardly_moves_the_mean():
    flat = np.full((128, 128, 3), 128, np.uint8)
    for seed in range(10):
        changed = module.noise(flat, np.random.default_rng(seed), 9.0)
        assert 0.5 < changed.std() < 14.0
        assert abs(float(changed.mean()) - 128) < 1.5


def test_flip_mirrors_left_and_right():
    image = textured(32)
    np.testing.assert_array_equal(module.flip(image, np.random.default_rng(0)), image[:, ::-1])


def test_move_has_no_empty_border():
    bright = np.full((100, 100, 3), 200, np.uint8)
    for seed in range(20):
        moved = module.move(bright, np.random.default_rng(seed), 10.0, 0.05, 0.10)
        assert moved.min() >= 199


def test_move_stays_within_its_range():
    # A dot in the middle of the crop travels no further than the largest shift.
    image = np.zeros((101, 101, 3), np.uint8)
    cv2.circle(image, (50, 50), 4, (255, 255, 255), -1)
    travelled = []
    for seed in range(40):
        moved = module.move(image, np.random.default_rng(seed), 10.0, 0.05, 0.10)[..., 0].astype(float)
        rows, columns = np.indices(moved.shape)
        centre = np.array([(rows * moved).sum(), (columns * moved).sum()]) / moved.sum()
        travelled.append(np.abs(centre - 50).max())
    assert max(travelled) <= 5.05 + 0.3
    assert max(travelled) > 3.0


def test_hue_turn_keeps_luma_and_full_circle_is_identity():
    image = np.full((16, 16, 3), (150, 110, 95), np.uint8)
    turned = module.shift_colour(image, 25.0, 1.0)
    weights = np.array([0.299, 0.587, 0.114])
    assert abs(float(turned[0, 0] @ weights) - float(image[0, 0] @ weights)) < 1.0
    assert np.abs(turned.astype(int) - image).max() > 5
    full = module.shift_colour(image, 360.0, 1.0)
    assert np.abs(full.astype(int) - image).max() <= 1


def test_colour_offset_is_in_rgb_order():
    image = np.full((16, 16, 3), 100, np.uint8)
    shifted = module.shift_colour(image, 0.0, 1.0, np.array([10.0, 0.0, -10.0]))
    np.testing.assert_allclose(shifted[0, 0], [110, 100, 90], atol=1)


def test_grayscale_has_three_equal_channels():
    gray = module.grayscale(textured(32), np.random.default_rng(0))
    assert (gray == gray[..., :1]).all()


def test_cutout_covers_a_limited_rectangle():
    image = textured(100)
    for seed in range(20):
        hidden = (module.cutout(image, np.random.default_rng(seed), 0.35) != image).any(axis=2)
        rows, columns = np.nonzero(hidden)
        assert 1 <= np.ptp(rows) + 1 <= 35
        assert 1 <= np.ptp(columns) + 1 <= 35


def test_jpeg_keeps_the_colour_order():
    red = np.full((32, 32, 3), (200, 40, 30), np.uint8)
    changed = module.jpeg(red, np.random.default_rng(0), (90, 95))
    assert np.abs(changed.astype(int) - red).max() < 12


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((20, 30, 3), np.uint8), "square"),
        (np.zeros((20, 20), np.uint8), "square RGB"),
        (np.zeros((20, 20, 4), np.uint8), "square RGB"),
        (np.zeros((20, 20, 3), np.float32), "uint8"),
        (np.zeros((8, 8, 3), np.uint8), "at least 16"),
    ],
)
def test_wrong_pictures_are_refused_in_words(image, words):
    with pytest.raises(ValueError, match=words):
        augment(image, np.random.default_rng(0))


def test_defaults_are_the_none_preset_and_every_probability_is_tested():
    options = PRESETS["none"]
    steps = {field.name for field in fields(options) if getattr(options, field.name) == 0.0}
    # H.264 is done to a batch: test_compression.py.
    assert steps == {*CHANGES, *COMPRESSIONS, "h264", "intact"}


def test_the_share_asked_for_keeps_its_fine_traces():
    image = textured(96)
    degraded = replace(PRESETS["none"], noise=1.0, jpeg=1.0)
    for share in (0.0, 0.5, 1.0):
        options = replace(degraded, intact=share)
        kept = [np.array_equal(augment(image, np.random.default_rng(s), options), image) for s in range(200)]
        assert np.mean(kept) == pytest.approx(share, abs=0.12)
    flipped = augment(image, np.random.default_rng(1), replace(degraded, flip=1.0, intact=1.0))
    assert np.array_equal(flipped, image[:, ::-1])


@pytest.mark.parametrize("name", ["moderate", "broad", "wild", "mixed", "robust"])
def test_a_mask_moves_with_its_picture(name):
    mask = np.zeros((96, 96), np.float32)
    mask[20:50, 15:40] = 1.0
    picture = np.dstack([mask * 255] * 3).astype(np.uint8)
    moving = replace(AugmentOptions(), flip=0.5, geometry=0.7)
    for seed in range(30):
        moved = augment_mask(mask, np.random.default_rng(seed), PRESETS[name])
        shown = augment(picture, np.random.default_rng(seed), moving)[..., 0]
        assert (moved.dtype, moved.shape) == (np.float32, mask.shape)
        assert np.abs(moved - shown / 255).max() < 0.01
        degraded = augment(picture, np.random.default_rng(seed), replace(PRESETS[name], cutout=0.0))
        grey = degraded.mean(axis=2).astype(np.float32)
        assert np.corrcoef(grey.ravel(), moved.ravel())[0, 1] > 0.8
