"""Who is who in different shots.

A person is a track, or several tracks that surely show the same one: after a cut, or after a longer
absence. Only appearance joins them, and only where it is strong and points to one person alone; two people
taken for one would lend each other their scores, while one taken for two is merely judged twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vidscan.records import Appearance, Sighting, no_appearance
from vidscan.tracking.appearance import SURELY_THE_SAME, distance

AMBIGUOUS = 0.1
"""A track that is about as near (within this) to two different people is joined with neither."""

_LEAST_WEIGHT = 1e-3


@dataclass(slots=True)
class _Look:
    """What the sightings of one track look like on average, by their quality, and when it was in sight."""

    first: int
    last: int
    weight: float = 0.0
    appearance: Appearance = field(default_factory=no_appearance)

    def add(self, seen: Sighting) -> None:
        self.last = seen.frame_index
        own = max(seen.quality.overall, _LEAST_WEIGHT)
        self.weight += own
        self.appearance += (seen.appearance - self.appearance) * (own / self.weight)

    def meets(self, other: _Look) -> bool:
        """Whether both were in sight at the same time: then they are two people."""
        return self.first <= other.last and other.first <= self.last


class Acquaintances:
    """Remembers what every track of one source looks like: some hundred numbers each, however long it is."""

    def __init__(self) -> None:
        self._looks: dict[int, _Look] = {}

    def add(self, seen: Sighting, track: int) -> None:
        """Looks at the next sighting of a track."""
        frame = seen.frame_index
        self._looks.setdefault(track, _Look(frame, frame)).add(seen)

    def persons(self) -> dict[int, int]:
        """The person of every track: the lowest number among the tracks that show the same one."""
        members: dict[int, list[int]] = {}
        for track in sorted(self._looks):
            known = self._recognised(track, members)
            members.setdefault(track if known is None else known, []).append(track)
        return {track: person for person, tracks in members.items() for track in tracks}

    def _recognised(self, track: int, members: Mapping[int, Sequence[int]]) -> int | None:
        """The one person that a track surely shows, if there is one."""
        look = self._looks[track]
        apart = [(self._distance(look, tracks), person) for person, tracks in members.items()]
        ranked = sorted((far, person) for far, person in apart if far is not None)
        if not ranked or ranked[0][0] >= SURELY_THE_SAME:
            return None
        if len(ranked) > 1 and ranked[1][0] - ranked[0][0] < AMBIGUOUS:
            return None
        return ranked[0][1]

    def _distance(self, look: _Look, tracks: Iterable[int]) -> float | None:
        """To the nearest of a person's tracks; None where one of them excludes that it is the same person."""
        theirs = [self._looks[track] for track in tracks]
        if any(look.meets(other) for other in theirs):
            return None
        far = [
            apart for other in theirs if (apart := distance(look.appearance, other.appearance)) is not None
        ]
        return min(far, default=None)
