"""Reports that the report tests share, and the proof that they are what a scan could have made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from vidscan.records import (
    Action,
    Box,
    Calibration,
    ContentCredentials,
    CredentialsState,
    ErrorInfo,
    EvidenceCrop,
    FailedCheck,
    Ingredient,
    Interval,
    Label,
    Meaning,
    MemberVerdict,
    ModelCard,
    Provenance,
    Report,
    Segment,
    Source,
    SourceFacts,
    SourceKind,
    StageSeconds,
    Stats,
    Status,
    Tag,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.records.provenance import shortened
from vidscan.report.codec import plain, valid_text
from vidscan.report.document import Document, Evidence, assemble, model_document, result_document
from vidscan.report.summary import declares_ai, tally

CREATED = datetime(2025, 3, 1, 12, 30, 15, tzinfo=UTC)
CARD = ModelCard("sample", "lite2", 260, calibration=Calibration(1.1, -0.2, "held-out people"))
HOSTILE = "[red]bad[/red]\n=\x1b[31m\x1b]0;owned\x07\u202egpj.\udcff\udc80.mp4"


_Scored = TypeVar("_Scored", Verdict | None, Track, TimelineFace)

MEMBERS = (
    replace(CARD, name="lite2", sha256="a1" * 32, ensemble_weight=2.0),
    ModelCard("b4", "b4", 380, margin=1.3, sha256="b2" * 32),
)


def schema() -> dict[str, Any]:
    """The JSON Schema of the report document, as it ships with the package."""
    file = resources.files("vidscan.report") / "schema" / "vidscan.report-1.schema.json"
    return json.loads(file.read_text("utf-8"))


def around(probability: float) -> Interval:
    return Interval(max(0.0, probability - 0.05), min(1.0, probability + 0.04))


def card_of(reports: Sequence[Report]) -> ModelCard:
    return reports[0].model_card if reports else CARD


def to_document(
    reports: Sequence[Report],
    *,
    options: Mapping[str, Any],
    card: ModelCard = CARD,
    members: Sequence[ModelCard] = (),
) -> Document:
    """The reports of one scan as one document."""
    results = [result_document(report) for report in reports]
    labels = [(result["verdict"] or {}).get("label") for result in results]
    return assemble(
        results,
        options=plain(options),
        model=model_document(card, members),
        summary=tally(labels, sum(map(declares_ai, reports))),
        created=CREATED.isoformat(timespec="seconds"),
    )


def document_of(*reports: Report) -> Document:
    members = reports[0].members if reports else ()
    return to_document(reports, options={"sampling": {"fps": 2.0}}, card=card_of(reports), members=members)


def evidence_of(reports: Iterable[Report]) -> Evidence:
    """The faces of these reports as writers get them."""
    return {valid_text(str(report.source.path)): report.evidence for report in reports if report.evidence}


def by_members(
    report: Report, scores: tuple[float, ...] = (0.96, 0.11), members: tuple[ModelCard, ...] = MEMBERS
) -> Report:
    """The report as an ensemble would have given it whose members always give these scores."""
    labels = [Label.FAKE if score >= 0.5 else Label.REAL for score in scores]
    alone = tuple(
        MemberVerdict(card.name, label, score)
        for card, label, score in zip(members, labels, scores, strict=True)
    )

    def said(item: _Scored, what: tuple[float, ...] | tuple[MemberVerdict, ...]) -> _Scored:
        return item if item is None or item.fake_probability is None else replace(item, members=what)

    return replace(
        report,
        verdict=said(report.verdict, alone),
        tracks=tuple(said(track, scores) for track in report.tracks),
        timeline=tuple(
            replace(point, faces=tuple(said(face, scores) for face in point.faces))
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
            tracks=(max(tracks, key=lambda track: (track.counted, track.fake_probability)).id,),
        ),
        tracks=tuple(tracks),
        timeline=tuple(points),
        segments=segments,
        stats=Stats(frames * step_s, frames, sum(t.faces for t in tracks), StageSeconds(0.4, 1.25, 3.0, 3.6)),
        options={},
        model_card=card,
    )


def views_of(score: float) -> tuple[float, ...]:
    """Scores of a face's four views, some around ``score``."""
    return (score, score, max(0.0, score - 0.03), min(1.0, score + 0.02))


def still(path: str = "stills/group.jpg", scores: Sequence[float] = (0.04, 0.93)) -> Report:
    faces = tuple(
        TimelineFace(number, Box(120.0 * number, 80.0, 96.0, 110.0), 0.88, score, views=views_of(score))
        for number, score in enumerate(scores, start=1)
    )
    return Report(
        source=Source(path, Path(path), SourceKind.IMAGE),
        status=Status.OK,
        verdict=Verdict(
            Label.FAKE,
            max(scores),
            max(scores),
            "1 of 2 faces looks made",
            interval=around(max(scores)),
            tracks=(1 + scores.index(max(scores)),),
        ),
        tracks=tuple(Track(face.track, 0.0, 0.0, 1, face.fake_probability) for face in faces),
        timeline=(TimelinePoint(0.0, max(scores), faces),),
        segments=(),
        stats=Stats(None, 1, len(faces), StageSeconds(0.01, 0.02, 0.2, 0.23), crops_scored=4 * len(faces)),
        options={},
        model_card=CARD,
    )


