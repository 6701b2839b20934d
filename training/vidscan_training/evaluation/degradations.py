"""What happens to pictures before they reach a detector, at stated strengths, for a test of robustness.

Nothing is drawn by chance but noise, and that by the crop's own name: a crop degrades the same way
whatever is degraded with it. (:mod:`vidscan_training.data.augment` has the random kind, for training.)

Strengths hold at the face's size in its video, as far as it is known. A crop of a 90-pixel face was
compressed and blurred as 90 pixels and enlarged to the network's input only then, so JPEG, H.264, blur and
noise act on the crop brought back to its native side, and sizes are shares of that side. Of a face larger
than the input the pixels are gone: those degradations act on the crop as it is, which is harsher than the
same strength on the video, and sizes still count from the native side. The way to the native side and back
costs a little by itself; the size x1 shows how much. Colours have no scale and change in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.faces.crops import resize
from vidscan.records import Image
from vidscan_training.data.augment import shift_colour, through_jpeg

_MIN_SIDE = 16
"""No crop is reduced below this many pixels: encoders refuse less, and nothing is left to see anyway."""


class Origin(NamedTuple):
    """Where a crop comes from: its file's name in the crop folder, its side in pixels of the video."""

    file: str
    native: float


Change = Callable[[Sequence[Image], float, Sequence[Origin]], list[Image]]
"""Degrades pictures (RGB ``uint8[n, n, 3]``, all of one side) by a strength; the side may change."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """One kind: a title for tables, strengths from mild to harsh, and what it does.

    ``at_native_side``: it acts at the face's size in the video, not on the enlarged crop.
    """

    title: str
    strengths: tuple[float, ...]
    change: Change
    at_native_side: bool = True


def degrade(
    kind: Degradation, strength: float, crops: Sequence[Image], origins: Sequence[Origin]
) -> list[Image]:
    """Degrades crops, RGB ``uint8[n, n, 3]``, 0-255, all of one side; that and their order are kept.

    ``strength`` is in the unit that ``kind.title`` names. Raises VidscanError where ffmpeg, which H.264 goes
    through, is missing or failed.
    """
    size = crops[0].shape[0]
    together: dict[int, list[int]] = defaultdict(list)
    for place, origin in enumerate(origins):
        together[_side(origin, size) if kind.at_native_side else size].append(place)
    degraded: dict[int, Image] = {}
    for side, places in together.items():
        pictures = [_to_side(crops[place], side) for place in places]
        changed = kind.change(pictures, strength, [origins[place] for place in places])
        for place, picture in zip(places, changed, strict=True):
            degraded[place] = resize(picture, width=size, height=size)
    return [degraded[place] for place in range(len(crops))]


def _side(origin: Origin, size: int) -> int:
    return min(max(round(origin.native), _MIN_SIDE), size)


def _to_side(crop: Image, side: int) -> Image:
    """Undoes the enlargement of a small face: cubic comes nearest to the pixels that were enlarged."""
    if crop.shape[0] == side:
        return crop
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def _one_by_one(change: Callable[[Image, float, Origin], Image]) -> Change:
    return lambda pictures, strength, origins: [
        change(picture, strength, origin) for picture, origin in zip(pictures, origins, strict=True)
    ]


def _jpeg(picture: Image, quality: float, origin: Origin) -> Image:
    return np.asarray(through_jpeg(picture, int(quality)), np.uint8)


def _h264(pictures: Sequence[Image], crf: float, origins: Sequence[Origin]) -> list[Image]:
    from vidscan_training.crops.encode import through_h264

    return through_h264(pictures, int(crf))


def _size(picture: Image, share: float, origin: Origin) -> Image:
    """Reduces to a share of the native side; a face that is still larger than the crop loses nothing."""
    side = max(round(share * origin.native), _MIN_SIDE)
    return resize(picture, width=side, height=side) if side < picture.shape[0] else picture


def _pixels(picture: Image, side: float, origin: Origin) -> Image:
    """Reduces to so many pixels, wherever the face comes from; a smaller one loses nothing."""
    return resize(picture, width=int(side), height=int(side)) if side < picture.shape[0] else picture


def _blur(picture: Image, sigma: float, origin: Origin) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _noise(picture: Image, sigma: float, origin: Origin) -> Image:
    """Adds Gaussian noise to each channel by itself; one pattern a crop, the same at every strength."""
    rng = np.random.default_rng(list(origin.file.encode("utf-8")))
    noisy = picture + sigma * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), np.uint8)


def _brightness(picture: Image, factor: float, origin: Origin) -> Image:
    return _through_table(picture, np.arange(256) * factor)


def _contrast(picture: Image, factor: float, origin: Origin) -> Image:
    """Turns about mid-grey."""
    return _through_table(picture, (np.arange(256) - 127.5) * factor + 127.5)


def _through_table(picture: Image, level: npt.NDArray[np.float64]) -> Image:
    return np.asarray(cv2.LUT(picture, np.clip(np.rint(level), 0, 255).astype(np.uint8)), np.uint8)


def _saturation(picture: Image, factor: float, origin: Origin) -> Image:
    return np.asarray(shift_colour(picture, 0.0, factor), np.uint8)


DEGRADATIONS: Mapping[str, Degradation] = {
    "jpeg": Degradation("JPEG quality", (90, 70, 50, 30), _one_by_one(_jpeg)),
    "h264": Degradation("H.264 CRF", (23, 30, 35, 40), _h264),
    "size": Degradation("Size, times the native side", (1, 0.75, 0.5, 0.35, 0.25), _one_by_one(_size)),
    # 67 pixels at a margin of 1.4 are a face of 48.
    "pixels": Degradation(
        "Crop, pixels of video a side", (180, 128, 90, 67, 56, 45, 34), _one_by_one(_pixels)
    ),
    "blur": Degradation("Blur, sigma in pixels", (0.5, 1, 2, 3), _one_by_one(_blur)),
    "noise": Degradation("Noise, sigma in grey levels", (3, 6, 12, 20), _one_by_one(_noise)),
    "brightness": Degradation("Brightness, times", (0.6, 0.8, 1.25, 1.6), _one_by_one(_brightness), False),
    "contrast": Degradation("Contrast, times", (0.6, 0.8, 1.25, 1.6), _one_by_one(_contrast), False),
    "saturation": Degradation("Saturation, times", (0, 0.5, 1.5, 2), _one_by_one(_saturation), False),
}
"""All kinds by the name that ``--degradations`` takes."""
