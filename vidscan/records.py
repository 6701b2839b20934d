"""The frozen types that pass between stages, in the order in which they flow.

Only numpy and the standard library are imported here: every stage may import this module, and it
imports none of them. Pictures are always RGB, ``uint8``, 0-255, laid out ``[height, width, 3]``.
Boxes are in pixels of the upright frame, times in seconds from the start of the clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""RGB picture, ``uint8[height, width, 3]``, 0-255."""


class SourceKind(StrEnum):
    """What a source is: a clip with a time line, or one still."""

    VIDEO = "video"
    IMAGE = "image"


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


class Box(NamedTuple):
    """A face's rectangle in pixels; (x, y) is the upper left corner. It may reach over the edge."""

    x: float
    y: float
    w: float
    h: float

    @property
    def longer_side(self) -> float:
        """The size of the face in pixels, as options and cards count it."""
        return max(self.w, self.h)


@dataclass(frozen=True, slots=True)
class Source:
    """One clip or still. ``id`` is unique within one scan; ``path`` is what the user named."""

    id: str
    path: Path
    kind: SourceKind


class FileStamp(NamedTuple):
    """What tells a file from a later state of it: size in bytes, time of change in ns, device and inode."""

    size: int
    modified_ns: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled picture, rotation already applied.

    ``index`` counts the sampled frames of its source from 0; ``time_s`` comes from the stream's clock.
    """

    source_id: str
    index: int
    time_s: float
    image: Image


@dataclass(frozen=True, slots=True)
class Detection:
    """A face found in a frame. ``confidence`` is the detector's, 0-1.

    ``keypoints`` is ``float32[n, 2]`` in pixels (x, y), in MediaPipe's order: right eye, left eye,
    nose tip, mouth centre, right ear, left ear (right and left of the person). ``roll``: by how many degrees,
    clockwise as one looks at the picture, the face is turned from upright, above -180 and up to 180.
    """

    box: Box
    confidence: float
    keypoints: npt.NDArray[np.float32]
    roll: float = 0.0


class Quality(NamedTuple):
    """How well a face can be judged: four factors from 0 (not at all) to 1 (nothing is missing).

    ``size`` of the face in pixels, ``sharpness`` of its picture, ``pose`` (1 for one that faces the camera),
    ``visible``: how much of it lies within the frame, uncovered and surely a face.
    """

    size: float = 1.0
    sharpness: float = 1.0
    pose: float = 1.0
    visible: float = 1.0

    @property
    def overall(self) -> float:
        """The product, 0-1: the weight of the face's score beside others of the same person."""
        return self.size * self.sharpness * self.pose * self.visible


FULL_QUALITY = Quality()


APPEARANCE = 88
"""Numbers that describe what a face and its surroundings look like."""

Appearance = npt.NDArray[np.float32]
"""``float32[APPEARANCE]``; compared by Euclidean distance."""