def interview(path: str = "clips/interview-cut.mp4", *, far: int = 4, card: ModelCard = CARD) -> Report:
    """Two people over two cuts, the first of whom comes back; behind the second, a face too small to judge.

    Shots begin at 0, 2 and 4 s; looked at every half second. Person 1 is tracks 1 and 4, person 2 is track 2;
    track 3 is the small face, seen ``far`` times; track 5 was seen once.
    """
    seen = {
        1: dict(enumerate((0.3, 0.7, 0.9, 0.95))),
        2: dict(enumerate((0.1, 0.15, 0.12, 0.2), start=4)),
        3: dict.fromkeys(range(4, 4 + far)),
        4: dict(enumerate((0.92, 0.97, 0.6, 0.9), start=8)),
        5: {11: 0.4},
    }
    sides = {3: Box(400.0, 60.0, 22.0, 26.0)}
    points = []
    for index in range(13):
        faces = tuple(
            TimelineFace(
                track,
                sides.get(track, Box(100.0 * track, 40.0, 96.0, 110.0)),
                0.9,
                row[index],
                quality=0.05 if track == 3 else 0.2 if track == 2 else 0.8,
            )
            for track, row in seen.items()
            if index in row
        )
        scores = [face.fake_probability for face in faces if face.fake_probability is not None]
        if faces:
            points.append(TimelinePoint(index / 2, max(scores, default=None), faces))
    return Report(
        source=Source(path, Path(path), SourceKind.VIDEO),
        status=Status.OK,
        verdict=Verdict(
            Label.FAKE, 0.86, 0.86, "Person 1 looks made", interval=Interval(0.7, 0.93), tracks=(1, 4)
        ),
        tracks=(
            Track(1, 0.0, 1.5, 4, 0.8, person=1, weight=0.75, quality=0.8),
            Track(2, 2.0, 3.5, 4, 0.14, person=2, weight=0.25, quality=0.2),
            Track(3, 2.0, 2.0 + (far - 1) / 2, far, None, False, (), 3, 0.0, 0.05, "too small to judge"),
            Track(4, 4.0, 5.5, 4, 0.88, person=1, weight=0.75, quality=0.8),
            Track(5, 5.5, 5.5, 1, 0.4, False, (), 5, 0.0, 0.8, "seen too briefly"),
        ),
        timeline=tuple(points),
        segments=(Segment(0.5, 1.5, 0.88, 1), Segment(4.0, 5.5, 0.88, 4)),
        stats=Stats(
            6.5,
            13,
            13,
            StageSeconds(0.4, 1.2, 2.0, 2.9),
            faces_unjudged=far,
            cuts_s=(2.0, 4.0),
            batch_slots=13.0,
        ),
        options={},
        model_card=card,
    )


def too_small(path: str = "clips/crowd.mp4", kind: SourceKind = SourceKind.VIDEO) -> Report:
    """A clip (or a still) in which every face is too small to judge."""
    moments = 4 if kind is SourceKind.VIDEO else 1
    faces = (TimelineFace(1, Box(5.0, 6.0, 20.0, 24.0), 0.7, None, quality=0.02),)
    note = "too small to judge"
    end_s = (moments - 1) / 2
    return replace(
        interview(path),
        source=Source(path, Path(path), kind),
        verdict=Verdict(Label.UNCERTAIN, None, None, "Every face is too small to judge."),
        tracks=(Track(1, 0.0, end_s, moments, None, False, (), 1, 0.0, 0.02, note),),
        timeline=tuple(TimelinePoint(index / 2, None, faces) for index in range(moments)),
        segments=(),
        stats=Stats(
            moments / 2 if moments > 1 else None, moments, 0, StageSeconds(0.1, 0.2), faces_unjudged=moments
        ),
    )


def no_face(path: str = "clips/landscape.mp4") -> Report:
    verdict = Verdict(Label.NO_FACE, None, None, "no face was found in 12 frames")
    stats = Stats(6.0, 12, 0, StageSeconds(0.2, 0.3, 0.0, 0.4))
    return replace(clip(path), verdict=verdict, tracks=(), timeline=(), segments=(), stats=stats)


def failed(path: str = "clips/broken.mp4", message: str = "no video stream: is it a clip?") -> Report:
    error = ErrorInfo("DecodeError", message)
    return replace(no_face(path), status=Status.FAILED, verdict=None, error=error, stats=Stats())


