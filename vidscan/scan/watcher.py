"""Frame -> sightings: watches the people of one source, from shot to shot.

Composition of what looks at whole frames: cuts, the search for faces, and what is to be known of each face
before any network sees it (quality, appearance, track).
"""

from __future__ import annotations

from collections.abc import Sequence

from vidscan.faces.quality import assess
from vidscan.faces.search import FaceSearch
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Detection, Frame, Sighting
from vidscan.tracking.appearance import describe
from vidscan.tracking.reidentify import Reidentifier
from vidscan.tracking.shots import CutFinder
from vidscan.tracking.tracks import Tracker


class Watcher:
    """Goes through the frames of one source in order.

    ``cuts_s``: when new shots began, in seconds.
    """

    def __init__(self, detector: FaceDetector, options: DetectionOptions, *, still: bool) -> None:
        """``still``: there is one frame, which is searched without regard to time."""
        self._search = FaceSearch(detector, options, still=still)
        self._cuts = CutFinder()
        self._tracker = Tracker()
        self._reidentifier = Reidentifier()
        self.cuts_s: list[float] = []

    def look(self, frame: Frame) -> list[tuple[Sighting, int]]:
        """The faces in the next frame, surest first, with the numbers of their tracks.

        Raises:
            DetectionError: the detector fails.
        """
        cut = self._cuts.is_cut(frame.image)
        if cut:
            self.cuts_s.append(frame.time_s)
        found = self._search.find(frame.image, new_shot=cut)
        seen = [self._sighting(frame, each, found) for each in found]
        tracks = self._tracker.add(seen) if seen else []
        for sighting, track in zip(seen, tracks, strict=True):
            self._reidentifier.add(sighting, track)
        return list(zip(seen, tracks, strict=True))

    def persons(self) -> dict[int, int]:
        """The person of every track so far, see :class:`vidscan.tracking.reidentify.Reidentifier`."""
        return self._reidentifier.persons()

    def _sighting(self, frame: Frame, detection: Detection, found: Sequence[Detection]) -> Sighting:
        return Sighting(
            frame_index=frame.index,
            time_s=frame.time_s,
            box=detection.box,
            confidence=detection.confidence,
            roll=detection.roll,
            shot=len(self.cuts_s),
            quality=assess(frame.image, detection, [each.box for each in found if each is not detection]),
            appearance=describe(frame.image, detection.box),
        )
