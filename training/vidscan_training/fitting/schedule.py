"""What changes while a network trains: learning rate, patience, and the running average of its weights.

Everything here is plain numbers and arrays with a state that fits into JSON or ``.npz``, so that a
training that was killed goes on exactly where it stood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Arrays = list[npt.NDArray[np.float32]]


_FLOOR = 1e-3
"""Share of its peak to which a learning rate falls."""


def warmed_cosine(fraction: float, peak: float, warmup: float = 0.1) -> float:
    """Learning rate after ``fraction`` (0-1) of the training.

    Rises linearly from a 25th of ``peak`` during the share ``warmup``, then falls along half a cosine
    to its floor. After I. Loshchilov and F. Hutter, "SGDR", 2017, and L. Smith's one-cycle rule,
    2018, with the warm-up of the latter.
    """
    fraction = min(max(fraction, 0.0), 1.0)
    if fraction < warmup:
        return peak * (1 / 25 + (1 - 1 / 25) * fraction / warmup)
    along = (fraction - warmup) / max(1 - warmup, 1e-9)
    return peak * (_FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * along)))


@dataclass
class Plateau:
    """Lowers a learning rate when a loss stops falling, and says when to give up.

    The reference recipe's numbers: times 0.3 after 3 epochs without improvement, not below 1e-7;
    stop after 7. ``best`` is the lowest loss so far; both counters are in epochs.
    """

    rate: float
    factor: float = 0.3
    patience: int = 3
    smallest: float = 1e-7
    stop_after: int = 7
    best: float = math.inf
    since_best: int = 0
    since_lowered: int = 0

    def update(self, loss: float) -> None:
        """Takes note of an epoch's validation loss."""
        if loss < self.best - 1e-4:
            self.best, self.since_best, self.since_lowered = loss, 0, 0
            return
        self.since_best += 1
        self.since_lowered += 1
        if self.since_lowered >= self.patience:
            self.rate = max(self.rate * self.factor, self.smallest)
            self.since_lowered = 0

    @property
    def exhausted(self) -> bool:
        """Whether training should stop early."""
        return self.since_best >= self.stop_after


class WeightAverage:
    """Exponential moving average of all weights, batch normalisation's statistics included.

    The average follows closely at first, by ``(1 + t) / (10 + t)``, until that passes ``decay``:
    otherwise a short training would average in its own beginning. It is updated every ``every`` steps
    with the decay to that power, which costs an eighth and changes nothing that matters.
    """

    def __init__(self, weights: Sequence[npt.NDArray[np.float32]], decay: float = 0.999, every: int = 8):
        self.decay, self.every = decay, every
        self.weights: Arrays = [np.array(array) for array in weights]

    def due(self, step: int) -> bool:
        """Whether :meth:`update` is to be called after step number ``step`` (counted from 1)."""
        return step % self.every == 0

    def update(self, weights: Sequence[npt.NDArray[np.float32]], step: int) -> None:
        """Moves the average towards ``weights``, which the network has after ``step`` steps."""
        keep = min(self.decay, (1 + step) / (10 + step)) ** self.every if self.decay > 0 else 0.0
        for average, current in zip(self.weights, weights, strict=True):
            if not np.issubdtype(average.dtype, np.floating):  # a counter, as Keras's Normalization has
                average[...] = current
                continue
            # In place: a network's worth of temporaries every few steps would cost more than the sum.
            average *= keep
            average += (1 - keep) * np.asarray(current)
