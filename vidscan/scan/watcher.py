"""Frame -> FaceSeen: finds the faces of one source and follows them from shot to shot.

Composition of what looks at whole frames: cuts, the search for faces, and what is to be known of each face
before any network sees it (quality, appearance, track).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from vidscan.faces import quality
from vidscan.faces.search import FaceSearch
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, FaceSeen, Frame, Image, Quality, Sighting
from vidscan.tracking.appearance import describe
from vidscan.tracking.reidentify import Reidentifier
from vidscan.tracking.shots import CutFinder
from vidscan.tracking.tracks import Tracker

Assess: TypeAlias = Callable[[Image, Detection, Sequence[Box]], Quality]
"""Gives the quality of a face by its frame and the boxes of the frame's other faces."""


class Watcher:
    """Goes through the frames of one source, one video stream after the other, each in order of time.

    ``cuts_s``: when new shots began in a clip, in seconds; not where another stream did.
    """

    def __init__(
        self,
        detector: FaceDetector,
        options: DetectionOptions,
        *,
        still: bool,
        assess: Assess = quality.assess,
    ) -> None:
        """``still``: the source is a still, whose pictures are searched more thoroughly than a clip's."""
        self._search = FaceSearch(detector, options, still=still)
        self._assess, self._still = assess, still
        self._cuts = CutFinder()
        self._tracker = Tracker()
        self._reidentifier = Reidentifier()
        self._shot, self._stream = 0, 0
        self.cuts_s: list[float] = []

    def look(self, frame: Frame) -> list[FaceSeen]:
        """The faces in the next frame, surest first; raises DetectionError where the detector fails."""
        cut, other = self._cuts.is_cut(frame.image), frame.stream != self._stream
        if cut and not other and not self._still:
            self.cuts_s.append(frame.time_s)
        self._shot += cut or other
        self._stream = frame.stream
        found = self._search.find(frame.image, new_shot=cut or other)
        sightings = [self._sighting(frame, each, found) for each in found]
        tracks = self._tracker.add(sightings) if sightings else []
        for sighting, track in zip(sightings, tracks, strict=True):
            self._reidentifier.add(sighting, track)
        return [
            FaceSeen(
                source_id=frame.source_id,
                frame_index=frame.index,
                time_s=frame.time_s,
                box=each.box,
                confidence=each.confidence,
                roll=each.roll,
                track=track,
                quality=sighting.quality,
                detail=quality.detail(frame.image, each.box),
                outlines=quality.outlines(frame.image, each.box),
                still=self._still,
            )
            for each, sighting, track in zip(found, sightings, tracks, strict=True)
        ]

    def persons(self) -> dict[int, int]:
        """The person of every track so far, see :class:`vidscan.tracking.reidentify.Reidentifier`."""
        return self._reidentifier.persons()

    def _sighting(self, frame: Frame, detection: Detection, found: Sequence[Detection]) -> Sighting:
        others = [each.box for each in found if each is not detection]
        return Sighting(
            frame_index=frame.index,
            time_s=frame.time_s,
            box=detection.box,
            confidence=detection.confidence,
            shot=self._shot,
            quality=self._assess(frame.image, detection, others),
            appearance=describe(frame.image, detection.box),
        )
