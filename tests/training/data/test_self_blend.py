from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_meshes import drawn_landmarks, portrait

from vidscan_training.data import self_blend as module
from vidscan_training.data.self_blend import (
    RATIOS,
    REGIONS,
    blend,
    draw_mask,
    hull_mask,
    make_pair,
    region_points,
    self_blend,
)

SIDE = 160


@settings(max_examples=50, deadline=None)
@given(side=st.integers(32, 260), seed=st.integers(0, 2**32 - 1))
def test_any_side_and_seed_give_a_picture_and_a_mask(side, seed):
    image, landmarks = portrait(side), drawn_landmarks(side)
    before = image.copy()
    blended, mask = self_blend(image, landmarks, np.random.default_rng(seed))
    assert blended.shape == (side, side, 3)
    assert blended.dtype == np.uint8
    assert mask.shape == (side, side)
    assert mask.dtype == np.float32
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0
    assert mask.any()
    np.testing.assert_array_equal(image, before)
    again, _ = self_blend(image, landmarks, np.random.default_rng(seed))
    np.testing.assert_array_equal(blended, again)


def test_seeds_differ():
    image, landmarks = portrait(SIDE), drawn_landmarks(SIDE)
    pictures = {self_blend(image, landmarks, np.random.default_rng(seed))[0].tobytes() for seed in range(20)}
    assert len(pictures) == 20


def test_outside_of_the_mask_stands_the_target():
    image, landmarks = portrait(SIDE), drawn_landmarks(SIDE)
    restyled = 0
    for seed in range(30):
        source, target, mask = make_pair(image, landmarks, np.random.default_rng(seed))
        blended, same = self_blend(image, landmarks, np.random.default_rng(seed))
        np.testing.assert_array_equal(mask, same)
        outside = mask == 0
        assert outside.mean() > 0.2
        np.testing.assert_array_equal(blended[outside], target[outside])
        assert (blended[~outside] != target[~outside]).any()
        restyled += (target != image).any()
        # Between the two, never beyond either.
        assert (blended >= np.minimum(source, target).astype(int) - 1).all()
        assert (blended <= np.maximum(source, target).astype(int) + 1).all()
    assert 5 <= restyled <= 25  # either of the two is restyled, by a coin


def test_the_mask_is_zero_at_the_border_of_the_crop():
    landmarks = drawn_landmarks(SIDE)
    for seed in range(40):
        _, mask = self_blend(portrait(SIDE), landmarks, np.random.default_rng(seed))
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert (border == 0).mean() > 0.95


def test_ratios_cap_the_mask():
    landmarks = drawn_landmarks(SIDE)
    peaks = [float(draw_mask(landmarks, SIDE, np.random.default_rng(seed)).max()) for seed in range(60)]
    capped = [min(RATIOS, key=lambda ratio: abs(ratio - peak)) for peak in peaks]
    # A core survives softening nearly always, so peaks sit on the ratios.
    assert np.mean(np.abs(np.subtract(peaks, capped)) < 0.02) > 0.9
    assert {0.25, 0.5, 0.75, 1.0} <= set(capped)


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_survives_deformation_and_softening(region):
    hull = hull_mask(region_points(drawn_landmarks(SIDE), region), SIDE)
    area = hull.sum()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        mask = module.soften(module.deform(hull, rng), rng)
        assert 0.3 * area < mask.sum() < 1.6 * area


def test_regions_are_parts_of_the_face_where_their_names_say():
    landmarks = drawn_landmarks(SIDE)
    masks = {region: hull_mask(region_points(landmarks, region), SIDE) for region in REGIONS}
    areas = {region: mask.sum() for region, mask in masks.items()}
    assert areas["face"] > areas["no_forehead"] > areas["lower_face"] > areas["mouth"]
    assert areas["face"] > areas["features"] > areas["eyes"]
    rows = {region: np.nonzero(mask.any(axis=1))[0] for region, mask in masks.items()}
    assert rows["no_forehead"][0] > rows["face"][0] + 0.1 * SIDE
    assert rows["lower_face"][0] > rows["eyes"][-1]
    assert rows["mouth"][0] > rows["eyes"][-1]


def test_a_tilted_face_gets_the_same_parts():
    landmarks = drawn_landmarks(SIDE)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 30.0, 1.0)
    tilted = (landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    for region in REGIONS:
        upright = hull_mask(region_points(landmarks, region), SIDE).sum()
        assert hull_mask(region_points(tilted, region), SIDE).sum() == pytest.approx(upright, rel=0.06)


def test_blend_is_the_weighted_mean():
    source, target = portrait(SIDE, 1), portrait(SIDE, 2)
    mask = np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE)).astype(np.float32)
    expected = mask[..., None] * source + (1 - mask[..., None]) * target
    np.testing.assert_allclose(blend(source, target, mask), expected, atol=0.51)


def test_restyled_colours_stay_near_the_original():
    # Blends should be subtle: the mean colour of a mid-tone picture moves, but not far.
    image = portrait(SIDE)
    moved = [
        np.abs(module.restyle(image, np.random.default_rng(seed)).mean((0, 1)) - image.mean((0, 1))).max()
        for seed in range(60)
    ]
    assert max(moved) < 45
    assert np.median(moved) > 2


def test_displacement_moves_mask_and_source_together():
    landmarks = drawn_landmarks(SIDE)
    mask = hull_mask(landmarks, SIDE)
    image = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    for seed in range(10):
        moved, moved_mask = module.displace(image, mask, np.random.default_rng(seed))
        np.testing.assert_allclose(moved[..., 0] / 255, moved_mask, atol=0.02)
        shift = np.abs(np.argwhere(moved_mask > 0.5).mean(0) - np.argwhere(mask > 0.5).mean(0)).max()
        assert shift < 0.04 * SIDE


@pytest.mark.parametrize(
    ("image", "landmarks", "words"),
    [
        (np.zeros((64, 60, 3), np.uint8), drawn_landmarks(64), "square"),
        (np.zeros((64, 64, 3), np.float32), drawn_landmarks(64), "uint8"),
        (portrait(64), drawn_landmarks(64)[:68], r"\[468, 2\]"),
        (portrait(64), np.full((468, 2), np.nan, np.float32), "finite"),
    ],
)
def test_wrong_input_is_refused_in_words(image, landmarks, words):
    with pytest.raises(ValueError, match=words):
        self_blend(image, landmarks, np.random.default_rng(0))


def test_unknown_region_is_refused():
    with pytest.raises(ValueError, match="ears"):
        region_points(drawn_landmarks(SIDE), "ears")
