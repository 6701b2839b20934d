"""The search of a source's frames: its rules on painted faces, its reach with the real detector."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from vidscan.errors import DetectionError
from vidscan.faces.bordered import BORDERS
from vidscan.faces.boxes import intersection_over_union
from vidscan.faces.close_ups import (
    CELL_SIDE,
    CELLS,
    CloseUp,
    faces_in,
    mosaic,
    second_look,
)
from vidscan.faces.crops import square_crop
from vidscan.faces.detector import SECOND_LOOK_SIZE, MediaPipeFaceDetector
from vidscan.faces.predicted import KEPT_FRAMES, PredictedFaces
from vidscan.faces.rotation import angle_within, nearest_quarter, roll_of, turned, turned_back
from vidscan.faces.search import MAX_STILL_CALLS, FaceSearch
from vidscan.faces.tiles import (
    FRAMES_PER_PASS,
    MAX_CALLS_PER_FRAME,
    CallBudget,
    TileSchedule,
    pyramid,
    thumbnail_of,
    without_faces,
)
from vidscan.options import DetectionOptions
from vidscan.records import Box, Detection, Image

ALL = DetectionOptions()


def painted(image: Image, x: int, y: int, side: int, roll: int = 0) -> Box:
    """Paints what :class:`PaintedFaces` takes for a face: a red square with a green brow."""
    face = np.zeros((side, side, 3), np.uint8)
    face[:, :, 0] = 255
    face[: side // 3] = (0, 255, 0)
    image[y : y + side, x : x + side] = turned(face, -roll // 90 % 4)
    return Box(x, y, side, side)


def wall(width: int = 1920, height: int = 1080) -> Image:
    """A blue wall with some grain, so that it is not flat."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 200
    image[..., 1] = np.arange(width) % 60
    return image


class PaintedFaces:
    """Sees upright painted faces that are whole and large enough for it, as the two networks would.

    ``blind``: what it does not see although it could. ``sure``: its confidence.
    """

    def __init__(self, sure: float = 0.9) -> None:
        self.sure = sure
        self.fars = 0
        self.nears = 0
        self.blind = False
        self.far_alone = False  # the short-range network sees nothing

    def detect(self, image: Image) -> list[Detection]:
        raise AssertionError("the plain search is not used")

    def far(self, image: Image) -> list[Detection]:
        self.fars += 1
        return self._seen(image, 9)

    def near(self, image: Image) -> list[Detection]:
        self.nears += 1
        return [] if self.far_alone else self._seen(image, 7)

    def _seen(self, image: Image, share: int) -> list[Detection]:
        if self.blind:
            return []
        r, g, b = np.moveaxis(image.astype(int), 2, 0)
        painted_over = (b < 100) & (r + g > 130)
        brow = painted_over & (g > r)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(painted_over.astype(np.uint8))
        found = []
        for label, (x, y, w, h, _) in enumerate(stats):
            whole = x > 0 and y > 0 and x + w < image.shape[1] and y + h < image.shape[0]
            if label == 0 or not whole or max(w, h) * share < max(image.shape[:2]):
                continue
            parts = [np.nonzero(part & (labels == label)) for part in (brow, painted_over & ~brow)]
            if not all(len(part[0]) for part in parts):
                continue
            (brow_down, brow_across), (down, across) = (np.mean(part, axis=1) for part in parts)
            if brow_down < down and abs(brow_across - across) < w / 4:
                eyes = [(x + 0.3 * w, y + 0.3 * h), (x + 0.7 * w, y + 0.3 * h)]
                points = np.array([*eyes, *[(x + w / 2, y + h / 2)] * 4], np.float32)
                box = Box(float(x), float(y), float(w), float(h))
                found.append(Detection(box, self.sure, points, roll_of(points)))
        return found


def at(found: list[Detection], box: Box) -> Detection | None:
    return next((each for each in found if intersection_over_union(each.box, box) > 0.6), None)


# Tiles and their budget


@pytest.mark.slow
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("side", [46, 64, 130, 400])
@pytest.mark.parametrize("place", [(5, 5), (1333, 511), (1500, 600)])
def test_face_of_any_size_is_found_anywhere_in_the_first_picture(
    place: tuple[int, int], side: int, still: bool
):
    image = wall()
    box = painted(image, *place, side)
    (found,) = FaceSearch(PaintedFaces(), ALL, still=still).find(image)
    assert intersection_over_union(found.box, box) > 0.8
    assert found.roll == 0


