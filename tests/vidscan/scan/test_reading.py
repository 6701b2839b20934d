"""Reading source after source: what comes of it, and what one broken source costs."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from toys import CARD, ToyDetector

from vidscan.errors import DecodeError
from vidscan.options import ScanOptions
from vidscan.records import FaceCrop, Source, SourceFacts, SourceKind
from vidscan.scan.reading import Ledger, Reading, SourceReader, describe_failure


def video(path: Path, name: str) -> Source:
    return Source(name, path, SourceKind.VIDEO)


class Heard:
    def __init__(self) -> None:
        self.frames: list[tuple[str, float, float | None]] = []

    def part_fetched(self, source: Source) -> None:
        raise AssertionError("nothing is remote")

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        self.frames.append((source.id, time_s, duration_s))


def reader(detector: ToyDetector | None = None, observer: Heard | None = None) -> SourceReader:
    return SourceReader(detector or ToyDetector(), ScanOptions(), [CARD.geometry], observer=observer)


def read(sources, detector=None, ledger=None, observer=None, stop=None) -> list[FaceCrop]:
    noted = Ledger() if ledger is None else ledger  # an empty one is false
    return list(reader(detector, observer).read(sources, noted, stop or threading.Event()))


def readings(ledger: Ledger) -> list[Reading]:
    found = list(ledger)
    ledger.clear()
    return found


def test_crops_of_all_sources_in_one_stream_with_a_reading_each(bright_clip: Path, dark_clip: Path):
    ledger = Ledger()
    sources = [video(bright_clip, "a"), video(dark_clip, "b"), video(bright_clip, "c")]
    crops = read(sources, ledger=ledger)
    assert [(crop.face.source_id, crop.face.time_s) for crop in crops] == [
        (name, time) for name in "ac" for time in (0.0, 0.5, 1.0, 1.5)
    ]
    assert all(crop.images[0].shape == (32, 32, 3) for crop in crops)
    found = readings(ledger)
    assert [reading.source for reading in found] == sources
    assert [reading.error for reading in found] == [None] * 3
    stats = [reading.stats for reading in found]
    assert [(each.frames_sampled, each.crops_scored) for each in stats] == [(4, 4), (4, 0), (4, 4)]
    assert all(each.duration_s == 2.0 for each in stats)
    assert all(each.seconds.decode > 0 and each.seconds.detect > 0 for each in stats)


def test_facts_of_a_clip_a_still_and_a_broken_file(bright_clip: Path, text_as_clip: Path):
    ledger, still = Ledger(), Path(__file__).parents[3] / "samples" / "no-face.jpg"
    read(
        [video(bright_clip, "a"), Source("b", still, SourceKind.IMAGE), video(text_as_clip, "c")],
        ledger=ledger,
    )
    clip, picture, broken = (reading.facts for reading in readings(ledger))
    assert clip == SourceFacts(bright_clip.stat().st_size, sha256(bright_clip), "mpeg4", 64, 48)
    assert picture == SourceFacts(still.stat().st_size, sha256(still), None, 640, 360)
    assert broken == SourceFacts(text_as_clip.stat().st_size, sha256(text_as_clip))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_reading_comes_after_the_last_crop(bright_clip: Path):
    ledger = Ledger()
    stream = reader().read([video(bright_clip, "a")], ledger, threading.Event())
    for _ in range(4):
        next(stream)
        assert not ledger
    assert next(stream, None) is None
    assert len(ledger) == 1


def test_broken_source_is_noted_and_the_next_one_read(bright_clip: Path, text_as_clip: Path, tmp_path: Path):
    ledger = Ledger()
    crops = read(
        [video(text_as_clip, "a"), video(tmp_path / "gone.mp4", "b"), video(bright_clip, "c")], ledger=ledger
    )
    assert {crop.face.source_id for crop in crops} == {"c"}
    broken, gone, sound = readings(ledger)
    assert broken.error is not None and broken.error.type == "DecodeError"
    assert gone.error is not None and gone.error.type == "SourceError"
    assert sound.error is None


def test_source_that_breaks_down_half_way_keeps_count_of_its_crops(bright_clip: Path):
    ledger, detector = Ledger(), ToyDetector()
    detector._breaks = lambda image: detector.pictures == 3
    crops = read([video(bright_clip, "a")], detector=detector, ledger=ledger)
    (reading,) = readings(ledger)
    assert len(crops) == reading.stats.crops_scored == 2
    assert reading.error is not None
    assert (reading.error.type, reading.error.message) == ("DetectionError", "the toy detector broke down")


def test_fault_of_the_program_itself_ends_the_run(bright_clip: Path):
    def fault(image: object) -> bool:
        raise AttributeError("a slip of the pen")

    with pytest.raises(AttributeError):
        read([video(bright_clip, "a")], detector=ToyDetector(fault))


def test_observer_hears_of_every_frame(bright_clip: Path, dark_clip: Path):
    heard = Heard()
    read([video(bright_clip, "a"), video(dark_clip, "b")], observer=heard)
    assert heard.frames == [(name, time, 2.0) for name in "ab" for time in (0.0, 0.5, 1.0, 1.5)]


def test_stop_ends_the_reading_without_a_reading(dark_clip: Path):
    ledger, stop, detector = Ledger(), threading.Event(), ToyDetector()
    detector._breaks = lambda image: detector.pictures == 2 and stop.set()
    read([video(dark_clip, "a"), video(dark_clip, "b")], detector=detector, ledger=ledger, stop=stop)
    assert detector.pictures == 2
    assert readings(ledger) == []


def test_people_of_every_stream_count_and_bear_its_number(make_clip, bright_clip: Path):
    """The first stream is dark, the second has a face."""
    inputs = ("-f", "lavfi", "-i", "color=black:size=64x48:rate=10:duration=2", "-i", bright_clip)
    path = make_clip("dark-and-bright.mp4", *inputs, "-map", "0", "-map", "1", "-c:v", "mpeg4", "-q:v", "2")
    ledger = Ledger()
    crops = read([video(path, "a")], ledger=ledger)
    (reading,) = readings(ledger)
    assert [(crop.face.time_s, crop.face.track) for crop in crops] == [(i / 2, 1) for i in range(4)]
    assert reading.streams == {1: 1} and [remark.code for remark in reading.remarks] == ["streams"]
    assert reading.stats.frames_sampled == 8 and reading.stats.cuts_s == ()
    assert reading.facts is not None and reading.facts.codec == "mpeg4"


def test_tracks_do_not_go_on_from_stream_to_stream(make_clip, bright_clip: Path):
    twice = ("-i", bright_clip, "-map", "0", "-map", "0")
    path = make_clip("bright-twice.mp4", *twice, "-c", "copy")
    ledger = Ledger()
    read([video(path, "a")], ledger=ledger)
    (reading,) = readings(ledger)
    assert reading.streams == {1: 0, 2: 1} and reading.stats.cuts_s == ()


def test_failure_is_described_in_one_line():
    source = video(Path("some.mp4"), "a")
    own = describe_failure(source, DecodeError("some.mp4: broken: fetch it again"))
    assert (own.type, own.message) == ("DecodeError", "some.mp4: broken: fetch it again")
    foreign = describe_failure(source, ValueError("first line\n   second line\n"))
    assert foreign.type == "ValueError"
    assert "some.mp4" in foreign.message and "first line second line" in foreign.message
    assert "MemoryError" in describe_failure(source, MemoryError()).message


def test_faces_too_small_to_be_judged_are_kept_apart(bright_clip: Path):
    ledger = Ledger()
    choosy = SourceReader(
        ToyDetector(), ScanOptions(), [CARD.geometry], least_face=33
    )  # faces have 32 pixels
    assert list(choosy.read([video(bright_clip, "a")], ledger, threading.Event())) == []
    (reading,) = readings(ledger)
    assert (reading.stats.crops_scored, reading.stats.faces_unjudged) == (0, 4)
    assert [(face.time_s, face.track) for face in reading.unjudged] == [(i / 2, 1) for i in range(4)]
