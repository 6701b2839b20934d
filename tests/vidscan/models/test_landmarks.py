from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidscan.errors import DetectionError
from vidscan.models import landmarks
from vidscan.models.landmarks import FaceLandmarker, landmarker_for
from vidscan.records import Geometry

RIGHT_EYE, LEFT_EYE, NOSE_TIP, UPPER_LIP, LOWER_LIP, FOREHEAD, CHIN = 159, 386, 1, 0, 17, 10, 152


@pytest.fixture(scope="module")
def landmarker():
    return FaceLandmarker()


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    # A public-domain photograph of Eileen Collins; the square around her face.
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[20:200, 135:315])


@pytest.mark.slow
def test_points_lie_on_the_face(landmarker, face):
    points = landmarker.locate(face)
    assert points is not None
    assert points.shape == (468, 2)
    assert points.dtype == np.float32
    assert points.min() > 0
    assert points.max() < face.shape[0] - 1
    heights = [points[i, 1] for i in (FOREHEAD, RIGHT_EYE, NOSE_TIP, UPPER_LIP, LOWER_LIP, CHIN)]
    assert heights == sorted(heights)
    # The person's right eye is at the left of the picture.
    assert points[RIGHT_EYE, 0] < points[NOSE_TIP, 0] < points[LEFT_EYE, 0]
    assert 40 < np.linalg.norm(points[CHIN] - points[FOREHEAD]) < 160


@pytest.mark.slow
def test_points_scale_with_the_crop(landmarker, face):
    side = face.shape[0]
    small = landmarker.locate(face)
    large = landmarker.locate(cv2.resize(face, (2 * side, 2 * side), interpolation=cv2.INTER_LINEAR))
    assert np.abs((large + 0.5) / 2 - 0.5 - small).mean() < 1.0


@pytest.mark.slow
def test_points_follow_a_mirrored_face(landmarker, face):
    points = landmarker.locate(face)
    mirrored = landmarker.locate(np.ascontiguousarray(face[:, ::-1]))
    # The mesh has no mirror symmetry of indices, but its outline and middle line do.
    middle = [FOREHEAD, NOSE_TIP, UPPER_LIP, CHIN]
    flipped = np.stack([face.shape[0] - 1 - mirrored[middle, 0], mirrored[middle, 1]], axis=1)
    assert np.abs(flipped - points[middle]).max() < 6


@pytest.mark.parametrize("value", [0, 128, 255])
def test_no_face_gives_none(landmarker, value):
    assert landmarker.locate(np.full((120, 120, 3), value, np.uint8)) is None


def test_noise_gives_none(landmarker):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert landmarker.locate(noise) is None


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((20, 30, 3), np.uint8), "square"),
        (np.zeros((20, 20), np.uint8), "square RGB"),
        (np.zeros((20, 20, 3), np.float32), "uint8"),
    ],
)
def test_wrong_pictures_are_refused_in_words(landmarker, image, words):
    with pytest.raises(ValueError, match=words):
        landmarker.locate(image)


def test_landmarker_is_opened_where_a_geometry_asks_for_mouths():
    face, mouth = Geometry(32, 1.4), Geometry(32, 1.0, level=True, region="mouth")
    assert landmarker_for([face]) is None
    assert isinstance(landmarker_for([face, mouth]), FaceLandmarker)


def test_missing_network_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(landmarks, "ASSET", "nowhere.onnx")
    with pytest.raises(DetectionError, match=r"cannot start \(nowhere\.onnx: .*reinstall vidscan"):
        FaceLandmarker()


def test_finding_landmarks_loads_no_tensorflow():
    code = (
        "import sys, numpy, vidscan_training.data.self_blend;"
        "from vidscan.models.landmarks import FaceLandmarker;"
        "FaceLandmarker().locate(numpy.zeros((64, 64, 3), numpy.uint8));"
        "import vidscan_training.data.augment, vidscan_training.data.swap_blend;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
