"""What is known of the faces of a clip before they are scored: shots, tracks, quality, people."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from skimage import data

from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.options import DetectionOptions
from vidscan.records import Frame, Image
from vidscan.scan.watcher import Watcher
from vidscan.verdict.judge import POOR


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeFaceDetector]:
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        yield detector


def watch(detector: MediaPipeFaceDetector, frames: list[Image]) -> tuple[Watcher, list[list]]:
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
    assert [[track for _, track in frame] for frame in seen] == [[1]] * 6
    assert watcher.persons() == {1: 1}
    assert watcher.cuts_s == []
    assert [sighting.time_s for frame in seen for sighting, _ in frame] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_cut_away_and_back_makes_two_tracks_of_one_person(detector: MediaPipeFaceDetector):
    watcher, seen = watch(detector, [astronaut()] * 3 + [coffee()] * 3 + [astronaut()] * 3)
    assert [[track for _, track in frame] for frame in seen] == [[1]] * 3 + [[]] * 3 + [[2]] * 3
    assert watcher.cuts_s == [1.5, 3.0]
    assert {sighting.shot for sighting, _ in seen[0] + seen[8]} == {0, 2}
    assert watcher.persons() == {1: 1, 2: 1}


def test_two_who_look_different_are_two_people_after_a_cut_too(detector: MediaPipeFaceDetector):
    other = np.ascontiguousarray(astronaut()[..., ::-1])  # a blue one
    watcher, _ = watch(detector, [astronaut()] * 3 + [other] * 3)
    assert watcher.persons() == {1: 1, 2: 2}


def test_quality_tells_a_good_picture_from_a_blurred_one(detector: MediaPipeFaceDetector):
    pictures = astronaut(), cv2.GaussianBlur(astronaut(), (0, 0), 8)
    (((sharp, _),),), (((blurred, _),),) = (watch(detector, [picture])[1] for picture in pictures)
    assert sharp.quality.overall > 3 * POOR
    assert blurred.quality.overall < POOR


def test_a_clip_on_its_side_gives_faces_with_their_roll(detector: MediaPipeFaceDetector):
    _, seen = watch(detector, [np.ascontiguousarray(np.rot90(astronaut(), -1))] * 2)
    for frame in seen:
        ((sighting, _),) = frame
        assert 70 < sighting.roll < 110
