"""Checks a network that was built from a file, before it runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from vidscan.errors import ModelError
from vidscan.models.guards.archive import cut_short

_MAX_INPUT_SIDE = 4096
_MAX_ACTIVATION = 1 << 28
"""Upper limit on the numbers that one layer puts out for one crop: EfficientNetB7 at 600 px needs a
seventieth."""


def check_network(path: Path, network: Any) -> int:
    """Checks for one square RGB input, one sigmoid output and finite weights; returns the input's side.

    Raises:
        ModelError: the network has another shape, or its weights hold NaN or infinity.
    """
    size = _input_side(path, [tuple(tensor.shape) for tensor in network.inputs or ()])
    _check_output(path, [tuple(tensor.shape) for tensor in network.outputs or ()], network.layers[-1])
    _check_activations(path, network)
    for variable in network.weights:
        # Under the torch and JAX backends a variable is no numpy array until it is asked for one.
        if not np.all(np.isfinite(np.asarray(variable.numpy(), dtype=np.float32))):
            raise ModelError(
                f"{path}: the weights {variable.path} hold NaN or infinity, so the training broke down; "
                "use an earlier checkpoint"
            )
    return size


def _input_side(path: Path, inputs: list[tuple[int | None, ...]]) -> int:
    shape = inputs[0] if len(inputs) == 1 else ()
    if len(shape) == 4 and shape[0] is None and shape[3] == 3 and shape[1] == shape[2] and shape[1]:
        if shape[1] > _MAX_INPUT_SIDE:
            raise ModelError(
                f"{path}: takes crops of {shape[1]:,} pixels, and {_MAX_INPUT_SIDE:,} is the most; "
                "rebuild it smaller"
            )
        return shape[1]
    raise ModelError(
        f"{path}: takes {_shown(inputs)} where [None, size, size, 3] is due (square RGB crops of one fixed "
        "size, any number of them, channels last); rebuild it with such an input"
    )


def _check_activations(path: Path, network: Any) -> None:
    """Refuses a network that would fill the memory with its first crop."""
    waiting = list(network.layers)
    while waiting:
        layer = waiting.pop()
        waiting.extend(getattr(layer, "layers", ()))
        outputs = getattr(layer, "output", ())
        for tensor in outputs if isinstance(outputs, (list, tuple)) else (outputs,):
            count = math.prod(side or 1 for side in tensor.shape[1:])
            if count > _MAX_ACTIVATION:
                raise ModelError(
                    f"{path}: its layer {cut_short(layer.name)!r} puts out {count:,} numbers a crop; "
                    "refused as unsafe: rebuild it smaller"
                )


def _check_output(path: Path, outputs: list[tuple[int | None, ...]], last: Any) -> None:
    if len(outputs) != 1 or outputs[0] != (None, 1):
        hint = "rebuild it with one sigmoid output"
        if len(outputs) == 1 and outputs[0] == (None, 2):
            hint = "it looks like a softmax over two classes: replace that by Dense(1, activation='sigmoid')"
        raise ModelError(
            f"{path}: puts out {_shown(outputs)} where [None, 1], one probability, is due; {hint}"
        )
    activation = getattr(getattr(last, "activation", None), "__name__", "sigmoid")
    if activation not in ("sigmoid", "hard_sigmoid"):
        raise ModelError(
            f"{path}: ends in {activation!r} and not in a sigmoid, so its output is no probability; "
            "give its last layer activation='sigmoid', and save again"
        )


def _shown(shapes: list[tuple[int | None, ...]]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes) or "nothing"
