"""Links the faces of one source into tracks, from one sampled frame to the next.

Place, motion and appearance decide, never a score, so that what a face looks like to the network cannot
decide which track it belongs to. Every live trail predicts where its face is now (constant velocity); each
frame's faces are then assigned to trails so that the summed cost is the smallest possible, where starting a
new track has a cost too. Distances are in face sides (the square root of the box's area), so the same
constants serve a close-up and a crowd. They were chosen for 1-30 sampled frames per second.

No track crosses a cut: :mod:`vidscan.tracking.reidentify` joins tracks of different shots, by appearance
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vidscan.faces.boxes import intersection_over_union
from vidscan.records import Appearance, Box, Sighting
from vidscan.tracking.appearance import CLEARLY_ANOTHER, distance


@dataclass(frozen=True, slots=True)
class TrackingTuning:
    """The constants of tracking; distances are in face sides, times in seconds."""

    lost_s: float = 3.0
    lost_samples: int = 5
    """A track ends after being out of sight for more than ``lost_s`` and for more than ``lost_samples``
    sampled frames: at 0.2 fps, 3 s would end every track at once, and at 1 fps a face at the edge of the
    picture is missed for a frame as it leaves and as it returns."""

    reach: float = 0.5
    reach_per_s: float = 1.5
    """Maximum distance of a face from the last or the predicted place: jitter and a jerk, plus movement in
    proportion to time. At 2 fps this is 1.25 sides, more than twice what a lively talking head moves; from 1
    fps down, where appearance is unknown, the cost of a new track is the limit instead, at about 2 sides."""

    max_log_ratio: float = math.log(2.0)
    """A face whose side doubles or halves between two sightings is taken for another face."""

    velocity_memory_s: float = 0.2
    """Velocity is averaged over about this long: at 30 fps the detector's jitter would otherwise be read as
    speed; at 2 fps the newest step dominates."""

    course_s: float = 1.5
    """A face is predicted to keep its velocity for this long and no longer."""

    last_place_weight: float = 0.25
    """Cost of the distance from the last place, where that from the predicted place has weight 1: a hedge
    against people who turn round. For a trail that was out of sight, the nearer of the two counts as
    predicted."""
    overlap_weight: float = 0.5

    appearance_weight: float = 2.0
    unseen_appearance_weight: float = 3.0
    neutral_appearance: float = 0.3
    """Cost of each unit of appearance distance above ``neutral_appearance``; below it the cost falls.
    Sightings of one person are 0.25 apart, those of two people 1.5. If the previous frame did not show the
    trail, place says less and appearance more."""

    appearance_memory_s: float = 2.0
    """A trail's appearance is averaged over about this long: a passer-by changes it as well."""

    unhurried_s: float = 0.7
    """After a longer absence, distance costs less in proportion if the appearance is known: at 1 fps a
    walking person is two sides away."""

    unseen_cost: float = 0.3
    """Cost of a trail that the previous frame did not show."""

    new_track_cost: float = 3.0
    """Cost of a new track: above any single plausible link, below two implausible ones, so that a new face
    does not shift its neighbours to each other's tracks."""


TUNING = TrackingTuning()

_FORBIDDEN = 1e6

_Costs: TypeAlias = dict[tuple[int, int], float]
"""Cost by (face, trail), as positions in their lists; pairs out of reach are absent."""


@dataclass(slots=True)
class _Trail:
    """One track: where its face was last seen (centre, width, height; pixels) and its velocity (pixels/s)."""

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
        """Moves to ``face``; the velocity is an exponential average over the observed steps."""
        x, y = _centre(face.box)
        elapsed = self.elapsed(face)
        # v += a * (step / dt - v) with a = dt / (dt + memory), written so that dt = 0 does no harm.
        self.vx += (x - self.x - self.vx * elapsed) / (elapsed + TUNING.velocity_memory_s) if elapsed else 0.0
        self.vy += (y - self.y - self.vy * elapsed) / (elapsed + TUNING.velocity_memory_s) if elapsed else 0.0
        self.x, self.y, self.w, self.h = x, y, face.box.w, face.box.h
        self.time_s, self.frame_index = face.time_s, face.frame_index
        rate = 1.0 - math.exp(-elapsed / TUNING.appearance_memory_s)
        self.appearance += rate * (face.appearance - self.appearance)

    def is_lost(self, time_s: float, frame_index: int) -> bool:
        return time_s - self.time_s > TUNING.lost_s and frame_index - self.frame_index > TUNING.lost_samples

    def elapsed(self, face: Sighting) -> float:
        """Returns the seconds since the trail was last seen, 0 or more."""
        return max(face.time_s - self.time_s, 0.0)

    def predicted(self, face: Sighting) -> tuple[float, float]:
        """Returns the centre that is predicted for the time of ``face``."""
        course = min(self.elapsed(face), TUNING.course_s)
        return self.x + self.vx * course, self.y + self.vy * course


class Tracker:
    """Tracks the faces of one source frame by frame, keeping only the live trails.

    Tracks are numbered 1, 2, ... by first appearance. Two faces of one frame never share a track. A track
    ends with its shot, or when it is lost (see ``TrackingTuning``). The order of the faces within a frame
    does not change the links, unless two of them have the same box.
    """

    def __init__(self) -> None:
        self._trails: list[_Trail] = []
        self._started = 0
        self._shot = 0

    def add(self, faces: Sequence[Sighting]) -> list[int]:
        """Returns the track number of each of the next frame's faces, of which there is at least one."""
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
    return {
        (row, column): cost(trail, face)
        for row, face in enumerate(faces)
        for column, trail in enumerate(trails)
        if in_reach(trail, face)
    }


