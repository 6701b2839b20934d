"""Reports that the report tests share, and the proof that they are what a scan could have made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.records import (
    Box,
    Calibration,
    ErrorInfo,
    Interval,
    Label,
    MemberVerdict,
    ModelCard,
    Report,
    Segment,
    Source,
    SourceKind,
    StageSeconds,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.report.document import Document, to_document

CREATED = datetime(2025, 3, 1, 12, 30, 15, tzinfo=UTC)
CARD = ModelCard("sample", "lite2", 260, calibration=Calibration(1.1, -0.2, "held-out people"))
HOSTILE = "[red]bad[/red]\n=\x1b[31m\x1b]0;owned\x07\u202egpj.\udcff\udc80.mp4"


MEMBERS = (
    replace(CARD, name="lite2", sha256="a1" * 32, ensemble_weight=2.0),
    ModelCard("b4", "b4", 380, margin=1.3, sha256="b2" * 32),
)


def around(probability: float) -> Interval:
    return Interval(max(0.0, probability - 0.05), min(1.0, probability + 0.04))


def card_of(reports: Sequence[Report]) -> ModelCard:
    return reports[0].model_card if reports else CARD


def document_of(*reports: Report) -> Document:
    return to_document(
        reports,
        options={"sampling": {"fps": 2.0}},
        card=card_of(reports),
        members=reports[0].members if reports else (),
        created=CREATED,
    )


def by_members(
    report: Report, scores: tuple[float, ...] = (0.96, 0.11), members: tuple[ModelCard, ...] = MEMBERS
) -> Report:
    """The report as an ensemble would have given it whose members always give these scores."""
    labels = [Label.FAKE if score >= 0.5 else Label.REAL for score in scores]
    alone = tuple(
        MemberVerdict(card.name, label, score)
        for card, label, score in zip(members, labels, scores, strict=True)
    )
    seen = report.verdict is not None and report.verdict.label is not Label.NO_FACE
    return replace(
        report,
        verdict=replace(report.verdict, members=alone) if seen else report.verdict,
        tracks=tuple(replace(track, members=scores) for track in report.tracks),
        timeline=tuple(
            replace(point, faces=tuple(replace(face, members=scores) for face in point.faces))
            for point in report.timeline
        ),
        members=members,
    )


def clip(
    path: str = "clips/interview.mp4",
    scores: Sequence[Sequence[float | None]] = ((0.1, 0.1, 0.2, 0.6, 0.95, 0.98, 0.97, 0.5, None, 0.1),),
    *,
    label: Label = Label.FAKE,
    step_s: float = 0.5,
    segments: tuple[Segment, ...] = (Segment(1.5, 3.5, 0.97, 1),),
    uncounted: frozenset[int] = frozenset(),
    card: ModelCard = CARD,
) -> Report:
    """A clip of as many tracks as ``scores`` has rows; None where the face was out of sight."""
    frames = len(scores[0])
    points, tracks = [], []
    for index in range(frames):
        faces = tuple(
            TimelineFace(number, Box(10.0 * number, 20.0, 64.0, 80.0), 0.9, row[index])
            for number, row in enumerate(scores, start=1)
            if row[index] is not None
        )
        if faces:
            points.append(TimelinePoint(index * step_s, max(face.fake_probability for face in faces), faces))
    for number, row in enumerate(scores, start=1):
        seen = [index for index, score in enumerate(row) if score is not None]
        top = max(row[index] for index in seen)
        counted = number not in uncounted
        tracks.append(Track(number, seen[0] * step_s, seen[-1] * step_s, len(seen), top, counted))
    probability = max((track.fake_probability for track in tracks), default=0.0)
    return Report(
        source=Source(path, Path(path), SourceKind.VIDEO),
        status=Status.OK,
        verdict=Verdict(
            label,
            probability,
            max(probability, 1 - probability),
            "5 of 10 faces look made",
            interval=around(probability),
        ),
        tracks=tuple(tracks),
        timeline=tuple(points),
        segments=segments,
        stats=Stats(frames * step_s, frames, sum(t.faces for t in tracks), StageSeconds(0.4, 1.25, 3.0, 3.6)),
        options={},
        model_card=card,
    )


def still(path: str = "stills/group.jpg", scores: Sequence[float] = (0.04, 0.93)) -> Report:
    faces = tuple(
        TimelineFace(number, Box(120.0 * number, 80.0, 96.0, 110.0), 0.88, score)
        for number, score in enumerate(scores, start=1)
    )
    return Report(
        source=Source(path, Path(path), SourceKind.IMAGE),
        status=Status.OK,
        verdict=Verdict(
            Label.FAKE, max(scores), max(scores), "1 of 2 faces looks made", interval=around(max(scores))
        ),
        tracks=tuple(Track(face.track, 0.0, 0.0, 1, face.fake_probability) for face in faces),
        timeline=(TimelinePoint(0.0, max(scores), faces),),
        segments=(),
        stats=Stats(None, 1, len(faces), StageSeconds(0.01, 0.02, 0.2, 0.23)),
        options={},
        model_card=CARD,
    )


def no_face(path: str = "clips/landscape.mp4") -> Report:
    verdict = Verdict(Label.NO_FACE, None, None, "no face was found in 12 frames")
    stats = Stats(6.0, 12, 0, StageSeconds(0.2, 0.3, 0.0, 0.4))
    return replace(clip(path), verdict=verdict, tracks=(), timeline=(), segments=(), stats=stats)


def failed(path: str = "clips/broken.mp4", message: str = "no video stream: is it a clip?") -> Report:
    error = ErrorInfo("DecodeError", message)
    return replace(no_face(path), status=Status.FAILED, verdict=None, error=error, stats=Stats())


_chances = st.floats(0, 1, width=32)
_times = st.floats(0, 1e5)
_counts = st.integers(0, 10_000)
_text = st.text(st.characters(codec=None), max_size=30)
_paths = st.one_of(
    st.binary(min_size=1, max_size=20).filter(lambda raw: b"\0" not in raw).map(os.fsdecode),
    st.sampled_from(["clip.mp4", HOSTILE, "-x.mp4", "日本語.mp4", "a b.mov"]),
).map(Path)
_boxes = st.builds(
    Box, st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0, 1e4, width=32), st.floats(0, 1e4)
)
_faces = st.builds(TimelineFace, st.integers(1, 9), _boxes, _chances, _chances)
_points = st.builds(
    TimelinePoint,
    _times,
    _chances,
    st.lists(_faces, min_size=1, max_size=3, unique_by=lambda f: f.track).map(tuple),
)
_verdicts = st.one_of(
    st.builds(
        Verdict,
        st.sampled_from([Label.FAKE, Label.REAL, Label.UNCERTAIN]),
        _chances,
        _chances,
        _text,
        st.just(()),
        st.builds(Interval, _chances, _chances),
    ),
    st.builds(Verdict, st.just(Label.NO_FACE), st.none(), st.none(), _text),
)
_analysed = st.builds(
    Report,
    source=st.builds(Source, st.just("id"), _paths, st.sampled_from(SourceKind)),
    status=st.just(Status.OK),
    verdict=_verdicts,
    tracks=st.lists(
        st.builds(Track, st.integers(1, 9), _times, _times, st.integers(1, 99), _chances, st.booleans()),
        max_size=3,
    ).map(tuple),
    timeline=st.lists(_points, max_size=5).map(lambda points: tuple(sorted(points, key=lambda p: p.time_s))),
    segments=st.lists(st.builds(Segment, _times, _times, _chances, st.integers(1, 9)), max_size=3).map(tuple),
    stats=st.builds(
        Stats, st.none() | _times, _counts, _counts, st.builds(StageSeconds, _times, _times, _times, _times)
    ),
    options=st.just({}),
    model_card=st.sampled_from([CARD, ModelCard("mine", "unknown", 380)]),
)
_broken = st.builds(
    lambda report, error: replace(report, status=Status.FAILED, verdict=None, error=error),
    _analysed,
    st.builds(ErrorInfo, st.sampled_from(["DecodeError", "SourceError"]), _text),
)
REPORTS = st.one_of(_analysed, _broken)
"""Any report that a scan could make, with hostile names and texts."""
_hostile_members = (replace(MEMBERS[0], name=HOSTILE), replace(MEMBERS[1], name="a long name " * 9))
ENSEMBLE_REPORTS = st.builds(
    by_members, REPORTS, st.tuples(_chances, _chances), st.sampled_from([MEMBERS, _hostile_members])
)
"""The same by an ensemble of two."""


@settings(max_examples=50, deadline=None)
@given(REPORTS)
def test_made_reports_keep_what_the_records_promise(report: Report) -> None:
    assert (report.status is Status.FAILED) == (report.error is not None) == (report.verdict is None)
    assert list(report.timeline) == sorted(report.timeline, key=lambda point: point.time_s)


def test_the_sample_clip_is_a_clip_with_a_gap() -> None:
    report = clip()
    assert len(report.timeline) == 9
    assert report.stats.frames_sampled == 10
    assert report.tracks[0].faces == report.stats.faces_scored == 9
