"""The tower and its head as an ONNX graph for onnxruntime, in float32 or with 8-bit products.

Input ``crops``: RGB ``uint8[n, 224, 224, 3]``, 0-255; the colours' mean and deviation are folded into the
patch embedding. Weights are quantised beforehand with one scale for each output channel, activations at run
time with one scale for each token, so that no token's product depends on other tokens or crops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidscan_training.recipes.vit.tower.port import HEADS, MEAN, PATCH, SIDE, STD, WIDTH, Weights

Precision = Literal["float32", "int8"]

OPSET, IR_VERSION = 17, 8
EPSILON = 1e-5
_GRID = SIDE // PATCH


@dataclass(slots=True)
class Graph:
    """Nodes and constants under way; every method adds a piece and gives back its output's name."""

    precision: Precision
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """Adds an operation and returns its first output; the others' names end in ``:1``, ``:2`` …."""
        from onnx import helper

        name = f"{kind.lower()}{len(self.nodes)}"
        results = [name, *(f"{name}:{place}" for place in range(1, outputs))]
        self.nodes.append(
            helper.make_node(kind, list(inputs), results, name=name, domain=domain, **attributes)
        )
        return name

    def constant(self, value: npt.ArrayLike, kind: Any = np.float32) -> str:
        """A tensor of the file."""
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), name))
        return name

    def linear(self, rows: str, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None) -> str:
        """``rows @ kernel + bias``; in int8 unless the precision says otherwise."""
        if self.precision == "float32":
            product = self.node("MatMul", rows, self.constant(kernel))
            return product if bias is None else self.node("Add", product, self.constant(bias))
        quantised, scale = quantise(kernel)
        largest = self.node("ReduceMax", self.node("Abs", rows), axes=[-1], keepdims=1)
        # Never 0, which would make the quotient of a row of zeros no number.
        row_scale = self.node(
            "Max", self.node("Mul", largest, self.constant(1 / ROW_LIMIT)), self.constant(1e-12)
        )
        zero = self.constant(ZERO_POINT, np.uint8)
        whole = self.node("QuantizeLinear", self.node("Div", rows, row_scale), self.constant(1.0), zero)
        product = self.node("MatMulInteger", whole, self.constant(quantised, np.int8), zero)
        product = self.node("Mul", self.node("Cast", product, to=1), row_scale)
        product = self.node("Mul", product, self.constant(scale))
        return product if bias is None else self.node("Add", product, self.constant(bias))

    def norm(self, tokens: str, weights: Weights, name: str) -> str:
        """Layer normalisation over the last axis."""
        gamma, beta = self.constant(weights[f"{name}/gamma"]), self.constant(weights[f"{name}/beta"])
        return self.node("LayerNormalization", tokens, gamma, beta, axis=-1, epsilon=EPSILON)


ZERO_POINT = 128
"""Activations are stored unsigned around it."""

ROW_LIMIT, COLUMN_LIMIT = 127, 127


