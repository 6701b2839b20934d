"""A drawn face mesh and a picture to go with it: stand-ins for a real face."""

from __future__ import annotations

import cv2
import numpy as np

from vidscan_training.data import self_blend


def drawn_landmarks(side: int) -> np.ndarray:
    """A stand-in for the mesh: an oval of points with brows, eyes, nose and lips where faces have them."""
    turn = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    x, y = 0.5 + 0.27 * np.sin(turn), 0.52 - 0.33 * np.cos(turn)
    points = np.stack([x, y], axis=1)
    rng = np.random.default_rng(0)

    def put(indices, left, right, top, bottom):
        low, high = (left, top), (right, bottom)
        points[list(indices)] = rng.uniform(low, high, (len(indices), 2))

    put(self_blend._BROWS, 0.30, 0.70, 0.34, 0.38)
    put(self_blend._EYES, 0.32, 0.68, 0.41, 0.46)
    put(self_blend._NOSE, 0.45, 0.55, 0.45, 0.60)
    put(self_blend._LIPS, 0.40, 0.60, 0.66, 0.73)
    points[self_blend._FOREHEAD], points[self_blend._CHIN] = (0.5, 0.19), (0.5, 0.85)
    return (points * side).astype(np.float32)


def portrait(side: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (8, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(smooth + rng.normal(0, 10, (side, side, 3)), 0, 255).astype(np.uint8)
