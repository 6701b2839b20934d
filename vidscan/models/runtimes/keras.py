"""Computes with Keras a network that is built from a checkpoint when first needed."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError
from vidscan.models.guards.archive import CONFIG, inspect_archive
from vidscan.models.guards.network import check_network
from vidscan.models.guards.weights import weights_of_at_most
from vidscan.models.runtimes.protocol import Outputs, first_line
from vidscan.system.frameworks import import_keras

_CHUNK = 32
"""Number of crops put through the network at once; it bounds the memory."""

_HALF_PRECISION = frozenset(("float16", "bfloat16", "mixed_float16", "mixed_bfloat16"))


class KerasRuntime:
    """Keras, under the backend that ``KERAS_BACKEND`` names, on the device that the backend prefers."""

    name = "keras"

    def __init__(self, path: Path) -> None:
        """Takes a ``.keras`` file, which is looked into when the network is first needed."""
        self._path = path

    @cached_property
    def network(self) -> Any:
        """The Keras model in float32, not compiled; inspected, built and checked at the first use.

        Raises:
            ModelError: the file is refused, Keras cannot build it, or it has another shape.
        """
        network = _network_in_float32(self._path, *inspect_archive(self._path))
        check_network(self._path, network)
        return network

    @property
    def input_size(self) -> int:
        """Side of the crops in pixels."""
        return int(self.network.inputs[0].shape[1])

    def outputs(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """See :class:`vidscan.models.runtimes.protocol.Runtime`."""
        chunks = (crops[start : start + _CHUNK] for start in range(0, len(crops), _CHUNK))
        return np.concatenate([np.asarray(self.network.predict_on_batch(chunk)) for chunk in chunks])

    def outputs_on_cpu(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """Computes the outputs step by step on the CPU, to compare a GPU's with; slow."""
        with import_keras().device("cpu:0"):
            return np.asarray(self.network(crops, training=False), np.float32)


def _network_in_float32(path: Path, config: dict[str, Any], weights: int) -> Any:
    """Builds the network in Keras's safe mode, not compiled.

    Half precision is slow on CPUs and moves scores by up to a percent, so such a network is read from a copy
    of the archive that asks for float32. Its weights were kept in float32 all along.
    """
    keras = import_keras()
    try:
        in_float32 = _without_half_precision(config)
        with tempfile.TemporaryDirectory() as folder, no_layer_left_random(), weights_of_at_most(weights):
            readable = path
            if in_float32 != config:
                readable = Path(folder) / path.name
                _copy_with_config(path, readable, in_float32)
            return keras.saving.load_model(readable, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a layer's constructor or h5py does
        raise ModelError(
            f"{path}: Keras {keras.__version__} cannot rebuild the network: {first_line(error)}; "
            "save it again with a current Keras 3, or use another checkpoint"
        ) from error


def _without_half_precision(tree: Any) -> Any:
    """Returns ``config.json`` with every half-precision policy, cast and dtype replaced by float32."""
    if isinstance(tree, list):
        return [_without_half_precision(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    copy = {key: _without_half_precision(value) for key, value in tree.items()}
    if isinstance(copy.get("dtype"), str) and copy["dtype"] in _HALF_PRECISION:
        copy["dtype"] = "float32"
    if str(copy.get("class_name")).endswith("DTypePolicy"):
        match copy.get("config"):
            case {"name": str(name)} if name in _HALF_PRECISION:
                copy["config"]["name"] = "float32"
    return copy


def _copy_with_config(source: Path, target: Path, config: dict[str, Any]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if member.filename == CONFIG:
                new.writestr(CONFIG, json.dumps(config))
            elif not member.is_dir():
                with old.open(member) as reader, new.open(member.filename, "w", force_zip64=True) as writer:
                    shutil.copyfileobj(reader, writer, 1 << 20)


@contextmanager
def no_layer_left_random() -> Iterator[None]:
    """Fails where Keras only warns: that layers missing from a file kept their random weights.

    Raises:
        ValueError: Keras gave that warning in the block.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if "freshly-initialized" in str(warning.message):
            raise ValueError("some layers are missing from it and would keep random weights")
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
