"""Frame -> Detection, source by source: small, moving and turned faces, at a bounded cost a frame.

The detector samples a whole frame down to 192 pixels and misses faces below a ninth of its longer side.
:class:`FaceSearch` therefore adds to that look at the whole, frame by frame: close-ups of the faces known
from the frames before, tiles in the size that shows smaller ones (as many as a budget of calls allows, what
changed first), and quarter turns of the whole where nobody was found. BlazeFace sees faces up to 60 degrees
from upright as well as upright ones, so quarter turns reach every angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.errors import DetectionError
from vidscan.faces.boxes import holds_centre, merge_detections
from vidscan.faces.detector import DOUBTFUL_CONFIDENCE, SHORT_RANGE_ONLY_CONFIDENCE
from vidscan.faces.frame_search import Look
from vidscan.faces.predicted import KnownFaces, missing
from vidscan.faces.rotation import nearest_quarter, scaled
from vidscan.faces.tile_schedule import Credit, Sketch, Sweep, sketch_step, sketched, without
from vidscan.faces.tiles import SURE_SHARE, pyramid
from vidscan.options import DetectionOptions
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Detection, Image

REACH = 12
"""Sides of the smallest wanted face in a side of the finest tiles of a clip: about 3 in 4 are found at once,
and those who move get more chances."""
STILL_REACH = 8
"""The same of a still, which is looked at once: nearly all are found."""

MOST_TILES = 130
"""Of a clip's frame: a 4K frame at 32 pixels; larger frames get larger tiles."""
MOST_STILL_CALLS = 200
MOST_STILL_TILES = 150

BOX_JITTER = 0.85
"""A face as large as the smallest wanted one, whose box differs a little from frame to frame, stays one."""

CHECKED_CONFIDENCE = 0.75
"""What a second look must be sure of where a face was claimed in a tile, or in a picture turned on trial.

There are many of both, so more textures are taken for faces than in the whole picture: 19 of 20 portraits
of FFHQ reach 0.84; smoke and galaxies mostly stay below 0.75 (0.77 at most), and must pass the plain second
look besides."""

FRAMES_A_TRIAL = 4
"""Of so many frames that show nobody, one is also looked at turned, by one quarter after the other."""

FLAT = 8
"""A frame whose sketch has no more levels of grey than this, black or grey, is not searched any further."""

_LARGE_SHARE = 6  # the short-range network sees known faces of this part of the whole frame's side or more
_TURNS = (0, 1, 3, 2)  # upright, then as cameras are held, then on its head


@dataclass
class _Scene:
    """What is searched in frames of one size."""

    shape: tuple[int, ...]
    sweep: Sweep
    credit: Credit
    step: int
    fresh: bool = True  # the first frame of a shot
    idle: int = 0  # frames of the shot in which nobody was found


