"""The report on a source and its parts: verdict, tracks, timeline, evidence, facts and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidscan.records.card import ModelCard
from vidscan.records.limits import Count, Limits, MemberScores, Probability, Seconds, Sha256, Share
from vidscan.records.provenance import Provenance
from vidscan.records.stages import Box, Image, Source


class Label(StrEnum):
    """What a verdict says."""

    FAKE = "FAKE"
    REAL = "REAL"
    UNCERTAIN = "UNCERTAIN"
    NO_FACE = "NO_FACE"


class Status(StrEnum):
    """Whether a source was analysed to its end."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TimelineFace:
    """One face at one moment; ``fake_probability`` None: not judged, ``quality``: :attr:`Quality.overall`."""

    track: Count
    box: Box
    detection_confidence: Probability
    fake_probability: Probability | None
    members: MemberScores = ()
    quality: Share = 1.0
    views: Annotated[tuple[Probability, ...], Limits(2, absent=True)] = ()


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One sampled moment with faces; its score is the most suspicious one's, None if none was judged."""

    time_s: Seconds
    fake_probability: Probability | None
    faces: Annotated[tuple[TimelineFace, ...], Limits(1)]


@dataclass(frozen=True, slots=True)
class Track:
    """One person followed through one shot: ``faces`` sightings between ``start_s`` and ``end_s``.

    ``stream`` is the file's number of the video stream that shows it, for clips of several.
    ``person`` is the lowest ``id`` of the tracks that show the same person in other shots, 0 if
    re-identification did not run. ``fake_probability`` is None where no sighting could be judged. ``counted``
    is False where the person has no part in the verdict, and ``note`` then says why. ``weight``: the person's
    share in the verdict, 0-1; ``quality``: the mean of the sightings'.
    """

    id: Count
    start_s: Seconds
    end_s: Seconds
    faces: Annotated[int, Limits(1)]
    fake_probability: Probability | None
    counted: bool = True
    members: MemberScores = ()
    person: Count = 0
    weight: Share = 1.0
    quality: Share = 1.0
    note: str = ""
    stream: Annotated[int, Limits(0, absent=True)] = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A suspicious stretch of one track."""

    start_s: Seconds
    end_s: Seconds
    fake_probability: Probability
    track: Count


@dataclass(frozen=True, slots=True)
class MemberVerdict:
    """The verdict that a scan with this member of an ensemble alone would have given, by its own card."""

    name: str
    label: Label
    fake_probability: Probability


class Interval(NamedTuple):
    """A range of probabilities, 0-1."""

    low: Probability
    high: Probability


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one source.

    ``fake_probability`` and ``confidence`` are 0-1, and None for NO_FACE and where no face could be judged.
    ``confidence`` is the probability of the label given; for UNCERTAIN, that of the likelier side.
    ``interval`` is where ``fake_probability`` would lie, 19 times in 20, had other moments of the same person
    been sampled: it is wide where few faces were seen or where they disagree. For a still it refers to other
    pictures of the same person, and is wide where the views of its face disagree. ``tracks`` are those of the
    person who decides the verdict.
    """

    label: Label
    fake_probability: Probability | None
    confidence: Probability | None
    reason: str
    members: Annotated[tuple[MemberVerdict, ...], Limits(2, absent=True)] = ()
    interval: Interval | None = None
    tracks: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of judging the scores of one source."""

    verdict: Verdict
    tracks: tuple[Track, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Wall times of the parts of a scan.

    Reading (``decode``, ``detect``) and scoring (``wait`` for a batch, ``score``) go on at the same time,
    so together they may exceed ``total``. The time of a batch is divided among the faces in it.
    """

    decode: Seconds = 0.0
    detect: Seconds = 0.0
    score: Seconds = 0.0
    total: Seconds = 0.0
    wait: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts and times of one source. ``duration_s`` is None for stills and where unknown.

    ``faces_unjudged`` are sightings too small to be scored. ``faces_reused`` is a published field that is
    always 0. ``cuts_s``: when a new shot begins, in seconds.
    ``crops_scored``: the crops that were scored for ``faces_scored``, several views of each face of a still.
    ``batch_slots``: rows of batches that were computed for these crops, with their share of padding.
    """

    duration_s: Seconds | None = None
    frames_sampled: Count = 0
    faces_scored: Count = 0
    seconds: StageSeconds = field(default_factory=StageSeconds)
    faces_reused: Count = 0
    batch_slots: Annotated[float, Limits(0, digits=3)] = 0.0
    faces_unjudged: Count = 0
    cuts_s: tuple[Seconds, ...] = ()
    crops_scored: Count = 0


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Facts of a source's file: its size in bytes and SHA-256, and how its pictures are stored.

    ``width`` and ``height`` are those of the upright frames, in which boxes are given, in pixels; None if no
    frame was decoded. ``codec`` is None for a still.
    """

    bytes: Annotated[int, Limits(0, wide=True)]
    sha256: Sha256
    codec: str | None = None
    width: Annotated[int, Limits(1)] | None = None
    height: Annotated[int, Limits(1)] | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person should know of how a source was looked at: what was done to it, or left out.

    ``code`` is a word for programs, such as ``deinterlaced``; ``text`` is a sentence or two.
    """

    code: Annotated[str, Limits(1)]
    text: Annotated[str, Limits(1)]


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a source failed: the error's class name and its one-line message."""

    type: str
    message: str


Heat = npt.NDArray[np.float32]
"""How much each part of a crop speaks for a forgery, ``float32[cells, cells]``, 0-1."""


class HeatKind(StrEnum):
    """How heat maps are made: by a network's gradients, or of the exact parts that make its logit."""

    GRAD_CAM = "grad-cam"
    SHARES = "shares"


@dataclass(frozen=True, slots=True)
class HeatSource:
    """How a heat map was made, and the name of the network whose score it explains."""

    kind: HeatKind
    network: str

    @property
    def method(self) -> str:
        """The kind of map in a word or two."""
        return {HeatKind.GRAD_CAM: "Grad-CAM", HeatKind.SHARES: "patch shares"}[self.kind]


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceCrop:
    """A scored face that is kept to be looked at.

    ``image`` is the crop as a network saw it, RGB ``uint8[size, size, 3]``; where heat maps are asked for, as
    the network that is explained saw it. ``heat`` is its map, and ``heat_source`` tells how that was made;
    both are None where there is none.
    """

    track: Count
    frame_index: Count
    time_s: Seconds
    fake_probability: Probability
    image: Image
    heat: Heat | None = None
    heat_source: HeatSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report on one source. ``options`` echoes the options of the scan.

    ``members`` are the cards of an ensemble's members, which ``model_card`` describes together; empty for
    one model. ``evidence`` holds faces to look at, where they were asked for. ``facts`` and ``provenance``
    are None where the source could not be read. ``remarks``: see :class:`Remark`.
    """

    source: Source
    status: Status
    verdict: Verdict | None = None
    tracks: tuple[Track, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    segments: tuple[Segment, ...] = ()
    stats: Stats = field(default_factory=Stats)
    options: Mapping[str, Any]
    model_card: ModelCard
    error: ErrorInfo | None = None
    members: tuple[ModelCard, ...] = ()
    evidence: tuple[EvidenceCrop, ...] = ()
    facts: SourceFacts | None = None
    remarks: tuple[Remark, ...] = ()
    provenance: Provenance | None = None
