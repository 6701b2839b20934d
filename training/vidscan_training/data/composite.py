"""Composites: fakes as picture editors make them, with features of one face taken from another photograph.

Nothing in them was generated: what is wrong is a seam, and a feature whose light, grain and sharpness are
another picture's. They teach less of blending tools than self-blends do, and more of what belongs together in
a face; which is what face swaps get wrong too.

Pictures are RGB ``uint8[height, width, 3]``, 0-255.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Image, Landmarks
from vidscan_training.data.augment import Rng
from vidscan_training.data.self_blend import Mask, blend, region_points
from vidscan_training.data.swap_blend import match_colours

REGIONS = ("eyes", "one_eye", "nose", "mouth", "lower_face", "features", "no_forehead", "face")
"""What is taken over; ``one_eye`` with its brow, the others as in :func:`.self_blend.region_points`."""

_SECOND = 0.4
"""How often a second region is taken over too."""


def composite(
    target: Image, target_mesh: Landmarks, source: Image, source_mesh: Landmarks, rng: Rng
) -> Image:
    """``target`` with one or two features of ``source``: real faces of any size, each with its mesh.

    Meshes are ``float32[468, 2]``, pixels. Raises ValueError where one cannot be laid over the other.
    """
    matrix, _ = cv2.estimateAffinePartial2D(source_mesh, target_mesh, method=cv2.LMEDS)
    if matrix is None:
        raise ValueError("the source's mesh cannot be laid over the target's: all its points are one")
    height, width = target.shape[:2]
    reduced = abs(np.linalg.det(matrix[:, :2])) < 0.6
    placed = cv2.warpAffine(
        source,
        matrix,
        (width, height),
        flags=cv2.INTER_AREA if reduced else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    known = cv2.warpAffine(np.ones(source.shape[:2], np.float32), matrix, (width, height)) > 0.99
    outline = _outline(target_mesh, (height, width), rng)
    # Where nothing of the source lies there, its mirrored border does.
    taken = outline & known if (outline & known).any() else outline
    size = float(np.ptp(target_mesh, axis=0).max())
    if rng.random() < 0.5 and _inside(taken):
        return _cloned(placed, target, taken, size)
    return _feathered(placed, target, taken, rng.uniform(0.01, 0.035) * size)


def _outline(mesh: Landmarks, shape: tuple[int, int], rng: Rng) -> npt.NDArray[np.bool_]:
    outline = np.zeros(shape, np.uint8)
    for region in rng.choice(REGIONS, size=1 + int(rng.random() < _SECOND), replace=False):
        points = _points(mesh, str(region))
        if len(points) >= 3:
            cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return outline > 0


def _points(mesh: Landmarks, region: str) -> Landmarks:
    if region == "one_eye":
        both = region_points(mesh, "eyes")
        return np.asarray(both[both[:, 0] < both[:, 0].mean()], np.float32)
    return region_points(mesh, region)


def _inside(taken: npt.NDArray[np.bool_]) -> bool:
    """Whether it keeps clear of the picture's border, as Poisson blending needs."""
    return not (taken[:3].any() or taken[-3:].any() or taken[:, :3].any() or taken[:, -3:].any())


def _cloned(source: Image, target: Image, taken: npt.NDArray[np.bool_], size: float) -> Image:
    """Poisson blending (Patrick Pérez et al., "Poisson Image Editing", 2003): the source's edges, no seam."""
    grown = cv2.dilate(
        taken.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=max(1, round(0.015 * size))
    )
    if not _inside(grown > 0):
        grown = taken.astype(np.uint8)
    rows, columns = np.nonzero(grown)
    centre = (int(columns.min() + columns.max()) // 2, int(rows.min() + rows.max()) // 2)
    return np.asarray(
        cv2.seamlessClone(
            np.ascontiguousarray(source), np.ascontiguousarray(target), 255 * grown, centre, cv2.NORMAL_CLONE
        ),
        np.uint8,
    )


def _feathered(source: Image, target: Image, taken: npt.NDArray[np.bool_], sigma: float) -> Image:
    """The colours brought together, and a soft edge."""
    mask: Mask = cv2.GaussianBlur(taken.astype(np.float32), (0, 0), sigma).astype(np.float32)
    matched = match_colours(source, target, taken, 1.0)
    return blend(np.ascontiguousarray(matched), np.ascontiguousarray(target), mask)
