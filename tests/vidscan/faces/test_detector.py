"""Finding faces: the real detector on known pictures, the rest on made-up boxes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from vidscan.errors import DetectionError
from vidscan.faces import detector as faces
from vidscan.faces.boxes import SAME_FACE_OVERLAP, intersection_over_union, merge_detections
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media.frames import sample_frames
from vidscan.options import DetectionOptions, SamplingOptions
from vidscan.records import Box, Detection, Source, SourceKind

ASTRONAUT = Box(178, 75, 92, 95)
"""Her face, from the brows to the chin and from ear to ear, measured by hand."""


def detection(x: float, y: float, side: float, confidence: float = 0.9) -> Detection:
    return Detection(Box(x, y, side, side), confidence, np.zeros((6, 2), np.float32))


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeFaceDetector]:
    with MediaPipeFaceDetector(DetectionOptions()) as opened:
        yield opened


def test_one_face_is_found_where_it_is(detector: MediaPipeFaceDetector):
    (found,) = detector.detect(data.astronaut())
    assert intersection_over_union(found.box, ASTRONAUT) > 0.7
    assert 0.75 <= found.confidence <= 1
    assert found.keypoints.shape == (6, 2) and found.keypoints.dtype == np.float32


def test_keypoints_are_pixels_in_mediapipes_order(detector: MediaPipeFaceDetector):
    (found,) = detector.detect(data.astronaut())
    right_eye, left_eye, nose, mouth, right_ear, left_ear = found.keypoints
    # Right and left are hers, so right lies on the left of the picture.
    assert right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]
    assert np.linalg.norm(right_eye - (203, 104)) < 8


def test_boxes_are_pixels_of_a_picture_of_any_shape(detector: MediaPipeFaceDetector):
    wide = np.zeros((512, 900, 3), np.uint8)
    wide[:, 388:] = data.astronaut()
    (found,) = detector.detect(wide)
    moved = ASTRONAUT._replace(x=ASTRONAUT.x + 388)
    assert intersection_over_union(found.box, moved) > 0.6


def test_every_face_is_found_surest_first(detector: MediaPipeFaceDetector):
    astronaut = data.astronaut()
    found = detector.detect(np.hstack([astronaut, astronaut[:, ::-1]]))
    assert len(found) == 2
    assert sorted(side.box.x > 512 for side in found) == [False, True]
    assert found[0].confidence >= found[1].confidence


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((300, 400, 3), np.uint8),
        np.full((64, 64, 3), 200, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((2, 900, 3), np.uint8),
        data.coffee(),
        data.hubble_deep_field(),  # has a galaxy that only the second look tells from a face
    ],
    ids=["black", "grey", "one pixel", "a line", "coffee", "galaxies"],
)
def test_no_face_where_there_is_none(detector: MediaPipeFaceDetector, picture: np.ndarray):
    assert detector.detect(picture) == []


def test_read_only_and_strided_pictures_will_do(detector: MediaPipeFaceDetector):
    mirrored = data.astronaut()[:, ::-1]
    mirrored.setflags(write=False)
    (found,) = detector.detect(mirrored)
    assert found.box.x > 200


def test_picture_too_large_for_mediapipe_is_searched_reduced(
    detector: MediaPipeFaceDetector, monkeypatch: pytest.MonkeyPatch
):
    (whole,) = detector.detect(data.astronaut())
    monkeypatch.setattr("vidscan.faces.detector.MAX_SIDE", 256)
    (reduced,) = detector.detect(data.astronaut())
    assert intersection_over_union(whole.box, reduced.box) > 0.85
    assert np.abs(whole.keypoints - reduced.keypoints).max() < 8


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 40_000, 3), (70_000, 3, 3)])
def test_longest_pictures_do_not_end_the_process(shape: tuple[int, int, int]):
    """MediaPipe aborts on a side of 32,767 pixels or more."""
    code = (
        "import numpy as np; from vidscan.faces.detector import MediaPipeFaceDetector as Detector\n"
        "from vidscan.options import DetectionOptions\n"
        f"with Detector(DetectionOptions()) as found: print(found.detect(np.zeros({shape}, np.uint8)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_small_faces_are_left_out():
    with MediaPipeFaceDetector(DetectionOptions(min_face=150)) as detector:
        assert detector.detect(data.astronaut()) == []


def test_closed_detector_does_not_say_that_there_is_no_face():
    detector = MediaPipeFaceDetector(DetectionOptions())
    detector.close()
    detector.close()
    with pytest.raises(DetectionError, match="closed"):
        detector.detect(data.astronaut())


@pytest.mark.parametrize("content", [None, b"", b"no network"], ids=["missing", "empty", "damaged"])
def test_broken_model_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None):
    for asset in (Path(faces.__file__).parents[1] / "assets").glob("*.tflite"):
        if content is not None:
            (tmp_path / "assets").mkdir(exist_ok=True)
            (tmp_path / "assets" / asset.name).write_bytes(content)
    monkeypatch.setattr(faces, "resources", SimpleNamespace(files=lambda package: tmp_path))
    with pytest.raises(
        DetectionError, match=r"cannot start \(face_detection_\w+\.tflite: .*reinstall"
    ) as caught:
        MediaPipeFaceDetector(DetectionOptions())
    assert "\n" not in str(caught.value)


def test_failure_on_a_picture_is_a_detection_error(monkeypatch: pytest.MonkeyPatch):
    def fail(picture: object) -> None:
        raise RuntimeError("out of order")

    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        monkeypatch.setattr(detector, "_full_range", SimpleNamespace(detect=fail))
        with pytest.raises(DetectionError, match="4x8 picture: out of order"):
            detector.detect(np.zeros((8, 4, 3), np.uint8))


# Merging


def test_merging_keeps_the_first_of_two_alike():
    first, again = detection(10, 10, 100, 0.6), detection(15, 12, 95, 0.9)
    assert merge_detections([first, again]) == [first]


def test_merging_drops_a_face_within_a_face():
    face, eye_taken_for_a_face = detection(0, 0, 100), detection(30, 30, 20)
    assert merge_detections([face, eye_taken_for_a_face]) == [face]
    assert merge_detections([eye_taken_for_a_face, face]) == [eye_taken_for_a_face]


def test_merging_keeps_neighbours():
    left, right = detection(0, 0, 100), detection(90, 0, 100)
    assert merge_detections([left, right]) == [left, right]


@given(
    st.lists(st.builds(detection, st.integers(0, 300), st.integers(0, 300), st.integers(5, 150)), max_size=12)
)
def test_merged_faces_lie_apart_and_none_is_lost(found: list[Detection]):
    kept = merge_detections(found)
    for number, one in enumerate(kept):
        for other in kept[number + 1 :]:
            assert intersection_over_union(one.box, other.box) <= SAME_FACE_OVERLAP
    assert merge_detections(kept) == kept
    assert kept[:1] == found[:1]
    for dropped in found:
        assert any(dropped is one for one in kept) or any(faces.same_face(dropped.box, k.box) for k in kept)


@pytest.mark.data
def test_face_is_found_in_nine_frames_of_ten_of_a_real_clip(
    research_clips: Path, detector: MediaPipeFaceDetector
):
    clip = sorted((research_clips / "real").glob("*.mp4"))[0]
    source = Source("0", clip, SourceKind.VIDEO)
    frames = list(sample_frames(source, SamplingOptions(2.0)))
    assert len(frames) >= 5
    seen = [len(detector.detect(frame.image)) for frame in frames]
    assert sum(count >= 1 for count in seen) >= 0.9 * len(frames)
    assert sum(count > 2 for count in seen) == 0
