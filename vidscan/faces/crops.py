"""Cuts faces out of pictures: the one place where a face's box becomes the square that a network sees.

Training and scanning both call :func:`upright_crop`, so that they cannot drift apart. Nothing here
reads a file or knows a detector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from vidscan.faces.bars import Area, picture_area
from vidscan.records import Box, FaceCrop, FaceSeen, Frame, Geometry, Image

MUCH_ENLARGED = 2.0
"""Pictures that grow by this factor or more are enlarged bicubically, others bilinearly."""


class View(NamedTuple):
    """How to cut a face out: around ``box``, in pixels of the picture, ``mirrored`` left to right or not."""

    box: Box
    mirrored: bool = False


CutMouth: TypeAlias = Callable[[Image, FaceSeen, int], Image]
"""Cuts the mouth of a face out of a picture, to so many pixels a side: ``MouthCutter.cut``."""

_STILL_VIEWS = (
    # The box's size as a multiple of its own, how far it goes right and down in lengths of its longer side.
    (1.0, 0.0, 0.0, False),
    (1.0, 0.0, 0.0, True),
    (1.12, 0.04, 0.0, False),
    (0.92, 0.0, 0.04, True),
)
"""As much as a detector's boxes of a face differ from frame to frame; a forgery has no left or right."""


def still_views(box: Box) -> tuple[View, ...]:
    """The views by which a face of a still is judged: as it is first, then others that show the same.

    A still has no second frame: how far the scores of its views differ tells how much depends on where the
    detector put the box.
    """
    views = []
    for size, right, down, mirrored in _STILL_VIEWS:
        w, h = box.w * size, box.h * size
        # By the change alone, so that a box that is left as it is stays so to the last bit.
        x = box.x + (box.w - w) / 2 + right * box.longer_side
        y = box.y + (box.h - h) / 2 + down * box.longer_side
        views.append(View(Box(x, y, w, h), mirrored))
    return tuple(views)


def crop_faces(
    frame: Frame,
    faces: Iterable[FaceSeen],
    geometries: Sequence[Geometry],
    *,
    still: bool = False,
    area: Area | None = None,
    cut_mouth: CutMouth | None = None,
) -> Iterator[FaceCrop]:
    """Cuts faces out of their frame; yields one crop a face or, of a still, one for each of its views.

    A crop's ``images`` come in the order of ``geometries``. What lies beyond ``area`` counts as beyond the
    edge; it is by default what bars do not cover. Raises ValueError where a geometry asks for mouths and
    there is no ``cut_mouth``.
    """
    if cut_mouth is None and any(each.region == "mouth" for each in geometries):
        raise ValueError("a geometry asks for mouths, and nothing cuts them out")
    for face in faces:
        area = area or picture_area(frame.image)
        for view in still_views(face.box) if still else (View(face.box),):
            image, inner = _without_bars(frame.image, view, area)
            images = (
                cut_mouth(image, replace(face, box=inner.box), each.input_size)
                if cut_mouth is not None and each.region == "mouth"
                else _cut(image, inner, each, face.roll)
                for each in geometries
            )
            yield FaceCrop(face, tuple(images))


def _without_bars(image: Image, view: View, area: Area) -> tuple[Image, View]:
    """Returns the part of a picture that is no bar, and the view in its pixels; all for a face in a bar."""
    box = view.box
    if not area.holds(box.x + box.w / 2, box.y + box.h / 2):
        return image, view
    part = image[area.top : area.bottom, area.left : area.right]
    return part, view._replace(box=box._replace(x=box.x - area.left, y=box.y - area.top))


def _cut(image: Image, view: View, geometry: Geometry, roll: float) -> Image:
    """RGB ``uint8[size, size, 3]`` of one view of a face."""
    crop = upright_crop(image, view.box, geometry=geometry, roll=roll)
    return np.ascontiguousarray(crop[:, ::-1]) if view.mirrored else crop