def no_appearance() -> Appearance:
    """The description of a face that nobody described: all zeros."""
    return np.zeros(APPEARANCE, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face seen in a frame, whose score nobody knows yet.

    ``roll`` is as in :class:`Detection`; ``shot`` counts the stretches between cuts from 0; ``appearance``
    is what the face and its surroundings look like (see ``vidscan.appearance``).
    """

    frame_index: int
    time_s: float
    box: Box
    confidence: float
    roll: float = 0.0
    shot: int = 0
    quality: Quality = FULL_QUALITY
    appearance: Appearance = field(default_factory=no_appearance)


class Geometry(NamedTuple):
    """How a face is cut out: the crop's side in pixels and in lengths of the box's longer side.

    ``level``: whether the crop is turned so that the eyes lie level; otherwise by quarter turns alone, so
    that no face stands on its head.
    """

    input_size: int
    margin: float
    level: bool = False


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """Square pictures of one face, ``uint8[size, size, 3]`` RGB: one for each geometry asked for.

    ``track`` is the number of the track that the face belongs to.
    """

    source_id: str
    frame_index: int
    time_s: float
    box: Box
    confidence: float
    images: tuple[Image, ...]
    track: int = 0
    quality: Quality = FULL_QUALITY


@dataclass(frozen=True, slots=True)
class CropBatch:
    """``batch_size`` crops as columns; rows where ``mask`` is False are padding.

    ``source_id``: ``str`` objects ``[n]``; ``frame_index``: ``int64[n]``; ``time_s``: ``float64[n]``;
    ``box``: ``float32[n, 4]`` as x, y, w, h; ``confidence``: ``float32[n]``;
    ``images``: for each geometry ``uint8[n, size, size, 3]`` RGB; ``mask``: ``bool[n]``;
    ``track``: ``int64[n]``; ``quality``: ``float64[n, 4]`` in the order of ``Quality``.
    """

    source_id: npt.NDArray[np.object_]
    frame_index: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    box: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    images: tuple[Image, ...]
    mask: npt.NDArray[np.bool_]
    track: npt.NDArray[np.int64]
    quality: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """A batch with its scores: ``fake_probability`` is ``float32[n, members]``, NaN-free, 0-1.

    Padding rows hold 0. ``seconds`` is what scoring the batch took, ``waited`` how long the network had
    nothing to do before, ``computed`` the number of rows that were computed, padding included.
    """

    batch: CropBatch
    fake_probability: npt.NDArray[np.float32]
    seconds: float
    waited: float = 0.0
    computed: int = 0


@dataclass(frozen=True, slots=True)
class FaceScore:
    """One face without its pixels; ``fake_probability`` is calibrated where the card allows.

    It is None for a face that was seen but is too small to be judged.

    ``members``, here and below: what each member of an ensemble says, in order; empty for one model.
    """

    source_id: str
    frame_index: int
    time_s: float
    box: Box
    confidence: float
    fake_probability: float | None
    members: tuple[float, ...] = ()
    track: int = 0
    quality: Quality = FULL_QUALITY


@dataclass(frozen=True, slots=True)
class TimelineFace:
    """One face at one moment, as the report lists it; ``fake_probability`` is None where it was not judged.

    ``quality`` is :attr:`Quality.overall`.
    """

    track: int
    box: Box
    detection_confidence: float
    fake_probability: float | None
    members: tuple[float, ...] = ()
    quality: float = 1.0


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One sampled moment at which a face was seen; its score is that of its most suspicious face.

    None where no face of the moment was judged.
    """

    time_s: float
    fake_probability: float | None
    faces: tuple[TimelineFace, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """One person followed through one shot: ``faces`` sightings between ``start_s`` and ``end_s``.

    ``person`` is the lowest ``id`` of the tracks that show the same person in other shots, 0 where nobody
    looked. ``fake_probability`` is None where no sighting could be judged. ``counted`` is False where the
    person has no part in the verdict, and ``note`` then says why. ``weight``: the person's share in the
    verdict, 0-1; ``quality``: the mean of the sightings'.
    """

    id: int
    start_s: float
    end_s: float
    faces: int
    fake_probability: float | None
    counted: bool = True
    members: tuple[float, ...] = ()
    person: int = 0
    weight: float = 1.0
    quality: float = 1.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A suspicious stretch of one track."""

    start_s: float
    end_s: float
    fake_probability: float
    track: int


@dataclass(frozen=True, slots=True)
class MemberVerdict:
    """What a scan with this member of an ensemble alone would have said, by its own card."""

    name: str
    label: Label
    fake_probability: float


class Interval(NamedTuple):
    """A range of probabilities, 0-1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one source.

    ``fake_probability`` and ``confidence`` are 0-1, and None for NO_FACE and where no face was fit to be
    judged. ``confidence`` is the
    probability of the label given; for UNCERTAIN, that of the likelier side. ``interval`` is where
    ``fake_probability`` would lie, 19 times in 20, had other moments of the same person been looked at: the
    wider, the fewer faces were seen and the less they agree. ``tracks`` are those of the person whom the
    verdict rests on.
    """

    label: Label
    fake_probability: float | None
    confidence: float | None
    reason: str
    members: tuple[MemberVerdict, ...] = ()
    interval: Interval | None = None
    tracks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What the scores of one source amount to."""

    verdict: Verdict
    tracks: tuple[Track, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Where the time went.

    Reading (``decode``, ``detect``) and scoring (``wait`` for a batch, ``score``) go on at the same time,
    so together they may exceed ``total``. What a batch took is shared out among the faces in it.
    """

    decode: float = 0.0
    detect: float = 0.0
    score: float = 0.0
    total: float = 0.0
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts and times of one source. ``duration_s`` is None for stills and where unknown.

    ``faces_reused`` are sightings that took the score of an earlier one that looks the same,
    ``faces_unjudged`` those too small to be scored. ``cuts_s``: when a new shot begins, in seconds.
    ``batch_slots``: rows of batches that were computed for the faces scored, with their share of padding.
    """

    duration_s: float | None = None
    frames_sampled: int = 0
    faces_scored: int = 0
    seconds: StageSeconds = field(default_factory=StageSeconds)
    faces_reused: int = 0
    batch_slots: float = 0.0
    faces_unjudged: int = 0
    cuts_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What tells a source from others: its size in bytes and SHA-256, and how its pictures are stored.

    ``width`` and ``height`` are those of the upright frames, in which boxes are given, in pixels. What
    could not be found out is None: no frame was decoded, or a still has no codec.
    """

    bytes: int
    sha256: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a source failed: the error's class name and its one-line message."""

    type: str
    message: str


TYPICAL_SPREAD = 1.0
"""Standard deviation of the logits of one person's sightings where nobody has measured it."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling of the network's logit of P(fake): ``slope * logit + intercept``.

    Source: J. Platt, "Probabilistic outputs for support vector machines", 1999. ``spread`` is the
    standard deviation of the scaled logits within a clip, above 0.
    """

    slope: float
    intercept: float
    fitted_on: str
    spread: float = TYPICAL_SPREAD


LEAST_FACE = 48
"""``least_face`` of a network that nobody has asked: at a margin of 1.4, 67 pixels of video in its crop."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What must be known about a checkpoint to use it rightly; JSON beside the file.

    ``input_size`` is the side of the square input in pixels; ``margin`` the side of the crop as a
    multiple of the longer side of the detected box. ``positive_class`` names the class whose
    probability the network puts out. A clip is FAKE at or above ``fake_threshold``, REAL at or
    below ``real_threshold``, UNCERTAIN between them (both on the calibrated P(fake)).
    ``calibration`` is None where nobody fitted one: scores are then only scores. ``ensemble_weight``
    is the checkpoint's say among others: one of 2 counts twice as much as one of 1. ``level``: crops are
    turned so that the eyes lie level. ``least_face``: the longer side of a box, in pixels, from which the
    network's score was found to say anything; smaller faces are not judged.
    """

    name: str
    backbone: str
    input_size: int
    margin: float = 1.4
    positive_class: str = "real"
    fake_threshold: float = 0.6
    real_threshold: float = 0.4
    calibration: Calibration | None = None
    sha256: str | None = None
    terms: str = "unknown"
    data: str = "unknown"
    split: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    ensemble_weight: float = 1.0
    level: bool = False
    least_face: int = LEAST_FACE

    @property
    def geometry(self) -> Geometry:
        """The crops that the network wants."""
        return Geometry(self.input_size, self.margin, self.level)


Heat = npt.NDArray[np.float32]
"""How much each part of a crop speaks for a forgery, ``float32[cells, cells]``, 0-1."""


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceCrop:
    """A scored face that is kept to be looked at.

    ``image`` is the crop as the network saw it, RGB ``uint8[size, size, 3]``; ``heat`` its Grad-CAM map,
    None where none was asked for.
    """

    track: int
    frame_index: int
    time_s: float
    fake_probability: float
    image: Image
    heat: Heat | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything said about one source. ``options`` echoes what the scan was asked to do.

    ``members`` are the cards of an ensemble's members, whose whole ``model_card`` describes; empty for
    one model. ``evidence`` holds faces to look at, where they were asked for. ``facts`` is None where the
    source could not be read.
    """

    source: Source
    status: Status
    verdict: Verdict | None
    tracks: tuple[Track, ...]
    timeline: tuple[TimelinePoint, ...]
    segments: tuple[Segment, ...]
    stats: Stats
    options: Mapping[str, Any]
    model_card: ModelCard
    error: ErrorInfo | None = None
    members: tuple[ModelCard, ...] = ()
    evidence: tuple[EvidenceCrop, ...] = ()
    facts: SourceFacts | None = None
