"""Who is linked with whom: readable scenes first, then properties that hold for any faces."""

import math
import random
import time
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.records import APPEARANCE, Box, Sighting
from vidscan.tracking.tracks import TUNING, Tracker

SIDE = 100.0


def face(frame, x, y=200.0, *, fps=2.0, side=SIDE, confidence=0.9):
    """A face whose centre is at (x, y) in the given sampled frame."""
    box = Box(x - side / 2, y - side / 2, side, side)
    return Sighting(frame, frame / fps, box, confidence)


def link(faces):
    """The track of every face, in the order of ``faces``, which are sorted by frame."""
    tracker = Tracker()
    frames = (list(group) for _, group in groupby(faces, key=lambda seen: seen.frame_index))
    return [number for frame in frames for number in tracker.add(frame)]


def by_person(people, *, fps=2.0, seed=None):
    """Faces in frame order, and whose each is. ``people`` maps a name to {frame: centre x}."""
    rows = [(frame, name, x) for name, path in people.items() for frame, x in path.items()]
    rows.sort(key=lambda row: row[0])
    if seed is not None:  # the detector lists the faces of a frame in any order
        shuffle = random.Random(seed)
        rows.sort(key=lambda row: (row[0], shuffle.random()))
    return [face(frame, x, fps=fps) for frame, _, x in rows], [name for _, name, _ in rows]


def same_partition(a, b):
    """Whether two labellings group the same rows together."""
    return len(set(a)) == len(set(b)) == len(set(zip(a, b, strict=True)))


def test_no_faces_give_no_tracks():
    assert link([]) == []


def test_numbers_follow_first_appearance():
    scores = [face(0, 900), face(0, 100), face(1, 100), face(1, 900), face(2, 500), face(2, 105)]
    assert link(scores) == [1, 2, 2, 1, 3, 2]


@pytest.mark.parametrize("fps", [1.0, 2.0, 5.0, 12.5, 30.0])
def test_a_talking_head_is_one_track_at_any_rate(fps):
    # Sways half its width to either side, once in two seconds, and nods.
    scores = [
        face(i, 500 + 50 * math.sin(math.pi * i / fps), 300 + 15 * math.sin(5 * i / fps), fps=fps)
        for i in range(int(20 * fps))
    ]
    assert set(link(scores)) == {1}


def test_a_head_that_moves_half_its_width_back_and_forth_is_one_track():
    assert set(link([face(i, 500 + 50 * (i % 2)) for i in range(20)])) == {1}


@pytest.mark.parametrize(("fps", "sides"), [(30.0, 0.8), (2.0, 1.5), (0.2, 2.5)])
def test_a_jump_too_far_for_the_time_is_another_person(fps, sides):
    scores = [face(i, 200 if i < 10 else 200 + sides * SIDE, fps=fps) for i in range(20)]
    assert link(scores) == [1] * 10 + [2] * 10


def test_a_face_of_another_size_at_the_same_place_is_another_person():
    scores = [face(i, 500, side=100 if i < 5 else 260) for i in range(10)]
    assert link(scores) == [1] * 5 + [2] * 5


def test_a_slow_zoom_keeps_the_track():
    assert set(link([face(i, 500, side=100 * 1.15**i) for i in range(12)])) == {1}


@pytest.mark.parametrize(("fps", "step"), [(2.0, 60.0), (5.0, 40.0), (30.0, 8.0)])
@pytest.mark.parametrize("seed", range(4))
def test_crossing_people_do_not_swap(fps, step, seed):
    jitter = random.Random(seed)
    frames = range(25)
    people = {
        "right": {i: 100 + step * i + jitter.gauss(0, 2) for i in frames},
        "left": {i: 100 + step * 24.5 - step * i + jitter.gauss(0, 2) for i in frames},
    }
    scores, who = by_person(people, fps=fps, seed=seed)
    assert same_partition(link(scores), who)


def test_crossing_people_of_whom_one_is_hidden_do_not_swap():
    people = {
        "front": {i: 100.0 + 50 * i for i in range(17)},
        "behind": {i: 900.0 - 50 * i for i in range(17) if i not in (8,)},
    }
    scores, who = by_person(people)
    found = link(scores)
    hidden = scores.index(next(s for s in scores if s.frame_index == 8))
    # The lone face of the frame in which they coincide could be either's.
    del found[hidden], who[hidden]
    assert same_partition(found, who)


def test_people_in_a_row_shift_together_when_the_camera_pans():
    # Each lands nearer to where a neighbour was than to its own old place.
    people = {name: {i: 400.0 * name + 70 * i for i in range(8)} for name in range(4)}
    scores, who = by_person(people, seed=3)
    assert same_partition(link(scores), who)


def test_a_newcomer_does_not_push_the_others_one_place_on():
    # The left one of two leaves while a third comes in on the right.
    scores = [face(0, 300), face(0, 400), face(1, 300), face(1, 400), face(2, 400), face(2, 500)]
    assert link(scores) == [1, 2, 1, 2, 2, 3]


