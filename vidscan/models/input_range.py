"""Notices a network that expects other numbers than 0-255, before it scores anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError
from vidscan.models.runtimes.comparison import Compute, fixed_crops

SATURATED = 1e-3
"""A probability that lies so close to 0 or 1 tells nothing of the crop but its brightness."""

SAME = 1e-6
"""Outputs that differ by less are one and the same."""

_REMEDY = (
    "crops are RGB, 0-255: put keras.layers.Rescaling behind its input, with the factor that it was trained "
    "with (such as 1/255), and save it again"
)


def check_input_range(path: Path, outputs: Compute, size: int) -> None:
    """Refuses a network that says the same of everything, or is sure of everything but the darkest crops.

    It scores the fixed crops twice: as they are, and with levels 0 and 1 alone, which a network that expects
    0-1 (or -1 to 1) takes for ordinary pictures.

    Raises:
        ModelError: the reason, and what to do.
    """
    crops = fixed_crops(size)
    usual, dim = (np.asarray(outputs(each), np.float64) for each in (crops, crops // np.uint8(128)))
    if np.ptp(np.concatenate([usual, dim])) < SAME:
        raise ModelError(
            f"{path}: gives {usual.flat[0]:.3g} whatever it is shown: check that its weights were trained; "
            f"{_REMEDY}"
        )
    if _saturated(usual).all() and not _saturated(dim).any():
        raise ModelError(
            f"{path}: is certain of every crop, noise included, unless it is nearly black, as a network that "
            f"expects 0-1 is; {_REMEDY}"
        )


def _saturated(outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.minimum(outputs, 1.0 - outputs) < SATURATED
