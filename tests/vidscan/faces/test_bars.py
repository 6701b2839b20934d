"""Bars around a picture: which they are, and that no crop shows them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from vidscan.faces.bars import Area, picture_area
from vidscan.faces.crops import crop_faces
from vidscan.records import Box, FaceSeen, Frame, Geometry, Image

GEOMETRIES = (Geometry(64, 1.6), Geometry(48, 1.3, level=True))


def face_alone() -> Image:
    """A face that fills its picture, 200 pixels a side."""
    return np.ascontiguousarray(cv2.resize(data.astronaut()[40:190, 150:300], (200, 200)))


def compressed(image: Image) -> Image:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def with_bars(image: Image, *, across: int = 0, down: int = 0, level: int = 0) -> Image:
    sides = (down, down, across, across)
    return np.asarray(cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(level,) * 3), np.uint8)


def before_blurred_copy(image: Image, across: int) -> Image:
    height, width = image.shape[:2]
    copy = cv2.GaussianBlur(cv2.resize(image, (width + 2 * across, height)), (0, 0), 12)
    copy[:, across : across + width] = image
    return np.asarray(copy, np.uint8)


@pytest.mark.parametrize("level", [0, 255, 90])
@pytest.mark.parametrize(("across", "down"), [(60, 0), (0, 60), (100, 40)])
def test_bars_of_one_colour_are_told(across: int, down: int, level: int):
    area = picture_area(compressed(with_bars(face_alone(), across=across, down=down, level=level)))
    expected = (across, down, across + 200, down + 200)
    assert np.abs(np.subtract(area, expected)).max() <= 4  # what compression smears


@pytest.mark.parametrize("turned", [False, True])
def test_blurred_copies_at_the_sides_are_told(turned: bool):
    image = compressed(before_blurred_copy(face_alone(), 80))
    if turned:
        image = np.ascontiguousarray(image.swapaxes(0, 1))
    expected = (0, 80, 200, 280) if turned else (80, 0, 280, 200)
    assert np.abs(np.subtract(picture_area(image), expected)).max() <= 2


def test_blurred_bars_may_differ_by_a_pixel_or_two():
    image = compressed(before_blurred_copy(face_alone(), 80))[:, 2:]
    assert np.abs(np.subtract(picture_area(image), (78, 0, 278, 200))).max() <= 2


def test_blurred_bars_of_the_frame_before_are_found_by_a_fainter_edge():
    clear, whole = before_blurred_copy(face_alone(), 80), Area(0, 0, 360, 200)
    bars = picture_area(clear)
    faint = clear.copy()
    for edge in (80, 280):
        faint[:, edge - 6 : edge + 6] = cv2.blur(clear, (4, 1))[:, edge - 6 : edge + 6]
    assert picture_area(faint) == whole == picture_area(faint, whole)
    assert picture_area(faint, bars) == bars
    cut = np.ascontiguousarray(cv2.resize(data.coffee(), (360, 200)))  # another shot
    assert picture_area(cut, bars) == whole
    assert picture_area(cut[:100, :150], bars) == Area(0, 0, 150, 100)


@pytest.mark.parametrize(
    "picture",
    [
        data.astronaut(),
        data.coffee(),
        data.rocket(),
        data.hubble_deep_field(),
        np.zeros((90, 160, 3), np.uint8),
        np.full((1, 1, 3), 9, np.uint8),
        np.full((2, 300, 3), 9, np.uint8),
    ],
    ids=["astronaut", "coffee", "rocket", "galaxies", "black", "one pixel", "a line"],
)
def test_whole_pictures_have_none(picture: Image):
    height, width = picture.shape[:2]
    assert picture_area(picture) == Area(0, 0, width, height)


def test_a_head_in_front_of_an_even_wall_has_none():
    height, width = 300, 400
    image = np.full((height, width, 3), 250, np.uint8)
    cv2.ellipse(image, (200, 170), (70, 95), 0, 0, 360, (150, 110, 90), -1)
    cv2.ellipse(image, (200, 320), (150, 60), 0, 0, 360, (30, 40, 80), -1)
    assert picture_area(image) == Area(0, 0, width, height)


def test_a_wall_that_grows_darker_is_no_bar():
    image = np.repeat(np.linspace(250, 40, 400).astype(np.uint8)[None, :, None], 300, axis=0).repeat(
        3, axis=2
    )
    assert picture_area(image) == Area(0, 0, 400, 300)


@pytest.mark.parametrize("roll", [0.0, 12.0])
def test_crop_beside_a_bar_is_that_of_the_picture_alone(roll: int):
    alone, box = face_alone(), Box(20.0, 15.0, 150.0, 160.0)
    barred = with_bars(alone, across=100, down=60)
    moved = box._replace(x=box.x + 100, y=box.y + 60)

    def crops(image: Image, place: Box, still: bool) -> list[Image]:
        seen = FaceSeen("0", 0, 0.0, place, 0.9, roll)
        return [
            each
            for crop in crop_faces(Frame("0", 0, 0.0, image), [seen], GEOMETRIES, still=still)
            for each in crop.images
        ]

    for still in (False, True):
        expected = crops(alone, box, still)
        for one, other in zip(crops(barred, moved, still), expected, strict=True):
            assert np.array_equal(one, other)


def test_a_face_within_a_bar_is_cut_from_the_whole():
    image = before_blurred_copy(face_alone(), 80)
    seen = FaceSeen("0", 0, 0.0, Box(5.0, 50.0, 60.0, 60.0), 0.9)
    (crop,) = crop_faces(Frame("0", 0, 0.0, image), [seen], GEOMETRIES[:1])
    assert crop.images[0].shape == (64, 64, 3)
