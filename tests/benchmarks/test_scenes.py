"""The truth of made scenes holds, and what is counted on them is right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scenes.detection import Counted, nearest_size
from scenes.following import Followed, Moment, PlainWatcher, Seen, follow
from scenes.footage import Clip, Part, Shown, cells, cut_up, joined, side_by_side, turned
from scenes.identities import kept
from scenes.pasted import HEIGHT, SIZES, WIDTH, crowds
from scenes.portraits import Canvas, Portrait, Pose, cast
from scenes.tiled import LENGTH_S, Gathering, Stretch, Writer, filling, gatherings, whole
from scenes.truth import Face, Scene, SceneFrame, match
from scenes.verdicts import wilson
from scenes.walks import ENCOUNTERS, walks

from vidscan.faces.boxes import intersection_over_union
from vidscan.media.ffmpeg.decode import probe, stream_frames
from vidscan.records import Box, Detection, Image

pytestmark = pytest.mark.slow

GREY = np.full((360, 640, 3), 90, np.uint8)


def person(name: str, colour: tuple[int, int, int] = (255, 0, 0)) -> Portrait:
    """A portrait of 180x180 pixels whose face, 100x80 from (40, 50) on, has one colour."""
    image = np.full((180, 180, 3), 200, np.uint8)
    image[50:130, 40:140] = colour
    return Portrait(name, image, Box(40, 50, 100, 80))


def people() -> Iterator[Portrait]:
    return (person(f"{number}") for number in range(10_000))


def red(image: Image) -> np.ndarray:
    return (image[..., 0] > 200) & (image[..., 1] < 60) & (image[..., 2] < 60)


def box_of(mask: np.ndarray) -> Box:
    """The bounding box of what is set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)


# What was found is matched with what is there


def test_best_overlaps_are_matched_first_and_each_face_once():
    faces = [Face("a", Box(0, 0, 10, 10)), Face("b", Box(8, 0, 10, 10))]
    found = [Box(1, 0, 10, 10), Box(0, 0, 10, 10), Box(9, 0, 10, 10), Box(100, 0, 10, 10)]
    assert match(found, faces) == [None, faces[0], faces[1], None]


def test_overlap_must_be_large_enough():
    faces = [Face("a", Box(0, 0, 10, 10))]
    assert match([Box(0, 0, 10, 4.1)], faces) == [faces[0]]
    assert match([Box(0, 0, 10, 3.9)], faces) == [None]


# Pasting


@pytest.mark.parametrize("side", [24, 50, 100, 210])
@pytest.mark.parametrize("heads", [False, True])
def test_truth_of_a_pasted_face_is_where_its_pixels_are(side, heads):
    canvas = Canvas(GREY, feather=0.05, heads=heads)
    box = canvas.paste(person("a"), Pose(300.4, 170.7, side))
    assert box.longer_side == pytest.approx(side, abs=side / 50 + 0.5)
    assert (box.x + box.w / 2, box.y + box.h / 2) == pytest.approx((300.4, 170.7), abs=1.0)
    assert intersection_over_union(box_of(red(canvas.image)), box) > (0.75 if side < 50 else 0.9)
    assert canvas.visible() == [1.0]
    assert (GREY == 90).all()


def test_what_is_covered_or_outside_is_known():
    canvas = Canvas(GREY)
    canvas.paste(person("behind"), Pose(300, 100, 100))
    canvas.paste(person("before"), Pose(390, 100, 100))
    half, whole = canvas.visible()
    assert half == pytest.approx(0.5, abs=0.03)
    assert whole == 1.0
    canvas.paste(person("at the edge"), Pose(0, 250, 100))
    canvas.paste(person("outside"), Pose(-400, 250, 100))
    assert canvas.visible()[2:] == pytest.approx([0.5, 0.0], abs=0.03)


def test_too_few_portraits_are_said_to_be_too_few():
    assert len(cast(people(), 3)) == 3
    with pytest.raises(SystemExit, match="too few portraits"):
        cast(iter([person("a")]), 2)


# Crowds


