"""From a box to the square that the network sees: shapes, places, edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.faces.boxes import intersection_over_union
from vidscan.faces.crops import crop_square, resize, square_crop, still_views, upright_crop
from vidscan.records import Box, Geometry

sides = st.integers(1, 90)
margins = st.floats(1.0, 3.0)
boxes = st.builds(Box, st.floats(-200, 200), st.floats(-200, 200), st.floats(0.5, 150), st.floats(0.5, 150))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(box=boxes, margin=margins)
def test_square_is_centred_on_the_box(box: Box, margin: float):
    left, top, side = crop_square(box, margin)
    assert abs(side - max(box.w, box.h) * margin) <= 1
    assert abs(left + side / 2 - (box.x + box.w / 2)) <= 1
    assert abs(top + side / 2 - (box.y + box.h / 2)) <= 1


@given(
    height=sides,
    width=sides,
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    w=st.floats(1, 400),
    h=st.floats(1, 400),
    margin=margins,
    size=st.integers(1, 64),
)
@settings(deadline=None)
def test_crop_around_any_point_of_the_picture_has_the_asked_shape(height, width, x, y, w, h, margin, size):
    image = noise(height, width)
    centre_x, centre_y = x * (width - 1) + 0.5, y * (height - 1) + 0.5
    box = Box(centre_x - w / 2, centre_y - h / 2, w, h)
    crop = square_crop(image, box, margin=margin, size=size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    # Neither shrinking nor filling makes up a colour that the picture does not have. Bicubic interpolation
    # goes beyond by 0.45 of the range at most: its weights (a = -0.75) sum to 1.375 without their signs.
    enlarged = size > crop_square(box, margin)[2]
    beyond = 0.45 * (float(image.max()) - float(image.min())) + 1 if enlarged else 0
    assert image.min() - beyond <= crop.min() and crop.max() <= image.max() + beyond


@given(left=st.integers(0, 40), top=st.integers(0, 20), side=st.integers(2, 40), size=st.integers(1, 80))
@settings(deadline=None)
def test_crop_inside_the_picture_is_slicing_and_resizing(left, top, side, size):
    image = noise(60, 80)
    crop = square_crop(image, Box(left, top, side, side), margin=1.0, size=size)
    sliced = image[top : top + side, left : left + side]
    assert np.array_equal(crop, resize(sliced, width=size, height=size))


def test_margin_widens_the_square_on_all_sides():
    image = noise(80, 80)
    crop = square_crop(image, Box(30, 30, 20, 20), margin=2.0, size=40)
    assert np.array_equal(crop, image[20:60, 20:60])


def test_square_keeps_the_aspect():
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (100, 100), 30, (255, 255, 255), -1)
    # A tall and narrow box: squeezing it into the square would make an ellipse of the disc.
    crop = square_crop(image, Box(85, 60, 30, 80), margin=1.0, size=160)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert abs(np.ptp(rows) - 120) <= 3
    assert abs(np.ptp(columns) - 120) <= 3


def test_beyond_the_edge_the_outermost_pixels_go_on():
    image = noise(40, 40)
    crop = square_crop(image, Box(-10, 5, 20, 20), margin=1.0, size=20)
    assert np.array_equal(crop[:, 10:], image[5:25, :10])
    assert np.array_equal(crop[:, :10], np.repeat(image[5:25, :1], 10, axis=1))


def test_corner_is_filled_too():
    image = noise(40, 40)
    crop = square_crop(image, Box(30, 30, 20, 20), margin=1.0, size=20)
    assert np.array_equal(crop[:10, :10], image[30:, 30:])
    assert np.all(crop[10:, 10:] == image[39, 39])


def test_square_far_larger_than_the_picture_costs_no_memory():
    image = noise(40, 40)
    crop = square_crop(image, Box(-1e6, -1e6, 2e6, 2e6), margin=1.4, size=32)
    assert crop.shape == (32, 32, 3)


@pytest.mark.parametrize("box", [Box(40, 0, 10, 10), Box(-10, 0, 10, 10), Box(0, 50, 8, 9), Box(0, -9, 5, 9)])
def test_box_outside_of_the_picture_is_refused(box: Box):
    with pytest.raises(ValueError, match="outside of the 40x40 picture"):
        square_crop(noise(40, 40), box, margin=1.0, size=16)


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
    ids=["grey", "alpha", "float"],
)
def test_picture_that_is_no_rgb_is_refused(image: np.ndarray):
    with pytest.raises(ValueError, match="expected RGB uint8"):
        square_crop(image, Box(0, 0, 5, 5), margin=1.0, size=16)


def test_shrinking_averages():
    """A chessboard of single pixels becomes grey; picking pixels would leave black and white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    small = resize(image, width=16, height=16)
    assert small.min() >= 126 and small.max() <= 129


def test_what_is_much_enlarged_stays_sharper():
    """An edge is steeper than between two neighbours of a straight line, and ends beyond them."""
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 200
    image[:, :4] = 50
    little, much = (resize(image, width=side, height=side)[0, :, 0].astype(int) for side in (15, 16))
    assert little.min() == 50 and little.max() == 200
    assert much.min() < 50 and much.max() > 200


