"""Mouths cut out of frames: where they are, how often they are cut anew, and when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vidscan.faces import mouths
from vidscan.faces.crops import crop_faces
from vidscan.faces.mouths import INNER_EYES, LIPS, OUTER_EYES, MouthCutter, mouth_of
from vidscan.models.landmarks import FaceLandmarker
from vidscan.records import LANDMARK_COUNT, Box, FaceSeen, Frame, Geometry, Image

SIZE = 64
IMAGE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
MOUTH = Geometry(SIZE, 1.0, level=True, region="mouth")


def face(x: float = 100, y: float = 80, side: float = 120, **known) -> FaceSeen:
    return FaceSeen("4", 7, 3.5, Box(x, y, side, side), 0.8, **known)


def mesh(x: float, y: float, eyes: float, lips: float, degrees: float = 0.0) -> np.ndarray:
    """Eyes so far apart, 40 above a mouth at (x, y), all turned clockwise around it."""
    points = np.zeros((LANDMARK_COUNT, 2), np.float32)
    for sign, outer, inner in zip((-1, 1), OUTER_EYES, INNER_EYES, strict=True):
        points[outer], points[inner] = (sign * eyes / 2, -40), (sign * eyes / 4, -40)
    for place, point in zip(LIPS, ((-lips / 2, 0), (lips / 2, 0), (0, -5), (0, 5)), strict=True):
        points[place] = point
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation + [x, y], np.float32)


class ToyLandmarker:
    """Sees the same mesh in every crop, or none. ``crops`` holds what it was shown."""

    def __init__(self, points: np.ndarray | None) -> None:
        self.points = points
        self.crops: list[Image] = []

    def locate(self, image: Image) -> np.ndarray | None:
        self.crops.append(image)
        return self.points


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 0.0, 12.0, 90.0])
def test_square_is_around_the_lips_and_turned_as_the_eyes_are(degrees):
    square, roll = mouth_of(mesh(200, 150, eyes=100, lips=40, degrees=degrees))
    assert roll == pytest.approx(degrees, abs=1e-3)
    assert (square.w, square.h) == pytest.approx((115, 115), abs=1e-3)
    assert (square.x + square.w / 2, square.y + square.h / 2) == pytest.approx((200, 150), abs=1e-3)


def test_width_of_the_lips_counts_in_a_face_that_looks_aside():
    assert mouth_of(mesh(0, 0, eyes=30, lips=50)).square.w == pytest.approx(70, abs=1e-3)


def test_tracks_keep_their_mouth_for_some_faces():
    landmarker = ToyLandmarker(mesh(128, 160, eyes=90, lips=50))
    cutter = MouthCutter(landmarker)
    frames = [np.roll(IMAGE, shift, axis=0) for shift in range(15)]
    looks = [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 8, 8, 12, 12, 12]
    cut = [[cutter.cut(frame, face(track=track), SIZE) for track in (1, 2)] for frame in frames]
    assert len(landmarker.crops) == 2 * len(set(looks))
    for (first, second), look in zip(cut, looks, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, cut[look][0])
    assert not np.array_equal(cut[0][0], cut[2][0])


def test_mouths_of_tracks_unseen_for_long_are_forgotten(monkeypatch):
    monkeypatch.setattr(mouths, "MAX_TRACKS", 2)
    monkeypatch.setattr(mouths, "EARLY", 10)
    landmarker = ToyLandmarker(mesh(128, 160, eyes=90, lips=50))
    cutter = MouthCutter(landmarker)
    for track, looks in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
        cutter.cut(IMAGE, face(track=track), SIZE)
        assert len(landmarker.crops) == looks


def test_mouths_of_stills_are_not_looked_at():
    landmarker = ToyLandmarker(mesh(128, 160, eyes=90, lips=50))
    cut = MouthCutter(landmarker).cut
    frame, seen = Frame("4", 7, 3.5, IMAGE), face(still=True)
    crops = list(crop_faces(frame, [seen], [Geometry(32, 1.4), MOUTH], still=True, cut_mouth=cut))
    assert [[image.shape for image in crop.images] for crop in crops] == [[(32, 32, 3), (SIZE, SIZE, 3)]] * 4
    assert not any(crop.images[1].any() for crop in crops)
    assert landmarker.crops == []


@pytest.mark.parametrize(
    ("points", "where"),
    [
        pytest.param(None, {}, id="no mesh"),
        pytest.param(mesh(128, 250, eyes=90, lips=50), {"y": 250}, id="below the picture"),
    ],
)
def test_a_mouth_that_is_not_seen_is_black(points, where):
    cut = MouthCutter(ToyLandmarker(points)).cut(IMAGE, face(**where), SIZE)
    assert cut.shape == (SIZE, SIZE, 3)
    assert not cut.any()


def test_bars_are_no_part_of_a_mouth():
    """The crop near a bar is taken from the picture alone, that of the mouth as that of the face."""
    barred = np.zeros((400, 400, 3), np.uint8)
    barred[100:] = IMAGE
    seen = face(y=110, track=1)
    points = mesh(128, 40, eyes=200, lips=100)
    (own,) = crop_faces(
        Frame("4", 7, 3.5, barred), [seen], [MOUTH], cut_mouth=MouthCutter(ToyLandmarker(points)).cut
    )
    (plain,) = crop_faces(
        Frame("4", 7, 3.5, IMAGE),
        [replace(seen, box=Box(100, 10, 120, 120))],
        [MOUTH],
        cut_mouth=MouthCutter(ToyLandmarker(points)).cut,
    )
    np.testing.assert_array_equal(own.images[0], plain.images[0])


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_picture_gives_the_same_mouth(quarters):
    data = pytest.importorskip("skimage.data")
    photo = np.ascontiguousarray(data.astronaut())  # a public-domain photograph of Eileen Collins
    turned = np.ascontiguousarray(np.rot90(photo, -quarters))
    box = Box(160, 60, 120, 120)
    height, width = photo.shape[:2]
    for _ in range(quarters):  # clockwise, a quarter at a time
        box = Box(height - box.y - box.h, box.x, box.h, box.w)
        height, width = width, height
    roll = 90.0 * quarters if quarters < 3 else -90.0
    upright = MouthCutter(FaceLandmarker()).cut(photo, face(160, 60, 120), 128)
    found = MouthCutter(FaceLandmarker()).cut(turned, replace(face(), box=box, roll=roll), 128)
    assert np.abs(found.astype(int) - upright).mean() < 6
    # Lips are redder than what is above and below them.
    red = upright[..., 0].astype(int) - upright[..., 1]
    rows = red[:, 48:80].mean(axis=1)
    assert 40 < int(np.argmax(np.convolve(rows, np.ones(9) / 9, "same"))) < 90


def test_a_face_is_never_cut_out_in_place_of_its_mouth():
    with pytest.raises(ValueError, match="asks for mouths"):
        list(crop_faces(Frame("4", 7, 3.5, IMAGE), [face()], [Geometry(32, 1.4), MOUTH]))