def test_crowds_keep_apart_in_the_picture_and_are_made_again_alike():
    behind = [np.full((HEIGHT, WIDTH, 3), shade, np.uint8) for shade in (30, 60)]
    scenes = crowds(people(), behind, count=2, frames=3, seed=5)
    again = crowds(people(), behind, count=2, frames=3, seed=5)
    met: set[str] = set()
    for scene, twin in zip(scenes, again, strict=True):
        frames = list(scene.frames())
        assert [frame.time_s for frame in frames] == [0.0, 0.5, 1.0]
        for frame, other in zip(frames, twin.frames(), strict=True):
            assert frame.faces == other.faces
            assert np.array_equal(frame.image, other.image)
            for row, face in enumerate(frame.faces):
                assert face.box.x >= 0 and face.box.x + face.box.w <= WIDTH
                assert face.box.y >= 0 and face.box.y + face.box.h <= HEIGHT
                assert face.counted == (face.size != 24)
                assert 0.97 * face.size - 1 <= face.box.longer_side <= 1.15 * face.size + 1
                rest = frame.faces[row + 1 :]
                assert all(intersection_over_union(face.box, each.box) == 0 for each in rest)
        names = {face.person for face in frames[0].faces}
        assert not names & met
        met |= names
    assert {face.size for face in next(iter(scenes[0].frames())).faces} == set(SIZES)


# People who meet


def walk(kind: str, fps: float) -> list[SceneFrame]:
    scenes = walks(people(), [GREY], fps=fps, repeats=1, seed=3)
    assert [scene.kind for scene in scenes] == list(ENCOUNTERS)
    return list(scenes[list(ENCOUNTERS).index(kind)].frames())


def test_people_walk_alike_at_any_rate():
    seldom, often = walk("two pass", 1.0), walk("two pass", 2.0)
    assert [frame.faces for frame in seldom] == [frame.faces for frame in often[::2]]


def test_those_who_pass_change_sides_and_cover_each_other():
    frames = walk("two pass", 5.0)
    first, last = ({face.person: face.box.x for face in frames[at].faces} for at in (0, -1))
    left, right = sorted(first, key=lambda name: first[name])
    assert last[left] > last[right]
    assert any(sum(face.counted for face in frame.faces) < 2 for frame in frames)


def test_those_who_turn_round_end_where_they_came_from():
    frames = walk("two meet and turn round", 5.0)
    places = [[face.box.x for face in frame.faces] for frame in frames]
    assert places[0][0] < places[20][0] < places[20][1] < places[0][1]
    assert places[-1] == pytest.approx(places[0], abs=40)


def test_one_who_leaves_is_away_for_less_than_two_seconds():
    counts = [len(frame.faces) for frame in walk("one leaves and comes back", 10.0)]
    away = [index for index, count in enumerate(counts) if count == 1]
    assert away and away[-1] - away[0] + 1 == len(away) < 25
    assert counts[0] == counts[-1] == 2


# Clips

REALS = [
    Clip(Path(f"{name}.mp4"), False, "original", name, "", "p") for name in ("1", "2", "3", "4", "5", "6")
]


class Shelf:
    """Stands in for the library: every clip is 20 frames of 320x180 with a red face at a place of its own."""

    def read(self, clip: Clip, fps: float) -> list[Shown]:
        left = 20 + 30 * int(clip.target)
        image = np.full((180, 320, 3), 80, np.uint8)
        image[60:100, left : left + 40] = (255, 0, 0)
        return [Shown(image, (Face(clip.target, Box(left, 60, 40, 40)),))] * 20


@pytest.mark.parametrize("many", [1, 2, 3, 4, 5, 6])
def test_clips_side_by_side_have_their_faces_where_they_are_shown(many):
    frames = list(side_by_side(Shelf(), REALS[:many], 2.0).frames())
    assert len(frames) == 20
    assert frames[3].image.shape == (1080, 1920, 3)
    for face, (left, top, width, height) in zip(frames[3].faces, cells(many), strict=True):
        part = np.zeros((1080, 1920), bool)
        part[top : top + height, left : left + width] = True
        assert intersection_over_union(box_of(red(frames[3].image) & part), face.box) > 0.95


def test_joined_clips_have_their_cuts_and_fill_the_frame():
    parts = [Part(REALS[0], 0.0, 2.0), Part(REALS[1], 1.0, 3.0), Part(REALS[0], 2.0, 1.0)]
    frames = list(joined(Shelf(), "x", parts, 2.0).frames())
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.shot for frame in frames] == [0] * 4 + [1] * 6 + [2] * 2
    assert [frame.faces[0].person for frame in frames] == ["1"] * 4 + ["2"] * 6 + ["1"] * 2
    assert frames[5].image.shape == (720, 1280, 3)
    assert intersection_over_union(box_of(red(frames[5].image)), frames[5].faces[0].box) > 0.95


