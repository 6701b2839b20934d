"""What makes a face hard to judge, one thing at a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.faces.quality import FULL_SIZE, assess, detail, outlines
from vidscan.options import DetectionOptions
from vidscan.records import Box, Detection

POINTS = np.array([(30, 40), (70, 40), (50, 60), (50, 80), (10, 50), (90, 50)], np.float32)
WHOLE = Box(0, 0, 200, 200)


def detection(box: Box = WHOLE, points: np.ndarray = POINTS, confidence: float = 0.9) -> Detection:
    return Detection(box, confidence, points)


def texture(side: int = 200) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def test_a_large_sharp_frontal_face_lacks_nothing():
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        picture = cv2.resize(data.astronaut(), (1024, 1024))
        (found,) = detector.detect(picture)
    quality = assess(picture, found, [])
    assert quality.size == 1
    assert quality.visible == 1
    assert quality.sharpness > 0.5
    assert quality.pose > 0.5


@pytest.mark.parametrize(("side", "size"), [(32, 32 / FULL_SIZE), (64, 0.5), (128, 1), (400, 1)])
def test_size_counts_up_to_a_bound(side: int, size: float):
    quality = assess(texture(500), detection(Box(10, 10, side, side / 2)), [])
    assert quality.size == pytest.approx(size)


def test_blur_takes_sharpness_away_and_contrast_does_not():
    picture = data.astronaut()[65:158, 177:270]
    face = detection(Box(0, 0, 93, 93))
    sharp = assess(picture, face, []).sharpness
    blurred = [assess(cv2.GaussianBlur(picture, (0, 0), s), face, []).sharpness for s in (1, 2, 3, 6)]
    assert sharp > 0.9
    assert sharp > blurred[0] > blurred[1] > blurred[2] >= blurred[3] > 0
    assert blurred[3] < 0.15
    pale = (picture // 2 + 64).astype(np.uint8)
    assert assess(pale, face, []).sharpness == pytest.approx(sharp, abs=0.1)


def test_blur_and_enlargement_take_detail_away_and_contrast_does_not():
    picture, box = texture(300) // 2 + 64, Box(0, 0, 300, 300)
    fine = detail(picture, box)
    small = cv2.resize(picture, (75, 75), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (300, 300), interpolation=cv2.INTER_CUBIC)
    assert detail(enlarged, box) < fine / 4
    assert detail(small, Box(0, 0, 75, 75)) < fine / 4  # enlarged to be looked at
    assert detail(cv2.GaussianBlur(picture, (0, 0), 2), box) < fine / 4
    assert detail(picture // 2 + 64, box) == pytest.approx(fine, rel=0.05)


def test_drawings_have_hard_outlines_and_photographs_have_not():
    picture, box = data.astronaut()[50:220, 140:310], Box(0, 0, 170, 170)
    drawn = cv2.pyrMeanShiftFiltering(picture, 15, 40) // 40 * 40
    assert outlines(picture, box) < 14 < 20 < outlines(drawn, box)
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    assert outlines(np.clip(picture + noise, 0, 255).astype(np.uint8), box) < 14
    _, worst = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 25])
    assert outlines(np.asarray(cv2.imdecode(worst, cv2.IMREAD_COLOR), np.uint8), box) < 14
    assert outlines(np.full((50, 50, 3), 90, np.uint8), Box(0, 0, 50, 50)) < 0.01


def test_a_flat_picture_is_not_sharp():
    assert assess(np.full((200, 200, 3), 90, np.uint8), detection(), []).sharpness < 0.1


def test_pose_is_told_from_the_ears_whichever_way_the_head_lies():
    turned = POINTS.copy()
    turned[4:, 0] += 40  # both ears on one side of the nose: a full profile
    half = POINTS.copy()
    half[2, 0] = 70
    poses = [assess(texture(), detection(points=points), []).pose for points in (POINTS, half, turned)]
    assert poses[0] == 1
    assert poses[0] > poses[1] > poses[2] == pytest.approx(0.3)
    lying = [
        assess(texture(), detection(points=points[:, ::-1]), []).pose for points in (POINTS, half, turned)
    ]
    assert lying == pytest.approx(poses)


def test_no_keypoints_or_degenerate_ones_take_nothing_away():
    for points in (np.zeros((0, 2), np.float32), np.zeros((6, 2), np.float32)):
        assert assess(texture(), detection(points=points), []).pose == 1


def test_what_lies_beyond_the_edge_is_not_visible():
    assert assess(texture(), detection(Box(-50, 0, 100, 100)), []).visible == pytest.approx(0.5)


def test_a_larger_face_before_it_hides_a_face_but_not_the_other_way_round():
    far, near = Box(20, 20, 50, 50), Box(45, 20, 100, 100)
    assert assess(texture(), detection(far), [near]).visible == pytest.approx(0.5)
    assert assess(texture(), detection(near), [far]).visible == 1


def test_doubtful_faces_weigh_less():
    sure, doubtful = (assess(texture(240), detection(confidence=c), []).visible for c in (0.8, 0.5))
    assert (sure, doubtful) == (1, pytest.approx(0.3))


def test_the_product_never_vanishes_for_a_face_that_is_there():
    worst = assess(
        np.zeros((200, 200, 3), np.uint8),
        Detection(Box(0, 0, 32, 32), 0.5, POINTS),
        [],
    )
    assert 0 < worst.overall < 0.05


@pytest.mark.parametrize(("side", "visible"), [(150, 1.0), (200, 1 / 1.44)])
def test_a_face_that_the_picture_has_no_room_around_is_of_lesser_quality(side: int, visible: float):
    start = (200 - side) / 2
    quality = assess(texture(), detection(Box(start, start, side, side)), [])
    assert quality.visible == pytest.approx(visible)
