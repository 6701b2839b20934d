"""Made-up pictures with grain."""

from __future__ import annotations

import cv2
import numpy as np


def textured(side: int, seed: int = 0) -> np.ndarray:
    """Smooth colours plus fine grain: something for every change to act on."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (6, 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(smooth + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)


def high_frequency_energy(image: np.ndarray) -> float:
    return float(np.square(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)).mean())