def test_people_who_lean_together_and_back_do_not_swap():
    # Mid-way each is expected to go on, to where the other one was.
    lean = {0: 0, 1: 0, 2: 34, 3: 0, 4: 0}
    people = {
        "left": {i: 300.0 + by for i, by in lean.items()},
        "right": {i: 410.0 - by for i, by in lean.items()},
    }
    scores, who = by_person(people)
    assert same_partition(link(scores), who)


def test_nobody_is_expected_to_keep_a_course_for_long():
    # They drift towards each other, look away for 2.5 s and are found where they were.
    away = range(20, 45)
    drift = {i: 3.5 * (min(i, 20) - 20) for i in range(60) if i not in away}
    people = {
        "left": {i: 300.0 + by for i, by in drift.items()},
        "right": {i: 420.0 - by for i, by in drift.items()},
    }
    scores, who = by_person(people, fps=10)
    assert same_partition(link(scores), who)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_not_taken_for_speed(seed):
    jitter = random.Random(seed)
    seen = [i for i in range(120) if not 60 <= i < 90]
    people = {
        "left": {i: 300 + jitter.gauss(0, 4) for i in seen},
        "right": {i: 410 + jitter.gauss(0, 4) for i in seen},
    }
    scores, who = by_person(people, fps=30)
    assert same_partition(link(scores), who)


def test_of_two_boxes_about_as_near_the_one_that_overlaps_is_taken():
    wide = Box(100, 300, 200, 50)
    scores = [Sighting(i, i / 2, wide, 0.9) for i in range(3)]
    beside = replace(scores[-1], frame_index=3, time_s=1.5, box=wide._replace(x=160))
    below = replace(beside, box=wide._replace(y=358))
    assert link([*scores, below, beside]) == [1, 1, 1, 2, 1]


def test_one_seen_a_moment_ago_goes_before_one_lost_since():
    people = {"stays": dict.fromkeys(range(5), 300.0), "lost": dict.fromkeys(range(3), 400.0)}
    scores, who = by_person(people)
    assert link([*scores, face(5, 352)])[-1] == link(scores)[who.index("stays")]


def test_a_tie_falls_the_same_way_however_the_faces_are_listed():
    left, right = face(1, 250), face(1, 350)
    assert link([face(0, 300), left, right]) == [1, 1, 2]
    assert link([face(0, 300), right, left]) == [1, 2, 1]


def test_the_assignment_is_best_as_a_whole_where_the_nearest_pair_would_mislead():
    # Face b is nearer to A than to B; taking that pair first would leave a and B without a partner.
    scores = [face(0, 300, fps=1), face(0, 400, fps=1), face(1, 250, fps=1), face(1, 340, fps=1)]
    assert link(scores) == [1, 2, 1, 2]


@pytest.mark.parametrize("fps", [2.0, 10.0, 30.0])
def test_one_who_looks_away_for_two_seconds_stays_the_same_person(fps):
    seen = [i for i in range(int(12 * fps)) if not 4 * fps <= i < 6 * fps]
    assert set(link([face(i, 500, fps=fps) for i in seen])) == {1}


@pytest.mark.parametrize("fps", [2.0, 10.0, 30.0])
def test_one_who_leaves_for_ten_seconds_returns_as_a_new_track(fps):
    seen = [i for i in range(int(20 * fps)) if not 4 * fps <= i < 14 * fps]
    found = link([face(i, 500, fps=fps) for i in seen])
    assert found == [1 if i < 4 * fps else 2 for i in seen]


def test_the_gap_scales_with_the_sampling_interval():
    every_five_seconds = [face(i, 500, fps=0.2) for i in range(6)]
    assert set(link(every_five_seconds)) == {1}
    one_missed = [s for s in every_five_seconds if s.frame_index != 2]
    assert set(link(one_missed)) == {1}


@pytest.mark.parametrize(
    ("fps", "longest"),
    [(0.5, TUNING.lost_samples), (1, TUNING.lost_samples), (2, 2 * TUNING.lost_s), (10, 10 * TUNING.lost_s)],
)
def test_the_gap_ends_where_it_is_said_to(fps, longest):
    """Whichever of the two limits is longer."""
    last = 1 + int(longest)
    at = [face(0, 500, fps=fps), face(1, 500, fps=fps)]
    assert link([*at, face(last, 500, fps=fps)]) == [1, 1, 1]
    assert link([*at, face(last + 1, 500, fps=fps)]) == [1, 1, 2]


def test_a_stranger_passing_by_does_not_take_over_a_track():
    people = {
        "speaker": dict.fromkeys(range(20), 600.0),
        "passer-by": {i: 100.0 + 60 * i for i in range(4, 16) if abs(100 + 60 * i - 600) > 50},
    }
    scores, who = by_person(people, seed=1)
    found = link(scores)
    speaker = {track for track, name in zip(found, who, strict=True) if name == "speaker"}
    passer = {track for track, name in zip(found, who, strict=True) if name == "passer-by"}
    assert len(speaker) == 1
    assert not speaker & passer


