"""Joins tracks of one person by appearance: across shots, and after a longer absence.

Tracks are joined only if their appearance is very similar and points to one person alone: two people joined
by mistake would share their scores, while one person in two tracks is merely judged twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vidscan.records import Appearance, Sighting, no_appearance
from vidscan.tracking.appearance import SURELY_THE_SAME, distance

AMBIGUOUS = 0.1
"""A track whose distances to two people differ by less than this is joined with neither."""

_MIN_WEIGHT = 1e-3


@dataclass(slots=True)
class _TrackLooks:
    """The mean appearance of a track, weighted by quality, and its first and last sampled frame."""

    first: int
    last: int
    weight: float = 0.0
    appearance: Appearance = field(default_factory=no_appearance)

    def add(self, seen: Sighting) -> None:
        self.last = seen.frame_index
        own = max(seen.quality.overall, _MIN_WEIGHT)
        self.weight += own
        self.appearance += (seen.appearance - self.appearance) * (own / self.weight)

    def meets(self, other: _TrackLooks) -> bool:
        """Tells whether both were in sight at the same time, so that they are two people."""
        return self.first <= other.last and other.first <= self.last


class Reidentifier:
    """Keeps the mean appearance of every track of one source: some hundred numbers each."""

    def __init__(self) -> None:
        self._tracks: dict[int, _TrackLooks] = {}

    def add(self, seen: Sighting, track: int) -> None:
        """Adds the next sighting of a track."""
        frame = seen.frame_index
        self._tracks.setdefault(track, _TrackLooks(frame, frame)).add(seen)

    def persons(self) -> dict[int, int]:
        """Returns the person of every track: the lowest number among the tracks of that person."""
        members: dict[int, list[int]] = {}
        for track in sorted(self._tracks):
            known = self._recognised(track, members)
            members.setdefault(track if known is None else known, []).append(track)
        return {track: person for person, tracks in members.items() for track in tracks}

    def _recognised(self, track: int, members: Mapping[int, Sequence[int]]) -> int | None:
        """Returns the one person that a track clearly shows, if any."""
        looks = self._tracks[track]
        apart = [(self._distance(looks, tracks), person) for person, tracks in members.items()]
        ranked = sorted((far, person) for far, person in apart if far is not None)
        if not ranked or ranked[0][0] >= SURELY_THE_SAME:
            return None
        if len(ranked) > 1 and ranked[1][0] - ranked[0][0] < AMBIGUOUS:
            return None
        return ranked[0][1]

    def _distance(self, looks: _TrackLooks, tracks: Iterable[int]) -> float | None:
        """Returns the distance to a person's nearest track; None if both were in sight at once."""
        theirs = [self._tracks[track] for track in tracks]
        if any(looks.meets(other) for other in theirs):
            return None
        far = [
            apart for other in theirs if (apart := distance(looks.appearance, other.appearance)) is not None
        ]
        return min(far, default=None)
