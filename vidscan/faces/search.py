"""Finds the faces of one source, frame by frame: small, moving and turned faces, at a bounded cost per frame.

The detector samples a whole frame down to 192 pixels and misses faces below a ninth of its longer side.
:class:`FaceSearch` therefore adds, frame by frame: close-ups of faces known from earlier frames, tiles that
show smaller faces (changed tiles first, within a budget of calls), and, if the whole frame shows no face,
quarter turns of it, and a border around it for a face that fills it. BlazeFace sees faces up to 60 degrees
from upright as well as upright ones, so quarter turns reach every angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.errors import DetectionError
from vidscan.faces.bordered import find_bordered
from vidscan.faces.boxes import holds_centre, merge_detections
from vidscan.faces.detector import DOUBTFUL_CONFIDENCE, SHORT_RANGE_ONLY_CONFIDENCE
from vidscan.faces.frame_search import TILE, TURNED, WHOLE, FrameSearch
from vidscan.faces.predicted import PredictedFaces, missing
from vidscan.faces.rotation import nearest_quarter, scaled
from vidscan.faces.tiles import (
    SURE_SHARE,
    CallBudget,
    Thumbnail,
    TileSchedule,
    pyramid,
    thumbnail_of,
    thumbnail_step,
    without_faces,
)
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

CLIP_REACH = 12
"""Side of a clip's finest tiles, in sides of the smallest wanted face: about 3 in 4 are found at once, and
moving faces get more chances."""
STILL_REACH = 8
"""The same for a still, which is searched once: nearly all faces are found."""

MAX_TILES = 130
"""Upper limit on tiles per frame of a clip. At min_face=32 a 4K frame needs 130; larger frames use larger
tiles."""
MAX_STILL_TILES = 150
"""Upper limit on the tiles of a still."""
MAX_STILL_CALLS = 200
"""Upper limit on the calls of the full-range network for the tiles and turns of a still."""

BOX_JITTER = 0.85
"""A face is kept from this part of the smallest wanted size on, as its box differs a little between
frames."""

FRAMES_PER_TRIAL = 4
"""Of so many frames without a face, one is also searched turned, by one quarter after the other."""

FLAT = 8
"""A frame whose thumbnail spans no more levels of grey than this, black or grey, is not searched further."""

_LARGE_SHARE = 6  # the short-range network sees known faces from a sixth of the frame's side on
_TURNS = (0, 1, 3, 2)  # upright, then as cameras are held, then upside down


@dataclass
class _Scene:
    """The state of the search in frames of one size.

    ``fresh``: the next frame is the first of a shot; ``idle``: frames of the shot in which no face was found.
    """

    shape: tuple[int, ...]
    tiles: TileSchedule
    budget: CallBudget
    step: int
    fresh: bool = True
    idle: int = 0


class FaceSearch:
    """Searches the pictures of one source in order; the result depends on the pictures alone, never on time.

    A ``still`` is one picture, whose tiles and turns take up to ``MAX_STILL_CALLS``. The detector applies
    ``options.min_confidence`` itself.
    """

    def __init__(self, detector: FaceDetector, options: DetectionOptions, *, still: bool = False) -> None:
        self._detector = detector
        self._options = options
        self._still = still
        self._known = PredictedFaces()
        self._turn = 0  # of the whole picture in its usual orientation: how most faces of the source stand
        self._scene: _Scene | None = None

    def find(self, image: Image, *, new_shot: bool = False) -> list[Detection]:
        """Returns the wanted faces of the next picture, most confident first, with boxes in its pixels.

        ``image`` is RGB ``uint8[height, width, 3]``; ``new_shot`` tells that it begins a new shot. Raises
        DetectionError where the detector failed, or the wanted region lies outside the picture.
        """
        left, top, part = _region(image, self._options.region)
        scene = self._begin(part, new_shot)
        height, width = part.shape[:2]
        frame = FrameSearch(self._detector, part, self._known.advance(width, height))
        thumbnail = thumbnail_of(part, scene.step)
        self._search_whole(frame, scene)
        if int(thumbnail.max()) - int(thumbnail.min()) > FLAT:
            frame.follow()
            self._search_turned(frame, scene)
            self._search_tiles(frame, scene, thumbnail, self._turn)
            if self._still and not frame.found:
                self._search_turned_tiles(frame, scene, thumbnail)
            self._search_bordered(frame, scene)
        self._known.update(frame.found)
        self._turn = _common_turn(frame.found, self._turn)
        scene.fresh = False
        return self._wanted([scaled(each, 1.0, left, top) for each in frame.found])

    def _begin(self, part: Image, new_shot: bool) -> _Scene:
        scene = self._scene
        if scene is None or scene.shape != part.shape:
            scene = self._scene = self._scene_of(part)
            self._known.forget()
        elif new_shot:
            scene.fresh, scene.idle = True, 0
            scene.tiles.forget()
            self._known.forget()
        scene.budget.earn()
        return scene

    def _scene_of(self, part: Image) -> _Scene:
        height, width = part.shape[:2]
        reach, max_tiles = (STILL_REACH, MAX_STILL_TILES) if self._still else (CLIP_REACH, MAX_TILES)
        smallest = self._options.min_face
        levels = pyramid(width, height, finest=reach * smallest, max_tiles=max_tiles)
        tiles = sum(len(level.tiles) for level in levels)
        step = thumbnail_step(smallest)
        budget = CallBudget(MAX_STILL_CALLS) if self._still else CallBudget.for_clip(tiles)
        return _Scene(part.shape, TileSchedule(levels, step), budget, step)

    def _search_whole(self, frame: FrameSearch, scene: _Scene) -> None:
        """Runs both networks on the whole picture, the short-range one only if it may find more faces."""
        candidates = frame.candidates(self._detector.far, self._turn)
        sure = any(each.confidence >= DOUBTFUL_CONFIDENCE for each in candidates)
        lost = any(
            face.box.longer_side * _LARGE_SHARE >= frame.side for face in missing(frame.known, candidates)
        )
        idle = not sure and not frame.known
        if scene.fresh or lost or idle:
            near = frame.candidates(self._detector.near, self._turn)
            candidates += [each for each in near if each.confidence >= SHORT_RANGE_ONLY_CONFIDENCE]
        frame.add(merge_detections(candidates), self._turn, WHOLE)

    def _search_turned(self, frame: FrameSearch, scene: _Scene) -> None:
        """Searches quarter turns of a frame without a face: all of a shot's first frame, then one by one."""
        if frame.found or frame.known:
            return
        turns = [turn for turn in _TURNS if turn != self._turn]
        if not (self._still or scene.fresh):
            scene.idle += 1
            number, rest = divmod(scene.idle, FRAMES_PER_TRIAL)
            turns = [] if rest else [turns[number % len(turns)]]
        for turn in turns:
            if frame.found or not scene.budget.affords(1):
                return
            scene.budget.spend(1)
            frame.add(merge_detections(frame.candidates(self._detector.far, turn)), turn, TURNED)

    def _search_tiles(self, frame: FrameSearch, scene: _Scene, thumbnail: Thumbnail, turn: int) -> None:
        if not scene.budget.affords(1) or self._has_enough(frame):
            return
        masked = without_faces(thumbnail, [each.box for each in frame.found], scene.step)
        for tile in scene.tiles.due(masked):
            if not scene.budget.affords(1):
                return
            scene.budget.spend(1)
            frame.add(frame.candidates(self._detector.far, turn, tile), turn, TILE)
            scene.tiles.mark_searched(tile, masked)

    def _search_turned_tiles(self, frame: FrameSearch, scene: _Scene, thumbnail: Thumbnail) -> None:
        for turn in _TURNS[1:]:
            if not frame.found:
                scene.tiles.forget()
                self._search_tiles(frame, scene, thumbnail, turn)

    def _search_bordered(self, frame: FrameSearch, scene: _Scene) -> None:
        """Looks for a face that fills a frame without one: in a clip where one was lost, or on trial."""
        due = self._still or scene.fresh or frame.known or scene.idle % FRAMES_PER_TRIAL == 0
        if due and not frame.found:
            frame.found += find_bordered(self._detector, frame.image, self._turn)

    def _has_enough(self, frame: FrameSearch) -> bool:
        """Tells whether the wanted number of faces is found that are larger than any that tiles may show."""
        sides = sorted((each.box.longer_side for each in frame.found), reverse=True)
        wanted = self._options.faces
        return wanted is not None and len(sides) >= wanted and sides[wanted - 1] * SURE_SHARE >= frame.side

    def _wanted(self, found: Sequence[Detection]) -> list[Detection]:
        options = self._options
        kept = [each for each in found if each.box.longer_side >= BOX_JITTER * options.min_face]
        if options.region is not None:
            kept = [each for each in kept if holds_centre(Box(*options.region), each.box)]
        kept.sort(key=lambda each: -each.box.longer_side)
        return sorted(kept[: options.faces], key=lambda each: -each.confidence)


def _region(image: Image, region: tuple[int, int, int, int] | None) -> tuple[int, int, Image]:
    """Returns the upper left corner of the part that is searched, and that part."""
    if region is None:
        return 0, 0, image
    left, top, width, height = region
    part = image[top : top + height, left : left + width]
    if not part.size:
        asked, size = ",".join(map(str, region)), f"{image.shape[1]}x{image.shape[0]}"
        raise DetectionError(f"--region {asked} lies outside of the {size} picture: give a part of it")
    return left, top, part


def _common_turn(found: Sequence[Detection], before: int) -> int:
    """Returns the next frame's turn: as before if it suits any face, else upright, else the largest one's."""
    turns = {nearest_quarter(each.roll) for each in found}
    if not turns or before in turns:
        return before
    return 0 if 0 in turns else nearest_quarter(max(found, key=lambda each: each.box.longer_side).roll)
