"""Portraits whose face is known to the pixel, backgrounds that show nobody, and one pasted over the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.crops import resize
from vidscan.media.frames import read_still
from vidscan.protocols import FaceDetector
from vidscan.records import Box, Image

SURE = 0.8
"""Confidence from which the detector's box of a whole portrait is taken for the truth."""

CUT_OUT = 1.8
"""Side of what is pasted of a portrait, in longer sides of its face: head, hair and some of the shoulders."""

BACKGROUNDS = (
    *("coffee", "brick", "grass", "gravel", "rocket", "chelsea", "hubble_deep_field"),
    *("immunohistochemistry", "retina", "stereo_motorcycle"),
)
"""Pictures that come with scikit-image and show nobody (one is of a cat)."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A face with its surroundings; ``box`` is the face's, in pixels of ``image``."""

    person: str
    image: Image
    box: Box


def portraits(data: Path, detector: FaceDetector, split: str, seed: int) -> Iterator[Portrait]:
    """Portraits in which the detector sees one face and is sure of it, in an order drawn from the seed.

    Args:
        data: the folder of research data.
        detector: the plain one.
        split: ``test`` takes every other portrait, ``val`` the rest.
        seed: of the order.
    """
    files = sorted((data / "faces" / "ffhq512").glob("*.jpg"))[split == "test" :: 2]
    for number in np.random.default_rng(seed).permutation(len(files)):
        image = read_still(files[number])
        found = detector.detect(image)
        if len(found) == 1 and found[0].confidence >= SURE:
            yield _cut_out(files[number].stem, image, found[0].box)


def cast(people: Iterator[Portrait], count: int) -> list[Portrait]:
    """The next so many.

    Raises:
        SystemExit: there are too few portraits.
    """
    chosen = list(islice(people, count))
    if len(chosen) < count:
        raise SystemExit("there are too few portraits for so many scenes: ask for fewer")
    return chosen


def _cut_out(person: str, image: Image, box: Box) -> Portrait:
    """The portrait without what lies far from the face."""
    reach = CUT_OUT / 2 * box.longer_side
    x, y = box.x + box.w / 2, box.y + box.h / 2
    left, top = max(0, round(x - reach)), max(0, round(y - reach))
    cut = image[top : round(y + reach), left : round(x + reach)]
    return Portrait(person, np.ascontiguousarray(cut), Box(box.x - left, box.y - top, box.w, box.h))


@cache
def background(name: str, width: int, height: int, tiled: bool) -> Image:
    """A picture without people as large as a frame: enlarged to fill it, or mirrored over and over."""
    from skimage import data

    picture = getattr(data, name)()
    picture = np.asarray(picture[0] if isinstance(picture, tuple) else picture)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    picture = np.ascontiguousarray(picture[..., :3])
    if tiled:
        more = [(0, max(0, side - have)) for side, have in zip((height, width), picture.shape, strict=False)]
        return np.pad(picture, [*more, (0, 0)], mode="symmetric")[:height, :width]
    factor = max(width / picture.shape[1], height / picture.shape[0])
    enlarged = resize(
        picture,
        width=max(width, round(picture.shape[1] * factor)),
        height=max(height, round(picture.shape[0] * factor)),
    )
    return np.ascontiguousarray(enlarged[:height, :width])


def faceless(detector: FaceDetector, width: int, height: int) -> list[Image]:
    """The backgrounds in which the plain detector sees no face, whole, reduced to half, and in quarters."""
    shown = [background(name, width, height, tiled) for tiled in (False, True) for name in BACKGROUNDS]
    return [picture for picture in shown if not any(map(detector.detect, _looks(picture)))]


