"""Random changes of a face crop that keep its label: what happens to pictures on their way to a viewer.

Every operation is a pure function ``f(image, rng, ...) -> image`` on an RGB ``uint8[n, n, 3]`` square,
0-255, and draws all its chance from the ``numpy.random.Generator`` given: the same generator state
gives the same picture. No operation writes into its input. Real and fake crops must go through the
same :func:`augment` call with the same options, or the augmentation itself becomes the label.

``cv2.setNumThreads`` is left to the caller: with several loading processes, one thread each is fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.models.landmarks import check_crop
from vidscan.records import Image
from vidscan_training.data.augment_presets import PRESETS, AugmentOptions

Rng = np.random.Generator


def flip(image: Image, rng: Rng) -> Image:
    """Mirrors left and right. ``rng`` is unused; it is there so that all operations look alike."""
    return np.asarray(cv2.flip(image, 1), np.uint8)


def move(image: Image, rng: Rng, rotation_deg: float, shift: float, zoom: float) -> Image:
    """Rotates, shifts and zooms about the centre in one resampling; the border mirrors the picture."""
    side = image.shape[0]
    angle = rng.uniform(-rotation_deg, rotation_deg)
    scale = 1.0 + rng.uniform(-zoom, zoom)
    centre = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, scale)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) * side
    # Two kernels, so that one resampling's softness does not become a mark of training pictures.
    kernel = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(
        cv2.warpAffine(image, matrix, (side, side), flags=kernel, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def light(image: Image, rng: Rng, brightness: float, contrast: float, gamma: float) -> Image:
    """Changes brightness and contrast linearly and gamma by a power, through one table of 256 values.

    Contrast turns about mid-grey; brightness multiplies; the exponent is drawn between 1/(1+gamma)
    and 1+gamma on a log scale, so that darkening is as likely as brightening.
    """
    level = np.linspace(0.0, 1.0, 256)
    level = level ** np.exp(rng.uniform(-1, 1) * np.log1p(gamma))
    level = (level - 0.5) * (1.0 + rng.uniform(-contrast, contrast)) + 0.5
    level *= 1.0 + rng.uniform(-brightness, brightness)
    return np.asarray(cv2.LUT(image, np.clip(np.rint(level * 255), 0, 255).astype(np.uint8)), np.uint8)


# RGB to YIQ (NTSC, 1953): luma and two chroma axes in which a hue change is a plain rotation.
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ)


def shift_colour(
    image: Image, hue_deg: float, saturation: float, offset: npt.NDArray[np.float64] | None = None
) -> Image:
    """Turns the hue by ``hue_deg``, multiplies the saturation, then adds ``offset`` (RGB grey levels).

    One 3x4 matrix in YIQ instead of a trip through 8-bit HSV: luma is kept and nothing is rounded twice.
    """
    angle = np.deg2rad(hue_deg)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[1:, 1:] *= saturation
    added = np.zeros(3) if offset is None else offset
    return np.asarray(
        cv2.transform(image, np.column_stack((_YIQ_TO_RGB @ turn @ _RGB_TO_YIQ, added))), np.uint8
    )


def colour(image: Image, rng: Rng, hue_deg: float, saturation: float, tint: float = 0.0) -> Image:
    """Turns the hue by up to ±``hue_deg``, changes the saturation by up to ±``saturation`` (share).

    ``tint`` (grey levels) is the most that each channel is raised or lowered, as a wrong white balance does.
    """
    turned, share = rng.uniform(-hue_deg, hue_deg), 1.0 + rng.uniform(-saturation, saturation)
    return shift_colour(image, turned, share, rng.uniform(-tint, tint, 3))


def grayscale(image: Image, rng: Rng) -> Image:
    """Removes the colour (three equal channels). ``rng`` is unused."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def cutout(image: Image, rng: Rng, longest: float) -> Image:
    """Covers one rectangle, sides up to ``longest`` of the crop's, with the colour of one of its pixels.

    Terrance DeVries and Graham Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", 2017: no single region of the face may carry the decision.
    """
    side = image.shape[0]
    height, width = (rng.uniform(min(0.1, longest), longest, 2) * side).astype(int)
    top, left = (int(rng.integers(0, side - length + 1)) for length in (height, width))
    covered = image.copy()
    row, column = rng.integers(0, side, 2)
    covered[top : top + height, left : left + width] = image[row, column]
    return covered