def test_small_pictures_take_one_call_of_each_network_for_a_known_face():
    image, detector = wall(320, 240), PaintedFaces()
    painted(image, 100, 60, 80)
    search = FaceSearch(detector, ALL)
    assert len(search.find(image)) == 1
    first = (detector.fars, detector.nears)
    assert first == (1, 2)  # the second look at a new face says which way up it is
    assert len(search.find(image)) == 1
    assert (detector.fars, detector.nears) == (2, 2)


def test_black_frames_are_looked_at_once():
    detector = PaintedFaces()
    search = FaceSearch(detector, ALL)
    for _ in range(5):
        assert search.find(np.zeros((1080, 1920, 3), np.uint8)) == []
    assert detector.fars == 5


def test_unchanged_tiles_are_not_searched_again():
    image, detector = wall(), PaintedFaces()
    painted(image, 700, 300, 300)
    search = FaceSearch(detector, ALL)
    search.find(image)
    assert 0.9 * 30 < detector.fars <= 1 + 30
    search.find(image)  # what the second look left no budget for
    swept = detector.fars
    assert swept == 2 + 30
    for _ in range(10):
        search.find(image)
    assert detector.fars == swept + 10


def test_face_that_appears_later_is_found_where_the_picture_changed():
    image, detector = wall(), PaintedFaces()
    painted(image, 700, 300, 300)
    search = FaceSearch(detector, ALL)
    for _ in range(4):
        search.find(image)
    before = detector.fars
    box = painted(image, 1500, 800, 50)
    found = [search.find(image) for _ in range(3)]
    assert at(found[-1], box)
    assert detector.fars <= before + 3 + 5


@pytest.mark.slow
def test_calls_a_frame_stay_within_the_budget_when_everything_changes():
    detector, frames = PaintedFaces(), 48
    search = FaceSearch(detector, ALL)
    noise = np.random.default_rng(0)
    tiles = 30
    for _ in range(frames):
        image = wall()
        image[..., 1] = np.repeat(np.repeat(noise.integers(0, 90, (27, 48)), 40, 0), 40, 1)
        painted(image, 700, 300, 300)
        search.find(image)
    most = frames + tiles + frames * tiles / FRAMES_PER_PASS
    assert 0.8 * most < detector.fars <= most
    assert detector.nears <= 3


@pytest.mark.slow
def test_new_shot_is_swept_with_the_credit_that_is_left():
    detector = PaintedFaces()
    search = FaceSearch(detector, ALL)
    image = wall()
    painted(image, 700, 300, 300)
    for _ in range(2 * FRAMES_PER_PASS):
        search.find(image)
    before = detector.fars
    other = np.ascontiguousarray(wall()[:, ::-1])
    box = painted(other, 1400, 200, 60)
    assert at(search.find(other, new_shot=True), box)
    assert detector.fars > before + 20


def test_wanting_only_the_largest_saves_the_tiles_when_it_was_found():
    image, detector = wall(), PaintedFaces()
    large = painted(image, 700, 300, 300)
    painted(image, 100, 100, 60)
    (found,) = FaceSearch(detector, DetectionOptions(faces=1)).find(image)
    assert intersection_over_union(found.box, large) > 0.9
    assert detector.fars == 1


def test_credit_never_exceeds_a_sweep_and_a_frame_earns_its_share():
    budget = CallBudget.for_clip(48)
    assert budget.affords(48) and not budget.affords(48.1)
    budget.earn()
    assert not budget.affords(48.1)
    budget.spend(48)
    budget.earn()
    assert budget.affords(2) and not budget.affords(2.1)
    huge = CallBudget.for_clip(1000)
    huge.spend(1000)
    huge.earn()
    assert huge.affords(MAX_CALLS_PER_FRAME) and not huge.affords(MAX_CALLS_PER_FRAME + 0.35)


def test_still_takes_no_more_calls_than_allowed():
    detector = PaintedFaces()
    assert FaceSearch(detector, ALL, still=True).find(wall(3000, 2000)) == []
    assert 100 < detector.fars <= MAX_STILL_CALLS + 1 + len(BORDERS)  # the whole, also with borders