def in_reach(trail: _Trail, face: Sighting) -> bool:
    """Tells whether ``face`` may be the next sighting of ``trail``, by place, size and appearance."""
    reach = TUNING.reach + TUNING.reach_per_s * trail.elapsed(face)
    if min(_distances(trail, face)) > reach or _log_ratio(trail, face) > TUNING.max_log_ratio:
        return False
    looks = distance(trail.appearance, face.appearance)
    return looks is None or looks <= CLEARLY_ANOTHER


def cost(trail: _Trail, face: Sighting) -> float:
    """Returns how badly ``face`` fits as the next sighting of ``trail``, 0 or more."""
    stayed, moved = _distances(trail, face)
    x, y = trail.predicted(face)
    expected = Box(x - 0.5 * trail.w, y - 0.5 * trail.h, trail.w, trail.h)
    unseen = face.frame_index - trail.frame_index > 1
    near, far = (min(moved, stayed), max(moved, stayed)) if unseen else (moved, stayed)
    away = near + TUNING.last_place_weight * far
    looks = distance(trail.appearance, face.appearance)
    if looks is not None:
        away /= max(1.0, trail.elapsed(face) / TUNING.unhurried_s)
    apart = 1.0 - intersection_over_union(expected, face.box)
    total = away + TUNING.overlap_weight * apart + _log_ratio(trail, face)
    total += TUNING.unseen_cost if unseen else 0.0
    if looks is not None:
        weight = TUNING.unseen_appearance_weight if unseen else TUNING.appearance_weight
        total += weight * (looks - TUNING.neutral_appearance)
    return max(total, 0.0)


def _distances(trail: _Trail, face: Sighting) -> tuple[float, float]:
    """Returns the distance of a face from the trail's last and from its predicted place, in face sides."""
    x, y = _centre(face.box)
    side = 0.5 * (_side(trail.w, trail.h) + _side(face.box.w, face.box.h))
    expected_x, expected_y = trail.predicted(face)
    return math.hypot(x - trail.x, y - trail.y) / side, math.hypot(x - expected_x, y - expected_y) / side


def _log_ratio(trail: _Trail, face: Sighting) -> float:
    return abs(math.log(_side(face.box.w, face.box.h) / _side(trail.w, trail.h)))


def _centre(box: Box) -> tuple[float, float]:
    return box.x + 0.5 * box.w, box.y + 0.5 * box.h


def _side(w: float, h: float) -> float:
    """Returns the side of the square with the same area, in pixels, at least 1."""
    return math.sqrt(max(w * h, 1.0))


def _match(faces: int, trails: int, costs: _Costs) -> list[int | None]:
    """Returns the trail of each face, None for a new one, at the smallest summed cost."""
    # The usual case: no face has two trails in reach, and no trail two faces.
    if len({row for row, _ in costs}) == len(costs) == len({column for _, column in costs}):
        partner = {row: column for (row, column), cost in costs.items() if cost <= TUNING.new_track_cost}
        return [partner.get(row) for row in range(faces)]
    # As many "new track" columns as faces, so that each face can always have one.
    table = [
        [costs.get((row, column), _FORBIDDEN) for column in range(trails)] + [TUNING.new_track_cost] * faces
        for row in range(faces)
    ]
    return [column if column < trails else None for column in assign(table)]


def assign(table: Sequence[Sequence[float]]) -> list[int]:
    """Returns a column for each row, none twice, so that the summed cost is smallest.

    Exact, by shortest augmenting paths with dual prices (the Hungarian method; H. W. Kuhn, 1955, in
    the form of R. Jonker and A. Volgenant, 1987): O(rows² · columns). ``table`` needs at least as many
    columns as rows. Plain lists: for the few faces of a frame they are faster than arrays.
    """
    columns = len(table[0])
    row_price = [0.0] * len(table)
    column_price = [0.0] * columns
    owner: list[int | None] = [None] * columns
    for start in range(len(table)):
        shortest = [math.inf] * columns
        previous: list[int | None] = [None] * columns
        unvisited, visited = set(range(columns)), list[int]()
        row, here = start, None
        while True:
            reached = 0.0 if here is None else shortest[here]
            for column in unvisited:
                length = reached + table[row][column] - row_price[row] - column_price[column]
                if length < shortest[column]:
                    shortest[column], previous[column] = length, here
            # The lowest column among equals, so that the result does not hang on the order of a set.
            nearest = min(unvisited, key=lambda column: (shortest[column], column))
            unvisited.remove(nearest)
            next_row = owner[nearest]
            if next_row is None:
                break
            visited.append(nearest)
            row, here = next_row, nearest
        total = shortest[nearest]
        row_price[start] += total
        for column in visited:
            slack = total - shortest[column]
            column_price[column] -= slack
            taken_by = owner[column]
            assert taken_by is not None
            row_price[taken_by] += slack
        end: int | None = nearest
        while end is not None:
            before = previous[end]
            owner[end] = start if before is None else owner[before]
            end = before
    found = {row: column for column, row in enumerate(owner) if row is not None}
    return [found[row] for row in range(len(table))]
