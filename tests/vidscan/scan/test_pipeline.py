"""The stages together, with a detector and a network whose answers are known."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from toys import CARD, ConstantScorer, ToyDetector, ToyScorer, toy_picture

from vidscan.errors import ScoringError
from vidscan.faces import crops
from vidscan.media.sources import from_paths
from vidscan.options import BatchingOptions, EvidenceOptions, SamplingOptions, ScanOptions
from vidscan.probability import average, combine
from vidscan.records import Label, Report, Source, SourceKind, Status
from vidscan.scan import batches
from vidscan.scan.pipeline import scan


def options(batch_size: int = 4) -> ScanOptions:
    return ScanOptions(SamplingOptions(2.0), batching=BatchingOptions(batch_size))


def scan_all(sources, *scorers, detector=None, batch_size: int = 4, observer=None) -> list[Report]:
    return list(
        scan(
            sources,
            options(batch_size),
            scorers=scorers or [ToyScorer()],
            detector=detector or ToyDetector(),
            observer=observer,
        )
    )


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A still whose brightness, and so its P(fake), is 90 of 255."""
    path = tmp_path / "still.png"
    Pillow.fromarray(toy_picture(90)).save(path)
    return path


@pytest.fixture
def mixed(bright_clip: Path, still: Path, text_as_clip: Path, dark_clip: Path) -> list[Source]:
    """A clip, a still, a broken file, a clip without a face and a clip again."""
    return from_paths([bright_clip, still, text_as_clip, dark_clip, bright_clip])


def test_reports_come_in_order_whatever_becomes_of_a_source(mixed: list[Source]):
    reports = scan_all(mixed)
    assert [report.source for report in reports] == mixed
    ok, failed = Status.OK, Status.FAILED
    assert [report.status for report in reports] == [ok, ok, failed, ok, ok]
    labels = [report.verdict and report.verdict.label for report in reports]
    assert labels == [Label.FAKE, Label.REAL, None, Label.NO_FACE, Label.FAKE]


def test_clip_is_reported_in_full(mixed: list[Source]):
    report = scan_all(mixed)[0]
    assert report.verdict.fake_probability > 0.9
    assert [point.time_s for point in report.timeline] == [0.0, 0.5, 1.0, 1.5]
    (track,) = report.tracks
    assert (track.faces, track.start_s, track.end_s) == (4, 0.0, 1.5)
    (segment,) = report.segments
    assert (segment.start_s, segment.track) == (0.0, track.id)
    assert report.timeline[0].faces[0].box == (16, 12, 32, 24)
    assert report.model_card is CARD
    assert report.options == options().to_report()


def test_still_has_one_moment_and_no_segment(mixed: list[Source]):
    report = scan_all(mixed)[1]
    assert report.source.kind is SourceKind.IMAGE
    assert report.verdict.fake_probability == pytest.approx(90 / 255, abs=1e-3)
    assert len(report.timeline) == 1 and report.segments == ()
    assert report.stats.duration_s is None


def test_a_face_of_a_still_has_the_mean_of_its_views(halo: Path, bright_clip: Path):
    (report, clip) = scan_all(from_paths([halo, bright_clip]))
    (face,) = faces_of(report)
    as_it_is, mirrored, larger, smaller = face.views
    assert [mirrored, smaller] == pytest.approx([as_it_is] * 2, abs=1e-3)
    assert larger < as_it_is - 0.01
    assert face.fake_probability == report.verdict.fake_probability == average(face.views)
    assert report.stats.faces_scored == report.tracks[0].faces == 1
    assert all(each.views == () for each in faces_of(clip))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 5, 32])
def test_a_still_scores_the_same_alone_and_between_others(mixed: list[Source], halo: Path, batch_size: int):
    (alone,) = scan_all(from_paths([halo]), ToyScorer(), ToyScorer(WIDE))
    among = from_paths([mixed[0].path, halo, mixed[1].path, halo, mixed[4].path])
    _, first, _, second, _ = scan_all(among, ToyScorer(), ToyScorer(WIDE), batch_size=batch_size)
    for report in (first, second):
        assert report.verdict == alone.verdict and report.timeline == alone.timeline
        assert (report.stats.faces_scored, report.stats.crops_scored) == (1, 4)


