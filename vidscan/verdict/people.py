"""FaceScore -> tracks and people of one source, and the weight of each.

Sightings are averaged by their quality, people by how long and how well they were seen: a blurred poster
or a face in the audience should neither outvote the speaker nor raise a false alarm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from vidscan.probability import average, clipped
from vidscan.records import FaceScore, Quality, Track

TOO_BRIEF = "seen too briefly to count"
NOT_JUDGED = "too small to be judged"

MIN_WEIGHT = 1e-3
"""Lower limit on the weight of a sighting, so that no average has a total weight of 0."""

_LONG = 4  # beside a person seen this often, a person seen once does not count


@dataclass(frozen=True, slots=True)
class Person:
    """One person with all judged sightings, in order of time: clipped scores and weights.

    ``number`` is that of the first track; ``weights`` are the sightings' qualities, ``weight`` the person's
    share in the verdict, 0-1. ``detail``, ``outlines``: the means of the
    sightings'. ``lacking`` names the factor of quality
    that the sightings lack most.
    ``views``: the clipped scores of the views of a still's face, whose mean is its score; empty in a clip.
    """

    number: int
    tracks: tuple[Track, ...]
    scores: tuple[float, ...]
    weights: tuple[float, ...]
    fake_probability: float
    weight: float
    detail: float
    outlines: float
    lacking: str
    views: tuple[float, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether the person counts in the verdict."""
        return self.weight > 0

    @property
    def quality(self) -> float:
        """The mean quality of the sightings, 0-1."""
        return sum(self.weights) / len(self.scores)

    @property
    def name(self) -> str:
        """The name at the beginning of a sentence: ``Track 3``, or ``Person 3 (tracks 3 and 5)``."""
        *others, last = (str(track.id) for track in self.tracks)
        return f"Person {self.number} (tracks {', '.join(others)} and {last})" if others else f"Track {last}"


def highest(people: Sequence[Person]) -> Person:
    """Returns the most suspicious person; of equals the one seen most, then the first."""
    return max(people, key=lambda one: (one.fake_probability, len(one.scores), -one.number))


def gather(
    scores: Sequence[FaceScore], persons: Mapping[int, int], share: float, *, still: bool
) -> tuple[list[Person], list[Track]]:
    """Returns the people of one source, and its tracks, each sorted by number.

    ``scores`` are all sightings, in any order. A track that ``persons`` does not name is a person of its own.
    A person counts if seen at least this ``share`` of the most seen one's time, and more than once beside one
    that was seen ``_LONG`` times; in a still every person counts, and times are 0.
    """
    by_track: dict[int, list[FaceScore]] = defaultdict(list)
    for score in sorted(scores, key=lambda score: score.face.time_s):
        by_track[score.face.track].append(score)
    owner = {track: persons.get(track, track) for track in by_track}
    judged: dict[int, list[FaceScore]] = {number: [] for number in sorted(owner.values())}
    for track, seen in by_track.items():
        judged[owner[track]] += [score for score in seen if score.fake_probability is not None]
    weights = _weights(judged, share, still=still)
    tracks = [
        _track(track, seen, person=owner[track], weight=weights[owner[track]], still=still)
        for track, seen in sorted(by_track.items())
    ]
    people = [
        _person([track for track in tracks if track.person == number], seen)
        for number, seen in judged.items()
        if seen
    ]
    return people, tracks


def _weights(judged: Mapping[int, Sequence[FaceScore]], share: float, *, still: bool) -> dict[int, float]:
    """Each person's share in the verdict by their judged sightings; 0 for people who do not count."""
    presence = {number: sum(map(_weight, seen)) for number, seen in judged.items()}
    # A hair of slack: 0.07 * 100 is a little more than 7.
    needed = min(share, 1.0) * max(presence.values(), default=0.0) - 1e-9
    once = max(map(len, judged.values()), default=0) >= _LONG
    counted = {
        number
        for number, seen in judged.items()
        if seen and (still or (presence[number] >= needed and not (once and len(seen) == 1)))
    }
    whole = sum(presence[number] for number in counted)
    return {number: presence[number] / whole if number in counted else 0.0 for number in judged}


def _weight(score: FaceScore) -> float:
    return max(score.face.quality.overall, MIN_WEIGHT)


def _mean(judged: Sequence[FaceScore]) -> float:
    return average(_clipped(judged), [_weight(score) for score in judged])


def _clipped(judged: Sequence[FaceScore]) -> list[float]:
    return [clipped(score.fake_probability) for score in judged if score.fake_probability is not None]


def _track(track: int, seen: Sequence[FaceScore], *, person: int, weight: float, still: bool) -> Track:
    judged = [score for score in seen if score.fake_probability is not None]
    weights = [_weight(score) for score in judged]
    by_member = zip(*(score.members for score in judged), strict=True)
    start, end = (0.0, 0.0) if still else (seen[0].face.time_s, seen[-1].face.time_s)
    return Track(
        id=track,
        start_s=start,
        end_s=end,
        faces=len(seen),
        fake_probability=_mean(judged) if judged else None,
        counted=weight > 0,
        members=tuple(average([clipped(score) for score in each], weights) for each in by_member),
        person=person,
        weight=weight,
        quality=sum(score.face.quality.overall for score in seen) / len(seen),
        note="" if weight > 0 else TOO_BRIEF if judged else NOT_JUDGED,
    )


def _person(tracks: Sequence[Track], judged: Sequence[FaceScore]) -> Person:
    ordered = sorted(judged, key=lambda score: score.face.time_s)
    return Person(
        number=tracks[0].person,
        tracks=tuple(tracks),
        scores=tuple(_clipped(ordered)),
        weights=tuple(_weight(score) for score in ordered),
        fake_probability=_mean(ordered),
        weight=tracks[0].weight,
        detail=fmean(score.face.detail for score in ordered),
        outlines=fmean(score.face.outlines for score in ordered),
        lacking=_lacking([score.face.quality for score in ordered]),
        views=tuple(clipped(view) for score in ordered for view in score.views),
    )


def _lacking(qualities: Sequence[Quality]) -> str:
    """The name of the factor of quality that is lowest on average."""
    means = {name: sum(getattr(each, name) for each in qualities) for name in Quality._fields}
    return min(means, key=lambda name: means[name])
