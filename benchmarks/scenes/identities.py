"""Whether tracks stay with their person, end at cuts, and are joined where they show the same one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import combinations

from scenes.following import Followed, Seen


@dataclass
class Kept:
    """Sums over scenes.

    ``there`` and ``found`` count faces that had to be found, and those that were; ``wrong`` boxes that show
    nobody. ``switches``: how often a person's sighting belongs to another track than that before it in the
    same shot; ``changes`` the same of persons, in the whole scene. ``own`` of ``followed``: sightings of the
    person that most of their track shows. ``astride`` counts tracks with sightings on both sides of a cut.
    Pairs of tracks are ``same`` where both show one person, of which ``joined`` were taken for one, and
    ``different`` else, of which ``mixed`` were.
    """

    frames: int = 0
    there: int = 0
    found: int = 0
    wrong: int = 0
    switches: int = 0
    changes: int = 0
    own: int = 0
    followed: int = 0
    people: int = 0
    tracks: int = 0
    cuts: int = 0
    cuts_found: int = 0
    cuts_false: int = 0
    astride: int = 0
    same: int = 0
    joined: int = 0
    different: int = 0
    mixed: int = 0

    def add(self, other: Kept) -> None:
        """Adds another's counts."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def kept(scenes: Iterable[Followed]) -> Kept:
    """What became of several scenes together."""
    total = Kept()
    for scene in scenes:
        one = Kept(frames=len(scene.moments))
        _count_faces(scene, one)
        _count_switches(scene, one)
        _count_cuts(scene, one)
        _count_joins(scene, one)
        total.add(one)
    return total


def _count_faces(scene: Followed, into: Kept) -> None:
    into.there = sum(face.counted for moment in scene.moments for face in moment.faces)
    into.found = sum(each.face is not None and each.face.counted for each in scene.seen)
    into.wrong = sum(each.face is None for each in scene.seen)


def _count_switches(scene: Followed, into: Kept) -> None:
    tracks: dict[tuple[str, int], int] = {}
    persons: dict[str, int] = {}
    for each in _known(scene):
        assert each.face is not None
        who = each.face.person
        into.switches += tracks.get((who, each.shot), each.track) != each.track
        into.changes += persons.get(who, each.person) != each.person
        tracks[who, each.shot], persons[who] = each.track, each.person
    shown = _shown(scene)
    into.own = sum(max(people.values()) for people in shown.values())
    into.followed = sum(people.total() for people in shown.values())
    into.people, into.tracks = len(persons), len(shown)


def _known(scene: Followed) -> list[Seen]:
    """The sightings of people with a name."""
    return [each for each in scene.seen if each.face is not None and each.face.person]


def _shown(scene: Followed) -> dict[int, Counter[str]]:
    """How often each track shows whom, people with a name alone."""
    shown: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for each in _known(scene):
        assert each.face is not None
        shown[each.track][each.face.person] += 1
    return shown


def _count_cuts(scene: Followed, into: Kept) -> None:
    shots = [moment.shot for moment in scene.moments]
    true = {index for index in range(1, len(shots)) if shots[index] != shots[index - 1]}
    into.cuts, into.cuts_found = len(true), len(true & scene.cuts)
    into.cuts_false = len(scene.cuts - true)
    sides: defaultdict[int, set[int]] = defaultdict(set)
    for each in scene.seen:
        sides[each.track].add(each.shot)
    into.astride = sum(len(each) > 1 for each in sides.values())


def _count_joins(scene: Followed, into: Kept) -> None:
    """A track is of the person whom it shows most."""
    persons = {each.track: each.person for each in scene.seen}
    who = {track: people.most_common(1)[0][0] for track, people in _shown(scene).items()}
    for one, other in combinations(who, 2):
        together = persons[one] == persons[other]
        if who[one] == who[other]:
            into.same += 1
            into.joined += together
        else:
            into.different += 1
            into.mixed += together