def blur(image: Image, rng: Rng, largest_sigma: float) -> Image:
    """Blurs mildly: Gaussian (sigma up to ``largest_sigma`` px) or, one time in three, along a line."""
    if rng.random() < 2 / 3:
        return np.asarray(
            cv2.GaussianBlur(image, (0, 0), max(0.3, rng.uniform(0.3, 1.0) * largest_sigma)), np.uint8
        )
    length = max(3, round(rng.uniform(1.0, 4.0) * largest_sigma) | 1)
    angle, reach = rng.uniform(0.0, np.pi), (length - 1) / 2
    step = np.array([np.cos(angle), np.sin(angle)]) * reach
    start, end = (tuple(int(v) for v in np.rint(reach + sign * step)) for sign in (-1, 1))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(
        cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101), np.uint8
    )


def reduce_resolution(image: Image, side: int) -> Image:
    """Reduces a square picture to ``side`` pixels and enlarges it again; smaller ones stay as they are."""
    size = image.shape[0]
    if side >= size:
        return image
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


_SHRINK_KERNELS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
_GROW_KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_NEAREST)
_GROW_ODDS = (0.45, 0.35, 0.15, 0.05)


def rescale(image: Image, rng: Rng, smallest: float) -> Image:
    """Reduces the crop to between ``smallest`` and all of its side, then enlarges it again.

    Small faces reach the network enlarged, and collections differ in resolution: sharpness alone must
    not tell real from fake. Both interpolations are drawn.
    """
    side = image.shape[0]
    small = max(8, round(side * rng.uniform(smallest, 1.0)))
    shrink = _SHRINK_KERNELS[int(rng.integers(len(_SHRINK_KERNELS)))]
    grow = _GROW_KERNELS[int(rng.choice(len(_GROW_KERNELS), p=_GROW_ODDS))]
    reduced = cv2.resize(image, (small, small), interpolation=shrink)
    return np.asarray(cv2.resize(reduced, (side, side), interpolation=grow), np.uint8)


def noise(image: Image, rng: Rng, largest_sigma: float) -> Image:
    """Adds Gaussian noise, sigma up to ``largest_sigma`` grey levels: per channel, or on the luma.

    Luma noise is a camera's at high ISO: its variance follows the light that fell (shot noise) above a
    constant floor (readout), and it is coarser than a pixel once the camera has smoothed it.
    """
    side = image.shape[0]
    sigma = np.float32(rng.uniform(0.1, 1.0) * largest_sigma)
    if rng.random() < 0.5:
        grain = rng.standard_normal((side, side, 3), dtype=np.float32) * sigma
    else:
        small = max(8, round(side * rng.uniform(0.6, 1.0)))
        coarse = rng.standard_normal((small, small), dtype=np.float32)
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        strength = np.sqrt(0.25 + np.arange(256, dtype=np.float32) / 255.0) * sigma
        grain = cv2.resize(coarse, (side, side)) * cv2.LUT(luma, strength)
        grain = cv2.merge((grain, grain, grain))
    return np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)