def face_crops(track: int, scores: Sequence[float], *, heat: bool = False) -> tuple[EvidenceCrop, ...]:
    """Faces kept of a track, half a second apart; each is of one colour, and its heat in one corner."""
    corner = np.zeros((8, 8), np.float32)
    corner[:4, :4] = 1.0
    return tuple(
        EvidenceCrop(
            track,
            index,
            index / 2,
            score,
            np.full((64, 64, 3), (200, 20 * track, index), np.uint8),
            corner if heat else None,
        )
        for index, score in enumerate(scores)
    )


def signed(
    state: CredentialsState = CredentialsState.VALID,
    *,
    meaning: Meaning = Meaning.GENERATED,
    trusted: bool = False,
) -> Provenance:
    """What a signed file says of itself: made by a generator or, where ``meaning`` says so, by a camera."""
    kind = {Meaning.GENERATED: "trainedAlgorithmicMedia", Meaning.CAPTURED: "digitalCapture"}[meaning]
    created = Action("c2pa.created", kind, "Toy Generator 3", "2026-02-03T04:05:06Z", meaning)
    failed = (FailedCheck("assertion.dataHash.mismatch", "content changed after signing"),)
    credentials = ContentCredentials(
        state,
        failed=failed if state is CredentialsState.INVALID else (),
        signer="Example Studios",
        signer_trusted=trusted,
        generator="Toy Signer 1.2",
        signed_at="2026-02-03T04:05:07+00:00",
        actions=(created, Action("c2pa.resized")),
        ingredients=(Ingredient("sketch.png", "inputTo", "image/png", "Toy Paint"),),
        left_out=2,
    )
    tag = Tag("XMP", "DigitalSourceType", kind, "", meaning)
    declares_ai = {Meaning.GENERATED: True, Meaning.CAPTURED: False}[meaning]
    return Provenance(declares_ai, "Toy Generator 3", "", credentials, (tag,))


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
_scores = st.none() | _chances
_views = st.just(()) | st.lists(_chances, min_size=2, max_size=4).map(tuple)
_faces = st.builds(TimelineFace, st.integers(1, 9), _boxes, _chances, _scores, st.just(()), _chances, _views)
_points = st.builds(
    TimelinePoint,
    _times,
    _scores,
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
    st.builds(Verdict, st.sampled_from([Label.NO_FACE, Label.UNCERTAIN]), st.none(), st.none(), _text),
)
_said = _text.map(shortened)
_actions = st.builds(Action, _said, _said, _said, _said, st.sampled_from(Meaning))
_credentials = st.builds(
    ContentCredentials,
    st.sampled_from(CredentialsState),
    failed=st.lists(st.builds(FailedCheck, _said, _said), max_size=2).map(tuple),
    signer=_said,
    signer_trusted=st.booleans(),
    generator=_said,
    signed_at=_said,
    actions=st.lists(_actions, max_size=2).map(tuple),
    ingredients=st.lists(st.builds(Ingredient, _said, _said, _said, _said), max_size=2).map(tuple),
    left_out=_counts,
    inherited=st.none() | _actions,
    url=_said,
    note=_said,
)
_provenances = st.builds(
    Provenance,
    st.sampled_from([None, True, False]),
    *(_said, _said),
    st.none() | _credentials,
    st.lists(st.builds(Tag, _said, _said, _said, _said, st.sampled_from(Meaning)), max_size=2).map(tuple),
    _said,
)
_analysed = st.builds(
    Report,
    source=st.builds(Source, st.just("id"), _paths, st.sampled_from(SourceKind)),
    status=st.just(Status.OK),
    verdict=_verdicts,
    tracks=st.lists(
        st.builds(
            Track,
            *(st.integers(1, 9), _times, _times, st.integers(1, 99), _scores, st.booleans(), st.just(())),
            *(st.integers(0, 3), _chances, _chances, st.sampled_from(["", "seen too briefly"]) | _text),
        ),
        max_size=3,
    ).map(tuple),
    timeline=st.lists(_points, max_size=5).map(lambda points: tuple(sorted(points, key=lambda p: p.time_s))),
    segments=st.lists(st.builds(Segment, _times, _times, _chances, st.integers(1, 9)), max_size=3).map(tuple),
    stats=st.builds(
        Stats,
        *(st.none() | _times, _counts, _counts),
        st.builds(StageSeconds, _times, _times, _times, _times),
        faces_unjudged=_counts,
        cuts_s=st.lists(_times, max_size=9).map(lambda times: tuple(sorted(times))),
    ),
    options=st.just({}),
    model_card=st.sampled_from([CARD, ModelCard("mine", "unknown", 380, level=True, least_face=40)]),
    facts=st.sampled_from([None, SourceFacts(7, "cd" * 32), SourceFacts(7, "cd" * 32, "h264", 640, 360)]),
    provenance=st.none() | _provenances,
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