def test_sweep_takes_the_never_searched_and_then_the_longest_waiting():
    levels = pyramid(1920, 1080, finest=384, max_tiles=130)
    schedule, dark, bright = (
        TileSchedule(levels, 8),
        np.full((135, 240), 10, np.uint8),
        np.full((135, 240), 99, np.uint8),
    )
    first, second, third = schedule.due(dark)[:3]
    schedule.mark_searched(second, dark)
    schedule.mark_searched(first, dark)
    assert first not in schedule.due(dark) and second not in schedule.due(dark)
    assert schedule.due(bright)[0] == third
    assert schedule.due(bright)[-2:] == [second, first]
    schedule.forget()
    assert schedule.due(dark)[0] == first


def test_movement_around_a_face_is_no_news():
    image = wall()
    box = Box(800.0, 300.0, 100.0, 100.0)
    schedule = TileSchedule(pyramid(1920, 1080, finest=384, max_tiles=130), 8)
    before = without_faces(thumbnail_of(image, 8), [box], 8)
    for tile in schedule.due(before):
        schedule.mark_searched(tile, before)
    image[320:560, 760:960] = 250  # face and shoulders
    assert schedule.due(without_faces(thumbnail_of(image, 8), [box], 8)) == []
    assert schedule.due(thumbnail_of(image, 8)) == []  # what was left out then cannot be compared
    image[320:560, 1300:1400] = 250
    assert schedule.due(without_faces(thumbnail_of(image, 8), [box], 8)) != []


# Known faces


def test_small_moving_face_is_followed_by_close_ups():
    detector = PaintedFaces()
    search = FaceSearch(detector, ALL)
    for step in range(12):
        image = wall()
        box = painted(image, 300 + 30 * step, 500, 60)
        assert at(search.find(image), box), step
    assert detector.nears < 2 + 2 * 12


def test_several_small_faces_share_a_close_up():
    image, detector = wall(), PaintedFaces()
    boxes = [painted(image, 200 + 350 * number, 500, 60) for number in range(CELLS)]
    search = FaceSearch(detector, ALL)
    search.find(image)
    before = detector.nears
    found = search.find(image)
    assert all(at(found, box) for box in boxes)
    assert detector.nears == before + 1


def test_large_known_face_that_the_full_range_network_misses_is_sought_by_the_other():
    image, detector = wall(640, 480), PaintedFaces()
    box = painted(image, 200, 100, 200)
    search = FaceSearch(detector, ALL)
    search.find(image)
    detector.far = lambda image: []  # type: ignore[method-assign]
    assert at(search.find(image), box)


@pytest.mark.parametrize("hidden", [False, True])
def test_doubtful_claim_of_a_small_known_face_is_left_to_its_close_up(hidden: bool):
    """It is neither proved nor refused like a stranger's: the shared close-up says whether it is there."""
    image, detector = wall(), PaintedFaces()
    box = painted(image, 700, 500, 60)
    search = FaceSearch(detector, ALL)
    search.find(image)
    doubtful = Detection(box, 0.6, np.zeros((6, 2), np.float32))
    detector.far = lambda picture: [doubtful] if picture.shape[1] == 1920 else []  # type: ignore[method-assign]
    detector.sure, detector.blind = 0.7, hidden
    before = detector.nears
    found = search.find(image)
    assert bool(at(found, box)) is not hidden
    assert detector.nears == before + 1


def test_unseen_face_is_remembered_for_a_few_frames():
    face = Detection(Box(10, 10, 50, 50), 0.9, np.zeros((6, 2), np.float32))
    memory = PredictedFaces()
    memory.update([face])
    for _ in range(KEPT_FRAMES):
        assert len(memory.advance(640, 480)) == 1
        memory.update([])
    assert len(memory.advance(640, 480)) == 1
    memory.update([])
    assert memory.advance(640, 480) == ()


def test_face_is_expected_where_its_course_leads_until_it_leaves():
    memory = PredictedFaces()
    for x in (0.0, 40.0, 80.0, 120.0, 160.0, 200.0):
        memory.advance(320, 240)
        memory.update([Detection(Box(x, 50, 60, 60), 0.9, np.zeros((6, 2), np.float32))])
    (face,) = memory.advance(320, 240)
    assert face.box.x == pytest.approx(240, abs=5)
    memory.update([])
    assert len(memory.advance(320, 240)) == 1
    memory.update([])
    assert memory.advance(292, 240) == ()


@pytest.mark.parametrize(("new_shot", "calls"), [(False, 2), (True, 1)])
def test_new_shot_forgets_everybody(new_shot: bool, calls: int):
    image, detector = wall(320, 240), PaintedFaces()
    painted(image, 100, 60, 80)
    search = FaceSearch(detector, ALL)
    search.find(image)
    detector.blind = True
    before = detector.nears
    search.find(image, new_shot=new_shot)
    # The short-range network looks at the whole, and close up at a face that is known.
    assert detector.nears == before + calls


