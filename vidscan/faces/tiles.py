"""Pure geometry: the overlapping tiles that show faces too small for a search of the whole picture.

The detector samples any picture down to 192 pixels, so the size of the faces it finds is proportional to the
side of the tile. Measured on portraits of FFHQ pasted into a photograph: of faces whose longer side is
a ninth of the tile's, at least 9 in 10 are found, of an eighth nearly all, of a twelfth about 3 in 4.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import NamedTuple

SURE_SHARE = 9
"""A search finds faces reliably from a ninth of its side on; the next finer level must find the others."""

MIN_SIDE = 192
"""Side of the smallest tiles in pixels: the full-range network's own input. Smaller tiles show no more."""

_STEP = 1.3  # ratio of the tile sides that are tried for a level
_COARSER = 1.1


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
