"""Computes a network with onnxruntime, on the CPU."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
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

_OPENER = ThreadPoolExecutor(1, thread_name_prefix="onnx")
"""Opens one network after the other: two at once would take the memory of both twice."""


class OnnxRuntime:
    """An onnxruntime session over a network of one uint8 input and one output, or more.

    The second output, if any, is what each part of a crop adds to the logit of the first. A network that
    looks at mouths beside faces has another input, ``float32[n, 1]``, which is added to the logit of the
    first output, and a third output, that logit of a mouth.
    """

    name = "onnx"

    def __init__(self, network: bytes | Path, *, wait: bool = True) -> None:
        """Opens a session for a network that was inspected, or converted here.

        ``wait``: until it is open. Otherwise that goes on beside the caller's work, and whatever asks for the
        session first waits, and is told of a network that onnxruntime refuses.

        Raises:
            RuntimeUnavailableError: onnxruntime is missing, or refuses the network.
        """
        runtime = import_onnxruntime()
        self._workers = ThreadPoolExecutor(min(cores(), MAX_WORKERS), thread_name_prefix="onnx")
        self._opening: Future[Any] = Future() if wait else _OPENER.submit(_open, runtime, network)
        if wait:
            self._opening.set_result(_open(runtime, network))

    @property
    def _session(self) -> Any:
        return self._opening.result()

    @property
    def _outputs(self) -> list[str]:
        return [output.name for output in self._session.get_outputs()]

    @property
    def input_size(self) -> int:  # noqa: D102
        return int(self._session.get_inputs()[0].shape[1])

    def outputs(self, crops: npt.NDArray[np.uint8], mouths: npt.NDArray[np.uint8] | None = None) -> Outputs:
        """The network's outputs; see :class:`vidscan.models.runtimes.protocol.Runtime`.

        Every crop is computed by one thread, several side by side. That is faster than several
        threads over a few crops at a time (benchmarks/README.md): none waits for another at every layer, and
        what a layer leaves still fits the caches.

        ``mouths``, of the form of ``crops``, are for a network that :attr:`takes_mouths`; one that is all
        zeros counts nothing, and one that comes several times is computed once.
        """
        added = None if mouths is None else self._mouth_logits(mouths)
        return self._computed(self._outputs[0], crops, added)

    @property
    def takes_mouths(self) -> bool:
        """Whether the network looks at mouths beside faces."""
        return len(self._session.get_inputs()) > 1

    def _mouth_logits(self, mouths: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What each mouth adds to the logit, ``float32[n, 1]``."""
        contents = [mouth.tobytes() if mouth.any() else b"" for mouth in mouths]
        place_of = {content: place for place, content in enumerate(contents) if content}
        logits = np.zeros((len(mouths), 1), np.float32)
        if place_of:
            found = self._computed(self._outputs[2], mouths[list(place_of.values())])
            logit_of = dict(zip(place_of, found, strict=True))
            for place, content in enumerate(contents):
                logits[place] = logit_of.get(content, 0.0)
        return logits

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

    def _computed(
        self, output: str, crops: npt.NDArray[np.uint8], added: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        more = np.zeros((len(crops), 1), np.float32) if added is None else added
        session = self._session
        names = [each.name for each in session.get_inputs()]

        def of_one(crop: npt.NDArray[np.uint8], logit: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            feeds = dict(zip(names, (crop[None], logit[None]), strict=False))  # most take no logit
            (found,) = session.run([output], feeds)
            return np.asarray(found, np.float32)

        return np.concatenate(list(self._workers.map(of_one, crops, more)))


def import_onnxruntime() -> Any:
    """Imports onnxruntime; raises RuntimeUnavailableError if it is not installed."""
    if find_spec("onnxruntime") is None:
        raise RuntimeUnavailableError("onnxruntime is not installed; install vidscan again")
    import onnxruntime

    return onnxruntime


def _open(runtime: Any, network: bytes | Path) -> Any:
    content = network if isinstance(network, bytes) else str(network)
    try:
        return runtime.InferenceSession(content, _session_options(runtime), providers=[CPU])
    except Exception as error:  # onnxruntime's own errors have no common base but Exception
        raise RuntimeUnavailableError(f"onnxruntime refuses the network: {_brief(error)}") from error


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
