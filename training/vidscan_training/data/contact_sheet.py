"""Pictures of what training sees: rows of a crop, its augmentations, its forgeries and their masks.

A look at one sheet finds what no metric shows: grey borders, impossible colours, masks beside the face.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from vidscan.errors import SourceError, UsageError
from vidscan.media.frames import read_still
from vidscan.records import Image
from vidscan_training.crops.encode import write_picture
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.landmarks import Landmarks
from vidscan_training.data.augment import Rng, augment
from vidscan_training.data.augment_presets import PRESETS, AugmentOptions
from vidscan_training.data.self_blend import self_blend
from vidscan_training.data.swap_blend import most_alike, shape, swap_blend

AUGMENTED, SELF_BLENDED, SWAP_BLENDED = 2, 2, 2
ROW_COLUMNS = 1 + AUGMENTED + 2 * (SELF_BLENDED + SWAP_BLENDED)
"""Tiles in each row of :func:`review_tiles`."""

_GAP = 4
_BACKGROUND = 32


def contact_sheet(tiles: Sequence[Image], columns: int, path: Path) -> None:
    """Writes tiles as one picture, row by row, with a thin dark gap between them.

    ``tiles``, one or more, are RGB ``uint8[height, width, 3]``, all of one size. The suffix of ``path`` names
    the format. Raises OSError or cv2.error where the file cannot be written.
    """
    shape = tiles[0].shape
    height, width = shape[0] + _GAP, shape[1] + _GAP
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), _BACKGROUND, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = _GAP + place // columns * height, _GAP + place % columns * width
        sheet[top : top + shape[0], left : left + shape[1]] = tile
    write_picture(path, sheet)


def review_tiles(
    crops: Sequence[tuple[Image, Landmarks]],
    rng: Rng,
    options: AugmentOptions = PRESETS["robust"],
) -> Iterator[Image]:
    """Yields ``ROW_COLUMNS`` tiles for each crop, for :func:`contact_sheet`.

    In order: the original, two augmentations of it, then two self-blends and two swap-blends (with the
    face among ``crops`` that is most alike), not augmented, each followed by its mask.

    ``crops``: real faces, RGB ``uint8[n, n, 3]`` of one size, with their landmarks ``float32[468, 2]``.
    """
    shapes = [shape(landmarks) for _, landmarks in crops]
    for place, (image, landmarks) in enumerate(crops):
        yield image
        for _ in range(AUGMENTED):
            yield augment(image, rng, options)
        forgeries = [self_blend(image, landmarks, rng) for _ in range(SELF_BLENDED)]
        others = [other for other in range(len(crops)) if other != place] or [place]
        source, source_landmarks = crops[others[most_alike(shapes[place], [shapes[i] for i in others])]]
        for _ in range(SWAP_BLENDED):
            swapped = swap_blend(image, landmarks, source, source_landmarks, rng)
            forgeries.append(swapped or (image, np.zeros(image.shape[:2], np.float32)))
        for forged, mask in forgeries:
            yield forged
            yield np.asarray(cv2.cvtColor(np.rint(mask * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)


def write_review(crops: Path, out: Path, *, faces: int, preset_name: str, seed: int) -> None:
    """Draws the sheet of a crop folder: evenly spread real crops with landmarks, one row each.

    Raises SourceError where the folder is no crop folder, or holds no real crop with landmarks; UsageError
    where there is no such preset, or the picture's format is unknown.
    """
    if preset_name not in PRESETS:
        raise UsageError(f"--augment {preset_name}: not one of {', '.join(PRESETS)}")
    folder = open_crop_folder(crops, check_files=False)
    meshes = folder.landmarks
    usable = [
        number
        for number, row in enumerate(folder.rows)
        if row.label == "real" and meshes is not None and np.isfinite(meshes[number]).all()
    ]
    if meshes is None or not usable:
        raise SourceError(f"{crops}: holds no real crop with landmarks: cut crops of real faces first")
    chosen = [usable[place] for place in np.linspace(0, len(usable) - 1, min(faces, len(usable)), dtype=int)]
    pairs = [
        (read_still(folder.image_path(folder.rows[number])), meshes[number].astype(np.float32))
        for number in chosen
    ]
    tiles = list(review_tiles(pairs, np.random.default_rng(seed), PRESETS[preset_name]))
    try:
        contact_sheet(tiles, ROW_COLUMNS, out)
    except (OSError, SourceError, cv2.error) as error:
        raise UsageError(
            f"--out {out}: cannot be written as a picture ({error}): name a .png file"
        ) from error
