"""Maps HDR stills to SDR as HDR clips are mapped: PQ and HLG to BT.709."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidscan.media.ffmpeg.presentation import KEPT, WHITE_NITS
from vidscan.records import Image

HDR_NAMES = {16: "PQ", 18: "HLG"}
"""Transfers of HDR by their numbers in ITU-T H.273."""

_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_P3_TO_BT709 = np.array(
    [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32
)
_TO_BT709 = {9: _BT2020_TO_BT709, 12: _P3_TO_BT709}
"""Matrices by the number of the primaries; ITU-R BT.2087 and SMPTE EG 432-1."""

_HLG_PEAK_NITS, _HLG_GAMMA = 1000.0, 1.2
_PEAK = 10.0  # in multiples of white, as ffmpeg's tonemap assumes
_ROWS = 256  # at a time, to bound the memory

Light = npt.NDArray[np.float32]
"""Linear light, ``float32[n, width, 3]``, in which 1 is diffuse white."""


def to_sdr(picture: Image, transfer: int, primaries: int) -> Image:
    """Returns an HDR picture, RGB ``uint8[height, width, 3]`` of such a transfer, as BT.709 of the same form.

    The numbers are those of ITU-T H.273; unknown ``primaries`` are taken for BT.2020's.
    """
    levels = np.arange(256, dtype=np.float32) / 255
    table = _pq(levels) if transfer == 16 else _hlg(levels)
    mapped = np.empty_like(picture)
    for start in range(0, len(picture), _ROWS):
        light = table[picture[start : start + _ROWS]]
        if primaries != 1:
            light = light @ _TO_BT709.get(primaries, _BT2020_TO_BT709).T
        mapped[start : start + _ROWS] = _shown(light)
    return mapped


def _pq(levels: Light) -> Light:
    """Returns the light of PQ's levels, 0-1 (SMPTE ST 2084)."""
    root = np.power(levels, 1 / 78.84375)
    part = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(np.power(part, 1 / 0.1593017578125) * (10_000 / WHITE_NITS), np.float32)


def _hlg(levels: Light) -> Light:
    """Returns the light of HLG's levels, 0-1 (ITU-R BT.2100); the system's gamma by channel, as in zscale."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - c) / a) + b) / 12)
    return np.asarray(np.power(scene, _HLG_GAMMA) * (_HLG_PEAK_NITS / WHITE_NITS), np.float32)


def _shown(light: Light) -> Image:
    """Compresses what is brighter than white, by ffmpeg's mobius, and codes it for a display (BT.1886)."""
    brightest = light.max(axis=2, keepdims=True)
    a = -(KEPT**2) * (_PEAK - 1) / (KEPT**2 - 2 * KEPT + _PEAK)
    b = (KEPT**2 - 2 * KEPT * _PEAK + _PEAK) / (_PEAK - 1)
    bright = np.maximum(brightest, KEPT)
    scale = (b * b + 2 * b * KEPT + KEPT**2) / (b - a) * (bright + a) / (bright + b) / bright
    sdr = np.where(brightest > KEPT, light * scale, light)
    return np.asarray(np.power(np.clip(sdr, 0, 1), 1 / 2.4) * 255 + 0.5, np.uint8)
