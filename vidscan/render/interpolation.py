"""Interpolates where each face is at any moment of a clip, from the sampled moments."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from vidscan.records import Box, Report

_MAX_STEPS = 1.6
"""A track counts as seen throughout between two sightings up to this many sampling steps apart."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A face at one moment; ``fake_probability`` is None if it has no score."""

    track: int
    time_s: float
    box: Box
    fake_probability: float | None


@dataclass(frozen=True, slots=True)
class DrawnFaces:
    """All sightings of a clip: by track, each in order of time; ``step_s`` is the sampling step."""

    by_track: dict[int, tuple[DrawnFace, ...]]
    step_s: float
    end_s: float

    @classmethod
    def of(cls, report: Report) -> DrawnFaces:
        """Takes the sightings from a report's timeline."""
        found: dict[int, list[DrawnFace]] = defaultdict(list)
        for point in report.timeline:
            for face in point.faces:
                found[face.track].append(DrawnFace(face.track, point.time_s, face.box, face.fake_probability))
        times = [point.time_s for point in report.timeline]
        steps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
        asked = report.options.get("sampling", {}).get("fps") or 2.0
        step_s = median(steps) if steps else 1.0 / asked
        by_track = {track: tuple(found[track]) for track in sorted(found)}
        return cls(by_track, step_s, max(report.stats.duration_s or 0.0, *times, step_s))

    def at(self, time_s: float) -> list[DrawnFace]:
        """Returns the faces to be drawn at a moment.

        Between two sightings the box moves straight from one to the next; the score is the nearer sighting's,
        as none was measured in between. When a track is lost, it is shown for half a step longer, or up to
        the end of the clip if that comes before the next sample.
        """
        shown = (self._of_track(faces, time_s) for faces in self.by_track.values())
        return [face for face in shown if face is not None]

    def stretches(self, track: int) -> list[list[DrawnFace]]:
        """Returns a track's sightings, split where it was out of sight."""
        cut: list[list[DrawnFace]] = []
        for face in self.by_track[track]:
            if cut and self._joined(cut[-1][-1], face):
                cut[-1].append(face)
            else:
                cut.append([face])
        return cut

    def _joined(self, before: DrawnFace, after: DrawnFace) -> bool:
        return after.time_s - before.time_s <= _MAX_STEPS * self.step_s

    def _of_track(self, faces: Sequence[DrawnFace], time_s: float) -> DrawnFace | None:
        place = bisect_right(faces, time_s, key=lambda face: face.time_s)
        before = faces[place - 1] if place > 0 else None
        after = faces[place] if place < len(faces) else None
        if before is not None and after is not None and self._joined(before, after):
            return _between(before, after, time_s)
        if before is not None and time_s - before.time_s <= self._held_s(before):
            return before
        if after is not None and after.time_s - time_s <= self.step_s / 2:
            return after
        return None

    def _held_s(self, last: DrawnFace) -> float:
        until_end = self.end_s - last.time_s
        return until_end if until_end <= 1.05 * self.step_s else self.step_s / 2


def _between(before: DrawnFace, after: DrawnFace, time_s: float) -> DrawnFace:
    share = (time_s - before.time_s) / (after.time_s - before.time_s)
    box = Box(*(a + share * (b - a) for a, b in zip(before.box, after.box, strict=True)))
    nearer = before if share < 0.5 else after
    return DrawnFace(before.track, time_s, box, nearer.fake_probability)