def test_plans_of_cuts_are_long_enough_to_be_filled():
    for seed in range(20):
        for kind, parts in cut_up(REALS, np.random.default_rng(seed)).items():
            frames = list(joined(Shelf(), kind, parts, 2.0).frames())
            assert len(frames) == 2 * sum(part.length_s for part in parts)
            assert all(one.clip != other.clip for one, other in pairwise(parts))


@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90, 180, 270])
def test_turned_clips_have_their_face_where_it_is_shown(degrees):
    frame = next(iter(turned(Shelf(), REALS[4], degrees, 1.0).frames()))
    seen, told = box_of(red(frame.image)), frame.faces[0].box
    assert seen.x + seen.w / 2 == pytest.approx(told.x + told.w / 2, abs=1.5)
    assert seen.y + seen.h / 2 == pytest.approx(told.y + told.h / 2, abs=1.5)
    assert red(frame.image).sum() == pytest.approx(1600, rel=0.1)


# Files

FAKES = [Clip(Path("1_2.mp4"), True, "deepfakes", "1", "2", "p")]


@pytest.mark.parametrize("many", [1, 2, 5])
def test_nobody_is_twice_in_a_scene_nor_lends_a_face(many):
    for plan in gatherings([*REALS, *FAKES], people=many, fake=True, count=20, seed=0):
        assert plan.stretches[plan.fake_cell].clip.fake
        names = [name for each in plan.stretches for name in sorted(each.clip.people)]
        assert len(names) == len(set(names)) == many + 1


def test_who_lends_a_face_stands_in_where_people_are_too_few():
    for plan in gatherings([*REALS, *FAKES], people=6, fake=True, count=20, seed=0):
        assert plan.stretches[plan.fake_cell].clip.fake
        targets = [each.clip.target for each in plan.stretches]
        assert len(targets) == len(set(targets)) == 6


def test_scenes_of_real_people_hold_no_fake_and_too_few_people_make_none():
    plans = gatherings([*REALS, *FAKES], people=6, fake=False, count=3, seed=0)
    assert len(plans) == 3
    assert not any(each.clip.fake for plan in plans for each in plan.stretches)
    assert gatherings([*REALS, *FAKES], people=7, fake=True, count=3, seed=0) == []
    assert gatherings([*REALS, *FAKES], people=3, fake=False, count=9, seed=1) != plans


