from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_meshes import drawn_landmarks, portrait

from vidscan_training.data import composite as module
from vidscan_training.data import self_blend
from vidscan_training.data.composite import REGIONS, composite


@pytest.fixture(params=REGIONS)
def region(request, monkeypatch) -> str:
    """The one region that is taken over."""
    monkeypatch.setattr(module, "REGIONS", (request.param,))
    monkeypatch.setattr(module, "_SECOND", 0.0)
    return request.param


@pytest.mark.parametrize("seed", range(6))
def test_only_the_region_changes(region: str, seed: int):
    target, source = portrait(200, 1), portrait(260, 2)
    before = target.copy(), source.copy()
    forged, again = (
        composite(target, drawn_landmarks(200), source, drawn_landmarks(260), np.random.default_rng(seed))
        for _ in range(2)
    )
    assert (forged.shape, forged.dtype) == (target.shape, np.uint8)
    changed = (forged != target).any(axis=2)
    # From a sliver around one eye to a face that fills a third of the picture; blending may spread a little.
    assert 0.005 < changed.mean() < 0.75
    assert not changed[:10].any() and not changed[:, :10].any()
    assert np.array_equal(target, before[0]) and np.array_equal(source, before[1])
    assert np.array_equal(forged, again)


def test_what_is_taken_over_lies_where_it_belongs(monkeypatch):
    """Dots on the source's mouth, which lies elsewhere and is of another size, come to the target's mouth."""
    monkeypatch.setattr(module, "REGIONS", ("mouth",))
    monkeypatch.setattr(module, "_SECOND", 0.0)
    target, source = np.full((200, 200, 3), 120, np.uint8), np.full((300, 300, 3), 120, np.uint8)
    mesh = drawn_landmarks(200)
    moved = (mesh * 1.2 + (35, 20)).astype(np.float32)
    x, y = moved[list(self_blend._LIPS)].mean(axis=0)
    cv2.circle(source, (round(float(x)), round(float(y))), 6, (255, 255, 255), -1)
    there = mesh[list(self_blend._LIPS)].mean(axis=0)
    for seed in range(8):
        forged = composite(target, mesh, source, moved, np.random.default_rng(seed))
        found = np.argwhere(forged.mean(axis=2) > forged.mean() + 15)[:, ::-1].mean(axis=0)
        assert np.abs(found - there).max() < 4


def test_both_ways_of_blending_are_used(monkeypatch):
    used, ways = [], {name: getattr(module, name) for name in ("_cloned", "_feathered")}
    for name in ways:
        monkeypatch.setattr(module, name, lambda *args, name=name: used.append(name) or ways[name](*args))
    for seed in range(20):
        composite(
            portrait(120, 1), drawn_landmarks(120), portrait(120, 2), drawn_landmarks(120),
            np.random.default_rng(seed),
        )  # fmt: skip
    assert set(used) == set(ways)


@pytest.mark.parametrize("offset", [-40, 40])
def test_a_face_across_the_border_is_no_fault(offset: int):
    """Poisson blending needs room around what it pastes."""
    mesh = drawn_landmarks(120) + np.float32([offset, 0])
    for seed in range(12):
        forged = composite(
            portrait(120, 1), mesh, portrait(120, 2), drawn_landmarks(120), np.random.default_rng(seed)
        )
        assert forged.shape == (120, 120, 3)


def test_a_mesh_of_one_point_is_refused():
    mesh = np.zeros((468, 2), np.float32)
    with pytest.raises(ValueError, match="cannot be laid over"):
        composite(portrait(120), drawn_landmarks(120), portrait(120), mesh, np.random.default_rng(0))