# Claims that must be proved


@pytest.mark.parametrize("side", [60, 300])
def test_doubtful_or_small_claim_that_close_ups_do_not_show_is_refused(side: int):
    image = wall()
    painted(image, 300, 500, side)
    doubting = PaintedFaces(sure=0.6)
    doubting.far_alone = True
    assert FaceSearch(doubting, ALL).find(image) == []


def test_claim_in_a_tile_must_pass_the_plain_second_look_too():
    image, detector = wall(), PaintedFaces()
    painted(image, 300, 500, 60)
    near = detector.near
    detector.near = lambda picture: [] if picture.shape[0] == SECOND_LOOK_SIZE else near(picture)  # type: ignore[method-assign]
    assert FaceSearch(detector, ALL).find(image) == []


def test_small_face_within_a_refused_large_claim_is_found():
    image, detector = wall(), PaintedFaces()
    box = painted(image, 900, 500, 60)
    far = detector.far
    false = Detection(Box(500, 100, 900, 900), 0.6, np.zeros((6, 2), np.float32))
    detector.far = lambda picture: [false] if picture.shape[1] == 1920 else far(picture)  # type: ignore[method-assign]
    (found,) = FaceSearch(detector, ALL).find(image)
    assert intersection_over_union(found.box, box) > 0.8


def test_sure_claim_in_the_whole_picture_needs_no_close_up():
    image = wall()
    painted(image, 300, 500, 300)
    sure = PaintedFaces(sure=0.8)
    sure.far_alone = True
    assert len(FaceSearch(sure, ALL).find(image)) == 1


def test_second_look_finds_the_right_way_up():
    for roll in (0, 90, 180, -90):
        image = wall(400, 400)
        box = painted(image, 150, 150, 80, roll)
        seen = second_look(PaintedFaces(), image, box, 0)
        assert seen is not None
        assert angle_within(seen.roll - roll) == pytest.approx(0, abs=1)
        assert intersection_over_union(seen.box, box) > 0.8
    assert second_look(PaintedFaces(sure=0.7), image, box, 0) is None  # turned ones must be surer
    assert second_look(PaintedFaces(sure=0.7), image, box, 3) is not None


