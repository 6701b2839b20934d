"""Computes a network with onnxruntime, on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.runtimes.overflow import WIDER_SUMS, products_overflow
from vidscan.models.runtimes.protocol import Outputs, RuntimeUnavailableError
from vidscan.system.cores import cores

MAX_WORKERS = 8
"""Upper limit on the crops computed side by side: each takes memory of its own."""

CPU = "CPUExecutionProvider"


class OnnxRuntime:
    """An onnxruntime session over a network of one uint8 input and one output, or two.

    The second output, if any, is what each part of a crop adds to the logit of the first.
    """

    name = "onnx"

    def __init__(self, network: bytes | Path) -> None:
        """Opens a session for a network that was inspected, or converted here.

        Raises:
            RuntimeUnavailableError: onnxruntime is missing, or refuses the network.
        """
        runtime = import_onnxruntime()
        content = network if isinstance(network, bytes) else str(network)
        try:
            self._session = runtime.InferenceSession(content, _session_options(runtime), providers=[CPU])
        except Exception as error:  # onnxruntime's own errors have no common base but Exception
            raise RuntimeUnavailableError(f"onnxruntime refuses the network: {_brief(error)}") from error
        self._workers = ThreadPoolExecutor(min(cores(), MAX_WORKERS), thread_name_prefix="onnx")
        self._input = self._session.get_inputs()[0]
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def input_size(self) -> int:  # noqa: D102
        return int(self._input.shape[1])

    def outputs(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """The network's outputs; see :class:`vidscan.models.runtimes.protocol.Runtime`.

        Every crop is computed by one thread, several side by side. That is faster than several
        threads over a few crops at a time (benchmarks/README.md): none waits for another at every layer, and
        what a layer leaves still fits the caches.
        """
        return self._computed(self._outputs[0], crops)

    @property
    def gives_shares(self) -> bool:
        """Whether the network has the second output."""
        return len(self._outputs) > 1

    def shares(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Returns what each part of each crop adds to the logit, ``float32[n, cells, cells]``.

        ``crops`` are RGB ``uint8[n, size, size, 3]``, 0-255, with ``n`` of 1 or more; :attr:`gives_shares` is
        True.
        """
        return self._computed(self._outputs[1], crops)

    def _computed(self, output: str, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        def of_one(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            (found,) = self._session.run([output], {self._input.name: crop[None]})
            return np.asarray(found, np.float32)

        return np.concatenate(list(self._workers.map(of_one, crops)))


def import_onnxruntime() -> Any:
    """Imports onnxruntime; raises RuntimeUnavailableError if it is not installed."""
    if find_spec("onnxruntime") is None:
        raise RuntimeUnavailableError("onnxruntime is not installed; install vidscan again")
    import onnxruntime

    return onnxruntime


def _session_options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if products_overflow(runtime):  # so that int8 networks compute the same on every machine
        options.add_session_config_entry(*WIDER_SUMS)
    # Decoding and detection want the cores between two batches.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
