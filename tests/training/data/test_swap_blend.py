from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_meshes import drawn_landmarks, portrait

from vidscan_training.data import swap_blend as swapblend
from vidscan_training.data.swap_blend import match_colours, most_alike, shape, square_mask, swap_blend

SIDE = 160


@settings(max_examples=50, deadline=None)
@given(side=st.integers(32, 260), seed=st.integers(0, 2**32 - 1))
def test_any_side_and_seed_give_a_picture_and_a_mask(side, seed):
    target, source, mesh = portrait(side, 1), portrait(side, 2), drawn_landmarks(side)
    before = target.copy(), source.copy()
    forged, mask = swap_blend(target, mesh, source, mesh, np.random.default_rng(seed))
    assert (forged.shape, forged.dtype) == ((side, side, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((side, side), np.float32)
    assert 0 <= mask.min() <= mask.max() <= 1
    # Outside of the mask everything is the target, to the bit; nothing was written into the inputs.
    assert np.array_equal(forged[mask == 0], target[mask == 0])
    assert np.array_equal(target, before[0])
    assert np.array_equal(source, before[1])
    again, _ = swap_blend(target, mesh, source, mesh, np.random.default_rng(seed))
    assert np.array_equal(again, forged)


def test_the_face_comes_from_the_source_wherever_it_lay_there():
    mesh = drawn_landmarks(SIDE)
    target, source = portrait(SIDE, 1), np.zeros((SIDE, SIDE, 3), np.uint8)
    # Left half dark, right half bright: what is pasted must keep the sides of the face.
    source[:, SIDE // 2 :] = 255
    turned = np.deg2rad(20)
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    moved = ((mesh - SIDE / 2) * 0.8 @ turn.T + SIDE / 2).astype(np.float32)
    sides = []
    for seed in range(40):
        forged, mask = swap_blend(target, moved, source, mesh, np.random.default_rng(seed))
        core = mask > 0.95
        points = np.argwhere(core)[:, ::-1].astype(np.float32)
        back = (points - SIDE / 2) @ turn / 0.8 + SIDE / 2
        grey = forged[core].mean(axis=1)
        far = np.abs(back[:, 0] - SIDE / 2) > 12
        if far.sum() > 50 and (back[far, 0] > SIDE / 2).any() and (back[far, 0] < SIDE / 2).any():
            right = back[far, 0] > SIDE / 2
            sides.append(grey[far][right].mean() - grey[far][~right].mean())
    assert len(sides) > 15
    assert min(sides) > 20


def test_regions_are_all_drawn_and_odds_are_odds(monkeypatch):
    assert sum(swapblend.REGION_ODDS) == pytest.approx(1)
    seen = []
    original = swapblend.region_points
    monkeypatch.setattr(
        swapblend, "region_points", lambda m, region: seen.append(region) or original(m, region)
    )
    mesh = drawn_landmarks(SIDE)
    for seed in range(120):
        swap_blend(portrait(SIDE), mesh, portrait(SIDE, 1), mesh, np.random.default_rng(seed))
    assert set(seen) == set(swapblend.REGIONS) - {"square"}
    assert len(seen) < 120


def test_the_square_turns_with_the_face():
    mesh = drawn_landmarks(SIDE)
    upright = square_mask(mesh, SIDE, np.random.default_rng(0))
    quarter = np.stack([SIDE - 1 - mesh[:, 1], mesh[:, 0]], axis=1)  # clockwise by 90 degrees
    lying = square_mask(quarter, SIDE, np.random.default_rng(0))
    assert upright.sum() > 0.05 * SIDE**2
    assert np.abs(np.rot90(upright, -1) - lying).mean() < 0.01


def test_colours_are_matched_by_strength():
    rng = np.random.default_rng(0)
    source = np.clip(rng.normal((150, 90, 80), 10, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    target = np.clip(rng.normal((90, 100, 140), 20, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    everywhere = np.ones((SIDE, SIDE), bool)
    apart = [
        np.abs(
            match_colours(source, target, everywhere, strength).mean(axis=(0, 1)) - target.mean(axis=(0, 1))
        )
        for strength in (0.0, 0.5, 1.0)
    ]
    assert apart[0].max() > 40
    assert apart[2].max() < 4
    assert apart[2].max() < apart[1].max() < apart[0].max()


def test_the_most_alike_is_found_whatever_its_place_and_size():
    mesh = drawn_landmarks(SIDE)
    wide, tall = mesh * np.float32([1.5, 1.0]), mesh * np.float32([1.0, 1.4])
    shapes = [shape(wide), shape(mesh * 0.4 + 30), shape(tall)]
    assert most_alike(shape(mesh), shapes) == 1
    assert np.allclose(shapes[1], shape(mesh), atol=1e-4)


def test_meshes_that_cannot_be_laid_over_each_other_give_nothing():
    point = np.full((468, 2), 50, np.float32)
    assert swap_blend(portrait(SIDE), point, portrait(SIDE, 1), point, np.random.default_rng(0)) is None
