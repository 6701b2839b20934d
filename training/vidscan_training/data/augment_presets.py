"""How likely and how strong each random change of a crop is, and the sets of them that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How likely (0-1) and how strong each change is; the defaults change nothing.

    ``geometry`` draws rotation (degrees), shift and zoom (shares of the side) together, in one warp.
    ``light`` draws brightness and contrast (shares) and gamma (share, log scale); ``colour`` draws hue
    (degrees), saturation (share) and tint (grey levels). ``rescale_min`` is the smallest share of the
    side to which a crop is reduced before it is enlarged again. ``blur_sigma`` is in pixels,
    ``noise_sigma`` in grey levels, both upper ends. ``jpeg_quality`` is a closed range; ``jpeg_twice``
    the probability that a crop that was compressed is compressed once more. ``codec_quality`` is the
    JPEG quality that stands for a video encoder's. ``cutout_side`` is the longest side of the
    rectangle, as a share of the crop's. ``h264`` is the share of a batch that goes through a real
    encoder, at a CRF of the closed range ``h264_crf`` and with a side of ``h264_smallest`` of the crop's
    at least; it needs ffmpeg, and is done by :mod:`vidscan_training.data.h264`.
    ``intact`` is the share of crops that lens and files leave alone (from blur to JPEG; not H.264): the
    fingerprint of a generator lies in traces so fine that the mildest of those takes them away.
    """

    flip: float = 0.0
    geometry: float = 0.0
    rotation_deg: float = 10.0
    shift: float = 0.05
    zoom: float = 0.10
    light: float = 0.0
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.25
    colour: float = 0.0
    hue_deg: float = 12.0
    saturation: float = 0.3
    tint: float = 10.0
    grayscale: float = 0.0
    cutout: float = 0.0
    cutout_side: float = 0.35
    blur: float = 0.0
    blur_sigma: float = 1.5
    rescale: float = 0.0
    rescale_min: float = 0.35
    noise: float = 0.0
    noise_sigma: float = 9.0
    codec: float = 0.0
    codec_quality: tuple[int, int] = (18, 50)
    jpeg: float = 0.0
    jpeg_quality: tuple[int, int] = (30, 95)
    jpeg_twice: float = 0.25
    h264: float = 0.0
    h264_crf: tuple[int, int] = (22, 42)
    h264_smallest: float = 0.35
    intact: float = 0.0


_BROAD = AugmentOptions(
    flip=0.5,
    geometry=0.7,
    light=0.5,
    brightness=0.25,
    contrast=0.3,
    colour=0.4,
    hue_deg=15.0,
    saturation=0.5,
    tint=18.0,
    grayscale=0.04,
    cutout=0.06,
    blur=0.08,
    rescale=0.3,
    rescale_min=0.3,
    noise=0.08,
    codec=0.1,
    codec_quality=(20, 55),
    jpeg=0.35,
    jpeg_quality=(35, 95),
    jpeg_twice=0.2,
)

_WILD = replace(_BROAD, rescale=0.25, codec=0.04, jpeg=0.3, h264=0.25)

PRESETS: Mapping[str, AugmentOptions] = {
    "none": AugmentOptions(),
    # The reference recipe's kind of change: geometry and brightness, no degradation at all.
    "reference": AugmentOptions(flip=0.5, geometry=1.0, light=1.0, contrast=0.0, gamma=0.0),
    # For the first thousands of steps: half of the crops keep the fine traces that a network must
    # learn to see before it can learn to see them through compression.
    "moderate": AugmentOptions(
        flip=0.5,
        geometry=0.7,
        light=0.4,
        colour=0.25,
        grayscale=0.02,
        cutout=0.05,
        blur=0.06,
        rescale=0.2,
        rescale_min=0.5,
        noise=0.06,
        codec=0.06,
        codec_quality=(30, 60),
        jpeg=0.3,
        jpeg_quality=(50, 95),
        jpeg_twice=0.1,
    ),
    # Between the two, with the widest reach: a third of the crops keep their fine traces, the others
    # are degraded as far as footage from the wild is.
    "broad": _BROAD,
    # `broad` with real H.264 instead of most of its stand-in: what phones and sites make of a clip.
    "wild": _WILD,
    # `wild` for every other crop, so that whole synthetic faces are known by their fine traces too.
    "mixed": replace(_WILD, intact=0.5),
    # Colours far apart, since broadcasts and old cameras have skins of every colour, and a network that
    # saw few people takes an odd one for a forgery.
    "robust": AugmentOptions(
        flip=0.5,
        geometry=0.7,
        light=0.6,
        brightness=0.25,
        contrast=0.3,
        colour=0.6,
        hue_deg=15.0,
        saturation=0.5,
        tint=18.0,
        grayscale=0.05,
        cutout=0.08,
        blur=0.12,
        rescale=0.35,
        noise=0.12,
        codec=0.12,
        jpeg=0.45,
    ),
}
"""The named sets of options; ``robust`` is what training uses unless told otherwise."""
