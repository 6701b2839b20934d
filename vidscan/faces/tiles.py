"""The overlapping tiles that show faces too small for a search of the whole picture, and which come first.

The detector samples any picture down to 192 pixels, so the size of the faces it finds is proportional to the
side of the tile. Measured on portraits of FFHQ pasted into a photograph: of faces whose longer side is
a ninth of the tile's, at least 9 in 10 are found, of an eighth nearly all, of a twelfth about 3 in 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Box, Image

SURE_SHARE = 9
"""A search finds faces reliably from a ninth of its side on; the next finer level must find the others."""

MIN_SIDE = 192
"""Side of the smallest tiles in pixels: the full-range network's own input. Smaller tiles show no more."""

_STEP = 1.3  # ratio of the tile sides that are tried for a level
_COARSER = 1.1

Thumbnail = npt.NDArray[np.uint8]
"""A small grey picture of a frame, ``uint8[rows, columns]``, 1-255; 0 marks pixels whose changes are
ignored."""

FRAMES_PER_PASS = 24
"""Number of frames whose budget pays for one search of all tiles."""

MAX_CALLS_PER_FRAME = 2.0
"""Upper limit on the calls of the full-range network that a frame earns, so that a 4K frame costs no more
than a 1080p one."""

TRIALS = 3
"""Number of quarter turns, besides upright, in which a whole frame may be searched; each is one call."""

_MAX_STEP = 8  # pixels of the frame for each pixel of its thumbnail
_CHANGE = 24  # levels of grey, of 255; averaged noise of cameras and codecs stays below it
_CHANGED_SHARE = 0.5  # of the area of the smallest face that a tile shows
_SMALLEST_SHARE = 12  # the smallest face has a twelfth of the tile's side

# What moves along with a face, in its width and height around its upper left corner.
_BODY_LEFT, _BODY_RIGHT, _BODY_TOP, _BODY_BOTTOM = -1.0, 2.0, -0.75, 3.5


class Tile(NamedTuple):
    """A part of a picture in whole pixels; (x, y) is its upper left corner."""

    x: int
    y: int
    w: int
    h: int

    @property
    def side(self) -> int:
        """The longer side, by which the detector scales it."""
        return max(self.w, self.h)


class Level(NamedTuple):
    """Tiles of one size that cover a picture; a face of up to ``overlap`` pixels lies wholly within one."""

    overlap: int
    tiles: tuple[Tile, ...]


def pyramid(width: int, height: int, *, finest: int, max_tiles: int) -> tuple[Level, ...]:
    """Chooses levels of tiles, coarsest first, that show what a search of the whole picture misses.

    The sizes are those with the fewest tiles such that every level shows whole all faces that the coarser one
    does not find reliably. The finest tiles have ``finest`` pixels a side, or more until there are at most
    ``max_tiles`` in all. There are no levels if the picture is no larger than the finest tile.
    """
    side = float(max(finest, MIN_SIDE))
    while side < max(width, height):
        levels = _cheapest(width, height, max(width, height), math.ceil(side))
        if sum(len(level.tiles) for level in levels) <= max_tiles:
            return levels
        side *= _COARSER
    return ()


def _cheapest(width: int, height: int, coarser: int, finest: int) -> tuple[Level, ...]:
    """Returns the levels below side ``coarser``, down to ``finest``, with the fewest tiles in all."""
    sides = {finest, min(width, height)}
    sides |= {round(finest * _STEP**power) for power in range(1, 40) if finest * _STEP**power < coarser}

    @cache
    def below(above: int) -> tuple[int, tuple[int, ...]]:
        """Returns the number of tiles below a level, and the sides of the levels."""
        overlap = _overlap(above)
        choices = []
        for side in sorted(side for side in sides if finest <= side < above and overlap <= side / 2):
            tiles = len(_starts(width, side, overlap)) * len(_starts(height, side, overlap))
            more, finer = (0, ()) if side == finest else below(side)
            if side == finest or finer:
                choices.append((tiles + more, (side, *finer)))
        return min(choices, default=(0, ()))

    steps = pairwise((coarser, *below(coarser)[1]))
    return tuple(Level(_overlap(above), cover(width, height, side, _overlap(above))) for above, side in steps)


def _overlap(above: int) -> int:
    """Returns the overlap needed below a level of this side: the smallest face that it shows reliably."""
    return math.ceil(above / SURE_SHARE)


