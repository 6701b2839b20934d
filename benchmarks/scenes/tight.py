"""Faces that the picture cuts off at forehead and chin, and pictures of the same size without a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from vidscan.faces.crops import resize, square_crop
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.faces.search import FaceSearch
from vidscan.media.frames import read_still
from vidscan.options import DetectionOptions
from vidscan.records import Image

SIDE = 224
"""Pixels of a picture's side, as collections of crops have it."""


def tight_crops(data: Path, detector: MediaPipeFaceDetector, share: float, count: int) -> Iterator[Image]:
    """Portraits of FFHQ and StyleGAN in turns, of each ``share`` of the plain detector's box."""
    folders = [sorted((data / "faces" / name).glob("*.jpg")) for name in ("ffhq512", "stylegan256")]
    pictures = (read_still(path) for pair in zip(*folders, strict=False) for path in pair)
    seen = ((picture, detector.detect(picture)) for picture in pictures)
    cut = (square_crop(picture, found[0].box, margin=share, size=SIDE) for picture, found in seen if found)
    return islice(cut, count)


def textures(backgrounds: Sequence[Image], count: int, seed: int) -> Iterator[Image]:
    """Parts of pictures without a face, and noise whose power falls with the frequency, in turns."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number % 2:
            yield _noise(rng, 0.6 + 0.3 * (number % 10) / 2)
            continue
        whole = backgrounds[int(rng.integers(len(backgrounds)))]
        side = int(rng.integers(100, min(whole.shape[:2])))
        top, left = (int(rng.integers(length - side)) for length in whole.shape[:2])
        part = np.ascontiguousarray(whole[top : top + side, left : left + side])
        yield resize(part, width=SIDE, height=SIDE)


def _noise(rng: np.random.Generator, slope: float) -> Image:
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    frequency[0, 0] = 1.0
    spectra = np.fft.fft2(rng.normal(size=(3, SIDE, SIDE)), axes=(1, 2)) / frequency**slope
    levels = np.real(np.fft.ifft2(spectra, axes=(1, 2)))
    levels = (levels - levels.min()) / np.ptp(levels) * 255
    return np.ascontiguousarray(np.moveaxis(levels, 0, 2).astype(np.uint8))


def shown(pictures: Iterator[Image], detector: MediaPipeFaceDetector, *, plain: bool) -> tuple[int, int]:
    """How many pictures show a face, by the plain detector or the search of a still, and of how many."""
    found = [
        bool(detector.detect(each))
        if plain
        else bool(FaceSearch(detector, DetectionOptions(), still=True).find(each))
        for each in pictures
    ]
    return sum(found), len(found)