@pytest.mark.parametrize(("lead", "roll"), [(0.03, 0), (0.07, 90)])
def test_turned_face_must_be_clearly_more_confident_than_the_one_as_found(lead: float, roll: int):
    def face(number: int, confidence: float) -> Detection:
        side = CELL_SIDE / 2  # as large as the box in a close-up of margin 2
        corner = Box(number % 2 * CELL_SIDE + side / 2, number // 2 * CELL_SIDE + side / 2, side, side)
        return Detection(corner, confidence, np.zeros((6, 2), np.float32))

    detector = PaintedFaces()
    detector.near = lambda picture: [face(0, 0.8), face(1, 0.8 + lead)]  # type: ignore[method-assign]
    seen = second_look(detector, wall(400, 400), Box(150, 150, 80, 80), 0)
    assert seen is not None and seen.roll == roll


# Options


def test_region_is_searched_alone_and_gives_pixels_of_the_frame():
    image = wall()
    inside, outside = painted(image, 1000, 400, 60), painted(image, 300, 500, 300)
    detector = PaintedFaces()
    found = FaceSearch(detector, DetectionOptions(region=(900, 300, 400, 300))).find(image)
    assert at(found, inside) and not at(found, outside)
    assert len(found) == 1
    assert detector.fars < 10


def test_region_is_clipped_to_the_frame_and_refused_outside_of_it():
    image = wall(640, 480)
    box = painted(image, 500, 350, 100)
    (found,) = FaceSearch(PaintedFaces(), DetectionOptions(region=(400, 300, 9000, 9000))).find(image)
    assert intersection_over_union(found.box, box) > 0.8
    with pytest.raises(DetectionError, match=r"--region 640,0,5,5 lies outside of the 640x480 picture: give"):
        FaceSearch(PaintedFaces(), DetectionOptions(region=(640, 0, 5, 5))).find(image)


def test_largest_faces_are_kept_surest_first():
    image = wall()
    boxes = [painted(image, 100 + 400 * number, 200, side) for number, side in enumerate((120, 60, 260))]
    detector = PaintedFaces()
    found = FaceSearch(detector, DetectionOptions(faces=2)).find(image)
    assert {boxes.index(box) for box in boxes if at(found, box)} == {0, 2} and len(found) == 2
    assert found[0].confidence >= found[1].confidence
    assert len(FaceSearch(PaintedFaces(), ALL).find(image)) == 3


def test_smallest_face_wanted_decides_what_is_kept():
    image = wall()
    painted(image, 300, 500, 60)
    assert len(FaceSearch(PaintedFaces(), DetectionOptions(min_face=40)).find(image)) == 1
    assert FaceSearch(PaintedFaces(), DetectionOptions(min_face=70)).find(image) == []


def test_another_size_of_frame_begins_anew():
    search = FaceSearch(PaintedFaces(), ALL)
    for width, height in ((640, 480), (1920, 1080), (320, 240)):
        image = wall(width, height)
        box = painted(image, 100, 60, 150)
        assert at(search.find(image), box)


def test_same_pictures_give_the_same_faces():
    def run() -> list[list[Box]]:
        search, boxes = FaceSearch(PaintedFaces(), ALL), []
        for step in range(8):
            image = wall()
            painted(image, 300 + 20 * step, 500, 60)
            painted(image, 900, 100 + 10 * step, 200)
            boxes.append([each.box for each in search.find(image, new_shot=step == 5)])
        return boxes

    assert run() == run()


# Turned pictures


@pytest.mark.parametrize("roll", [90, 180, -90])
@pytest.mark.parametrize("still", [False, True])
def test_turned_face_is_found_in_pixels_of_the_frame(roll: int, still: bool):
    image = wall(1280, 720)
    box = painted(image, 300, 200, 250, roll)
    (found,) = FaceSearch(PaintedFaces(), ALL, still=still).find(image)
    assert intersection_over_union(found.box, box) > 0.8
    assert found.roll == roll
    assert roll_of(found.keypoints) == pytest.approx(roll)
    assert all(box.x <= x <= box.x + box.w and box.y <= y <= box.y + box.h for x, y in found.keypoints)


def test_turn_that_worked_is_tried_first():
    image, detector = wall(320, 240), PaintedFaces()
    painted(image, 100, 60, 90, 180)
    search = FaceSearch(detector, ALL)
    assert len(search.find(image)) == 1
    assert detector.fars == 4  # upright and three turns
    assert len(search.find(image, new_shot=True)) == 1
    assert detector.fars == 5


def test_small_turned_face_in_a_still_is_found_in_turned_tiles():
    image = wall(1280, 720)
    box = painted(image, 600, 300, 80, 90)
    assert at(FaceSearch(PaintedFaces(), ALL, still=True).find(image), box)


@settings(deadline=None)
@given(
    quarters=st.integers(0, 3),
    x=st.integers(0, 60),
    y=st.integers(0, 40),
    w=st.integers(2, 40),
    h=st.integers(2, 40),
)
def test_what_is_found_in_a_turned_picture_comes_back(quarters: int, x: int, y: int, w: int, h: int):
    width, height = 100, 80
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    rows, columns = np.nonzero(turned(image, quarters)[..., 0])
    seen = Box(*map(float, (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)))
    points = np.array([(seen.x, seen.y), (seen.x + seen.w, seen.y)], np.float32)
    back = turned_back(Detection(seen, 0.9, points, 10.0), quarters, width, height)
    assert back.box == Box(x, y, w, h)
    assert nearest_quarter(back.roll) == quarters == nearest_quarter(roll_of(back.keypoints))
    assert angle_within(back.roll - 90 * quarters) == pytest.approx(10)


def test_mosaic_gives_back_what_each_close_up_shows():
    image = wall(800, 600)
    boxes = [painted(image, 100 + 250 * number, 200, 40 + 10 * number, 90 * number) for number in range(3)]
    looks = [CloseUp(box, 2.0, number) for number, box in enumerate(boxes)]
    seen = faces_in(PaintedFaces().near(mosaic(image, looks)), looks)
    assert [len(cell) for cell in seen] == [1, 1, 1]
    for (face,), box, look in zip(seen, boxes, looks, strict=True):
        assert intersection_over_union(face.box, box) > 0.8
        assert nearest_quarter(face.roll) == look.quarters


def test_eyes_say_how_far_a_face_is_turned():
    assert roll_of(np.array([(0, 0), (10, 0)], np.float32)) == 0
    assert roll_of(np.array([(0, 0), (10, 10)], np.float32)) == pytest.approx(45)
    assert roll_of(np.array([(0, 0), (-10, 0)], np.float32)) == 180
    assert roll_of(np.zeros((0, 2), np.float32)) == 0


# The real detector


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeFaceDetector]:
    with MediaPipeFaceDetector(ALL) as opened:
        yield opened


