"""Prepares the tower for 8 bits: moves what is large in its activations into its weights.

After Xiao et al., "SmoothQuant", 2023: before each product the activations' channel ``j`` is divided by,
and the weights' row ``j`` multiplied by, ``max|activation_j| ** 0.5 / max|weight_j| ** 0.5``. The division
is folded into the layer norm (or the values of the attention) that made the activations, so in float32 the
tower computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vidscan.models.runtimes.onnx import import_onnxruntime
from vidscan.records import Image
from vidscan_training.recipes.vit.tower.graph import Graph, model_of, tower
from vidscan_training.recipes.vit.tower.port import BLOCKS, TOKENS, WIDTH, Weights

Maxima = Mapping[str, npt.NDArray[np.float32]]
"""By ``block1/norm1``, ``block1/values``, ``block1/norm2`` …: the largest magnitude of each channel."""


def activation_maxima(weights: Weights, crops: Sequence[Image], depth: int = BLOCKS) -> Maxima:
    """What the channels before each product reach on some crops (RGB ``uint8[224, 224, 3]``), in float32."""
    graph = Graph("float32")
    tower(graph, weights, depth)
    # Of each block's four products, the last follows a non-linearity, which nothing can be folded through.
    products = [node.input[0] for node in graph.nodes if node.op_type == "MatMul"]
    names = [
        f"block{block}/{part}" for block in range(1, depth + 1) for part in ("norm1", "values", "norm2", "")
    ]
    wanted = {name: piece for name, piece in zip(names, products, strict=True) if not name.endswith("/")}
    model = model_of(graph, [(piece, ["n", TOKENS, WIDTH]) for piece in wanted.values()])
    session = import_onnxruntime().InferenceSession(model.SerializeToString())
    maxima: dict[str, npt.NDArray[np.float32]] = {}
    for crop in crops:
        for name, found in zip(wanted, session.run(None, {"crops": crop[None]}), strict=True):
            reached = np.abs(found).max(axis=(0, 1))
            maxima[name] = np.maximum(maxima.get(name, reached), reached)
    return maxima


def smoothed(weights: Weights, maxima: Maxima) -> Weights:
    """The same tower with its products evened out for quantisation."""
    even = dict(weights)
    for name, reached in maxima.items():
        block, part = name.split("/")
        if part == "values":
            factor = _even_rows(even, reached, [f"{block}/out/kernel"])
            for piece in (f"{block}/value/kernel", f"{block}/value/bias"):
                even[piece] = even[piece] / factor
            continue
        takers = ("query", "key", "value") if part == "norm1" else ("mlp1",)
        factor = _even_rows(even, reached, [f"{block}/{taker}/kernel" for taker in takers])
        for piece in (f"{name}/gamma", f"{name}/beta"):
            even[piece] = even[piece] / factor
    return even


def _even_rows(
    weights: dict[str, npt.NDArray[np.float32]], reached: npt.NDArray[np.float32], kernels: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Multiplies the kernels' rows by the factor that evens them with their activations, and returns it."""
    rows = np.max([np.abs(weights[name]).max(axis=1) for name in kernels], axis=0)
    factor = np.sqrt(np.maximum(reached, 1e-6) / np.maximum(rows, 1e-6)).astype(np.float32)
    for name in kernels:
        weights[name] = weights[name] * factor[:, None]
    return np.asarray(factor)
