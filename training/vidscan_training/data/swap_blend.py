"""Swap-blended images: fakes made from two real crops, the face of one pasted over the face of the other.

The idea is that of the blended images of Lingzhi Li et al., "Face X-ray for More General Face Forgery
Detection", CVPR 2020: any two people give a forgery, so a network can see thousands of identities both
real and forged, and nothing to memorise but the forgery. What is varied follows what face
swaps do: a generator's low resolution, colours matched or not, a pasted square (as autoencoder swaps
leave) or the outline of face, features or mouth.

Pictures are RGB ``uint8[n, n, 3]``, 0-255; masks ``float32[n, n]``, 0 (target) to 1 (source).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Image, Landmarks
from vidscan_training.data.augment import Rng
from vidscan_training.data.self_blend import (
    EYE_CORNERS,
    Mask,
    blend,
    coarsen,
    deform,
    hull_mask,
    region_points,
    sharpen,
    soften,
)

REGIONS = ("square", "face", "no_forehead", "features", "lower_face", "mouth")
"""What is pasted: see :func:`.self_blend.region_points`, and ``square`` for :func:`square_mask`."""
REGION_ODDS = (0.30, 0.245, 0.175, 0.14, 0.07, 0.07)


def shape(landmarks: Landmarks) -> Landmarks:
    """A face mesh without its place and size: ``float32[468, 2]``, centred, of unit spread."""
    centred = landmarks - landmarks.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).sum() / len(centred)), np.float32)


def most_alike(wanted: Landmarks, shapes: Sequence[Landmarks]) -> int:
    """Place of the one of ``shapes`` that is nearest to ``wanted``: a like pose makes a better swap."""
    return int(np.argmin([float(np.abs(other - wanted).mean()) for other in shapes]))


def square_mask(landmarks: Landmarks, side: int, rng: Rng) -> Mask:
    """Fills a rectangle in the face's own axes, a share of its width and height, with 1.

    Autoencoder swaps paste the square that their network puts out.
    """
    right, left = landmarks[list(EYE_CORNERS[:2])].mean(axis=0), landmarks[list(EYE_CORNERS[2:])].mean(axis=0)
    across = (left - right) / max(float(np.linalg.norm(left - right)), 1e-3)
    axes = np.array([across, [-across[1], across[0]]], np.float32)
    centre = landmarks.mean(axis=0)
    # Percentiles, since single points of the mesh stray on a turned head.
    low, high = np.percentile((landmarks - centre) @ axes.T, [2, 98], axis=0) * rng.uniform(0.6, 0.95, 2)
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, np.rint(centre + corners @ axes).astype(np.int32), 1.0)
    return mask


def match_colours(source: Image, target: Image, mask: npt.NDArray[np.bool_], strength: float) -> Image:
    """Brings the mean and spread of ``source``'s colours under ``mask`` to those of ``target``.

    After Erik Reinhard et al., "Color Transfer between Images", 2001, in CIELAB. ``strength`` 0 changes
    nothing, 1 matches fully; the spread is changed by a factor of 2 at most.
    """
    ours, theirs = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) for image in (source, target))
    mean, wanted = ours[mask].mean(axis=0), theirs[mask].mean(axis=0)
    gain = np.clip((theirs[mask].std(axis=0) + 1) / (ours[mask].std(axis=0) + 1), 0.5, 2.0)
    moved = (ours - mean) * (1 + strength * (gain - 1)) + mean + strength * (wanted - mean)
    return np.asarray(
        cv2.cvtColor(np.clip(np.rint(moved), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8
    )


def swap_blend(
    target: Image, target_mesh: Landmarks, source: Image, source_mesh: Landmarks, rng: Rng
) -> tuple[Image, Mask] | None:
    """A fake with the face of ``source`` over that of ``target``, and the mask of what was pasted.

    ``target`` and ``source``: real faces, RGB ``uint8[n, n, 3]``, 0-255, of one size, as the fake is, each
    with its mesh, ``float32[468, 2]`` pixels. The mask, ``float32[n, n]``, 0-1, says how much of each pixel
    comes from ``source``. None where the faces cannot be laid over each other.
    """
    side = target.shape[0]
    matrix = _placement(target_mesh, source_mesh, rng)
    if matrix is None:
        return None
    kernel = cv2.INTER_LINEAR if rng.random() < 0.6 else cv2.INTER_CUBIC
    placed = cv2.warpAffine(
        _regenerated(source, rng), matrix, (side, side), flags=kernel, borderMode=cv2.BORDER_REFLECT_101
    )
    known = cv2.warpAffine(np.ones((side, side), np.float32), matrix, (side, side))
    outline = _outline(target_mesh, side, rng)
    under = (outline * known) > 0.5
    if not under.any():
        return None
    placed = match_colours(placed, target, under, rng.uniform(0.0 if rng.random() < 0.4 else 0.7, 1.0))
    mask = soften(deform(outline, rng) if rng.random() < 0.6 else outline, rng) * (known > 0.99)
    if rng.random() < 0.25:
        mask = mask * rng.uniform(0.5, 0.8)
    mask = mask.astype(np.float32)
    return blend(np.ascontiguousarray(placed), target, mask), mask


def _placement(target: Landmarks, source: Landmarks, rng: Rng) -> npt.NDArray[np.float64] | None:
    """The 2x3 matrix that lays ``source`` over ``target``: a similarity, or any affine map."""
    estimate = cv2.estimateAffinePartial2D if rng.random() < 0.5 else cv2.estimateAffine2D
    matrix, _ = estimate(source, target, method=cv2.LMEDS)
    return None if matrix is None else np.asarray(matrix, np.float64)


def _regenerated(source: Image, rng: Rng) -> Image:
    """A face as a generator gives it: mostly at a low resolution, or soft, or too sharp."""
    kind = rng.random()
    if kind < 0.5:
        return coarsen(source, rng.uniform(0.2, 0.7))
    if kind < 0.65:
        return np.asarray(
            cv2.GaussianBlur(source, (0, 0), rng.uniform(0.5, 2.5) * source.shape[0] / 260), np.uint8
        )
    if kind < 0.75:
        return sharpen(source, rng.uniform(0.2, 0.8))
    return source


def _outline(mesh: Landmarks, side: int, rng: Rng) -> Mask:
    region = REGIONS[int(rng.choice(len(REGIONS), p=REGION_ODDS))]
    if region == "square":
        return square_mask(mesh, side, rng)
    return hull_mask(region_points(mesh, region), side)
