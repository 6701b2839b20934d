"""Who is who in different shots, by appearance alone."""

from __future__ import annotations

import numpy as np

from vidscan.records import APPEARANCE, Box, Sighting, no_appearance
from vidscan.tracking.reidentify import Reidentifier


def look(*shades: float) -> np.ndarray:
    """An appearance that differs from another by the distance between their shades."""
    described = np.zeros(APPEARANCE, np.float32)
    described[0], described[1 : 1 + len(shades)] = 1.0, shades
    return described


def persons(*tracks: tuple[int, range, np.ndarray]) -> dict[int, int]:
    """Tracks 1, 2, ... each as (shot, sampled frames, appearance)."""
    known = Reidentifier()
    rows = [(i, number, shot, how) for number, (shot, when, how) in enumerate(tracks, 1) for i in when]
    for i, number, shot, how in sorted(rows, key=lambda row: row[:2]):
        seen = Sighting(i, i / 2, Box(0, 0, 80, 80), 0.9, shot=shot, appearance=how)
        known.add(seen, number)
    return known.persons()


def test_nobody_is_nobody():
    assert Reidentifier().persons() == {}


def test_one_who_looks_the_same_after_a_cut_is_the_same():
    assert persons((0, range(5), look(0)), (1, range(5, 9), look(1)), (2, range(9, 12), look(0.1))) == {
        1: 1,
        2: 2,
        3: 1,
    }


def test_one_who_comes_back_within_a_shot_is_the_same():
    assert persons((0, range(5), look(0)), (0, range(20, 25), look(0.1))) == {1: 1, 2: 1}


def test_two_in_sight_at_once_are_two_however_alike():
    assert persons((0, range(5), look(0)), (0, range(4, 9), look(0))) == {1: 1, 2: 2}


def test_somewhat_alike_is_not_the_same():
    assert persons((0, range(5), look(0)), (1, range(5, 9), look(0.6))) == {1: 1, 2: 2}


def test_one_who_might_be_either_of_two_is_neither():
    twins = (0, range(5), look(0)), (0, range(5), look(0.2))
    assert persons(*twins, (1, range(5, 9), look(0.1))) == {1: 1, 2: 2, 3: 3}
    assert persons(*twins, (1, range(5, 9), look(-0.1))) == {1: 1, 2: 2, 3: 1}


def test_the_whole_track_is_looked_at_and_not_its_first_sighting():
    known = Reidentifier()
    shades = [look(2.0)] + [look(0)] * 9
    for i, how in enumerate(shades + [look(0)] * 5):
        shot = int(i >= 10)
        known.add(Sighting(i, i / 2, Box(0, 0, 80, 80), 0.9, shot=shot, appearance=how), 1 + shot)
    assert known.persons() == {1: 1, 2: 1}


def test_who_was_not_described_is_a_person_of_their_own():
    assert persons((0, range(5), no_appearance()), (1, range(5, 9), no_appearance())) == {1: 1, 2: 2}


def test_a_person_in_many_shots_keeps_the_first_number():
    tracks = [(shot, range(4 * shot, 4 * shot + 3), look(0.02 * shot)) for shot in range(10)]
    assert set(persons(*tracks).values()) == {1}
