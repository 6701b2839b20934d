"""Which crops show once more what was scored a moment ago, as in a still shot.

A crop is a repeat where a scored one of about the same place looks the same: reduced to 16 by 16 cells of
grey, no cell differs by more than a few levels. The comparison is with the last crop that was *scored*,
so that a slow change adds up until it is scored itself. On faces of interview footage, twice a second,
the cell that differs most differs by 37 levels at the least; in still shots with film grain, re-encoded,
by 3 at the most while the detector's box stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.boxes import intersection_over_union
from vidscan.records import Box, FaceCrop, FaceScore, Quality

CELLS = 16
ALIKE = 4.0
"""Levels of 0-255 by which a cell of grey may differ."""

SAME_PLACE = 0.8
"""Boxes that overlap this much (intersection over union) are in the same place."""

MEMORY_FRAMES = 3
"""A scored crop that no face took the place of is remembered this many frames."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A sighting that was not scored; ``original`` counts its source's scored crops from 0."""

    frame_index: int
    time_s: float
    box: Box
    confidence: float
    original: int
    track: int
    quality: Quality


@dataclass(slots=True)
class _Scored:
    number: int
    box: Box
    cells: npt.NDArray[np.float32]
    last_frame: int


class RepeatFinder:
    """Goes through the crops of one source, in order; holds a few hundred numbers for each face in sight."""

    def __init__(self) -> None:
        self._known: list[_Scored] = []
        self._count = 0

    def split(self, crops: Sequence[FaceCrop]) -> tuple[list[FaceCrop], list[Repeat]]:
        """The crops of one frame that have to be scored, and the others."""
        fresh, repeats = [], []
        for crop in crops:
            cells = _cells(crop)
            original = self._alike(crop, cells)
            if original is None:
                fresh.append(crop)
                self._remember(crop, cells)
            else:
                original.last_frame = crop.frame_index
                repeats.append(_repeat(crop, original.number))
        return fresh, repeats

    def _alike(self, crop: FaceCrop, cells: npt.NDArray[np.float32]) -> _Scored | None:
        for known in self._known:
            # Two faces of one frame are two sightings, however alike they look.
            if known.last_frame == crop.frame_index:
                continue
            near = intersection_over_union(known.box, crop.box) >= SAME_PLACE
            if near and float(np.abs(known.cells - cells).max()) <= ALIKE:
                return known
        return None

    def _remember(self, crop: FaceCrop, cells: npt.NDArray[np.float32]) -> None:
        """In the place of what was there; what nothing was like for some frames is forgotten."""
        self._known = [
            known
            for known in self._known
            if crop.frame_index - known.last_frame <= MEMORY_FRAMES
            and intersection_over_union(known.box, crop.box) < SAME_PLACE
        ]
        self._known.append(_Scored(self._count, crop.box, cells, crop.frame_index))
        self._count += 1


def _repeat(crop: FaceCrop, original: int) -> Repeat:
    return Repeat(
        frame_index=crop.frame_index,
        time_s=crop.time_s,
        box=crop.box,
        confidence=crop.confidence,
        original=original,
        track=crop.track,
        quality=crop.quality,
    )


def _cells(crop: FaceCrop) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(crop.images[0], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def with_repeats(scores: Sequence[FaceScore], repeats: Sequence[Repeat]) -> list[FaceScore]:
    """All sightings of one source in order of frames, repeats with the score of what they repeat.

    Args:
        scores: the scored crops in the order in which they were cut.
        repeats: the others.
    """
    repeated = [
        replace(
            scores[repeat.original],
            frame_index=repeat.frame_index,
            time_s=repeat.time_s,
            box=repeat.box,
            confidence=repeat.confidence,
            track=repeat.track,
            quality=repeat.quality,
        )
        for repeat in repeats
    ]
    return sorted([*scores, *repeated], key=lambda score: score.frame_index)
