"""Self-blended images: fakes made from one real crop, for a detector that looks for blending itself.

After Kaede Shiohara and Toshihiko Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022,
written anew from the paper's description. Two versions of the same picture, the *source* (the pasted
face) and the *target* (what surrounds it), differ slightly in colour or sharpness and in position;
a deformed, softened hull of the face's landmarks blends the one into the other. What remains to be
found is what every face swap leaves: a seam, and statistics that change across it.

Pictures are RGB ``uint8[n, n, 3]``, 0-255; masks ``float32[n, n]``, 0 (target) to 1 (source).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.models.landmarks import check_crop
from vidscan.records import LANDMARK_COUNT, Image, Landmarks
from vidscan_training.data.augment import Rng, light, shift_colour

Mask = npt.NDArray[np.float32]

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""Blending ratios of the paper: how much of the source shows at the mask's core."""

# Indices into MediaPipe's face mesh; right and left are the person's.
_FOREHEAD, _CHIN = 10, 152
EYE_CORNERS = (33, 133, 362, 263)
_BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
_EYES = (33, 160, 159, 158, 133, 153, 145, 144, 362, 385, 386, 387, 263, 373, 374, 380)
_NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 49, 279)
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_FEATURES = _BROWS + _EYES + _NOSE + _LIPS

REGIONS = ("face", "no_forehead", "features", "lower_face", "eyes", "mouth")
"""Parts of the face that a hull may cover: swaps take most of it, lip-sync only the mouth."""
REGION_ODDS = (0.40, 0.20, 0.15, 0.12, 0.05, 0.08)


def region_points(landmarks: Landmarks, region: str) -> Landmarks:
    """Picks the landmarks whose convex hull is ``region``; returns ``float32[k, 2]`` pixels, k >= 3.

    Regions cut across the face are cut at right angles to its own axis from forehead to chin, so that
    a tilted head gets a tilted cut.
    """
    if region == "face":
        return landmarks
    if region == "features":
        return landmarks[list(_FEATURES)]
    if region == "eyes":
        return landmarks[list(_BROWS + _EYES)]
    if region == "nose":
        return landmarks[list(_NOSE)]
    axis = landmarks[_CHIN] - landmarks[_FOREHEAD]
    height = max(float(np.linalg.norm(axis)), 1e-3)
    depth = (landmarks - landmarks[_FOREHEAD]) @ axis / height**2
    if region == "no_forehead":
        return np.asarray(landmarks[depth >= depth[list(_BROWS)].mean() - 0.02], np.float32)
    eyes, mouth = depth[list(EYE_CORNERS)].mean(), depth[list(_LIPS)].mean()
    if region == "lower_face":
        return np.asarray(landmarks[depth >= eyes + 0.35 * (mouth - eyes)], np.float32)
    if region == "mouth":
        # Pushed outwards by a constant, so that closed lips too give more than a sliver.
        lips = landmarks[list(_LIPS)]
        outwards = lips - lips.mean(axis=0)
        reach = np.linalg.norm(outwards, axis=1, keepdims=True)
        return np.asarray(
            lips + np.float32(0.5 * reach.max()) * outwards / np.maximum(reach, np.float32(1e-3)), np.float32
        )
    raise ValueError(f"unknown region {region!r}: choose from {', '.join(REGIONS)}")


def hull_mask(points: Landmarks, side: int) -> Mask:
    """Fills the convex hull of ``points`` (pixels) with 1: ``float32[side, side]``, 0 elsewhere."""
    mask = np.zeros((side, side), np.float32)
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1.0)
    return mask


def extent(mask: Mask) -> float:
    """Side of the square that has a mask's area, in pixels; what deformation and softness scale with.

    The paper's shares of the whole picture would wipe out a mouth.
    """
    return float(np.sqrt(mask.sum()))


def deform(mask: Mask, rng: Rng, strength: float = 0.10) -> Mask:
    """Bends a mask elastically: a coarse grid of random offsets, enlarged smoothly.

    ``strength`` is the largest offset of a grid point on a 4x4 grid, as a share of the mask's extent;
    finer grids get smaller offsets, or the outline would turn jagged.
    """
    side = mask.shape[0]
    cells = int(rng.integers(4, 9))
    reach = strength * extent(mask) * 4 / cells
    offset = rng.uniform(-reach, reach, (cells, cells, 2)).astype(np.float32)
    offset = cv2.resize(offset, (side, side), interpolation=cv2.INTER_CUBIC)
    line = np.arange(side, dtype=np.float32)
    return np.asarray(
        cv2.remap(mask, offset[..., 0] + line[None, :], offset[..., 1] + line[:, None], cv2.INTER_LINEAR),
        np.float32,
    )