def quantise(kernel: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Symmetric whole numbers for each output (column): ``kernel`` is about ``q * scale``."""
    scale = np.maximum(np.abs(kernel).max(axis=0), 1e-12).astype(np.float32) / np.float32(COLUMN_LIMIT)
    return np.rint(kernel / scale).astype(np.int8), scale


def tower(graph: Graph, weights: Weights, depth: int) -> list[str]:
    """The tokens after each of ``depth`` blocks, float32 ``[n, 197, 768]``, the class token first."""
    pixels = graph.node("Transpose", graph.node("Cast", "crops", to=1), perm=[0, 3, 1, 2])
    std = np.asarray(STD, np.float32)
    kernel = weights["patch"] / (np.float32(255.0) * std)[:, None]
    bias = -(weights["patch"] * (np.asarray(MEAN, np.float32) / std)[:, None]).sum(axis=(0, 1, 2))
    patches = graph.node(
        "Conv",
        pixels,
        graph.constant(kernel.transpose(3, 2, 0, 1)),
        graph.constant(bias),
        strides=[PATCH, PATCH],
    )
    patches = graph.node("Reshape", patches, graph.constant([0, WIDTH, -1], np.int64))
    patches = graph.node("Transpose", patches, perm=[0, 2, 1])
    patches = graph.node("Add", patches, graph.constant(weights["position"][1:]))
    # The class token is the same for every crop: as many of it as there are crops.
    count = graph.node(
        "Slice", graph.node("Shape", "crops"), *(graph.constant([k], np.int64) for k in (0, 1))
    )
    shape = graph.node("Concat", count, graph.constant([1, WIDTH], np.int64), axis=0)
    first = graph.node(
        "Expand", graph.constant((weights["class"] + weights["position"][0])[None, None]), shape
    )
    tokens = graph.norm(graph.node("Concat", first, patches, axis=1), weights, "pre_norm")
    after = []
    for block in range(1, depth + 1):
        tokens = _block(graph, tokens, weights, f"block{block}")
        after.append(tokens)
    return after


def _block(graph: Graph, tokens: str, weights: Weights, name: str) -> str:
    normed = graph.norm(tokens, weights, f"{name}/norm1")
    kernel = np.concatenate([weights[f"{name}/{part}/kernel"] for part in ("query", "key", "value")], axis=1)
    bias = np.concatenate([weights[f"{name}/{part}/bias"] for part in ("query", "key", "value")])
    merged = graph.linear(normed, kernel, bias)
    split = graph.node("Split", merged, outputs=3, axis=-1)
    seen = graph.node(
        "MultiHeadAttention", split, f"{split}:1", f"{split}:2", domain="com.microsoft", num_heads=HEADS
    )
    tokens = graph.node(
        "Add", tokens, graph.linear(seen, weights[f"{name}/out/kernel"], weights[f"{name}/out/bias"])
    )
    normed = graph.norm(tokens, weights, f"{name}/norm2")
    wide = graph.linear(normed, weights[f"{name}/mlp1/kernel"], weights[f"{name}/mlp1/bias"])
    wide = graph.node("QuickGelu", wide, domain="com.microsoft", alpha=1.702)
    narrow = graph.linear(wide, weights[f"{name}/mlp2/kernel"], weights[f"{name}/mlp2/bias"])
    return graph.node("Add", tokens, narrow)


def features_of(graph: Graph, after: Sequence[str], taps: Sequence[int]) -> str:
    """Class token and mean patch token after each tapped block in turn, ``[n, taps * 2 * 768]``."""
    parts = []
    for tap in taps:
        classes, patches = parted(graph, after[tap - 1])
        parts += [
            graph.node("Reshape", classes, graph.constant([0, WIDTH], np.int64)),
            graph.node("ReduceMean", patches, axes=[1], keepdims=0),
        ]
    return graph.node("Concat", *parts, axis=-1)


def parted(graph: Graph, tokens: str) -> tuple[str, str]:
    """The class token ``[n, 1, 768]`` and the patch tokens ``[n, 196, 768]``."""
    bounds = [graph.constant([k], np.int64) for k in (0, 1, 1 + _GRID**2)]
    axis = graph.constant([1], np.int64)
    return (
        graph.node("Slice", tokens, bounds[0], bounds[1], axis),
        graph.node("Slice", tokens, bounds[1], bounds[2], axis),
    )


def model_of(graph: Graph, outputs: Sequence[tuple[str, list[int | str]]], *, mouth: bool = False) -> Any:
    """The whole as an ONNX model with these outputs (name of the piece, shape), all float32.

    ``mouth``: it has a second input of that name, ``float32[n, 1]``.
    """
    from onnx import TensorProto, checker, helper

    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    inputs = [crops]
    if mouth:
        inputs.append(helper.make_tensor_value_info("mouth", TensorProto.FLOAT, ["n", 1]))
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
    whole = helper.make_graph(graph.nodes, "vit", inputs, results, initializer=graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="vidscan")
    checker.check_model(model)
    return model


def features_model(weights: Weights, taps: Sequence[int], precision: Precision) -> bytes:
    """An ONNX file from crops to the features that :func:`features_of` names, for caching them."""
    graph = Graph(precision)
    name = features_of(graph, tower(graph, weights, max(taps)), taps)
    return bytes(model_of(graph, [(name, ["n", len(taps) * 2 * WIDTH])]).SerializeToString())


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer over the tapped blocks: ``logit = sum(kernel * features) + bias``, of P(fake).

    ``kernel``: ``float32[taps, 2, 768]``, for the class token and the mean patch token after each tap.
    """

    taps: tuple[int, ...]
    kernel: npt.NDArray[np.float32]
    bias: float


def detector_model(weights: Weights, head: Head, precision: Precision, mouth: Head | None = None) -> bytes:
    """The network that ships: crops to ``fake``, and to what each patch adds to its logit.

    Outputs: ``fake``, ``float32[n, 1]``, P(fake) before calibration; ``shares``, ``float32[n, 14, 14]``,
    each patch's own part of the logit, from the top left. The head is linear in the patch tokens, so the
    logit is the sum of the shares plus what the class tokens and the bias add. With a head for the mouth
    there is a third output, ``mouth_logit``, ``float32[n, 1]``, for crops of mouths, and a second input,
    ``mouth``, in which it comes back to be added to the logit of the face.
    """
    graph = Graph(precision)
    after = tower(graph, weights, max(each for some in (head, mouth) if some for each in some.taps))
    logit, shares = _logit(graph, after, head)
    outputs: list[tuple[str, list[int | str]]] = [("fake", ["n", 1]), ("shares", ["n", _GRID, _GRID])]
    if mouth is not None:
        logit = graph.node("Add", logit, "mouth")
        graph.nodes.append(_named("Identity", [_logit(graph, after, mouth)[0]], "mouth_logit"))
        outputs.append(("mouth_logit", ["n", 1]))
    grid = graph.constant([0, _GRID, _GRID], np.int64)
    graph.nodes += [
        _named("Sigmoid", [logit], "fake"),
        _named("Reshape", [shares, grid], "shares"),
    ]
    return bytes(model_of(graph, outputs, mouth=mouth is not None).SerializeToString())


def _logit(graph: Graph, after: Sequence[str], head: Head) -> tuple[str, str]:
    """A head's logit, ``[n, 1]``, and what each patch adds to it, ``[n, 196, 1]``."""
    whole, shares = graph.constant([[head.bias]]), ""
    for tap, (of_class, of_patches) in zip(head.taps, head.kernel, strict=True):
        classes, patches = parted(graph, after[tap - 1])
        classes = graph.node("Reshape", classes, graph.constant([0, WIDTH], np.int64))
        whole = graph.node("Add", graph.node("MatMul", classes, graph.constant(of_class[:, None])), whole)
        own = graph.node("MatMul", patches, graph.constant(of_patches[:, None] / _GRID**2))
        shares = graph.node("Add", shares, own) if shares else own
    total = graph.node("ReduceSum", shares, graph.constant([1], np.int64), keepdims=0)
    return graph.node("Add", whole, total), shares


def _named(kind: str, inputs: list[str], name: str) -> Any:
    from onnx import helper

    return helper.make_node(kind, inputs, [name], name=name)
