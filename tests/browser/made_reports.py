"""Reports with faces to look at, made without a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from report_samples import signed

from vidscan.records import (
    Box,
    Calibration,
    ErrorInfo,
    EvidenceCrop,
    Interval,
    Label,
    Meaning,
    ModelCard,
    Report,
    Segment,
    Source,
    SourceFacts,
    SourceKind,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)

CARD = ModelCard(
    "sample", "lite2", 260, calibration=Calibration(1.1, -0.2, "held-out people"), limits="Knows little."
)
HOSTILE_NAME = Path(
    "\"'><img src=x onerror=window.hacked=1></script><script>window.hacked=2</script>\u202egpj.mp4"
)
SCORES = {1: (0.1, 0.1, 0.2, 0.6, 0.95, 0.98, 0.97, 0.5, 0.3, 0.1), 2: (0.3, 0.33, 0.3, 0.31)}


def clip_with_faces(name: str = "clip.mp4", *, heat: bool = False) -> Report:
    """A FAKE clip of 5 s with two people, the four highest and lowest faces of each kept."""
    points = []
    for index in range(10):
        faces = tuple(
            TimelineFace(track, Box(10.0 * track, 20, 64, 80), 0.9, scores[index])
            for track, scores in SCORES.items()
            if index < len(scores)
        )
        points.append(TimelinePoint(index / 2, max(face.fake_probability for face in faces), faces))
    return Report(
        source=Source(name, Path(name), SourceKind.VIDEO),
        status=Status.OK,
        verdict=Verdict(Label.FAKE, 0.98, 0.98, "Track 1 looks synthesised.", tracks=(1,)),
        tracks=(Track(1, 0.0, 4.5, 10, 0.98), Track(2, 0.0, 1.5, 4, 0.31, counted=False)),
        timeline=tuple(points),
        segments=(Segment(1.5, 3.5, 0.97, 1),),
        stats=Stats(5.0, 10, 14),
        options={},
        model_card=CARD,
        evidence=tuple(_crops(heat)),
        facts=SourceFacts(123_456, "ab" * 32, "h264", 640, 360),
        provenance=signed(meaning=Meaning.CAPTURED),
    )


def _crops(heat: bool):
    warm = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for track, scores in SCORES.items():
        order = sorted(range(len(scores)), key=lambda index: scores[index])
        for index in {*order[:4], *order[-4:]}:
            image = np.full((64, 64, 3), (200, 160, 20 * index), np.uint8)
            yield EvidenceCrop(track, index, index / 2, scores[index], image, warm if heat else None)


CUTS_S = (2.0, 4.0)
QUALITIES = {1: 0.8, 2: 0.2, 3: 0.05, 4: 0.8}
SEEN = {
    1: dict(enumerate((0.3, 0.7, 0.9, 0.95))),
    2: dict(enumerate((0.1, 0.15, 0.12, 0.2), start=4)),
    3: dict.fromkeys(range(4, 7)),
    4: dict(enumerate((0.92, 0.97, 0.6, 0.9), start=8)),
}
"""Scores of each track by the number of the look, half a second apart; None where it was not judged."""


def clip_with_cuts(name: str = "interview.mp4") -> Report:
    """A FAKE clip of three shots: person 1, person 2 with a face too small to judge, person 1 again."""
    points = []
    for index in range(12):
        faces = tuple(
            TimelineFace(track, Box(10.0 * track, 20, 64, 80), 0.9, row[index], quality=QUALITIES[track])
            for track, row in SEEN.items()
            if index in row
        )
        judged = [face.fake_probability for face in faces if face.fake_probability is not None]
        points.append(TimelinePoint(index / 2, max(judged, default=None), faces))
    return replace(
        clip_with_faces(name),
        verdict=Verdict(
            Label.FAKE, 0.86, 0.86, "Person 1 looks synthesised.", interval=Interval(0.7, 0.93), tracks=(1, 4)
        ),
        tracks=(
            Track(1, 0.0, 1.5, 4, 0.8, person=1, weight=0.75, quality=0.8),
            Track(2, 2.0, 3.5, 4, 0.14, person=2, weight=0.25, quality=0.2),
            Track(3, 2.0, 3.0, 3, None, False, (), 3, 0.0, 0.05, "too small to judge"),
            Track(4, 4.0, 5.5, 4, 0.88, person=1, weight=0.75, quality=0.8),
        ),
        timeline=tuple(points),
        segments=(Segment(0.5, 1.5, 0.88, 1), Segment(4.0, 5.5, 0.88, 4)),
        stats=Stats(6.0, 12, 12, faces_unjudged=3, cuts_s=CUTS_S),
        evidence=tuple(
            EvidenceCrop(
                track, index, index / 2, score, np.full((64, 64, 3), (200, 160, 20 * index), np.uint8)
            )
            for track in (1, 2, 4)
            for index, score in SEEN[track].items()
        ),
    )


def too_small(name: str = "crowd.mp4") -> Report:
    """An UNCERTAIN clip in which no face was large enough to be judged."""
    face = TimelineFace(1, Box(5, 6, 20, 24), 0.7, None, quality=0.02)
    return replace(
        clip_with_faces(name),
        verdict=Verdict(Label.UNCERTAIN, None, None, "Every face is too small to judge."),
        tracks=(Track(1, 0.0, 1.5, 4, None, False, (), 1, 0.0, 0.02, "too small to judge"),),
        timeline=tuple(TimelinePoint(index / 2, None, (face,)) for index in range(4)),
        segments=(),
        stats=Stats(2.0, 4, 0, faces_unjudged=4),
        evidence=(),
    )


def folder() -> list[Report]:
    """A FAKE clip, a REAL one, an UNCERTAIN still, a clip without a face and a broken file."""
    fake = clip_with_faces("folder/b10.mp4", heat=True)
    real = replace(
        clip_with_faces("folder/b9.mp4"),
        verdict=Verdict(Label.REAL, 0.61, 0.39, "Nobody looks synthesised.", tracks=(1,)),
        stats=Stats(4.0, 10, 14),
        evidence=(),
    )
    still = replace(
        fake,
        source=Source("s", Path("folder/still.jpg"), SourceKind.IMAGE),
        verdict=Verdict(Label.UNCERTAIN, 0.5, 0.5, "The face looks like neither.", tracks=(1,)),
        tracks=(Track(1, 0.0, 0.0, 1, 0.5),),
        timeline=(TimelinePoint(0.0, 0.5, (TimelineFace(1, Box(1, 2, 64, 80), 0.9, 0.5),)),),
        segments=(),
        stats=Stats(None, 1, 1),
        evidence=(),
    )
    nobody = replace(
        real,
        source=Source("n", Path("folder/nobody.mp4"), SourceKind.VIDEO),
        verdict=Verdict(Label.NO_FACE, None, None, "No face was found in the frames looked at."),
        tracks=(),
        timeline=(),
        segments=(),
        stats=Stats(6.0, 12, 0),
    )
    broken = replace(
        nobody,
        source=Source("x", Path("folder/broken.mp4"), SourceKind.VIDEO),
        status=Status.FAILED,
        verdict=None,
        error=ErrorInfo("DecodeError", "folder/broken.mp4: no video: check the file"),
        stats=Stats(),
        facts=None,
    )
    return [broken, nobody, real, still, fake]