def cover(width: int, height: int, side: int, overlap: int) -> tuple[Tile, ...]:
    """Covers a picture with the fewest evenly spread tiles that overlap by at least ``overlap`` pixels.

    Along an axis on which the picture has no more than ``side`` pixels, one tile takes it all; ``overlap`` is
    below ``side``.
    """
    across, down = _starts(width, side, overlap), _starts(height, side, overlap)
    return tuple(Tile(x, y, min(side, width), min(side, height)) for y in down for x in across)


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side - overlap))
    return [number * (length - side) // steps for number in range(steps + 1)]


class CallBudget:
    """The number of calls of the full-range network that are left for the search of tiles.

    It counts calls and never time, so that every machine finds the same faces. It starts with enough for one
    search of all tiles (150 ms at 1080p), which is also its upper limit. Close-ups are not paid from it: in a
    crowd, nothing would be left for finding further faces.
    """

    def __init__(self, limit: float, *, per_frame: float = 0.0) -> None:
        self._limit = limit
        self._per_frame = per_frame
        self._left = limit

    @classmethod
    def for_clip(cls, tiles: int) -> CallBudget:
        """Returns the budget of a clip whose frames have so many tiles."""
        calls = max(tiles, TRIALS)
        return cls(float(calls), per_frame=min(calls / FRAMES_PER_PASS, MAX_CALLS_PER_FRAME))

    def earn(self) -> None:
        """Adds what a new frame earns."""
        self._left = min(self._left + self._per_frame, self._limit)

    def affords(self, calls: float) -> bool:
        """Tells whether so many calls are left."""
        return self._left >= calls

    def spend(self, calls: float) -> None:
        """Takes calls off the budget."""
        self._left -= calls


class TileSchedule:
    """Remembers what each tile looked like when it was last searched."""

    def __init__(self, levels: Sequence[Level], step: int) -> None:
        self._tiles = [tile for level in levels for tile in level.tiles]
        self._parts = {tile: _part(tile, step) for tile in self._tiles}
        self._step = step
        self._seen: dict[Tile, tuple[int, Thumbnail]] = {}
        self._searches = 0

    def forget(self) -> None:
        """Makes all tiles due again, as for a new shot."""
        self._seen.clear()

    def due(self, thumbnail: Thumbnail) -> list[Tile]:
        """Returns the tiles that changed: those never searched first, then the longest waiting."""
        due = [tile for tile in self._tiles if tile not in self._seen or self._changed(tile, thumbnail)]
        return sorted(due, key=lambda tile: self._seen[tile][0] if tile in self._seen else -1)

    def mark_searched(self, tile: Tile, thumbnail: Thumbnail) -> None:
        """Notes that a tile was searched when the frame looked like ``thumbnail``."""
        self._searches += 1
        self._seen[tile] = (self._searches, thumbnail[self._parts[tile]].copy())

    def _changed(self, tile: Tile, thumbnail: Thumbnail) -> bool:
        before, now = self._seen[tile][1], thumbnail[self._parts[tile]]
        smallest = tile.side / _SMALLEST_SHARE / self._step
        needed = max(1.0, _CHANGED_SHARE * smallest**2)
        differs = cv2.absdiff(before, now) > _CHANGE
        if np.count_nonzero(differs) < needed:  # the usual case
            return False
        return int(np.count_nonzero(differs & (before > 0) & (now > 0))) >= needed


def _part(tile: Tile, step: int) -> tuple[slice, slice]:
    return np.s_[tile.y // step : (tile.y + tile.h) // step, tile.x // step : (tile.x + tile.w) // step]


def thumbnail_step(smallest: int) -> int:
    """Returns the pixels of a frame per pixel of its thumbnail, if faces have ``smallest`` pixels or more."""
    return max(1, min(_MAX_STEP, smallest // 4))


def thumbnail_of(image: Image, step: int) -> Thumbnail:
    """Reduces a frame to every ``step``-th pixel's green, averaged with its neighbours. Takes 0.1 ms."""
    grey = np.ascontiguousarray(image[::step, ::step, 1])
    return np.maximum(np.asarray(cv2.blur(grey, (3, 3)), np.uint8), 1)


def without_faces(thumbnail: Thumbnail, faces: Iterable[Box], step: int) -> Thumbnail:
    """Returns a copy in which the surroundings of known faces are 0: their movement is expected."""
    masked = thumbnail.copy()
    for box in faces:
        x, y, w, h = (value / step for value in box)
        top, bottom = max(0, round(y + _BODY_TOP * h)), max(0, round(y + _BODY_BOTTOM * h))
        left, right = max(0, round(x + _BODY_LEFT * w)), max(0, round(x + _BODY_RIGHT * w))
        masked[top:bottom, left:right] = 0
    return masked