def looking_like(one, kind):
    """``one`` with an appearance of its own: people of different kinds look nothing alike."""
    appearance = np.zeros(APPEARANCE, np.float32)
    appearance[kind] = 1.0
    return replace(one, appearance=appearance)


def test_no_track_crosses_a_cut():
    scores = [replace(face(i, 500), shot=i // 5) for i in range(10)]
    assert link(scores) == [1] * 5 + [2] * 5


def test_a_track_does_not_return_to_its_shot():
    scores = [replace(face(i, 500), shot=shot) for i, shot in enumerate([0, 0, 1, 0, 0])]
    assert link(scores) == [1, 1, 2, 3, 3]


def test_two_who_meet_and_part_again_keep_their_numbers():
    """By motion alone they might as well have turned round."""
    towards = [(i, 300.0 + 50 * i, 700.0 - 50 * i) for i in range(4)]
    away = [(i, 300.0 + 50 * (8 - i), 700.0 - 50 * (8 - i)) for i in range(5, 9)]
    crossed = [(i, right, left) for i, left, right in away]
    for second_half in (away, crossed):
        scores = [
            looking_like(face(i, x), kind)
            for i, *places in towards + second_half
            for kind, x in enumerate(places)
        ]
        assert link(scores) == [1, 2] * 8


def test_one_who_looks_like_nobody_before_is_someone_new_in_the_same_place():
    scores = [looking_like(face(i, 500), kind=i // 4) for i in range(8)]
    assert link(scores) == [1] * 4 + [2] * 4


def test_looks_alone_do_not_hold_a_track_together():
    scores = [looking_like(face(i, 100 + 900 * (i // 4)), kind=0) for i in range(8)]
    assert link(scores) == [1] * 4 + [2] * 4


def test_one_who_walks_on_unseen_is_known_by_looks_alone():
    scores = [face(0, 300, fps=1), face(2, 580, fps=1)]
    assert link(scores) == [1, 2]
    assert link([looking_like(each, 0) for each in scores]) == [1, 1]


def test_degenerate_boxes_and_times_do_no_harm():
    point = Sighting(0, 0.0, Box(10, 10, 0, 0), 0.9)
    assert link([point, replace(point, frame_index=1), replace(point, frame_index=2)]) == [1, 1, 1]


def test_a_long_clip_takes_little_time():
    jitter = random.Random(0)
    # Close enough for their reaches to overlap, so that the full assignment is at work.
    scores = [
        face(i, 300 + 60 * person + jitter.gauss(0, 3), fps=10) for i in range(10_000) for person in range(3)
    ]
    started = time.process_time()
    found = link(scores)
    # 0.5 s on a slow core; quadratic growth would take minutes.
    assert time.process_time() - started < 5
    assert len(found) == 30_000


@st.composite
def scenes(draw):
    """Up to 8 sampled frames with up to 5 faces, dense enough for links to be contested."""
    fps = draw(st.sampled_from([0.2, 1.0, 2.0, 30.0]))
    scores, frame = [], 0
    for _ in range(draw(st.integers(1, 8))):
        frame += draw(st.integers(1, 5))
        # Whole numbers, so that exact ties are common.
        spot = st.tuples(st.integers(0, 30), st.integers(0, 6), st.sampled_from([40, 60, 150]))
        for x, y, side in draw(st.lists(spot, min_size=1, max_size=5, unique=True)):
            scores.append(face(frame, 20.0 * x, 20.0 * y, fps=fps, side=float(side)))
    return scores


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_every_face_has_one_track_and_no_frame_shares_one(scores):
    found = link(scores)
    assert len(found) == len(scores)
    first_seen = list(dict.fromkeys(found))
    assert first_seen == list(range(1, len(first_seen) + 1))
    rows = zip(scores, found, strict=True)
    for _, group in groupby(rows, key=lambda row: row[0].frame_index):
        tracks = [track for _, track in group]
        assert len(set(tracks)) == len(tracks)


@given(scenes(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_faces_within_a_frame_does_not_matter(scores, shuffle):
    order = sorted(range(len(scores)), key=lambda i: (scores[i].frame_index, shuffle.random()))
    shuffled = link([scores[i] for i in order])
    original = link(scores)
    assert same_partition([original[i] for i in order], shuffled)


@given(scenes(), st.sampled_from([0.5, 2.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_resolution_does_not_matter(scores, scale):
    scaled = [replace(score, box=Box(*(scale * value for value in score.box))) for score in scores]
    assert link(scaled) == link(scores)


@given(scenes())
@settings(max_examples=100, deadline=None)
def test_no_track_bridges_more_than_its_gap(scores):
    found = link(scores)
    for track in set(found):
        own = [score for score, number in zip(scores, found, strict=True) if number == track]
        for earlier, later in pairwise(own):
            lost = later.time_s - earlier.time_s > TUNING.lost_s
            assert not (lost and later.frame_index - earlier.frame_index > TUNING.lost_samples)
