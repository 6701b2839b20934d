"""What a network's output means by its card: P(fake), calibrated where the card says how."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.records import Calibration, ModelCard

LOGIT_LIMIT = 16.0
"""Logits are clipped to +-16: beyond it a float32 sigmoid cannot be told from 0 or 1."""


def fake_probability(output: npt.ArrayLike, card: ModelCard) -> npt.NDArray[np.float32]:
    """P(fake), ``float32[n]``, calibrated where the card allows it.

    ``output`` holds the sigmoid's values 0-1, ``[n]`` or ``[n, 1]``: P(``card.positive_class``).

    Raises:
        ScoringError: a value is not a probability; a broken runtime shows itself so.
    """
    values = np.asarray(output, dtype=np.float64)
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise ScoringError(f"the network put out shape {list(values.shape)} where [n, 1] was due")
    values = values.reshape(-1)
    # Written so that NaN fails as well.
    if not np.all((values >= 0) & (values <= 1)):
        raise ScoringError(
            "the network put out values that are no probabilities (NaN or outside 0-1): "
            "it must end in a sigmoid and run on sound hardware; try the CPU or another checkpoint"
        )
    fake = values if card.positive_class == "fake" else 1.0 - values
    return calibrate(fake, card.calibration)


def calibrate(fake: npt.ArrayLike, calibration: Calibration | None) -> npt.NDArray[np.float32]:
    """Platt scaling of P(fake), 0-1, of any shape: ``sigmoid(slope * logit(p) + intercept)`` in float32.

    Without a calibration, ``p`` itself. Source: see :class:`vidscan.records.Calibration`.
    """
    p = np.asarray(fake, dtype=np.float64)
    if calibration is None:
        return p.astype(np.float32)
    with np.errstate(divide="ignore"):  # log(0) is -inf, which the clip brings back
        logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_LIMIT, LOGIT_LIMIT)
    # tanh, unlike exp, cannot overflow.
    scaled = 0.5 * (1.0 + np.tanh(0.5 * (calibration.slope * logit + calibration.intercept)))
    return np.asarray(scaled, dtype=np.float32)