def test_enlarging_interpolates():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 200
    for side in (15, 80):
        row = resize(image, width=side, height=side)[0, :, 0].astype(int)
        assert len(set(row)) > 2 and np.all(np.diff(row[side // 2 - 3 : side // 2 + 3]) >= 0)


@given(a=boxes, b=boxes)
def test_overlap_is_symmetric_and_bounded(a: Box, b: Box):
    overlap = intersection_over_union(a, b)
    assert 0 <= overlap <= 1 + 1e-9
    assert overlap == pytest.approx(intersection_over_union(b, a))


@given(a=boxes)
def test_box_overlaps_itself_wholly(a: Box):
    assert intersection_over_union(a, a) == pytest.approx(1)


def test_overlap_by_hand():
    assert intersection_over_union(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == pytest.approx(2 / 6)
    assert intersection_over_union(Box(0, 0, 4, 4), Box(1, 1, 2, 2)) == pytest.approx(4 / 16)
    assert intersection_over_union(Box(0, 0, 2, 2), Box(2, 0, 2, 2)) == 0


class TestUprightCrops:
    BOX = Box(100, 60, 80, 80)

    def turned(self, quarters: int) -> tuple[np.ndarray, Box, float]:
        """The picture, the box and the roll after so many quarter turns clockwise."""
        image = noise(240, 300)
        image = cv2.GaussianBlur(image, (0, 0), 3)
        box = self.BOX
        for _ in range(quarters):
            height = image.shape[0]
            image = np.ascontiguousarray(np.rot90(image, -1))
            box = Box(height - box.y - box.h, box.x, box.h, box.w)
        return image, box, (0.0, 90.0, 180.0, -90.0)[quarters]

    @pytest.mark.parametrize("level", [False, True])
    @pytest.mark.parametrize("quarters", [0, 1, 2, 3])
    def test_quarter_turns_are_undone_to_the_bit(self, quarters: int, level: bool):
        image, box, roll = self.turned(quarters)
        expected = square_crop(self.turned(0)[0], self.BOX, margin=1.5, size=60)
        crop = upright_crop(image, box, geometry=Geometry(60, 1.5, level), roll=roll)
        assert np.array_equal(crop, expected)

    def test_without_levelling_a_tilt_is_left_as_it_is(self):
        image = self.turned(0)[0]
        expected = square_crop(image, self.BOX, margin=1.5, size=60)
        for roll in (-44.0, -10.0, 10.0, 44.0):
            assert np.array_equal(
                upright_crop(image, self.BOX, geometry=Geometry(60, 1.5), roll=roll), expected
            )

    @pytest.mark.parametrize("roll", [-160.0, -70.0, -20.0, 7.5, 30.0, 45.0, 120.0])
    def test_levelling_undoes_the_tilt(self, roll: float):
        image = self.turned(0)[0]
        centre = (self.BOX.x + self.BOX.w / 2, self.BOX.y + self.BOX.h / 2)
        # OpenCV's angles are anticlockwise, rolls clockwise.
        turn = cv2.getRotationMatrix2D((centre[0] - 0.5, centre[1] - 0.5), -roll, 1.0)
        tilted = cv2.warpAffine(image, turn, (300, 240), flags=cv2.INTER_LINEAR)
        expected = upright_crop(image, self.BOX, geometry=Geometry(60, 1.0, True)).astype(int)
        crop = upright_crop(tilted, self.BOX, geometry=Geometry(60, 1.0, True), roll=roll)
        assert crop.shape == (60, 60, 3)
        left = np.abs(crop.astype(int) - expected)[2:-2, 2:-2].mean()
        assert left < 3
        untouched = upright_crop(tilted, self.BOX, geometry=Geometry(60, 1.0, True))
        assert np.abs(untouched.astype(int) - expected)[2:-2, 2:-2].mean() > left + 2


@given(box=boxes)
def test_views_of_a_still_are_the_box_and_others_near_it(box: Box):
    as_it_is, mirrored, larger, smaller = still_views(box)
    assert as_it_is == (box, False) and mirrored == (box, True)
    assert (larger.mirrored, smaller.mirrored) == (False, True)
    for view, size, right, down in ((larger, 1.12, 0.04, 0.0), (smaller, 0.92, 0.0, 0.04)):
        assert (view.box.w, view.box.h) == pytest.approx((box.w * size, box.h * size))
        moved_x = view.box.x + view.box.w / 2 - (box.x + box.w / 2)
        moved_y = view.box.y + view.box.h / 2 - (box.y + box.h / 2)
        assert (moved_x, moved_y) == pytest.approx(
            (right * box.longer_side, down * box.longer_side), abs=1e-9 * (1 + abs(box.x) + abs(box.y))
        )


@given(box=boxes, factor=st.floats(0.1, 10), x=st.floats(-100, 100), y=st.floats(-100, 100))
def test_views_of_a_still_go_with_the_box(box: Box, factor: float, x: float, y: float):
    """A picture that is enlarged and shifted gives the views of the same face, enlarged and shifted."""

    def moved(each: Box) -> Box:
        return Box(each.x * factor + x, each.y * factor + y, each.w * factor, each.h * factor)

    for view, expected in zip(still_views(moved(box)), still_views(box), strict=True):
        assert view.box == pytest.approx(moved(expected.box), abs=1e-6)
        assert view.mirrored == expected.mirrored