def soften(mask: Mask, rng: Rng) -> Mask:
    """Blurs a mask, drops all that is no longer 1, and blurs again: it shrinks or grows by chance.

    Both kernels are drawn up to 1/5 of the mask's extent; if the first is the larger, the mask ends up
    inside of the hull, else its slope reaches outside.
    """
    first, second = (max(1, int(k)) | 1 for k in rng.uniform(0.02, 0.20, 2) * extent(mask))
    core = (cv2.GaussianBlur(mask, (first, first), 0) > 0.999).astype(np.float32)
    if not core.any():  # A sliver may vanish; then it is only blurred.
        core = mask
    return np.asarray(np.clip(cv2.GaussianBlur(core, (second, second), 0), 0.0, 1.0), np.float32)


def draw_mask(landmarks: Landmarks, side: int, rng: Rng) -> Mask:
    """Draws a blending mask ``float32[side, side]``, 0-1: region, deformation, softness and ratio."""
    region = REGIONS[int(rng.choice(len(REGIONS), p=REGION_ODDS))]
    hull = hull_mask(region_points(landmarks, region), side)
    mask = soften(deform(hull, rng), rng)
    return mask * np.float32(RATIOS[int(rng.integers(len(RATIOS)))])


def sharpen(image: Image, amount: float) -> Image:
    """Sharpens by an unsharp mask; ``amount`` is the share of the detail that is added again."""
    soft = cv2.GaussianBlur(image, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(image, 1.0 + amount, soft, -amount, 0.0), np.uint8)


def coarsen(image: Image, share: float) -> Image:
    """Reduces a picture to ``share`` of its side and enlarges it again: a generator's low resolution."""
    side = image.shape[0]
    small = max(8, round(side * share))
    reduced = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def restyle(image: Image, rng: Rng) -> Image:
    """Changes the statistics of a picture as another camera or a generator would.

    An RGB offset, hue and saturation, brightness and contrast, and one of: sharpening, reducing and
    enlarging again, a mild blur. The colour ranges are narrower than the paper's and seldom meet: skin
    of an impossible colour would teach only to look for that.
    """
    if rng.random() < 0.5:
        changed = shift_colour(image, 0.0, 1.0, rng.uniform(-14.0, 14.0, 3))
    else:
        changed = shift_colour(image, rng.uniform(-8.0, 8.0), 1.0 + rng.uniform(-0.25, 0.25))
    changed = light(changed, rng, brightness=0.1, contrast=0.1, gamma=0.1)
    kind = rng.random()
    if kind < 0.3:
        return sharpen(changed, rng.uniform(0.2, 0.7))
    if kind < 0.6:
        return coarsen(changed, rng.uniform(0.3, 0.9))
    if kind < 0.85:
        return np.asarray(
            cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.4, 1.3) * image.shape[0] / 260), np.uint8
        )
    return changed


def displace(image: Image, mask: Mask, rng: Rng) -> tuple[Image, Mask]:
    """Moves source and mask together by up to ±3% and resizes them by up to ±5%, about the centre.

    The face then no longer fits the head exactly, as after a swap.
    """
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 0.0, rng.uniform(0.95, 1.05))
    matrix[:, 2] += rng.uniform(-0.03, 0.03, 2) * side
    moved = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return moved, cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_LINEAR)


def blend(source: Image, target: Image, mask: Mask) -> Image:
    """Computes ``mask * source + (1 - mask) * target``, rounded; where the mask is 0 it is the target."""
    return np.asarray(cv2.blendLinear(source, target, mask, np.float32(1.0) - mask), np.uint8)


def make_pair(image: Image, landmarks: Landmarks, rng: Rng) -> tuple[Image, Image, Mask]:
    """Draws what :func:`self_blend` blends: source and target (RGB ``uint8[n, n, 3]``) and the mask.

    Only one of the two, by a coin, has other statistics than ``image``; the source is displaced.
    """
    side = check_crop(image)
    if landmarks.shape != (LANDMARK_COUNT, 2):
        raise ValueError(f"landmarks must be [{LANDMARK_COUNT}, 2] pixels, not {list(landmarks.shape)}")
    if not np.isfinite(landmarks).all():
        raise ValueError("landmarks must be finite numbers of pixels")
    mask = draw_mask(landmarks, side, rng)
    source, target = image, image
    if rng.random() < 0.5:
        source = restyle(image, rng)
    else:
        target = restyle(image, rng)
    source, mask = displace(source, mask, rng)
    return source, target, mask


def self_blend(image: Image, landmarks: Landmarks, rng: Rng) -> tuple[Image, Mask]:
    """A fake made from one real crop, and the mask that says how much of each pixel was pasted.

    ``image``: a real face, RGB ``uint8[n, n, 3]``, 0-255, as the fake is; ``landmarks``: ``float32[468, 2]``,
    pixels of it. The mask is ``float32[n, n]``, 0-1. Raises ValueError where ``image`` is no square ``uint8``
    RGB picture or ``landmarks`` no finite [468, 2].
    """
    source, target, mask = make_pair(image, landmarks, rng)
    return blend(source, target, mask), mask
