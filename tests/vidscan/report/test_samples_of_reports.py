"""The made-up reports that other tests rest on are ones that a scan could have made."""

from __future__ import annotations

from hypothesis import given, settings
from report_samples import REPORTS, clip, interview, too_small

from vidscan.records import Report, SourceKind, Status


@settings(max_examples=50, deadline=None)
@given(REPORTS)
def test_made_reports_keep_what_the_records_promise(report: Report) -> None:
    assert (report.status is Status.FAILED) == (report.error is not None) == (report.verdict is None)
    assert list(report.timeline) == sorted(report.timeline, key=lambda point: point.time_s)


def test_the_interview_and_the_clip_of_small_faces_are_what_a_scan_could_have_made() -> None:
    for report in (interview(), too_small(), too_small("s.jpg", SourceKind.IMAGE)):
        faces = [face for point in report.timeline for face in point.faces]
        assert report.stats.faces_scored == sum(face.fake_probability is not None for face in faces)
        assert report.stats.faces_unjudged == sum(face.fake_probability is None for face in faces)
        for track in report.tracks:
            seen = [p.time_s for p in report.timeline if track.id in {face.track for face in p.faces}]
            assert (len(seen), seen[0], seen[-1]) == (track.faces, track.start_s, track.end_s)
            assert not any(track.start_s < cut <= track.end_s for cut in report.stats.cuts_s)


def test_the_sample_clip_is_a_clip_with_a_gap() -> None:
    report = clip()
    assert len(report.timeline) == 9
    assert report.stats.frames_sampled == 10
    assert report.tracks[0].faces == report.stats.faces_scored == 9