def test_written_scene_shows_each_clip_in_its_cell(make_clip, tmp_path):
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255), "lime": (0, 255, 0)}
    stretches = []
    for colour in colours:
        source = f"color={colour}:size=320x180:rate=25:duration=9"
        path = make_clip(f"scene-{colour}.mp4", "-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-q:v", "2")
        stretches.append(Stretch(Clip(path, False, "original", colour, "", colour), 0.5))
    path = Writer(tmp_path, OneFaceDetector()).write(Gathering(tuple(stretches), None), "scene")
    assert probe(path).duration_s == pytest.approx(LENGTH_S, abs=0.3)
    shown = [image for _, image in stream_frames(path, 1.0)]
    assert len(shown) == pytest.approx(LENGTH_S, abs=1)
    for colour, (left, top, width, height) in zip(colours.values(), cells(3), strict=True):
        for image in (shown[0], shown[-1]):
            assert image[top + height // 2, left + width // 2] == pytest.approx(colour, abs=40)
            assert image[top + 4, left + 4] == pytest.approx((0, 0, 0), abs=10)


def test_clips_are_whole_or_fill_their_cells_around_the_face():
    assert whole((1280, 720), (640, 540)) == ((640, 360), (640, 360, 0, 0))
    assert whole((320, 240), (640, 540)) == ((320, 240), (320, 240, 0, 0))
    assert filling((1280, 720), (640, 540), (640, 360)) == ((960, 540), (640, 540, 160, 0))
    assert filling((1280, 720), (640, 540), (10, 10)) == ((960, 540), (640, 540, 0, 0))
    assert filling((1280, 720), (640, 540), (1270, 700)) == ((960, 540), (640, 540, 320, 0))
    assert filling((1280, 720), (640, 1080), (400, 360)) == ((1280, 720), (640, 720, 80, 0))
    assert filling((320, 240), (640, 540), (100, 100)) == ((320, 240), (320, 240, 0, 0))


def test_scene_with_filled_cells_shows_the_face_at_its_place(make_clip, tmp_path):
    """A grey clip of 1200x540 with a red square at the right; its cell shows 960x540 of it."""
    red_square = "color=gray:size=1200x540:rate=5:duration=9,drawbox=x=1100:y=200:w=60:h=60:color=red:t=fill"
    path = make_clip("wide.mp4", "-f", "lavfi", "-i", red_square, "-c:v", "mpeg4", "-q:v", "2")
    clip = Stretch(Clip(path, False, "original", "a", "", "a"), 0.0)
    scene = Writer(tmp_path, OneFaceDetector(), fill=True).write(Gathering((clip,) * 4, None), "scene")
    _, image = next(iter(stream_frames(scene, 1.0)))
    for left, top, width, height in cells(4):
        shown = box_of(red(image[top : top + height, left : left + width]))
        assert shown == pytest.approx((860, 200, 60, 60), abs=3)


# What is counted


def test_only_faces_that_count_are_missed_and_only_strangers_are_wrong():
    counted = Counted()
    faces = [Face("a", Box(0, 0, 40, 40), True, 40), Face("b", Box(100, 0, 24, 24), False, 24)]
    counted.add([Box(100, 0, 24, 24), Box(200, 0, 60, 60)], faces)
    counted.add([Box(2, 0, 40, 40)], faces)
    assert counted.recall(40) == counted.recall() == 0.5
    assert counted.recall(24) is None
    assert (counted.precision(64), counted.precision(40), counted.precision()) == (0.0, 1.0, 0.5)
    assert counted.precision(400) is None


def test_sizes_are_told_apart_as_ratios():
    assert [nearest_size(side) for side in (1, 31, 56, 79, 290, 900)] == [32, 32, 64, 96, 400, 400]


class OneFaceDetector:
    """Sees a face where the picture is red."""

    def detect(self, image: Image) -> list[Detection]:
        return [Detection(box_of(red(image)), 0.9, np.zeros((0, 2), np.float32))] if red(image).any() else []


def test_scene_is_followed_from_frame_to_frame():
    parts = [Part(REALS[0], 0.0, 2.0), Part(REALS[0], 2.0, 2.0)]
    followed = follow(joined(Shelf(), "x", parts, 2.0), PlainWatcher(OneFaceDetector()))
    assert [each.track for each in followed.seen] == [1] * 8
    assert {each.face.person for each in followed.seen} == {"1"}
    one = kept([followed, followed])
    assert (one.frames, one.there, one.found, one.wrong, one.people, one.tracks) == (16, 16, 16, 0, 2, 2)
    assert (one.cuts, one.cuts_found, one.cuts_false, one.astride) == (2, 0, 0, 2)


def test_scene_ends_early_where_that_is_wanted():
    scene = joined(Shelf(), "x", [Part(REALS[0], 0.0, 5.0)], 2.0)
    assert [frame.time_s for frame in scene.lasting(1.2).frames()] == [0.0, 0.5, 1.0]
    assert isinstance(scene.lasting(1.2), Scene)


def seen(name: str | None, track: int, *, shot: int = 0, who: int | None = None) -> Seen:
    face = None if name is None else Face(name, Box(0, 0, 1, 1))
    return Seen(face, shot, track, track if who is None else who)


def test_switches_purity_and_joins_are_counted():
    rows = [
        *[seen("a", 1), seen("b", 2), seen("a", 2), seen("b", 1), seen(None, 7), seen("", 8)],
        *[seen("a", 3, shot=1, who=1), seen("a", 3, shot=1, who=1), seen("b", 4, shot=1, who=3)],
    ]
    moments = tuple(Moment((), shot) for shot in (0, 0, 1, 1))
    one = kept([Followed(moments, tuple(rows), frozenset({2, 3}))])
    assert (one.switches, one.changes, one.wrong) == (2, 4, 1)
    assert (one.own, one.followed, one.people, one.tracks) == (5, 7, 2, 4)
    assert (one.cuts, one.cuts_found, one.cuts_false, one.astride) == (1, 1, 1, 0)
    assert (one.same + one.different, one.joined, one.mixed) == (6, 1, 0)


def test_track_on_both_sides_of_a_cut_is_noticed():
    moments = (Moment((), 0), Moment((), 1))
    one = kept([Followed(moments, (seen("a", 1), seen("b", 1, shot=1)), frozenset())])
    assert (one.cuts_found, one.astride) == (0, 1)


def test_wilson_interval_is_that_of_the_textbook():
    assert wilson(0, 10) == pytest.approx((0.0, 0.278), abs=0.001)
    assert wilson(5, 10) == pytest.approx((0.237, 0.763), abs=0.001)
    assert wilson(0, 0) == (0.0, 1.0)