def test_evidence_of_a_still_is_the_face_as_it_is_with_the_score_of_all_views(halo: Path):
    asked = replace(options(), evidence=EvidenceOptions(kept=True))
    (report,) = scan(from_paths([halo]), asked, scorers=[ToyScorer()], detector=ToyDetector())
    (crop,) = report.evidence
    assert crop.fake_probability == report.verdict.fake_probability < 200 / 255
    assert crop.image.min() > 190, "the larger box reaches beyond the bright face"


def test_failed_source_says_why_and_has_no_verdict(mixed: list[Source]):
    report = scan_all(mixed)[2]
    assert report.verdict is None
    assert report.error.type == "DecodeError"
    assert report.error.message.startswith(f"{mixed[2].path}: ")


def test_no_face_is_an_answer_without_a_number(mixed: list[Source]):
    report = scan_all(mixed)[3]
    assert report.error is None
    assert (report.verdict.fake_probability, report.verdict.confidence) == (None, None)
    assert report.tracks == report.timeline == report.segments == ()


def test_counts_and_times_are_each_sources_own(mixed: list[Source]):
    stats = [report.stats for report in scan_all(mixed)]
    assert [each.frames_sampled for each in stats] == [4, 1, 0, 4, 4]
    assert [each.faces_scored for each in stats] == [4, 1, 0, 0, 4]
    assert [each.crops_scored for each in stats] == [4, 4, 0, 0, 4]
    assert [each.duration_s for each in stats] == [2.0, None, None, 2.0, 2.0]
    assert all(each.seconds.total > 0 for each in stats)
    assert [each.seconds.score > 0 for each in stats] == [True, True, False, False, True]
    assert [each.seconds.detect > 0 for each in stats] == [True, True, False, True, True]


def test_slots_are_shared_out_among_the_faces_of_a_batch(mixed: list[Source]):
    """9 faces, one of them in 4 views, in 3 batches of 4, or in one that is computed up to 16."""
    assert [report.stats.batch_slots for report in scan_all(mixed)] == pytest.approx([4, 4, 0, 0, 4])
    (still,) = scan_all(mixed[1:2], batch_size=8)
    assert still.stats.batch_slots == 4
    padded = scan_all(mixed, batch_size=32)
    assert sum(report.stats.batch_slots for report in padded) == pytest.approx(16)


def test_time_without_a_batch_is_the_networks_wait(bright_clip: Path):
    slow = ToyDetector(breaks=lambda image: time.sleep(0.1) is not None)
    (report,) = scan_all(from_paths([bright_clip]), detector=slow)
    spent = report.stats.seconds
    assert spent.wait > max(0.3, spent.score)


@pytest.mark.parametrize(("batch_size", "calls"), [(4, [4, 4, 4]), (32, [16]), (1, [1] * 12)])
def test_batches_fill_across_files(mixed: list[Source], batch_size: int, calls: list[int]):
    scorer = ToyScorer()
    scan_all(mixed, scorer, batch_size=batch_size)
    assert scorer.batches == calls  # 9 faces, one in 4 views; a short batch is computed up to the next 8


def test_batch_size_changes_no_report(mixed: list[Source]):
    def essence(report: Report) -> tuple:
        return report.verdict, report.tracks, report.timeline, report.segments, report.error

    one, many = scan_all(mixed, batch_size=1), scan_all(mixed, batch_size=32)
    assert [essence(report) for report in one] == [essence(report) for report in many]


def test_report_comes_before_later_sources_are_read(bright_clip: Path):
    """A folder's first results must not wait for its last file."""
    detector = ToyDetector()
    sources = from_paths([bright_clip] * 20)
    reports = scan(sources, options(4), scorers=[ToyScorer()], detector=detector)
    assert next(reports).source == sources[0]
    assert detector.pictures < 4 * 20
    reports.close()


def test_finished_reports_do_not_wait_for_another_face(bright_clip: Path, dark_clip: Path, monkeypatch):
    monkeypatch.setattr(batches, "IDLE_S", 0.05)
    collected = threading.Event()
    detector = ToyDetector()
    # The last clip shows no face, and its first picture takes until the reports before are there.
    detector._breaks = lambda image: detector.pictures == 9 and not collected.wait(20)
    sources = from_paths([bright_clip, dark_clip, dark_clip])
    reports = scan(sources, options(4), scorers=[ToyScorer()], detector=detector)
    labels = [next(reports).verdict.label, next(reports).verdict.label]
    collected.set()
    assert labels == [Label.FAKE, Label.NO_FACE]
    assert [report.status for report in reports] == [Status.OK]


