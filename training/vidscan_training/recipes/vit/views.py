"""Views of a stored face as the tower will see it: plain, degraded as files and uploads are, self-blended.

The shortcuts that a head could take are how faces were framed, sized and compressed: generators' demos are
clean squares, real footage is not. A degraded view draws all of these anew for both labels alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.crops import resize, square_crop
from vidscan.faces.mouths import mouth_crop, mouth_of
from vidscan.models.landmarks import FaceLandmarker
from vidscan.records import Box, Image, Landmarks
from vidscan_training.crops.encode import through_h264
from vidscan_training.data.augment import augment, jpeg
from vidscan_training.data.augment_presets import AugmentOptions
from vidscan_training.data.composite import composite
from vidscan_training.data.self_blend import self_blend, sharpen
from vidscan_training.recipes.vit.faces import MESH_MARGIN, FaceRow
from vidscan_training.recipes.vit.tower.port import SIDE

MARGIN = 1.5
"""Side of the tower's crop as a multiple of the box's longer side; 1.5 and 2.4 were found alike."""

SCENE = AugmentOptions(
    flip=0.5, light=0.5, brightness=0.2, contrast=0.2, gamma=0.2, colour=0.4, hue_deg=6.0, saturation=0.3,
    grayscale=0.03, blur=0.15, blur_sigma=1.2, noise=0.15, noise_sigma=6.0,
)  # fmt: skip
"""What a camera, a filter and a lens change before the picture is sized and compressed."""

SMALL = 48.0, 160.0
"""Longer sides, in pixels, between which faces of reduced views are drawn: from the least that is judged to
what the tower's crop shows without enlarging."""

LEAST_SIDE = 64
CODECS, CODEC_ODDS = ("h264", "jpeg", "webp", "none"), (0.35, 0.4, 0.1, 0.15)
CRFS = (20, 25, 30, 35)
"""H.264 goes in groups of one side and one rate factor, and ffmpeg is started once for each."""
_H264_SIDES = (64, 80, 96, 112, 128, 160, 192, 224)


def plain(square: Image, row: FaceRow) -> Image:
    """The crop that a scan of the same frame would score, RGB ``uint8[224, 224, 3]``."""
    return square_crop(square, row.box, margin=MARGIN, size=SIDE)


def shifted(square: Image, row: FaceRow, generator: np.random.Generator) -> Image:
    """The crop had the detector seen the face a little larger, smaller or to the side."""
    box = row.box
    scale = generator.uniform(0.87, 1.2)
    right, down = generator.uniform(-0.07, 0.07, 2) * box.longer_side
    width, height = box.w * scale, box.h * scale
    moved = Box(box.x + right + (box.w - width) / 2, box.y + down + (box.h - height) / 2, width, height)
    return square_crop(square, moved, margin=MARGIN, size=SIDE)


def blended(
    square: Image, row: FaceRow, mesh: npt.NDArray[np.float16], generator: np.random.Generator
) -> Image:
    """A forgery of a real face by itself (see :mod:`vidscan_training.data.self_blend`)."""
    scale = SIDE * MESH_MARGIN / MARGIN
    points = mesh.astype(np.float32) * scale + np.float32((SIDE - scale) / 2)
    return self_blend(plain(square, row), points, generator)[0]


def composed(
    square: Image,
    row: FaceRow,
    mesh: npt.NDArray[np.float16],
    donor: tuple[Image, FaceRow, npt.NDArray[np.float16]],
    generator: np.random.Generator,
) -> Image:
    """A real face with features of another one, the ``donor``: see :mod:`vidscan_training.data.composite`."""
    other, other_row, other_mesh = donor
    forged = composite(square, in_square(row, mesh), other, in_square(other_row, other_mesh), generator)
    return plain(forged, row)


def in_square(row: FaceRow, mesh: npt.NDArray[np.float16]) -> Landmarks:
    """A face's mesh in pixels of its stored square, ``float32[468, 2]``."""
    centre = np.array([row.box.x + row.box.w / 2, row.box.y + row.box.h / 2], np.float32)
    side = np.float32(MESH_MARGIN * row.box.longer_side)
    return np.asarray((mesh.astype(np.float32) - 0.5) * side + centre, np.float32)


