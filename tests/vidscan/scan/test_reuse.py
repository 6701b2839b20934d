"""Which crops are taken for repeats, and that the score of one stands for the others."""

from __future__ import annotations

import numpy as np
from toys import toy_crop

from vidscan.records import FULL_QUALITY, Box, FaceCrop, FaceScore, Quality
from vidscan.scan.reuse import ALIKE, MEMORY_FRAMES, Repeat, RepeatFinder, with_repeats

NOISE = np.random.default_rng(7).integers(40, 200, (64, 64, 3), np.uint8)


def crop(frame: int, image: np.ndarray = NOISE, x: float = 0.0) -> FaceCrop:
    return FaceCrop("0", frame, frame / 2, Box(x, 0, 40, 40), 0.9, (image,), track=3)


def brighter(levels: float, image: np.ndarray = NOISE) -> np.ndarray:
    return (image.astype(float) + levels).round().astype(np.uint8)


def scored_frames(crops: list[FaceCrop]) -> list[int]:
    finder = RepeatFinder()
    return [fresh.frame_index for each in crops for fresh in finder.split([each])[0]]


def test_still_shot_is_scored_once():
    finder = RepeatFinder()
    assert len(finder.split([crop(0)])[0]) == 1
    fresh, repeats = finder.split([crop(1, x=1.0)])
    assert fresh == []
    assert repeats == [Repeat(1, 0.5, Box(1, 0, 40, 40), 0.9, 0, 3, FULL_QUALITY)]


def test_another_picture_is_scored():
    assert scored_frames([crop(0), crop(1, brighter(ALIKE + 2))]) == [0, 1]


def test_grain_is_no_change():
    grain = np.random.default_rng(1).normal(0, 4, NOISE.shape)
    assert scored_frames([crop(0), crop(1, (NOISE + grain).clip(0, 255).astype(np.uint8))]) == [0]


def test_a_small_part_that_changes_is_a_change():
    """As a mouth that speaks in a face that is still."""
    spoken = NOISE.copy()
    spoken[44:52, 24:40] = 0
    assert scored_frames([crop(0), crop(1, spoken)]) == [0, 1]


def test_slow_change_adds_up():
    fading = [crop(index, brighter(1.5 * index)) for index in range(9)]
    assert scored_frames(fading) == [0, 3, 6]


def test_the_same_picture_elsewhere_is_scored():
    assert scored_frames([crop(0), crop(1, x=20.0)]) == [0, 1]


def test_two_faces_of_one_frame_are_two_sightings():
    fresh, repeats = RepeatFinder().split([crop(0), crop(0, x=1.0)])
    assert (len(fresh), repeats) == (2, [])


def test_a_face_is_forgotten_after_some_frames():
    other = np.full_like(NOISE, 20)
    later = MEMORY_FRAMES + 1
    away = [crop(frame, other, x=200.0) for frame in range(1, later + 1)]
    finder = RepeatFinder()
    finder.split([crop(0)])
    for number, each in enumerate(away):
        finder.split([crop(each.frame_index, brighter(10.0 * number, other), x=200.0)])
    assert len(finder.split([crop(later + 1)])[0]) == 1
    assert len(finder._known) <= 2


def test_repeats_take_the_score_of_what_they_repeat():
    scores = [
        FaceScore("0", frame, frame / 2, Box(1, 1, 2, 2), 0.9, 0.1 * frame, (0.2, 0.3)) for frame in (0, 3)
    ]
    repeats = [
        Repeat(1, 0.5, Box(5, 5, 2, 2), 0.8, 0, 7, Quality(0.5)),
        Repeat(4, 2.0, Box(6, 5, 2, 2), 0.7, 1, 8, FULL_QUALITY),
    ]
    found = with_repeats(scores, repeats)
    assert [score.frame_index for score in found] == [0, 1, 3, 4]
    assert [score.fake_probability for score in found] == [0.0, 0.0, 0.1 * 3, 0.1 * 3]
    assert found[1] == FaceScore("0", 1, 0.5, Box(5, 5, 2, 2), 0.8, 0.0, (0.2, 0.3), 7, Quality(0.5))


def test_nothing_is_a_repeat_of_a_toy_crop_with_another_number():
    finder = RepeatFinder()
    assert [len(finder.split([toy_crop(number * 10)])[0]) for number in range(3)] == [1, 1, 1]
