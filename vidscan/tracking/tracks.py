"""Links the faces of one source over time: who is the same person from one sampled frame to the next.

Place, motion and appearance are looked at, never a score, so that what a face looks like to the network
cannot decide whose face it is. Every live trail predicts where its face should be now (constant velocity);
each frame's faces are then given to trails so that the summed cost is the smallest possible, where starting
a new track has a price too. Distances are in face sides (the square root of the box's area), so the
same constants serve a close-up and a crowd. They were chosen for 1-30 sampled frames per second.

No track crosses a cut: who is who in different shots is asked afterwards, by appearance alone
(``people.persons``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeAlias

from vidscan.faces.boxes import intersection_over_union
from vidscan.records import Appearance, Box, Sighting
from vidscan.tracking.appearance import CLEARLY_ANOTHER, distance
from vidscan.tracking.assignment import assign

LOST_S = 3.0
"""A track may be out of sight this many seconds before it ends..."""
LOST_SAMPLES = 5
"""...or this many sampled frames, whichever is longer: at 0.2 fps, 3 s would end every track at once, and at
1 fps somebody who steps out of the picture is missed for a frame at its edge, going and coming."""

# How far (in face sides) a face may be from where it was last seen or is expected: jitter and a jerk,
# plus movement in proportion to time. At 2 fps this is 1.25 sides, more than twice what a lively talking
# head moves; from 1 fps down, where nobody knows what faces look like, the price of a new track is the bound
# instead, at about 2 sides.
_REACH_AT_ONCE = 0.5
_REACH_PER_S = 1.5
# A face that doubles or halves its side between two sightings is taken for another face.
_LOG_RATIO_MOST = math.log(2.0)
# Velocity is averaged over about this long: at 30 fps the detector's jitter would otherwise be read as
# speed, at 2 fps the newest step dominates.
_VELOCITY_MEMORY_S = 0.2
# A face is expected to keep its course this long and no longer.
_COURSE_S = 1.5
# Weights of the cost beside the distance from the expected place, which has weight 1. The distance from
# the last place is a hedge against people who turn round; for one who was out of sight, the nearer of the two
# counts as expected.
_STAYED_WEIGHT = 0.25
_OVERLAP_WEIGHT = 0.5
# What appearance adds to the cost for each unit of distance beyond, and takes off below, what is neither here
# nor there: a person's own sightings are 0.25 apart, those of two people 1.5. Of a trail that was out of
# sight the place says less, and appearance more.
_APPEARANCE_WEIGHT = 2.0
_STALE_APPEARANCE_WEIGHT = 3.0
_APPEARANCE_NEUTRAL = 0.3
# A trail's appearance is the average over about this long: somebody who passes by shows in it, too.
_APPEARANCE_MEMORY_S = 2.0
# Who was not seen for longer than this may be farther off in proportion, at the same cost, where appearance
# can tell: at 1 fps somebody who walks is two sides away.
_UNHURRIED_S = 0.7
_STALE_COST = 0.3  # for a trail that the previous frame did not show
# The price of a new track: above any single plausible link, below two implausible ones, so that a
# newcomer does not push the people beside it one place on.
_NEW_COST = 3.0
_FORBIDDEN = 1e6

_Costs: TypeAlias = dict[tuple[int, int], float]
"""Cost by (face, trail), both as positions in their lists; pairs that are out of reach are absent."""


@dataclass(slots=True)
class _Trail:
    """Where one track was last seen (centre, width, height; pixels) and how it moves (pixels/s)."""

    number: int
    x: float
    y: float
    w: float
    h: float
    time_s: float
    frame_index: int
    appearance: Appearance
    vx: float = 0.0
    vy: float = 0.0

    @classmethod
    def start(cls, number: int, face: Sighting) -> _Trail:
        x, y = _centre(face.box)
        return cls(
            number, x, y, face.box.w, face.box.h, face.time_s, face.frame_index, face.appearance.copy()
        )

    def follow(self, face: Sighting) -> None:
        """Moves to ``face``; the velocity goes towards the step just seen (exponential average)."""
        x, y = _centre(face.box)
        elapsed = max(face.time_s - self.time_s, 0.0)
        # v += a * (step / dt - v) with a = dt / (dt + memory), written so that dt = 0 does no harm.
        self.vx += (x - self.x - self.vx * elapsed) / (elapsed + _VELOCITY_MEMORY_S) if elapsed else 0.0
        self.vy += (y - self.y - self.vy * elapsed) / (elapsed + _VELOCITY_MEMORY_S) if elapsed else 0.0
        self.x, self.y, self.w, self.h = x, y, face.box.w, face.box.h
        self.time_s, self.frame_index = face.time_s, face.frame_index
        rate = 1.0 - math.exp(-elapsed / _APPEARANCE_MEMORY_S)
        self.appearance += rate * (face.appearance - self.appearance)

    def is_lost(self, time_s: float, frame_index: int) -> bool:
        return time_s - self.time_s > LOST_S and frame_index - self.frame_index > LOST_SAMPLES


def link(sightings: Sequence[Sighting]) -> list[int]:
    """The track number of every face, in the order of ``sightings``; see :class:`Linker`.

    Args:
        sightings: the faces of one source, sorted by frame.

    Raises:
        ValueError: they are not sorted by ``frame_index``.
    """
    for earlier, later in pairwise(sightings):
        if later.frame_index < earlier.frame_index:
            raise ValueError(f"frame {later.frame_index} comes after frame {earlier.frame_index}")
    linker = Linker()
    frames = (list(group) for _, group in groupby(sightings, key=lambda seen: seen.frame_index))
    return [number for faces in frames for number in linker.add(faces)]


class Linker:
    """Takes the faces of one source frame by frame; it remembers no more than the live trails.

    Tracks are numbered 1, 2, ... by first appearance. Two faces of one frame never share a track. A track
    ends with its shot, or when it was out of sight for more than ``LOST_S`` seconds and more than
    ``LOST_SAMPLES`` sampled frames. The order of the faces within a frame does not change who is linked with
    whom (unless two of them have the very same box).
    """

    def __init__(self) -> None:
        self._trails: list[_Trail] = []
        self._started = 0
        self._shot = 0

    def add(self, faces: Sequence[Sighting]) -> list[int]:
        """The track number of every face of the next frame, in the order of ``faces``.

        Args:
            faces: all faces of one frame, which comes after those given before.
        """
        now = faces[0]
        if now.shot != self._shot:
            self._shot, self._trails = now.shot, []
        self._trails = [trail for trail in self._trails if not trail.is_lost(now.time_s, now.frame_index)]
        # One fixed order of the faces, so that ties fall the same way however the detector listed them.
        rows = sorted(range(len(faces)), key=lambda row: (faces[row].box, faces[row].confidence))
        ordered = [faces[row] for row in rows]
        chosen = _match(len(faces), len(self._trails), _costs(ordered, self._trails))
        choice = dict(zip(rows, chosen, strict=True))
        # Followed only now that all are matched; numbered in the order given.
        numbers = [self._follow(face, choice[row]) for row, face in enumerate(faces)]
        # Not in the order given: that of the trails decides between equals.
        self._trails.sort(key=lambda trail: (trail.x, trail.y, trail.w, trail.h, trail.frame_index))
        return numbers

    def _follow(self, face: Sighting, choice: int | None) -> int:
        if choice is None:
            self._started += 1
            self._trails.append(_Trail.start(self._started, face))
            return self._started
        self._trails[choice].follow(face)
        return self._trails[choice].number


def _costs(faces: Sequence[Sighting], trails: Sequence[_Trail]) -> _Costs:
    costs: _Costs = {}
    for row, face in enumerate(faces):
        for column, trail in enumerate(trails):
            cost = _link_cost(trail, face)
            if cost is not None:
                costs[row, column] = cost
    return costs


def _link_cost(trail: _Trail, face: Sighting) -> float | None:
    """How ill ``face`` fits as the next sighting of ``trail``; None when it is out of reach."""
    x, y = _centre(face.box)
    trail_side, face_side = _side(trail.w, trail.h), _side(face.box.w, face.box.h)
    side = 0.5 * (trail_side + face_side)
    elapsed = max(face.time_s - trail.time_s, 0.0)
    course = min(elapsed, _COURSE_S)
    expected_x, expected_y = trail.x + trail.vx * course, trail.y + trail.vy * course
    stayed = math.hypot(x - trail.x, y - trail.y) / side
    moved = math.hypot(x - expected_x, y - expected_y) / side
    if min(stayed, moved) > _REACH_AT_ONCE + _REACH_PER_S * elapsed:
        return None
    log_ratio = abs(math.log(face_side / trail_side))
    if log_ratio > _LOG_RATIO_MOST:
        return None
    looks = distance(trail.appearance, face.appearance)
    if looks is not None and looks > CLEARLY_ANOTHER:
        return None
    expected = Box(expected_x - 0.5 * trail.w, expected_y - 0.5 * trail.h, trail.w, trail.h)
    stale = _STALE_COST if face.frame_index - trail.frame_index > 1 else 0.0
    apart = 1.0 - intersection_over_union(expected, face.box)
    near, far = (min(moved, stayed), max(moved, stayed)) if stale else (moved, stayed)
    away = near + _STAYED_WEIGHT * far
    if looks is not None:
        away /= max(1.0, elapsed / _UNHURRIED_S)
    cost = away + _OVERLAP_WEIGHT * apart + log_ratio + stale
    if looks is not None:
        weight = _STALE_APPEARANCE_WEIGHT if stale else _APPEARANCE_WEIGHT
        cost += weight * (looks - _APPEARANCE_NEUTRAL)
    return max(cost, 0.0)


def _centre(box: Box) -> tuple[float, float]:
    return box.x + 0.5 * box.w, box.y + 0.5 * box.h


def _side(w: float, h: float) -> float:
    """Side in pixels of the square with the same area; at least 1, so that it can be divided by."""
    return math.sqrt(max(w * h, 1.0))


def _match(faces: int, trails: int, costs: _Costs) -> list[int | None]:
    """The trail of each face, None for a new one, at the smallest summed cost."""
    # People who sit apart, the usual case: nobody competes for anybody, nothing is to be weighed.
    if len({row for row, _ in costs}) == len(costs) == len({column for _, column in costs}):
        partner = {row: column for (row, column), cost in costs.items() if cost <= _NEW_COST}
        return [partner.get(row) for row in range(faces)]
    # As many "new track" columns as faces, so that each face can always have one.
    table = [
        [costs.get((row, column), _FORBIDDEN) for column in range(trails)] + [_NEW_COST] * faces
        for row in range(faces)
    ]
    return [column if column < trails else None for column in assign(table)]
