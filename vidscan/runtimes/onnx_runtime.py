"""The network as onnxruntime computes it, on the CPU or through Apple's CoreML."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.runtimes.protocol import Outputs, RuntimeUnavailableError

PIXELS_AT_ONCE = 8 * 260 * 260
"""Pixels computed at once: 8 crops for EfficientNet-Lite2, 3 for B4. More cost memory (B4: 2.6 GB for 32
crops) and time, since what a layer leaves no longer fits the caches (benchmarks/README.md)."""

CPU, COREML = "CPUExecutionProvider", "CoreMLExecutionProvider"


class OnnxRuntime:
    """An onnxruntime session over a network of one uint8 input and one output."""

    def __init__(self, network: bytes | Path, *, name: str = "onnx", provider: str = CPU) -> None:
        """Opens a session.

        Args:
            network: the ONNX file, or its content. It must have been inspected, or be of our making.
            name: as reports have it.
            provider: onnxruntime's execution provider; what it can't compute, the CPU does.

        Raises:
            RuntimeUnavailableError: onnxruntime is missing, or refuses the network.
        """
        self.name = name
        runtime = import_onnxruntime()
        if provider not in runtime.get_available_providers():
            raise RuntimeUnavailableError(f"this onnxruntime has no {provider}; choose --runtime onnx")
        content = network if isinstance(network, bytes) else str(network)
        providers = [provider] if provider == CPU else [provider, CPU]
        try:
            self._session = runtime.InferenceSession(content, _session_options(runtime), providers=providers)
        except Exception as error:  # onnxruntime's own errors have no common base but Exception
            raise RuntimeUnavailableError(f"onnxruntime refuses the network: {_brief(error)}") from error
        self._input = self._session.get_inputs()[0]

    @property
    def input_size(self) -> int:
        """Side of the crops in pixels."""
        return int(self._input.shape[1])

    def outputs(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """See :class:`vidscan.runtimes.protocol.Runtime`."""
        at_once = max(1, PIXELS_AT_ONCE // self.input_size**2)
        parts = [
            self._session.run(None, {self._input.name: crops[start : start + at_once]})[0]
            for start in range(0, len(crops), at_once)
        ]
        return np.concatenate(parts)


def import_onnxruntime() -> Any:
    """The ``onnxruntime`` module; raises RuntimeUnavailableError where it is not installed."""
    if find_spec("onnxruntime") is None:
        raise RuntimeUnavailableError("onnxruntime is not installed; install vidscan again")
    import onnxruntime

    return onnxruntime


def _session_options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Decoding and detection want the cores between two batches.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def threads() -> int:
    """How many threads compute: one for each core that this process may use; 0 lets onnxruntime decide.

    Left to itself, onnxruntime counts the machine's cores even where a container was given a few.
    """
    if sys.platform != "linux":
        return 0
    allowed = os.sched_getaffinity(0)
    return max(1, min(len({_siblings(core) for core in allowed}), _quota()))


def _siblings(core: int) -> str:
    """The hardware threads that share a core with this one: two of them compute no faster than one."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(core)


def _quota() -> int:
    """The cores that the container's limit amounts to, rounded up; very many where there is none."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return -(-int(limit) // int(period))
    except (OSError, ValueError):  # another control group version, or "max"
        return 1 << 16


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
