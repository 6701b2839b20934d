"""A small crop folder made of a large one's crops, for trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vidscan_training.crops.folder import (
    GEOMETRY_NAME,
    LABELS,
    LANDMARKS_NAME,
    MANIFEST_NAME,
    open_crop_folder,
    write_manifest,
)
from vidscan_training.crops.split import SplitOptions, assign_splits


def subset(
    crops: Path, target: Path, counts: Mapping[str, int], split: SplitOptions | None = None, seed: int = 0
) -> Path:
    """Makes a crop folder of some crops of another one, half of them real; its pictures are links.

    Args:
        crops: the large folder.
        target: the new folder; it must not exist.
        counts: how many crops of each split, fewer where there are not as many.
        split: how the large folder is split; its manifest may say so itself.
        seed: of the choice.

    Returns:
        ``target``, whose manifest names the splits.

    Raises:
        SourceError: the large folder is malformed.
        FileExistsError: ``target`` exists.
    """
    folder = open_crop_folder(crops)
    rows, rng = assign_splits(folder.rows, split), np.random.default_rng(seed)
    kept: list[int] = []
    for name, count in counts.items():
        for label in LABELS:
            places = [i for i, row in enumerate(rows) if (row.split, row.label) == (name, label)]
            kept += rng.permutation(places)[: count // 2].tolist()
    kept.sort()
    target.mkdir(parents=True)
    for name in {Path(row.file).parts[0] for row in rows}:
        (target / name).symlink_to((crops / name).resolve())
    (target / GEOMETRY_NAME).write_bytes((crops / GEOMETRY_NAME).read_bytes())
    write_manifest(target / MANIFEST_NAME, [rows[place] for place in kept])
    if folder.landmarks is not None:
        np.save(target / LANDMARKS_NAME, folder.landmarks[kept])
    return target
