"""A ``.tflite`` network as TensorFlow Lite computes it, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.runtimes.protocol import Outputs, RuntimeUnavailableError, first_line
from vidscan.system.cores import cores
from vidscan.system.frameworks import import_tensorflow, noise_dropped


class TfliteRuntime:
    """An interpreter over a network of one uint8 input and one float32 output."""

    name = "tflite"

    def __init__(self, network: bytes) -> None:
        """Opens an interpreter; raises RuntimeUnavailableError where TensorFlow Lite refuses the network."""
        tf = import_tensorflow()
        try:
            with noise_dropped():
                self._interpreter: Any = tf.lite.Interpreter(model_content=network, num_threads=cores())
                self._rows = 0
                self.inputs = self._interpreter.get_input_details()
                self.results = self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(
                f"TensorFlow Lite refuses the network: {first_line(error)}"
            ) from error

    @property
    def input_size(self) -> int:
        """Side of the crops in pixels."""
        return int(self.inputs[0]["shape"][1])

    def outputs(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """See :class:`vidscan.models.runtimes.protocol.Runtime`. One crop at a time: more are no faster."""
        place, result = self.inputs[0]["index"], self.results[0]["index"]
        if not self._rows:
            self._interpreter.allocate_tensors()
            self._rows = 1
        scores = np.empty((len(crops), 1), np.float32)
        for row, crop in enumerate(crops):
            self._interpreter.set_tensor(place, crop[None])
            self._interpreter.invoke()
            scores[row] = self._interpreter.get_tensor(result)
        return scores
