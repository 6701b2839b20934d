"""Compares the outputs of two runtimes on fixed crops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

TOLERANCE = 1e-3
"""Maximum difference (0-1) between the outputs of two runtimes for one crop."""


def fixed_crops(size: int) -> npt.NDArray[np.uint8]:
    """Makes four pictures, RGB ``uint8[4, size, size, 3]``: fine noise, blotches, a colour gradient, grey."""
    random = np.random.default_rng(20)
    noise = random.integers(0, 256, (size, size, 3))
    cells = -(-size // 8)
    blotches = random.integers(0, 256, (8, 8, 3)).repeat(cells, 0).repeat(cells, 1)[:size, :size]
    slope = np.linspace(0, 255, size)
    colours = np.stack(
        np.broadcast_arrays(slope[:, None], slope[None, ::-1], np.full((size, size), 90.0)), -1
    )
    pictures = [noise, blotches, colours, np.full((size, size, 3), 127)]
    return np.stack([np.asarray(picture, np.uint8) for picture in pictures])


Compute = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def largest_difference(first: Compute, second: Compute, size: int) -> float:
    """Returns the largest difference between two runtimes' outputs on the fixed crops; NaN counts as 1."""
    crops = fixed_crops(size)
    apart = np.abs(np.asarray(first(crops), np.float64) - np.asarray(second(crops), np.float64))
    return float(np.nan_to_num(apart, nan=1.0).max())