def _looks(picture: Image) -> Iterator[Image]:
    height, width = picture.shape[:2]
    yield picture
    yield resize(picture, width=width // 2, height=height // 2)
    for top in (0, height // 2):
        for left in (0, width // 2):
            yield np.ascontiguousarray(picture[top : top + height // 2, left : left + width // 2])


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a portrait is pasted: the centre and longer side of its face in pixels."""

    x: float
    y: float
    side: float


class Canvas:
    """A frame under construction, which knows how much of each face is still in sight."""

    def __init__(self, background: Image, feather: float = 0.0, heads: bool = False) -> None:
        """Begins with a copy of a background.

        Args:
            background: the picture to paste over.
            feather: width of the soft edge as a share of what is pasted.
            heads: paste a head and what is seen of the shoulders, not the whole rectangle.
        """
        self.image = background.copy()
        self._feather, self._heads = feather, heads
        self._owner = np.full(background.shape[:2], -1, np.int16)
        self._painted: list[tuple[Box, float]] = []

    def paste(self, portrait: Portrait, pose: Pose) -> Box:
        """Pastes a portrait over what is there and gives its face's box."""
        factor = pose.side / portrait.box.longer_side
        height, width = (max(4, round(side * factor)) for side in portrait.image.shape[:2])
        across, down = width / portrait.image.shape[1], height / portrait.image.shape[0]
        box = portrait.box
        left = round(pose.x - (box.x + box.w / 2) * across)
        top = round(pose.y - (box.y + box.h / 2) * down)
        placed = Box(left + box.x * across, top + box.y * down, box.w * across, box.h * down)
        mask = _mask(width, height, self._feather, self._heads)
        inside = _inside(placed, left, top, mask.shape)
        self._painted.append((placed, float((mask[inside] > 0.5).sum())))
        self._blend(resize(portrait.image, width=width, height=height), mask, left, top)
        return placed

    def _blend(self, picture: Image, mask: npt.NDArray[np.float32], left: int, top: int) -> None:
        height, width = self.image.shape[:2]
        rows = slice(max(top, 0), min(top + len(mask), height))
        columns = slice(max(left, 0), min(left + mask.shape[1], width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        part = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        weight, under = mask[part][..., None], self.image[rows, columns]
        under[:] = np.rint(picture[part] * weight + under * (1 - weight)).astype(np.uint8)
        self._owner[rows, columns][mask[part] > 0.5] = len(self._painted) - 1

    def visible(self) -> list[float]:
        """The share of each pasted face that is within the frame and uncovered, 0-1, in their order."""
        shares = []
        for number, (box, painted) in enumerate(self._painted):
            inside = _inside(box, 0, 0, self._owner.shape)
            shares.append(float((self._owner[inside] == number).sum()) / max(painted, 1.0))
        return shares


def _inside(box: Box, left: int, top: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The pixels of a box in a picture of this shape that begins at ``left``, ``top``."""
    first_row, first_column = max(0, round(box.y - top)), max(0, round(box.x - left))
    last_row, last_column = round(box.y + box.h - top), round(box.x + box.w - left)
    return np.s_[
        first_row : max(0, min(last_row, shape[0])), first_column : max(0, min(last_column, shape[1]))
    ]


@cache
def _unit_mask(feather: float, heads: bool) -> npt.NDArray[np.float32]:
    """The mask at 256 px a side: 1 where the portrait hides what is below."""
    mask = np.zeros((256, 256), np.float32)
    edge = round(feather * 256)
    if heads:
        cv2.ellipse(mask, (128, 124), (82 - edge // 2, 114 - edge // 2), 0, 0, 360, 1.0, -1)
        cv2.ellipse(mask, (128, 262), (120 - edge, 66 - edge // 2), 0, 0, 360, 1.0, -1)
    else:
        mask[edge : 256 - edge, edge : 256 - edge] = 1.0
    return cv2.GaussianBlur(mask, (0, 0), edge / 2) if edge else mask


def _mask(width: int, height: int, feather: float, heads: bool) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(_unit_mask(feather, heads), (width, height), interpolation=cv2.INTER_AREA))
