"""Tiles cover a picture so that every face of the sizes that a level is for lies wholly within one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.faces.tiles import MIN_SIDE, SURE_SHARE, Level, Tile, cover, pyramid

PICTURES = {"width": st.integers(1, 5000), "height": st.integers(1, 5000)}


def count(levels: tuple[Level, ...]) -> int:
    return sum(len(level.tiles) for level in levels)


def holds(tile: Tile, x: float, y: float, side: float) -> bool:
    across = tile.x <= x and x + side <= tile.x + tile.w
    return across and tile.y <= y and y + side <= tile.y + tile.h


@settings(deadline=None)
@given(**PICTURES, finest=st.integers(100, 900), across=st.floats(0, 1), down=st.floats(0, 1))
def test_every_face_that_a_level_is_for_lies_wholly_within_a_tile(
    width: int, height: int, finest: int, across: float, down: float
):
    for level in pyramid(width, height, finest=finest, max_tiles=200):
        side = min(level.overlap, width, height)
        x, y = across * (width - side), down * (height - side)
        assert any(holds(tile, x, y, side) for tile in level.tiles)


@settings(deadline=None)
@given(**PICTURES, finest=st.integers(100, 900))
def test_every_level_is_for_the_faces_that_the_coarser_one_may_miss(width: int, height: int, finest: int):
    coarser = max(width, height)
    for level in pyramid(width, height, finest=finest, max_tiles=200):
        assert level.overlap >= coarser / SURE_SHARE
        assert max(tile.side for tile in level.tiles) < coarser
        coarser = level.tiles[0].side


@settings(deadline=None)
@given(**PICTURES, finest=st.integers(1, 900), most=st.integers(1, 200))
def test_tiles_lie_within_the_picture_and_are_no_more_than_allowed(
    width: int, height: int, finest: int, most: int
):
    levels = pyramid(width, height, finest=finest, max_tiles=most)
    assert count(levels) <= most
    for tile in (tile for level in levels for tile in level.tiles):
        assert tile.x >= 0 and tile.x + tile.w <= width
        assert tile.y >= 0 and tile.y + tile.h <= height
        assert tile.side >= min(MIN_SIDE, max(width, height))


@settings(deadline=None)
@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    side=st.integers(50, 900),
    overlap=st.integers(0, 25),
)
def test_tiles_cover_the_picture_without_waste(width: int, height: int, side: int, overlap: int):
    tiles = cover(width, height, side, overlap)
    for length, axis, extent in ((width, 0, 2), (height, 1, 3)):
        starts = sorted({tile[axis] for tile in tiles})
        assert starts[0] == 0 and starts[-1] + tiles[0][extent] == length
        for before, after in pairwise(starts):
            assert before + side - after >= overlap
        # One tile fewer could not reach from end to end.
        assert len(starts) == 1 or (len(starts) - 1) * (side - overlap) + overlap < length
    assert len(tiles) == len(set(tiles))


def test_full_hd_takes_two_large_tiles_and_a_few_dozen_small_ones():
    large, small = pyramid(1920, 1080, finest=384, max_tiles=130)
    assert [tile.side for tile in large.tiles] == [1080, 1080]
    assert {tile.side for tile in small.tiles} == {384}
    assert len(small.tiles) == 28


def test_no_tiles_where_the_whole_picture_shows_the_smallest_face():
    assert pyramid(384, 216, finest=384, max_tiles=130) == ()
    assert pyramid(385, 216, finest=384, max_tiles=130) != ()
    assert pyramid(150, 100, finest=12, max_tiles=130) == ()  # smaller than the network's own input


def test_finest_tiles_grow_until_there_are_few_enough():
    fine, coarse = (pyramid(3840, 2160, finest=384, max_tiles=most) for most in (200, 40))
    assert count(fine) > 40 >= count(coarse) > 0
    assert coarse[-1].tiles[0].side > fine[-1].tiles[0].side == 384
