"""A detector and a network that decide by brightness, so that a test knows every answer beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from vidscan.errors import DetectionError
from vidscan.records import Box, Detection, FaceCrop, FaceSeen, Image, ModelCard

CARD = ModelCard("toy", "none", 32, margin=1.0, least_face=0)


class ToyDetector:
    """Sees one face in the middle of every picture that is not dark; breaks down where it is told to."""

    def __init__(self, breaks: Callable[[Image], bool] = lambda image: False) -> None:
        self._breaks = breaks
        self.pictures = 0
        self.closed = False

    def __enter__(self) -> Self:
        self.closed = False
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def detect(self, image: Image) -> list[Detection]:
        return self.far(image)

    def near(self, image: Image) -> list[Detection]:
        assert not self.closed, "a closed detector was used"
        return []

    def far(self, image: Image) -> list[Detection]:
        assert not self.closed, "a closed detector was used"
        self.pictures += 1
        if self._breaks(image):
            raise DetectionError("the toy detector broke down")
        if image.mean() < 60:
            return []
        height, width = image.shape[:2]
        box = Box(width / 4, height / 4, width / 2, height / 2)
        return [Detection(box, 0.9, np.zeros((6, 2), np.float32))]


class ToyScorer:
    """P(fake) is a crop's brightness, 0-1. ``batches`` holds the number of crops of each call."""

    def __init__(self, card: ModelCard = CARD, path: Path = Path("toy.keras")) -> None:
        self.card = card
        self.path = path
        self.batches: list[int] = []

    def score(self, crops: Image) -> np.ndarray:
        self.batches.append(len(crops))
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (self.card.input_size, self.card.input_size, 3)
        return (crops.mean(axis=(1, 2, 3)) / 255).astype(np.float32)


class ConstantScorer(ToyScorer):
    """Gives every crop the same P(fake)."""

    def __init__(self, value: float, card: ModelCard = CARD) -> None:
        super().__init__(card)
        self.value = value

    def score(self, crops: Image) -> np.ndarray:
        return np.full_like(super().score(crops), self.value)


def toy_picture(brightness: int, height: int = 80, width: int = 80) -> Image:
    """A grey picture in a fine check pattern: sharp, so that a toy face in it can be judged.

    The pattern has cells of 2 pixels, and too little contrast to make the search for faces look closer.
    """
    y, x = np.mgrid[:height, :width] // 2
    pattern = brightness + np.where((x + y) % 2, 3, -3)
    return np.repeat(pattern.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def toy_face(frame: int = 0, *, fps: float = 2.0, source_id: str = "0", **more: Any) -> FaceSeen:
    """A face of full quality."""
    whole = {"box": Box(10.0, 20.0, 50.0, 50.0), "confidence": 0.9, "track": 1} | more
    return FaceSeen(source_id, frame, frame / fps, **whole)


def toy_crop(number: int, source_id: str = "0", sizes: tuple[int, ...] = (16,)) -> FaceCrop:
    """A crop that can be told from others: its number is in every field."""
    face = toy_face(number, source_id=source_id, box=Box(number, 1, 2, 3), confidence=0.5 + number / 1000)
    return FaceCrop(face, tuple(np.full((size, size, 3), number % 256, np.uint8) for size in sizes))
