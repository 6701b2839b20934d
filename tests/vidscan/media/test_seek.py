"""Frames spread over a clip: the same that reading it through would give, however it is stored."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import DecodeError
from vidscan.media.ffmpeg import decode, seek
from vidscan.media.ffmpeg.command import Look
from vidscan.media.ffmpeg.decode import Picture
from vidscan.media.ffmpeg.seek import spread_frames

MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")


def lavfi(graph: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", graph)


def spread(path: Path, count: int, duration_s: float | None = -1.0) -> list[Picture]:
    """By default with the length that the header gives."""
    duration = decode.probe(path).duration_s if duration_s == -1.0 else duration_s
    return list(spread_frames(path, count, duration))


def times(pictures: list[Picture]) -> list[float]:
    return [round(picture.time_s, 3) for picture in pictures]


def through_at(path: Path, fps: float) -> list[Picture]:
    return list(decode.pictures(path, Look(fps=fps)))


@pytest.fixture(scope="module")
def minute(make_clip) -> Path:
    """60 s at 10 frames per second with a keyframe each 1.2 s, in which no two seconds look alike."""
    graph = "testsrc=size=64x48:rate=10:duration=60"
    return make_clip("minute.mp4", *lavfi(graph), *MPEG4, "-g", "12")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Look]:
    """Every run of ffmpeg for frames during the test."""
    made: list[Look] = []
    whole = decode.pictures

    def recording(path, look, *shown):
        made.append(look)
        return whole(path, look, *shown)

    monkeypatch.setattr(decode, "pictures", recording)
    return made


@pytest.mark.parametrize("count", [1, 2, 7])
def test_seeking_finds_the_frames_that_reading_through_gives(minute: Path, looks: list[Look], count: int):
    sought = spread(minute, count)
    assert all(look.max_frames == 1 for look in looks), "this clip was to be sought in"
    through = through_at(minute, count / 60)
    assert times(sought) == times(through)
    assert len(sought) == count
    for picture, expected in zip(sought, through, strict=True):
        assert np.array_equal(picture.image, expected.image)


def test_cost_goes_with_the_frames_and_not_with_the_length(minute: Path, looks: list[Look]):
    spread(minute, 4)
    assert len(looks) == 5  # and one to see whether there is anything at the end


def test_dense_frames_are_read_through_at_once(minute: Path, looks: list[Look]):
    found = spread(minute, 60)
    assert len(looks) == 1
    assert times(found) == [float(second) for second in range(60)]


def test_short_clip_gives_each_frame_once(clip: Path):
    assert times(spread(clip, 50)) == times(spread(clip, 1000)) == [index / 25 for index in range(50)]


def test_more_places_than_frames(make_clip, looks: list[Look]):
    """A frame every 15 s: most parts of the clip have none of their own."""
    path = make_clip("slides.mkv", *lavfi("testsrc=size=64x48:rate=1/15:duration=60"), "-c:v", "ffv1")
    assert times(spread(path, 12)) == times(through_at(path, 12 / 60))
    assert len(looks) > 12


def test_variable_frame_rate(make_clip):
    graph = "testsrc=size=64x48:rate=10:duration=40,select='lt(t,8)+gte(t,21.3)*not(mod(n,7))'"
    path = make_clip("uneven.mkv", *lavfi(graph), "-c:v", "ffv1", "-g", "5")
    duration = decode.probe(path).duration_s
    found = spread(path, 9)
    assert times(found) == times(through_at(path, 9 / duration))
    assert all(a < b for a, b in pairwise(times(found)))


def test_stream_that_starts_late(make_clip):
    graph = "testsrc=size=64x48:rate=10:duration=20"
    encoded = ("-c:v", "mpeg2video", "-g", "10", "-output_ts_offset", "100")
    path = make_clip("late20.ts", *lavfi(graph), *encoded)
    assert times(spread(path, 5)) == pytest.approx([0, 4, 8, 12, 16], abs=0.11)


def test_length_that_the_header_does_not_give_is_measured(minute: Path):
    assert decode.measure(minute).length_s == pytest.approx(60, abs=0.15)
    assert times(spread(minute, 4, None)) == pytest.approx(times(spread(minute, 4)), abs=0.15)


def test_header_that_promises_too_much_is_not_believed(minute: Path):
    """As where the sound goes on without pictures, or a download broke off."""
    assert times(spread(minute, 4, 600.0)) == pytest.approx(times(spread(minute, 4)), abs=0.15)


def test_clip_without_a_clock_cannot_be_spread_over(minute: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode, "measure", lambda path, shown: decode.Measured(None))
    with pytest.raises(DecodeError, match="nothing in it tells how long it is") as caught:
        spread(minute, 4, None)
    assert str(caught.value).startswith(f"{minute}: ")


def test_text_as_clip(text_as_clip: Path):
    for duration in (None, 100.0):
        with pytest.raises(DecodeError):
            spread(text_as_clip, 4, duration)


def test_dropped_iterator_leaves_nothing_running(minute: Path):
    pictures = spread_frames(minute, 20, 60.0)
    next(pictures)
    pictures.close()
    assert not any(thread.name.startswith(("seek", "ffmpeg-")) for thread in threading.enumerate())


def test_no_more_pictures_wait_than_places_are_sought_at_once(minute: Path, looks: list[Look]):
    pictures = spread_frames(minute, 30, 60.0)
    next(pictures)
    assert len(looks) <= 1 + seek.AT_ONCE
    pictures.close()


@pytest.mark.data
def test_index_that_leads_astray_is_not_followed(research_clips: Path):
    """The clip's index names frames as keyframes that are none: from 12 s on, seeking gave green pictures."""
    path = research_clips / "fake" / "deepfakes_033_097.mp4"
    found = spread(path, 8)
    through = {round(time_s, 2): image for time_s, image in decode.stream_frames(path, 25.0)}
    assert len(found) == 8
    for picture in found:
        assert np.array_equal(picture.image, through[round(picture.time_s, 2)])