class FaceSearch:
    """Searches the pictures of one source in their order.

    What is found depends on the pictures alone, never on the time that anything takes.

    Args:
        detector: looks at pictures.
        options: which faces are wanted; the detector knows ``min_confidence`` itself.
        still: the source is one picture, which gets all that can be done in ``MOST_STILL_CALLS``.
    """

    def __init__(self, detector: FaceDetector, options: DetectionOptions, *, still: bool = False) -> None:
        self._detector = detector
        self._options = options
        self._still = still
        self._known = KnownFaces()
        self._turn = 0  # by which the whole picture is looked at first: how most faces of the source stand
        self._scene: _Scene | None = None

    def find(self, image: Image, *, new_shot: bool = False) -> list[Detection]:
        """The wanted faces of the next picture.

        Args:
            image: RGB ``uint8[height, width, 3]``.
            new_shot: it has nothing to do with the one before.

        Returns:
            Faces with boxes in pixels of ``image``, surest first.

        Raises:
            DetectionError: the detector failed, or the wanted region lies outside of the picture.
        """
        left, top, part = _region(image, self._options.region)
        scene = self._begin(part, new_shot)
        height, width = part.shape[:2]
        look = Look(self._detector, part, self._known.expected(width, height))
        sketch = sketched(part, scene.step)
        self._search_whole(look, scene)
        if int(sketch.max()) - int(sketch.min()) > FLAT:
            look.follow()
            self._search_turned(look, scene)
            self._search_tiles(look, scene, sketch, self._turn)
            if self._still and not look.found:
                self._search_turned_tiles(look, scene, sketch)
        self._known.update(look.found)
        self._turn = _common_turn(look.found, self._turn)
        scene.fresh = False
        return self._wanted([scaled(each, 1.0, left, top) for each in look.found])

    def _begin(self, part: Image, new_shot: bool) -> _Scene:
        scene = self._scene
        if scene is None or scene.shape != part.shape:
            scene = self._scene = self._scene_of(part)
            self._known.forget()
        elif new_shot:
            scene.fresh, scene.idle = True, 0
            scene.sweep.forget()
            self._known.forget()
        scene.credit.earn()
        return scene

    def _scene_of(self, part: Image) -> _Scene:
        height, width = part.shape[:2]
        reach, most = (STILL_REACH, MOST_STILL_TILES) if self._still else (REACH, MOST_TILES)
        smallest = self._options.min_face
        levels = pyramid(width, height, finest=reach * smallest, most=most)
        tiles = sum(len(level.tiles) for level in levels)
        step = sketch_step(smallest)
        credit = Credit(MOST_STILL_CALLS) if self._still else Credit.for_clip(tiles)
        return _Scene(part.shape, Sweep(levels, step), credit, step)

    def _search_whole(self, look: Look, scene: _Scene) -> None:
        """Both networks on the whole picture; the short-range one only where it may find somebody more."""
        claims = look.claims(self._detector.far, self._turn)
        sure = any(each.confidence >= DOUBTFUL_CONFIDENCE for each in claims)
        lost = any(face.side * _LARGE_SHARE >= look.side for face in missing(look.known, claims))
        idle = not sure and not look.known
        if scene.fresh or lost or idle:
            near = look.claims(self._detector.near, self._turn)
            claims += [each for each in near if each.confidence >= SHORT_RANGE_ONLY_CONFIDENCE]
        for claim in merge_detections(claims):
            look.judge(claim, self._turn, trusted=True)

    def _search_turned(self, look: Look, scene: _Scene) -> None:
        """Quarter turns of the whole where nobody was found: all in a shot's first frame, then one by one."""
        if look.found or look.known:
            return
        turns = [turn for turn in _TURNS if turn != self._turn]
        if not (self._still or scene.fresh):
            scene.idle += 1
            number, rest = divmod(scene.idle, FRAMES_A_TRIAL)
            turns = [] if rest else [turns[number % len(turns)]]
        for turn in turns:
            if look.found or not scene.credit.affords(1):
                return
            scene.credit.spend(1)
            for claim in merge_detections(look.claims(self._detector.far, turn)):
                look.judge(claim, turn, least=CHECKED_CONFIDENCE)

    def _search_tiles(self, look: Look, scene: _Scene, sketch: Sketch, turn: int) -> None:
        """Tiles with something new in them, as long as there is credit."""
        if not scene.credit.affords(1) or self._has_enough(look):
            return
        marked = without(sketch, [each.box for each in look.found], scene.step)
        for tile in scene.sweep.due(marked):
            if not scene.credit.affords(1):
                return
            scene.credit.spend(1)
            for claim in look.claims(self._detector.far, turn, tile):
                look.judge(claim, turn, least=CHECKED_CONFIDENCE)
            scene.sweep.searched(tile, marked)

    def _search_turned_tiles(self, look: Look, scene: _Scene, sketch: Sketch) -> None:
        for turn in _TURNS[1:]:
            if not look.found:
                scene.sweep.forget()
                self._search_tiles(look, scene, sketch, turn)

    def _has_enough(self, look: Look) -> bool:
        """Whether as many faces as are wanted are larger than any that tiles may show."""
        sides = sorted((each.box.longer_side for each in look.found), reverse=True)
        wanted = self._options.faces
        return wanted is not None and len(sides) >= wanted and sides[wanted - 1] * SURE_SHARE >= look.side

    def _wanted(self, found: Sequence[Detection]) -> list[Detection]:
        options = self._options
        kept = [each for each in found if each.box.longer_side >= BOX_JITTER * options.min_face]
        if options.region is not None:
            kept = [each for each in kept if holds_centre(Box(*options.region), each.box)]
        kept.sort(key=lambda each: -each.box.longer_side)
        return sorted(kept[: options.faces], key=lambda each: -each.confidence)


def _region(image: Image, region: tuple[int, int, int, int] | None) -> tuple[int, int, Image]:
    """The upper left corner of the part that is searched, and that part."""
    if region is None:
        return 0, 0, image
    left, top, width, height = region
    part = image[top : top + height, left : left + width]
    if not part.size:
        asked, size = ",".join(map(str, region)), f"{image.shape[1]}x{image.shape[0]}"
        raise DetectionError(f"--region {asked} lies outside of the {size} picture: give a part of it")
    return left, top, part


def _common_turn(found: Sequence[Detection], before: int) -> int:
    """The turn for the next frame: as before where it suits anybody, else upright, else as the largest."""
    turns = {nearest_quarter(each.roll) for each in found}
    if not turns or before in turns:
        return before
    return 0 if 0 in turns else nearest_quarter(max(found, key=lambda each: each.box.longer_side).roll)