def mouth(square: Image, row: FaceRow, mesh: npt.NDArray[np.float16]) -> Image:
    """The mouth that a scan of the same frame would score; all zeros where the mesh was not found."""
    if not np.isfinite(mesh).all():
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    return mouth_crop(square, mouth_of(in_square(row, mesh)), SIDE)


def one_field(square: Image) -> Image:
    """A stored square as a scan shows a frame of interlaced video: one field, its lines doubled by Lanczos.

    Cameras filter the lines before they take fields (1-2-1 here), so that fine ones do not flicker.
    """
    filtered = cv2.filter2D(square, -1, _LINE_FILTER, borderType=cv2.BORDER_REPLICATE)
    height, width = square.shape[:2]
    return np.asarray(cv2.resize(filtered[::2], (width, height), interpolation=cv2.INTER_LANCZOS4), np.uint8)


_LINE_FILTER = np.array([[0.25], [0.5], [0.25]])


def reduced(square: Image, row: FaceRow, generator: np.random.Generator) -> tuple[Image, FaceRow]:
    """A stored square as a smaller video shows it, and its row there; faces that are small already stay."""
    least, most = SMALL
    scale = float(np.exp(generator.uniform(np.log(least), np.log(most)))) / row.box.longer_side
    if scale >= 1.0:
        return square, row
    height, width = (round(side * scale) for side in square.shape[:2])
    across, down = width / square.shape[1], height / square.shape[0]
    box = Box(row.x * across, row.y * down, row.w * across, row.h * down)
    smaller = cv2.resize(square, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint8), replace(row, x=box.x, y=box.y, w=box.w, h=box.h)


def mouth_within(crop: Image, landmarker: FaceLandmarker) -> Image:
    """The mouth in a view of a face, RGB ``uint8[224, 224, 3]``; all zeros where no mesh is found."""
    points = landmarker.locate(crop)
    if points is None:
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    return mouth_crop(crop, mouth_of(points), SIDE)


@dataclass(slots=True)
class _Coding:
    side: int
    codec: str
    crf: int


def degraded(crops: Sequence[Image], generator: np.random.Generator) -> list[Image]:
    """Each crop, RGB ``uint8[224, 224, 3]``, changed, reduced, compressed and brought back, all by chance."""
    codings = [_drawn(generator) for _ in crops]
    small = []
    for crop, coding in zip(crops, codings, strict=True):
        changed = augment(crop, generator, SCENE)
        if generator.random() < 0.1:
            changed = sharpen(changed, generator.uniform(0.2, 0.8))
        small.append(resize(changed, width=coding.side, height=coding.side))
    coded = _coded(small, codings, generator)
    kernels = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    return [
        picture
        if picture.shape[0] == SIDE
        else cv2.resize(picture, (SIDE, SIDE), interpolation=kernels[int(generator.random() < 0.4)])
        for picture in coded
    ]


def _drawn(generator: np.random.Generator) -> _Coding:
    codec = str(generator.choice(CODECS, p=CODEC_ODDS))
    side = (
        SIDE
        if generator.random() < 0.25
        else round(np.exp(generator.uniform(np.log(LEAST_SIDE), np.log(SIDE))))
    )
    if codec == "h264":
        side = min(_H264_SIDES, key=lambda each: abs(each - side))
    return _Coding(side, codec, int(generator.choice(CRFS)))


def _coded(
    pictures: Sequence[Image], codings: Sequence[_Coding], generator: np.random.Generator
) -> list[Image]:
    result = list(pictures)
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, coding in enumerate(codings):
        match coding.codec:
            case "h264":
                groups[coding.side, coding.crf].append(place)
            case "jpeg":
                result[place] = jpeg(pictures[place], generator, (35, 95), 0.2)
            case "webp":
                result[place] = through_webp(pictures[place], int(generator.integers(40, 91)))
    for (_, crf), places in groups.items():
        for place, picture in zip(places, through_h264([pictures[p] for p in places], crf), strict=True):
            result[place] = picture
    return result


def through_webp(image: Image, quality: int) -> Image:
    """Compresses as WebP at ``quality`` (1-100) and decodes again."""
    _, data = cv2.imencode(
        ".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality]
    )
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)