def test_detector_that_fails_on_one_source_costs_that_source(bright_clip: Path, still: Path):
    detector = ToyDetector(breaks=lambda image: image.shape[0] == 80)
    first, broken, last = scan_all(from_paths([bright_clip, still, bright_clip]), detector=detector)
    assert (first.status, last.status) == (Status.OK, Status.OK)
    assert broken.status is Status.FAILED
    assert broken.error.type == "DetectionError"


def test_source_that_fails_half_way_is_failed_and_not_judged_by_its_first_half(bright_clip: Path):
    detector = ToyDetector()
    detector._breaks = lambda image: detector.pictures == 3
    broken, sound = scan_all(from_paths([bright_clip] * 2), detector=detector)
    assert (broken.status, broken.verdict) == (Status.FAILED, None)
    assert (broken.stats.frames_sampled, broken.stats.faces_scored) == (2, 2)
    assert (sound.status, sound.stats.faces_scored) == (Status.OK, 4)


def test_network_that_fails_ends_the_run_after_the_reports_before(bright_clip: Path):
    class FailsLater(ToyScorer):
        def score(self, crops: np.ndarray) -> np.ndarray:
            if len(self.batches) == 2:
                raise ScoringError("the toy network broke down")
            return super().score(crops)

    finished = []
    with pytest.raises(ScoringError, match="toy network"):
        for report in scan(
            from_paths([bright_clip] * 10), options(4), scorers=[FailsLater()], detector=ToyDetector()
        ):
            finished.append(report)
    assert 1 <= len(finished) <= 2


def test_no_source_gives_no_report():
    assert scan_all([]) == []


def test_nothing_is_read_before_a_report_is_asked_for(bright_clip: Path):
    detector = ToyDetector()
    scan(from_paths([bright_clip]), options(), scorers=[ToyScorer()], detector=detector)
    assert detector.pictures == 0


def test_stopping_early_leaves_no_reader_behind(bright_clip: Path):
    """The caller closes the detector next, which must not be in use any more."""
    with ToyDetector() as detector:
        reports = scan(from_paths([bright_clip] * 50), options(), scorers=[ToyScorer()], detector=detector)
        next(reports)
        reports.close()
        seen = detector.pictures
    assert detector.pictures == seen < 200
    assert not any(thread.name == "ffmpeg-stderr" for thread in threading.enumerate())


def test_interrupt_is_heeded_in_a_long_clip_without_a_face(make_clip):
    hour = ("-f", "lavfi", "-i", "color=black:size=16x16:rate=1:duration=3600", "-c:v", "mpeg4")
    long = make_clip("dark-hour.mp4", *hour)
    detector = ToyDetector()

    def interrupt(image: np.ndarray) -> bool:
        if detector.pictures == 5:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.005)  # a real detector takes its time
        return False

    detector._breaks = interrupt
    with pytest.raises(KeyboardInterrupt):
        scan_all(from_paths([long]), detector=detector)
    assert detector.pictures < 1000


# Ensembles

WIDE = replace(CARD, name="wide", input_size=24, margin=2.0, sha256="b" * 64)


@pytest.fixture
def halo(tmp_path: Path) -> Path:
    """A still whose face is brighter (200) than what surrounds it (100): wider crops are darker."""
    picture = toy_picture(100)
    picture[20:60, 20:60] += 100
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):  # so that they are no bars
        edge[0::2] = 140
        edge[1::2] = 60
    Pillow.fromarray(picture).save(tmp_path / "halo.png")
    return tmp_path / "halo.png"