def crop_square(box: Box, margin: float) -> tuple[int, int, int]:
    """The square around a box as ``(left, top, side)``, in whole pixels.

    ``margin`` is its side as a multiple of the longer side of the box. It shares the centre of the box to
    within a pixel and may reach over the edge of the picture. ``side`` is at least 1.
    """
    side = max(1, round(box.longer_side * margin))
    left = round(box.x + box.w / 2 - side / 2)
    top = round(box.y + box.h / 2 - side / 2)
    return left, top, side


def upright_crop(image: Image, box: Box, *, geometry: Geometry, roll: float = 0.0) -> Image:
    """Cuts a face out upright, as a network wants it: RGB ``uint8[size, size, 3]``.

    ``roll`` is by how many degrees the face is turned clockwise. With ``geometry.level`` the crop is turned
    back by it, otherwise by the nearest quarter turn, which needs no interpolation. Raises ValueError as
    :func:`square_crop` does.
    """
    size, margin = geometry.input_size, geometry.margin
    quarters = round(roll / 90.0) % 4
    if not geometry.level or roll == 90.0 * round(roll / 90.0):
        crop = square_crop(image, box, margin=margin, size=size)
        return np.ascontiguousarray(np.rot90(crop, quarters))
    # The square that holds the turned one in any position is larger by the square root of 2.
    wide = math.ceil(size * math.sqrt(2.0))
    around = square_crop(image, box, margin=margin * wide / size, size=wide)
    turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (wide - 1) / 2), roll, 1.0)
    turn[:, 2] -= (wide - size) / 2
    return np.asarray(cv2.warpAffine(around, turn, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def square_crop(image: Image, box: Box, *, margin: float, size: int) -> Image:
    """Cuts the square around a box and brings it to the network's input size.

    What lies beyond the edge of the picture is filled by repeating its outermost pixels, which adds
    neither a hard border nor a second face.

    Takes RGB ``uint8[height, width, 3]`` and ``margin`` as in :func:`crop_square`, and returns RGB
    ``uint8[size, size, 3]``. Raises ValueError where the picture is no RGB ``uint8``, or the square lies
    wholly outside of it.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected RGB uint8[height, width, 3], got {image.dtype}{list(image.shape)}")
    height, width = image.shape[:2]
    left, top, side = crop_square(box, margin)
    inner_left, inner_right = max(left, 0), min(left + side, width)
    inner_top, inner_bottom = max(top, 0), min(top + side, height)
    if inner_left >= inner_right or inner_top >= inner_bottom:
        raise ValueError(f"{box} lies outside of the {width}x{height} picture")
    inner = image[inner_top:inner_bottom, inner_left:inner_right]
    # Shrink or enlarge the visible part first when it is far larger than needed: a box that reaches
    # far over the edge must not make a border of gigapixels.
    scale = size / side
    columns = _scaled_edges(inner_left - left, inner_right - left, scale, size)
    rows = _scaled_edges(inner_top - top, inner_bottom - top, scale, size)
    resized = resize(inner, width=columns[1] - columns[0], height=rows[1] - rows[0])
    if resized.shape[:2] == (size, size):
        return resized
    filled = cv2.copyMakeBorder(
        resized, rows[0], size - rows[1], columns[0], size - columns[1], cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(filled, dtype=np.uint8)


def _scaled_edges(start: int, stop: int, scale: float, size: int) -> tuple[int, int]:
    """Where the visible stretch ``start``..``stop`` lies after scaling; never empty."""
    first = min(round(start * scale), size - 1)
    last = max(round(stop * scale), first + 1)
    return first, min(last, size)


def resize(image: Image, *, width: int, height: int) -> Image:
    """Resizes with area averaging when shrinking; enlarges bilinearly, and bicubically from twice the size.

    Area averaging keeps fine texture from aliasing into patterns that look like a forgery's. Bilinear
    interpolation blurs a small face as a forgery does, too: ``benchmarks/small_faces.py`` compares. Takes
    ``uint8[h, w, 3]`` and returns ``uint8[height, width, 3]``.
    """
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    rows, columns = image.shape[:2]
    if width <= columns and height <= rows:
        method = cv2.INTER_AREA
    else:
        much = max(width / columns, height / rows) >= MUCH_ENLARGED
        method = cv2.INTER_CUBIC if much else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)
