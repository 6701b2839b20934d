"""Which tiles of a frame are searched, and how many: what changed comes first, within a budget of calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.tiles import Level, Tile
from vidscan.records import Box, Image

Sketch = npt.NDArray[np.uint8]
"""A small grey picture of a frame, ``uint8[rows, columns]``, 1-255; 0 where nobody looks for a change."""

FRAMES_A_SWEEP = 24
"""Frames whose credit pays for one search of all tiles."""

MOST_A_FRAME = 2.0
"""Calls of the full-range network that a frame may earn, so that 4K costs no more a frame than 1080p."""

TRIALS = 3
"""Quarter turns that a whole frame may be looked at beside the upright one, a call each."""

_STEP = 8  # pixels of the frame a pixel of its sketch, at most
_CHANGE = 24  # levels of grey, of 255; noise of cameras and codecs stays below it once it is averaged
_CHANGED_SHARE = 0.5  # of the area of the smallest face that a tile shows
_SMALLEST_SHARE = 12  # which has this part of the tile's side

# What moves along with a face, in its width and height around its upper left corner.
_BODY_LEFT, _BODY_RIGHT, _BODY_TOP, _BODY_BOTTOM = -1.0, 2.0, -0.75, 3.5


class Credit:
    """How many calls of the full-range network the search of tiles may still make.

    Counted in calls and never in time, so that every machine finds the same. It starts with enough for one
    search of all tiles (150 ms at 1080p) and never holds more. Close-ups of faces are not paid from it: in a
    crowd nothing would be left for those still to be found.
    """

    def __init__(self, most: float, *, a_frame: float = 0.0) -> None:
        self._most = most
        self._a_frame = a_frame
        self._left = most

    @classmethod
    def for_clip(cls, tiles: int) -> Credit:
        """For a clip whose frames have so many tiles."""
        calls = max(tiles, TRIALS)
        return cls(float(calls), a_frame=min(calls / FRAMES_A_SWEEP, MOST_A_FRAME))

    def earn(self) -> None:
        """A frame begins."""
        self._left = min(self._left + self._a_frame, self._most)

    def affords(self, calls: float) -> bool:
        """Whether so many calls may be made."""
        return self._left >= calls

    def spend(self, calls: float) -> None:
        """Notes calls that were made."""
        self._left -= calls


class Sweep:
    """Remembers what each tile looked like when it was searched last."""

    def __init__(self, levels: Sequence[Level], step: int) -> None:
        self._tiles = [tile for level in levels for tile in level.tiles]
        self._parts = {tile: _part(tile, step) for tile in self._tiles}
        self._step = step
        self._seen: dict[Tile, tuple[int, Sketch]] = {}
        self._searches = 0

    def forget(self) -> None:
        """All tiles must be searched anew: another shot."""
        self._seen.clear()

    def due(self, sketch: Sketch) -> list[Tile]:
        """The tiles that show something new, those never searched first, then the longest waiting."""
        due = [tile for tile in self._tiles if tile not in self._seen or self._changed(tile, sketch)]
        return sorted(due, key=lambda tile: self._seen[tile][0] if tile in self._seen else -1)

    def searched(self, tile: Tile, sketch: Sketch) -> None:
        """Notes that a tile was searched when the frame looked like ``sketch``."""
        self._searches += 1
        self._seen[tile] = (self._searches, sketch[self._parts[tile]].copy())

    def _changed(self, tile: Tile, sketch: Sketch) -> bool:
        before, now = self._seen[tile][1], sketch[self._parts[tile]]
        smallest = tile.side / _SMALLEST_SHARE / self._step
        least = max(1.0, _CHANGED_SHARE * smallest**2)
        differs = cv2.absdiff(before, now) > _CHANGE
        if np.count_nonzero(differs) < least:  # the usual case
            return False
        return int(np.count_nonzero(differs & (before > 0) & (now > 0))) >= least


def _part(tile: Tile, step: int) -> tuple[slice, slice]:
    """The rows and columns of a sketch that show a tile."""
    return np.s_[tile.y // step : (tile.y + tile.h) // step, tile.x // step : (tile.x + tile.w) // step]


def sketch_step(smallest: int) -> int:
    """Pixels of the frame a pixel of its sketch, for faces from ``smallest`` pixels on."""
    return max(1, min(_STEP, smallest // 4))


def sketched(image: Image, step: int) -> Sketch:
    """A frame as a sketch: every ``step``-th pixel's green, averaged with its neighbours. Takes 0.1 ms."""
    grey = np.ascontiguousarray(image[::step, ::step, 1])
    return np.maximum(np.asarray(cv2.blur(grey, (3, 3)), np.uint8), 1)


def without(sketch: Sketch, faces: Iterable[Box], step: int) -> Sketch:
    """The sketch with the surroundings of faces blotted out: that they move is no news."""
    left_out = sketch.copy()
    for box in faces:
        x, y, w, h = (value / step for value in box)
        top, bottom = max(0, round(y + _BODY_TOP * h)), max(0, round(y + _BODY_BOTTOM * h))
        left, right = max(0, round(x + _BODY_LEFT * w)), max(0, round(x + _BODY_RIGHT * w))
        left_out[top:bottom, left:right] = 0
    return left_out