CHROMA_420 = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
_CHROMA_SAMPLINGS = (CHROMA_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


def through_jpeg(image: Image, quality: int, sampling: int = CHROMA_420) -> Image:
    """Compresses as JPEG at ``quality`` (0-100) and decodes again; 4:2:0 is what most software writes."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise ValueError(f"OpenCV could not encode a crop {list(image.shape)} as JPEG")
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def jpeg(image: Image, rng: Rng, quality: tuple[int, int], twice: float = 0.0) -> Image:
    """Compresses as JPEG at a quality drawn from the closed range; with probability ``twice``, again.

    Uploads are often compressed by the camera and once more by the site.
    """
    for _ in range(1 + (rng.random() < twice)):
        sampling = _CHROMA_SAMPLINGS[int(rng.random() < 0.3)]
        image = through_jpeg(image, int(rng.integers(quality[0], quality[1] + 1)), sampling)
    return image


def codec(image: Image, rng: Rng, quality: tuple[int, int]) -> Image:
    """Imitates what is left of a face after a lossy video encoder: blocks off the crop's grid, deblocked.

    The crop is brought to a random video size, padded by a random part of a block (a crop never starts
    on the encoder's grid), coded with JPEG's 8x8 transform at a low ``quality`` with 4:2:0 chroma, and
    smoothed a little as H.264's in-loop filter does.
    """
    side = image.shape[0]
    coded = max(8, round(side * rng.uniform(0.5, 1.1)))
    down, right = (int(v) for v in rng.integers(0, 8, 2))
    frame = cv2.resize(image, (coded, coded), interpolation=cv2.INTER_LINEAR)
    frame = cv2.copyMakeBorder(frame, down, 0, right, 0, cv2.BORDER_REPLICATE)
    level = int(rng.integers(quality[0], quality[1] + 1))
    frame = through_jpeg(frame, level, CHROMA_420)[down:, right:]
    frame = cv2.GaussianBlur(frame, (3, 3), rng.uniform(0.3, 0.7))
    return np.asarray(cv2.resize(frame, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


_Steps = tuple[tuple[float, Callable[..., Image], tuple[Any, ...]], ...]


def _scene_steps(options: AugmentOptions) -> _Steps:
    """What changes what is to be seen; :func:`augment_mask` relies on the first two being first."""
    o = options
    return (
        (o.flip, flip, ()),
        (o.geometry, move, (o.rotation_deg, o.shift, o.zoom)),
        (o.light, light, (o.brightness, o.contrast, o.gamma)),
        (o.colour, colour, (o.hue_deg, o.saturation, o.tint)),
        (o.grayscale, grayscale, ()),
        (o.cutout, cutout, (o.cutout_side,)),
    )


def _degrading_steps(options: AugmentOptions) -> _Steps:
    """What a lens, a sensor and one file after the other take away, in the order of a picture's history."""
    o = options
    return (
        (o.blur, blur, (o.blur_sigma,)),
        (o.noise, noise, (o.noise_sigma,)),
        (o.rescale, rescale, (o.rescale_min,)),
        (o.codec, codec, (o.codec_quality,)),
        (o.jpeg, jpeg, (o.jpeg_quality, o.jpeg_twice)),
    )


def augment(image: Image, rng: Rng, options: AugmentOptions = PRESETS["robust"]) -> Image:
    """A new picture, C-contiguous, after each change of ``options`` with its probability, in a fixed order.

    ``image``: RGB ``uint8[n, n, 3]``, 0-255, at least 16 px wide, as the new one is; ValueError otherwise.
    ``PRESETS["none"]`` gives an equal picture.
    """
    check_crop(image)
    changed = _applied(_scene_steps(options), image, rng)
    if not (options.intact > 0 and rng.random() < options.intact):
        changed = _applied(_degrading_steps(options), changed, rng)
    return image.copy() if changed is image else np.ascontiguousarray(changed)


def _applied(steps: _Steps, image: Image, rng: Rng) -> Image:
    for probability, change, strengths in steps:
        if rng.random() < probability:
            image = change(image, rng, *strengths)
    return image


def augment_mask(mask: npt.NDArray[np.float32], rng: Rng, options: AugmentOptions) -> npt.NDArray[np.float32]:
    """Moves a mask as :func:`augment` moves the picture that was given a generator of the same state.

    Only what moves pixels is done: flips and warps, which :func:`augment` draws before all else. Masks are
    ``float32[n, n]``, 0-1; the moved one is rounded to 256 levels.
    """
    moving = replace(
        AugmentOptions(),
        **{name: getattr(options, name) for name in ("flip", "geometry", "rotation_deg", "shift", "zoom")},
    )
    grey = np.rint(mask * 255).astype(np.uint8)
    return augment(cv2.merge((grey, grey, grey)), rng, moving)[..., 0].astype(np.float32) / np.float32(255)
