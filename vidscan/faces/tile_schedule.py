"""Schedules the search of tiles: changed tiles first, limited by a budget of network calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.tiles import Level, Tile
from vidscan.records import Box, Image

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
    """Returns the rows and columns of a thumbnail that show a tile."""
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
