"""Cuts: scenery that comes and goes, and all that must not be taken for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from vidscan.media.frames import sample_frames
from vidscan.options import SamplingOptions
from vidscan.records import Image, Source, SourceKind
from vidscan.tracking.shots import CutFinder

SIZE = (640, 360)


def scene(picture: Image) -> Image:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA))


def rocket() -> Image:
    return scene(data.rocket())


def coffee() -> Image:
    return scene(data.coffee())


def cuts_of(frames: list[Image]) -> list[int]:
    finder = CutFinder()
    return [place for place, frame in enumerate(frames) if finder.is_cut(frame)]


def test_the_first_frame_is_no_cut():
    assert cuts_of([rocket()]) == []


def test_another_scene_is_a_cut_and_only_its_first_frame():
    assert cuts_of([rocket()] * 3 + [coffee()] * 3 + [rocket()] * 2) == [3, 6]


def test_a_close_up_of_the_same_scene_is_a_cut():
    wide = coffee()
    near = scene(np.ascontiguousarray(wide[90:270, 160:480]))
    assert cuts_of([wide, wide, near, near]) == [2]


def test_a_camera_that_pans_makes_no_cut():
    wide = np.asarray(cv2.resize(data.coffee(), (960, 540)))
    assert cuts_of([np.ascontiguousarray(wide[90:450, x : x + 640]) for x in range(0, 320, 40)]) == []


def test_a_camera_that_shakes_and_an_iris_that_opens_make_no_cut():
    wide = np.asarray(cv2.resize(data.coffee(), (720, 420)))
    frames = [np.ascontiguousarray(wide[y : y + 360, x : x + 640]) for x, y in ((0, 0), (40, 20), (10, 50))]
    assert cuts_of(frames) == []
    lighter = np.clip(coffee().astype(np.int16) + 60, 0, 255).astype(np.uint8)
    assert cuts_of([coffee(), lighter, coffee()]) == []


def test_a_screen_behind_the_speaker_that_changes_is_no_cut():
    """Nearly half of the picture is another one; a histogram of the whole would call it a cut."""
    first, second = coffee(), coffee()
    second[:, 350:] = rocket()[:, 350:]
    assert cuts_of([first, second, first, second]) == []


@pytest.mark.parametrize("size", [(7, 5, 3), (1, 1, 3), (2000, 30, 3), (108, 192, 3), (2160, 3840, 3)])
def test_any_size_will_do(size: tuple[int, int, int]):
    noise = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    assert cuts_of([np.zeros(size, np.uint8), noise, noise]) in ([], [1])


def test_a_size_that_changes_between_frames_does_no_harm():
    assert cuts_of([coffee(), np.asarray(cv2.resize(coffee(), (320, 180))), rocket()]) == [2]


@pytest.mark.data
def test_clips_of_real_people_are_told_apart_and_not_cut_up(research_clips: Path):
    clips = sorted((research_clips / "real").glob("*.mp4"))[:8]
    shots = []
    for clip in clips:
        source = Source("0", clip, SourceKind.VIDEO)
        shots.append([frame.image for frame in sample_frames(source, SamplingOptions(2.0))][:12])
    sizes = [len(shot) for shot in shots]
    found = cuts_of([frame for shot in shots for frame in shot])
    true = np.cumsum(sizes)[:-1].tolist()
    assert set(true) <= set(found)
    assert len(found) - len(true) <= 0.03 * sum(sizes)
