"""What flows from stage to stage, from the source to the score of a face, in that order."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vidscan.records.limits import Length, Offset

Image = npt.NDArray[np.uint8]
"""RGB picture, ``uint8[height, width, 3]``, 0-255."""


class SourceKind(StrEnum):
    """What a source is: a clip with a time line, or one still."""

    VIDEO = "video"
    IMAGE = "image"


class Box(NamedTuple):
    """A face's rectangle in pixels; (x, y) is the upper left corner. It may reach over the edge."""

    x: Offset
    y: Offset
    w: Length
    h: Length

    @property
    def longer_side(self) -> float:
        """The size of the face in pixels, as options and cards count it."""
        return max(self.w, self.h)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a source lies that is on no disk of this machine.

    ``url`` may hold secrets, ``shown`` is the same without them. ``version`` tells the file from a later
    state of it, as its storage lists it; "" if it was not asked for.
    """

    url: str
    shown: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One clip or still. ``id`` is unique within one scan.

    ``path`` is what the user named; for a ``remote`` source, the name of the file, and the whole path of its
    copy while there is one.
    """

    id: str
    path: Path
    kind: SourceKind
    remote: Remote | None = None

    @property
    def name(self) -> str:
        """What the source is called in reports, stores and messages."""
        return str(self.path) if self.remote is None else self.remote.shown


class FileStamp(NamedTuple):
    """Tells a file from a later state of it: size in bytes, time of change in ns, device and inode."""

    size: int
    modified_ns: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled picture as a person sees it: upright, square pixels, SDR, whole lines.

    ``index`` counts the sampled frames of its source from 0; ``time_s`` comes from the stream's clock.
    ``stream``: the number of its video stream in the file.
    """

    source_id: str
    index: int
    time_s: float
    image: Image
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """A face found in a frame. ``confidence`` is the detector's, 0-1.

    ``keypoints`` is ``float32[n, 2]`` in pixels (x, y), in MediaPipe's order: right eye, left eye,
    nose tip, mouth centre, right ear, left ear (right and left of the person). ``roll``: degrees by which the
    face is turned from upright, clockwise in the picture, above -180 and up to 180.
    """

    box: Box
    confidence: float
    keypoints: npt.NDArray[np.float32]
    roll: float = 0.0


LANDMARK_COUNT = 468

Landmarks = npt.NDArray[np.float32]
"""``float32[LANDMARK_COUNT, 2]``: x and y in pixels, in the order of MediaPipe's face mesh."""


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


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """A face seen in one frame of a source: everything known of it but its pixels and its score.

    ``confidence`` and ``roll`` are as in :class:`Detection`; ``box`` is in pixels of the frame. ``track`` is
    the number of the track that the face belongs to, 0 where faces are not tracked. ``detail`` tells how fine
    the face's picture is, and ``outlines`` how like a drawing (see ``vidscan.faces.quality``), from 0.
    ``still``: it was seen in a picture.
    """

    source_id: str
    frame_index: int
    time_s: float
    box: Box
    confidence: float
    roll: float = 0.0
    track: int = 0
    quality: Quality = FULL_QUALITY
    detail: float = 1.0
    outlines: float = 0.0
    still: bool = False


APPEARANCE = 88
"""Numbers that describe what a face and its surroundings look like."""

Appearance = npt.NDArray[np.float32]
"""``float32[APPEARANCE]``; compared by Euclidean distance."""


def no_appearance() -> Appearance:
    """The appearance of a face that was not described: all zeros."""
    return np.zeros(APPEARANCE, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What tracking has to know of a face in a frame.

    ``shot`` counts the stretches between cuts from 0; ``appearance`` is what the face and its surroundings
    look like (see ``vidscan.tracking.appearance``).
    """

    frame_index: int
    time_s: float
    box: Box
    confidence: float
    shot: int = 0
    quality: Quality = FULL_QUALITY
    appearance: Appearance = field(default_factory=no_appearance)


Region: TypeAlias = Literal["face", "mouth"]
"""What of a face a crop shows."""


class Geometry(NamedTuple):
    """How a face is cut out: the crop's side in pixels and in lengths of the box's longer side.

    ``level``: the crop is turned so that the eyes are level; otherwise by quarter turns alone, so that no
    face is upside down. A crop of the mouth is always level, and its margin is in sides of the square that
    :func:`vidscan.faces.mouths.mouth_of` puts around the mouth.
    """

    input_size: int
    margin: float
    level: bool = False
    region: Region = "face"


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """Square pictures of one face, RGB ``uint8[size, size, 3]``: one for each geometry asked for.

    A still's face gives several crops, one for each of its views, all with the same ``face``.
    """

    face: FaceSeen
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CropBatch:
    """Crops that are scored together.

    ``images`` holds RGB ``uint8[batch_size, size, size, 3]`` for each geometry. The first ``len(faces)`` rows
    are the crops of ``faces``, in order; the rows after them are padding, all zeros.
    """

    faces: tuple[FaceSeen, ...]
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBatch:
    """A batch with its scores: P(fake), ``float32[len(batch.faces), members]``, 0-1, never NaN.

    ``seconds`` is what scoring the batch took, ``waited`` how long the network had nothing to do before,
    ``computed`` the number of rows that were computed, padding included.
    """

    batch: CropBatch
    fake_probability: npt.NDArray[np.float32]
    seconds: float
    waited: float = 0.0
    computed: int = 0


@dataclass(frozen=True, slots=True)
class FaceScore:
    """A face and its score; ``fake_probability`` is calibrated where the card allows.

    It is None for a face that was seen but is too small to be judged.

    ``members``, here and below: what each member of an ensemble says, in order; empty for one model.
    ``views``, here and below: the scores of a still's views, whose mean as evidence is ``fake_probability``,
    in the order of :func:`vidscan.faces.crops.still_views`; empty for clips.
    """

    face: FaceSeen
    fake_probability: float | None
    members: tuple[float, ...] = ()
    views: tuple[float, ...] = ()
