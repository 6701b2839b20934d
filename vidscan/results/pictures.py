"""Evidence pictures as a store keeps them, and back: crops as JPEG, heat maps as their numbers.

What is read may come from an attacker: sizes are looked at before anything is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vidscan.media.stills.header import HeaderError, read_header
from vidscan.records import EvidenceCrop, Heat, HeatKind, HeatSource, Image
from vidscan.report.content.pictures import EncodedCrop, jpeg_of
from vidscan.results.tables import damaged

MAX_JPEG = 1 << 20
"""Bytes of one picture."""

MAX_SIDE = 2048
"""Pixels of a picture's side."""

MAX_CELLS = 256
"""Cells of a heat map's side."""

_SLACK = 1e-3
"""Of a heat map's numbers, which are computed in float32."""

COLUMNS = "track, frame_index, time_s, fake_probability, jpeg, cells, heat, heat_kind, heat_network"
"""The columns that make a crop, as a query names them."""

VALUES = ", ".join("?" * (2 + len(COLUMNS.split(","))))
"""Their values in a statement, after the source's id and the crop's number."""


def row_of(crop: EvidenceCrop) -> tuple[Any, ...]:
    """The values of ``COLUMNS`` for a crop."""
    jpeg = crop.jpeg if isinstance(crop, EncodedCrop) else jpeg_of(crop.image)
    source, heat = crop.heat_source, crop.heat
    numbers = (crop.track, crop.frame_index, float(crop.time_s), float(crop.fake_probability))
    if heat is None:
        return (*numbers, jpeg, 0, None, None, None)
    drawn = np.ascontiguousarray(heat, "<f4").tobytes()
    return (*numbers, jpeg, len(heat), drawn, source and source.kind.value, source and source.network)


def crop_from(shown: str, values: Sequence[Any]) -> EncodedCrop:
    """The crop that the values of ``COLUMNS`` make; raises StoreError where they make none."""
    track, frame, time_s, probability, jpeg, cells, heat, kind, network = values
    try:
        if not (
            all(isinstance(each, int) and each >= 0 for each in (track, frame, cells))
            and isinstance(time_s, float)
            and math.isfinite(time_s)
            and isinstance(probability, float)
            and 0 <= probability <= 1
        ):
            raise ValueError("its numbers are none")
        return EncodedCrop(
            track,
            frame,
            time_s,
            probability,
            _decoded(jpeg),
            None if heat is None else _heat(heat, cells),
            None if kind is None else HeatSource(HeatKind(kind), str(network)),
            jpeg,
        )
    except ValueError as error:  # HeaderError among them
        raise damaged(shown, f"a picture: {error}") from error


def _decoded(jpeg: Any) -> Image:
    """RGB ``uint8[height, width, 3]`` of a JPEG; raises ValueError."""
    import cv2

    if not isinstance(jpeg, bytes) or len(jpeg) > MAX_JPEG:
        raise ValueError("no picture, or over 1 MiB")
    header = read_header(jpeg)
    if header.format != "JPEG" or max(header.width, header.height) > MAX_SIDE:
        raise HeaderError(f"{header.format} of {header.width}x{header.height} pixels")
    how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), how)
    except cv2.error as error:
        raise ValueError("a JPEG that cannot be decoded") from error
    if decoded is None:
        raise ValueError("a JPEG that cannot be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _heat(heat: Any, cells: int) -> Heat:
    if not isinstance(heat, bytes) or not 0 < cells <= MAX_CELLS or len(heat) != 4 * cells * cells:
        raise ValueError("a heat map of another size than it says")
    drawn = np.frombuffer(heat, "<f4").astype(np.float32).reshape(cells, cells)
    if not (np.isfinite(drawn).all() and drawn.min() >= -_SLACK and drawn.max() <= 1 + _SLACK):
        raise ValueError("a heat map with numbers out of bounds")
    return drawn
