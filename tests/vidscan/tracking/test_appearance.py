"""What faces look like: near for one person, far for two, and nothing where nobody looked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media.frames import sample_frames
from vidscan.options import DetectionOptions, SamplingOptions
from vidscan.records import APPEARANCE, Box, Source, SourceKind, no_appearance
from vidscan.tracking.appearance import CLEARLY_ANOTHER, SURELY_THE_SAME, describe, distance

FACE = Box(177, 65, 93, 93)


def test_a_description_has_its_length_and_type():
    described = describe(data.astronaut(), FACE)
    assert described.shape == (APPEARANCE,)
    assert described.dtype == np.float32
    # Histograms of colour and, at 0.7 of the weight, of lightness; those of the chest at half of it.
    assert 1 < np.linalg.norm(described) <= np.sqrt((2 + 0.25) * (1 + 0.49)) + 1e-6


def test_the_same_picture_is_at_no_distance_and_a_shift_or_another_size_is_near():
    picture = data.astronaut()
    described = describe(picture, FACE)
    assert distance(described, described) == 0
    shifted = describe(picture, FACE._replace(x=FACE.x + 6, y=FACE.y - 5))
    small = describe(
        np.asarray(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)),
        Box(*(side / 2 for side in FACE)),
    )
    for other in (shifted, small):
        apart = distance(described, other)
        assert apart is not None and apart < SURELY_THE_SAME


def test_other_clothes_and_light_are_far():
    picture = data.astronaut()
    turned = np.ascontiguousarray(picture[..., ::-1])  # red and blue changed: green skin, an orange suit blue
    apart = distance(describe(picture, FACE), describe(turned, FACE))
    assert apart is not None and apart > CLEARLY_ANOTHER


def test_another_room_behind_the_same_head_is_near():
    """Somebody who walks through a room stays the same; only between head and shoulders the room shows."""
    picture = data.astronaut()
    row, column = np.mgrid[:512, :512]
    centre = (FACE.x + FACE.w / 2, FACE.y + FACE.h / 2)
    head = ((column - centre[0]) / 65) ** 2 + ((row - centre[1] + 12) / 82) ** 2 <= 1
    person = head | (row > centre[1] + 75)
    rooms = [
        np.where(person[..., None], picture, colour).astype(np.uint8) for colour in (40, 200, [30, 160, 40])
    ]
    looks = [describe(room, FACE) for room in rooms]
    apart = [distance(looks[0], other) for other in looks[1:]]
    assert all(each is not None and each < SURELY_THE_SAME / 2 for each in apart)


def test_who_was_not_described_is_near_to_nobody():
    assert distance(no_appearance(), describe(data.astronaut(), FACE)) is None
    assert distance(no_appearance(), no_appearance()) is None


@pytest.mark.data
def test_real_people_resemble_themselves_more_than_each_other(research_clips: Path):
    people = []
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        for clip in sorted((research_clips / "real").glob("*.mp4"))[:8]:
            looks = []
            for frame in sample_frames(Source("0", clip, SourceKind.VIDEO), SamplingOptions(1.0)):
                found = detector.detect(frame.image)
                looks += [describe(frame.image, face.box) for face in found[:1]]
            people.append(looks[:8])
    same = [distance(a, b) for looks in people for a, b in pairwise(looks)]
    other = [distance(a, b) for i, one in enumerate(people) for two in people[:i] for a in one for b in two]
    assert np.mean([apart < SURELY_THE_SAME for apart in same]) > 0.9
    assert not any(apart < SURELY_THE_SAME for apart in other)
    assert np.mean([apart > CLEARLY_ANOTHER for apart in other]) > 0.9
