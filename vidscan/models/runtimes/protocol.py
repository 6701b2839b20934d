"""The protocol of a runtime, and the error of one that is not available."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError

Outputs = npt.NDArray[np.float32]
"""Outputs of a sigmoid, ``float32[n, 1]``: the probability of the class that the card names."""


class Runtime(Protocol):
    """A network ready to compute."""

    @property
    def name(self) -> str:
        """Its name in reports and for ``--runtime``, such as ``onnx``."""

    @property
    def input_size(self) -> int:
        """Side of its square crops in pixels."""

    def outputs(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """Returns the network's outputs for RGB ``uint8[n, size, size, 3]``, 0-255, with ``n`` of 1 or more.

        Any exception means that the runtime failed.
        """


class RuntimeUnavailableError(ModelError):
    """A runtime is not available for this checkpoint or on this machine; another one may be."""


def first_line(error: Exception) -> str:
    """The first line of a foreign error, short enough for a one-line message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
