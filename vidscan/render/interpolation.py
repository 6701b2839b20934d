"""Where each face is at any moment of a clip, from the moments at which it was looked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from vidscan.records import Box, Report

_LONGEST_STEP = 1.6
"""Sampling steps between two sightings of a track up to which it is taken to have been seen throughout."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face at one moment; ``fake_probability`` is None where it was not judged."""

    track: int
    time_s: float
    box: Box
    fake_probability: float | None


@dataclass(frozen=True, slots=True)
class Sightings:
    """All sightings of a clip: by track, each in order of time; ``step_s`` is the sampling step."""

    by_track: dict[int, tuple[Sighting, ...]]
    step_s: float
    end_s: float

    @classmethod
    def of(cls, report: Report) -> Sightings:
        """Those that a report lists."""
        found: dict[int, list[Sighting]] = defaultdict(list)
        for point in report.timeline:
            for face in point.faces:
                found[face.track].append(Sighting(face.track, point.time_s, face.box, face.fake_probability))
        times = [point.time_s for point in report.timeline]
        steps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
        asked = report.options.get("sampling", {}).get("fps") or 2.0
        step_s = median(steps) if steps else 1.0 / asked
        by_track = {track: tuple(found[track]) for track in sorted(found)}
        return cls(by_track, step_s, max(report.stats.duration_s or 0.0, *times, step_s))

    def at(self, time_s: float) -> list[Sighting]:
        """The faces to be shown at a moment.

        Between two sightings the box moves straight from one to the next; the score is the nearer
        sighting's, for none was measured in between. Where a track is lost, it is shown for half a step
        longer; up to the end of the clip where that comes before the next look.
        """
        shown = (self._of_track(sightings, time_s) for sightings in self.by_track.values())
        return [sighting for sighting in shown if sighting is not None]

    def stretches(self, track: int) -> list[list[Sighting]]:
        """A track's sightings, cut where it was out of sight."""
        cut: list[list[Sighting]] = []
        for sighting in self.by_track[track]:
            if cut and self._joined(cut[-1][-1], sighting):
                cut[-1].append(sighting)
            else:
                cut.append([sighting])
        return cut

    def _joined(self, before: Sighting, after: Sighting) -> bool:
        return after.time_s - before.time_s <= _LONGEST_STEP * self.step_s

    def _of_track(self, sightings: Sequence[Sighting], time_s: float) -> Sighting | None:
        place = bisect_right(sightings, time_s, key=lambda sighting: sighting.time_s)
        before = sightings[place - 1] if place > 0 else None
        after = sightings[place] if place < len(sightings) else None
        if before is not None and after is not None and self._joined(before, after):
            return _between(before, after, time_s)
        if before is not None and time_s - before.time_s <= self._held_s(before):
            return before
        if after is not None and after.time_s - time_s <= self.step_s / 2:
            return after
        return None

    def _held_s(self, last: Sighting) -> float:
        until_end = self.end_s - last.time_s
        return until_end if until_end <= 1.05 * self.step_s else self.step_s / 2


def _between(before: Sighting, after: Sighting, time_s: float) -> Sighting:
    share = (time_s - before.time_s) / (after.time_s - before.time_s)
    box = Box(*(a + share * (b - a) for a, b in zip(before.box, after.box, strict=True)))
    nearer = before if share < 0.5 else after
    return Sighting(before.track, time_s, box, nearer.fake_probability)
