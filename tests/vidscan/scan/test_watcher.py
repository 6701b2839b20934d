"""What is known of the faces of a clip before they are scored: shots, tracks, quality, people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
from skimage import data
from toys import ToyDetector

from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.options import DetectionOptions
from vidscan.records import Box, Detection, FaceSeen, Frame, Image, Quality
from vidscan.scan.watcher import Watcher
from vidscan.verdict.judge import POOR


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeFaceDetector]:
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        yield detector


def watch(detector: MediaPipeFaceDetector, frames: list[Image]) -> tuple[Watcher, list[list[FaceSeen]]]:
    watcher = Watcher(detector, DetectionOptions(), still=False)
    seen = [watcher.look(Frame("0", i, i / 2, image)) for i, image in enumerate(frames)]
    return watcher, seen


def astronaut(x: int = 0) -> Image:
    """The astronaut ``x`` pixels from the left of a wide picture."""
    wide = cv2.resize(data.coffee(), (900, 512))
    wide[:, x : x + 512] = data.astronaut()
    return np.ascontiguousarray(wide)


def coffee() -> Image:
    return np.ascontiguousarray(cv2.resize(data.coffee(), (900, 512))[:, ::-1])


def test_one_who_moves_is_one_track_and_one_person(detector: MediaPipeFaceDetector):
    watcher, seen = watch(detector, [astronaut(x) for x in range(0, 120, 20)])
    assert [[face.track for face in frame] for frame in seen] == [[1]] * 6
    assert watcher.persons() == {1: 1}
    assert watcher.cuts_s == []
    assert [face.time_s for frame in seen for face in frame] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_cut_away_and_back_makes_two_tracks_of_one_person(detector: MediaPipeFaceDetector):
    watcher, seen = watch(detector, [astronaut()] * 3 + [coffee()] * 3 + [astronaut()] * 3)
    assert [[face.track for face in frame] for frame in seen] == [[1]] * 3 + [[]] * 3 + [[2]] * 3
    assert watcher.cuts_s == [1.5, 3.0]
    assert watcher.persons() == {1: 1, 2: 1}


def test_two_who_look_different_are_two_people_after_a_cut_too(detector: MediaPipeFaceDetector):
    other = np.ascontiguousarray(astronaut()[..., ::-1])  # a blue one
    watcher, _ = watch(detector, [astronaut()] * 3 + [other] * 3)
    assert watcher.persons() == {1: 1, 2: 2}


def test_quality_tells_a_good_picture_from_a_blurred_one(detector: MediaPipeFaceDetector):
    pictures = astronaut(), cv2.GaussianBlur(astronaut(), (0, 0), 8)
    ((sharp,),), ((blurred,),) = (watch(detector, [picture])[1] for picture in pictures)
    assert sharp.quality.overall > 3 * POOR
    assert blurred.quality.overall < POOR


def test_a_clip_on_its_side_gives_faces_with_their_roll(detector: MediaPipeFaceDetector):
    _, seen = watch(detector, [np.ascontiguousarray(np.rot90(astronaut(), -1))] * 2)
    for frame in seen:
        (face,) = frame
        assert 70 < face.roll < 110


class TwoFaces(ToyDetector):
    """Sees two faces in every picture."""

    boxes = (Box(10.0, 20.0, 40.0, 50.0), Box(80.0, 20.0, 30.0, 40.0))

    def far(self, image: Image) -> list[Detection]:
        return [Detection(box, 0.9, np.zeros((6, 2), np.float32)) for box in self.boxes]


def test_quality_is_asked_for_with_the_frames_other_faces():
    asked = []

    def assess(image: Image, detection: Detection, others: Sequence[Box]) -> Quality:
        asked.append((image.shape, detection.box, list(others)))
        return Quality(size=detection.box.w / 100)

    watcher = Watcher(TwoFaces(), DetectionOptions(), still=False, assess=assess)
    (large, small) = watcher.look(Frame("4", 3, 1.5, np.full((90, 160, 3), 200, np.uint8)))
    first, second = TwoFaces.boxes
    assert asked == [((90, 160, 3), first, [second]), ((90, 160, 3), second, [first])]
    assert large == FaceSeen("4", 3, 1.5, first, 0.9, 0.0, 1, Quality(0.4), 0.0)
    assert small == FaceSeen("4", 3, 1.5, second, 0.9, 0.0, 2, Quality(0.3), 0.0)
