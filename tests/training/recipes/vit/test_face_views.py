from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_row

from vidscan.faces.crops import upright_crop
from vidscan.records import Geometry
from vidscan_training.recipes.vit.views import (
    CODECS,
    MARGIN,
    _drawn,
    degraded,
    mouth,
    mouth_within,
    one_field,
    plain,
    reduced,
    shifted,
)


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    slope = np.linspace(20, 200, 224)
    return [
        np.clip(
            np.add.outer(slope, slope[::-1])[..., None] / 2 + generator.normal(0, 12, (224, 224, 3)), 0, 255
        ).astype(np.uint8)
        for _ in range(16)
    ]


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (52, 52, 3), np.uint8)


def test_degraded_views_hang_on_the_generator_alone(crops):
    before = [crop.copy() for crop in crops]
    found = degraded(crops, np.random.default_rng(4))
    again = degraded(crops, np.random.default_rng(4))
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(crops, before)
    assert not np.array_equal(found, degraded(crops, np.random.default_rng(5)))


def test_degraded_views_keep_form_and_place(crops):
    found = degraded(crops, np.random.default_rng(6))
    assert len(found) == len(crops)
    for view, crop in zip(found, crops, strict=True):
        assert view.shape == (224, 224, 3)
        assert view.dtype == np.uint8
        assert not np.array_equal(view, crop)
        # Mirrored or not, it is brighter below than above, as the crop is.
        assert view[112:].mean() > view[:112].mean() + 10


def test_all_ways_of_coding_are_drawn():
    generator = np.random.default_rng(0)
    codings = [_drawn(generator) for _ in range(300)]
    assert {each.codec for each in codings} == set(CODECS)
    assert min(each.side for each in codings) >= 64
    assert max(each.side for each in codings) == 224


def test_plain_view_is_the_crop_that_a_scan_scores(square):
    row = made_row("one")
    expected = upright_crop(square, row.box, geometry=Geometry(224, 1.5))
    assert MARGIN == 1.5
    np.testing.assert_array_equal(plain(square, row), expected)


def test_shifted_view_differs_and_keeps_its_form(square):
    row = made_row("one")
    found = shifted(square, row, np.random.default_rng(2))
    assert found.shape == (224, 224, 3)
    assert found.dtype == np.uint8
    assert not np.array_equal(found, plain(square, row))
    np.testing.assert_array_equal(found, shifted(square, row, np.random.default_rng(2)))


def test_one_field_keeps_size_and_what_both_fields_show(square):
    assert one_field(square).shape == square.shape
    assert one_field(square[:51]).shape == (51, 52, 3)
    columns = np.tile(square[:1], (52, 1, 1))  # every line alike
    np.testing.assert_array_equal(one_field(columns), columns)
    stripes = np.zeros((52, 52, 3), np.uint8)
    stripes[::2] = 200  # lines so fine that a camera's filter takes them away
    assert np.ptp(one_field(stripes)[12:-12].astype(int)) <= 1


def test_reduced_view_is_the_same_face_in_fewer_pixels():
    square = np.random.default_rng(4).integers(0, 256, (660, 660, 3), np.uint8)
    row = replace(made_row("one"), x=180.0, y=150.0, w=300.0, h=270.0)
    generator = np.random.default_rng(0)
    sizes = []
    for _ in range(40):
        smaller, there = reduced(square, row, generator)
        sizes.append(there.box.longer_side)
        scale = len(smaller) / len(square)
        assert (there.x, there.y, there.w, there.h) == pytest.approx(
            (180.0 * scale, 150.0 * scale, 300.0 * scale, 270.0 * scale)
        )
        assert plain(smaller, there).shape == (224, 224, 3)
    assert 47 < min(sizes) < 60 and 130 < max(sizes) < 161


def test_face_that_is_small_already_is_not_reduced(square):
    row = replace(made_row("one"), w=30.0, h=30.0)
    smaller, there = reduced(square, row, np.random.default_rng(0))
    assert there == row
    np.testing.assert_array_equal(smaller, square)


def test_mouth_is_cut_where_the_mesh_says_and_black_without_one(square):
    mesh = made_mesh(centre=(0.5, 0.7))
    found = mouth(square, made_row("one"), mesh)
    assert found.shape == (224, 224, 3)
    assert found.any()
    higher = mouth(square, made_row("one"), made_mesh(centre=(0.5, 0.4)))
    assert not np.array_equal(found, higher)
    assert not mouth(square, made_row("one"), np.full((468, 2), np.nan, np.float16)).any()


def test_mouth_of_a_degraded_view_is_looked_for_in_it():
    class Landmarker:
        def __init__(self, points: np.ndarray | None) -> None:
            self.points = points

        def locate(self, image: np.ndarray) -> np.ndarray | None:
            return self.points

    crop = np.random.default_rng(3).integers(0, 256, (224, 224, 3), np.uint8)
    seen = made_mesh(centre=(0.5, 0.6)).astype(np.float32) * 224
    assert mouth_within(crop, Landmarker(seen)).shape == (224, 224, 3)
    assert not mouth_within(crop, Landmarker(None)).any()


def made_mesh(centre: tuple[float, float]) -> np.ndarray:
    """Shares of the mesh's square: eyes and lips alone, the lips around ``centre``."""
    mesh = np.full((468, 2), 0.5, np.float16)
    for place, x in ((33, 0.3), (133, 0.4), (362, 0.6), (263, 0.7)):
        mesh[place] = (x, 0.4)
    x, y = centre
    for place, right, down in ((61, -0.08, 0), (291, 0.08, 0), (0, 0, -0.03), (17, 0, 0.03)):
        mesh[place] = (x + right, y + down)
    return mesh