def room_with_astronaut(side: int, x: int, y: int, quarters: int = 0) -> tuple[Image, Box]:
    """A cup of coffee in 1920x1080, and on it her portrait so small that her face has ``side`` pixels."""
    image = cv2.resize(data.coffee(), (1920, 1080))
    scale = side / 95
    size = round(512 * scale)
    portrait = cv2.resize(data.astronaut(), (size, size), interpolation=cv2.INTER_AREA)
    image[y : y + size, x : x + size] = turned(portrait, quarters)
    corner = turned_back(
        Detection(Box(178 * scale, 75 * scale, 92 * scale, side), 1, np.zeros((2, 2), np.float32)),
        -quarters % 4,
        size,
        size,
    ).box
    return image, Box(x + corner.x, y + corner.y, corner.w, corner.h)


@pytest.mark.slow
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("side", [36, 44, 64])
def test_small_face_in_a_large_picture(detector: MediaPipeFaceDetector, side: int, still: bool):
    image, box = room_with_astronaut(side, 1100, 300)
    assert detector.detect(image) == []
    (found,) = FaceSearch(detector, DetectionOptions(min_face=28), still=still).find(image)
    assert intersection_over_union(found.box, box) > 0.5
    assert abs(found.roll) < 15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_face_is_found_the_right_way_up(detector: MediaPipeFaceDetector, quarters: int):
    image, box = room_with_astronaut(180, 700, 60, quarters)
    search = FaceSearch(detector, ALL)
    for _ in range(3):
        (found,) = search.find(image)
        assert intersection_over_union(found.box, box) > 0.5
        assert abs(angle_within(found.roll + 90 * quarters)) < 25


@pytest.mark.slow
@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize(
    "picture", [data.coffee(), data.rocket(), data.hubble_deep_field()], ids=["coffee", "rocket", "galaxies"]
)
def test_no_face_where_there_is_none(detector: MediaPipeFaceDetector, picture: Image, still: bool):
    large = cv2.resize(picture, (1280, 720))
    assert FaceSearch(detector, ALL, still=still).find(large) == []


def test_large_face_keeps_the_box_of_the_plain_search(detector: MediaPipeFaceDetector):
    (plain,) = detector.detect(data.astronaut())
    (found,) = FaceSearch(detector, ALL).find(data.astronaut())
    assert found.box == plain.box and found.confidence == plain.confidence


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("share", [0.75, 0.85])
def test_face_cut_off_at_forehead_and_chin_is_found(
    detector: MediaPipeFaceDetector, share: float, still: bool
):
    """The detector's own box, of which ``share`` is left, as collections ship faces."""
    (whole,) = detector.detect(data.astronaut())
    tight = square_crop(data.astronaut(), whole.box, margin=share, size=224)
    assert detector.detect(tight) == []
    search = FaceSearch(detector, ALL, still=still)
    for _ in range(1 if still else 6):  # also once it is known
        (found,) = search.find(tight)
        expected = Box(112 - 112 / share, 112 - 112 / share, 224 / share, 224 / share)
        assert intersection_over_union(found.box, expected) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(160, 32_160), (4000, 3000)])
def test_border_around_a_large_or_thin_picture_takes_little_memory(shape: tuple[int, int]):
    class Measured(PaintedFaces):
        def far(self, image: Image) -> list[Detection]:
            assert image.size <= max(12 << 20, 3 * shape[0] * shape[1])
            return super().far(image)

    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert FaceSearch(Measured(), ALL).find(picture) == []


def test_face_that_fills_a_large_picture_gets_a_box_in_its_own_pixels(detector: MediaPipeFaceDetector):
    (whole,) = detector.detect(data.astronaut())
    small, large = (square_crop(data.astronaut(), whole.box, margin=0.8, size=side) for side in (300, 1800))
    (one,), (other,) = (FaceSearch(detector, ALL, still=True).find(each) for each in (small, large))
    enlarged = Box(*(6 * value for value in one.box))
    assert intersection_over_union(enlarged, other.box) > 0.8