def test_members_of_other_sizes_and_margins_work_from_the_same_detections(mixed: list[Source], halo: Path):
    sources = [*mixed, *from_paths([halo])]
    detector = ToyDetector()
    together = scan_all(sources, ToyScorer(), ToyScorer(WIDE), detector=detector)
    assert detector.pictures == sum(report.stats.frames_sampled for report in together)
    # The face fills a crop of margin 1 but for the third view, whose box is a little larger.
    halo_face = together[-1].timeline[0].faces[0]
    assert 0.76 < halo_face.members[0] < 200 / 255 and 0.48 < halo_face.members[1] < 126 / 255
    assert halo_face.views[0] == pytest.approx(combine((200 / 255, 125 / 255), (1, 1)), abs=1e-6)
    alone = [scan_all(sources, ToyScorer()), scan_all(sources, ToyScorer(WIDE))]
    for report, *singles in zip(together, *alone, strict=True):
        assert report.members == (CARD, WIDE)
        assert [each.status for each in singles] == [report.status] * 2
        for place, single in enumerate(singles):
            assert [face.members[place] for face in faces_of(report)] == [
                face.fake_probability for face in faces_of(single)
            ]
            assert [face.box for face in faces_of(report)] == [face.box for face in faces_of(single)]
            assert [track.members[place] for track in report.tracks] == [
                track.fake_probability for track in single.tracks
            ]
            if report.verdict and report.verdict.members:
                said = report.verdict.members[place]
                assert (said.label, said.fake_probability) == (
                    single.verdict.label,
                    single.verdict.fake_probability,
                )


def faces_of(report: Report) -> list:
    return [face for point in report.timeline for face in point.faces]


def test_one_model_is_no_ensemble(mixed: list[Source], halo: Path):
    for report in scan_all([*mixed, *from_paths([halo])]):
        assert report.members == ()
        assert report.verdict is None or report.verdict.members == ()
        assert all(item.members == () for item in (*faces_of(report), *report.tracks))
        assert report.model_card is CARD
    # The very number that the network gave, as a float32 holds it.
    (face,) = faces_of(scan_all(from_paths([halo]))[0])
    assert face.views[0] == float(np.float32(200 / 255))


def test_two_members_of_one_mind_say_what_each_says(mixed: list[Source]):
    one, two = scan_all(mixed), scan_all(mixed, ToyScorer(), ToyScorer(replace(CARD, name="twin")))
    for single, double in zip(one, two, strict=True):
        assert (single.verdict is None) == (double.verdict is None)
        if single.verdict and double.verdict:
            assert (double.verdict.label, double.verdict.reason) == (
                single.verdict.label,
                single.verdict.reason,
            )
        scores = [item.fake_probability for item in (*double.tracks, *double.segments)]
        assert scores == pytest.approx(
            [item.fake_probability for item in (*single.tracks, *single.segments)], abs=1e-8
        )


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 0.5), (3.0, 0.75), (1 / 3, 0.25), (1e6, 0.9)])
def test_weights_pull_the_score(bright_clip: Path, weight: float, expected: float):
    """Odds of 9 with weight 3 and of 1/9 with weight 1: 9 to the power of (3 - 1) / 4, which is 3."""
    sure = ConstantScorer(0.9, replace(CARD, ensemble_weight=weight))
    (report,) = scan_all(from_paths([bright_clip]), sure, ConstantScorer(0.1))
    assert report.verdict.fake_probability == pytest.approx(expected, abs=1e-5)
    assert report.tracks[0].members == pytest.approx((0.9, 0.1))


def test_members_that_disagree_are_named(bright_clip: Path):
    says_fake = ConstantScorer(0.95, replace(CARD, name="sure"))
    (report,) = scan_all(from_paths([bright_clip]), says_fake, ConstantScorer(0.1, WIDE))
    assert "The members disagree: sure alone says FAKE (0.95), wide alone says REAL (0.10)." in (
        report.verdict.reason
    )


def test_a_crop_is_cut_once_for_all_members_that_want_it(bright_clip: Path, monkeypatch):
    cut: list[tuple[int, float]] = []

    def counting(image, box, *, geometry, roll):
        cut.append((geometry.input_size, geometry.margin))
        return upright_crop(image, box, geometry=geometry, roll=roll)

    upright_crop = crops.upright_crop
    monkeypatch.setattr(crops, "upright_crop", counting)
    scan_all(from_paths([bright_clip]), ToyScorer(), ToyScorer(WIDE), ToyScorer(replace(CARD, name="twin")))
    assert sorted(cut) == [(24, 2.0)] * 4 + [(32, 1.0)] * 4


def test_batches_fill_across_files_for_every_member(mixed: list[Source]):
    members: Sequence[ToyScorer] = [ToyScorer(), ToyScorer(WIDE)]
    scan_all(mixed, *members)
    assert [member.batches for member in members] == [[4, 4, 4], [4, 4, 4]]
