"""Static int8 quantisation of an ONNX network, with ranges from real crops.

The layers that decide about a face compute in float32, from weights kept in int8: the squeeze-excite
branches, which scale whole channels by a sigmoid, and the head. They cost little time, and in int8 they would
cost accuracy: a sigmoid in 256 steps cannot separate two probabilities above 0.996.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.runtimes.onnx import CPU, import_onnxruntime
from vidscan.models.runtimes.protocol import RuntimeUnavailableError, first_line

Crops = npt.NDArray[np.uint8]

_QUANTISED = ("Conv", "Add", "Clip", "Relu", "Sigmoid", "Mul")
"""Quantised operations. Activations are included so that a convolution and the activation that clips it share
one range, and so that swish (a sigmoid and a product) does not return to float32 between two convolutions."""

_FEW_CHANNELS = 8
"""A convolution with fewer output channels belongs to a head, such as the map of the region head."""

_SMALL_WEIGHTS = 4096
"""Tensors with fewer weights stay in float32: they take little room."""


class _Reader:
    """Passes the crops to onnxruntime's calibration, one by one."""

    def __init__(self, name: str, crops: Crops) -> None:
        self._feeds: Iterator[dict[str, Crops]] = ({name: crop[None]} for crop in crops)

    def get_next(self) -> dict[str, Crops] | None:
        return next(self._feeds, None)


def quantised_onnx(network: bytes, crops: Crops) -> bytes:
    """Returns the float32 network with int8 convolutions (QDQ form, weights by channel).

    The activations of ``crops``, RGB ``uint8[n, size, size, 3]``, give the ranges.

    Raises:
        RuntimeUnavailableError: onnxruntime cannot quantise it.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        whole, target = Path(folder) / "whole.onnx", Path(folder) / "int8.onnx"
        try:
            whole.write_bytes(_folded(network, whole))
            name, kept = _input_and_kept(whole)
            quantize_static(
                str(whole),
                str(target),
                _Reader(name, crops),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(_QUANTISED),
                nodes_to_exclude=kept,
                calibrate_method=CalibrationMethod.MinMax,
            )
            return _with_small_weights(target.read_bytes())
        except (ValueError, RuntimeError, OSError) as error:
            raise RuntimeUnavailableError(f"the network cannot be quantised: {first_line(error)}") from error


def _folded(network: bytes, target: Path) -> bytes:
    """Folds batch normalisation into the convolutions, in ONNX's own operations."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    runtime.InferenceSession(network, options, providers=[CPU])
    return target.read_bytes()


def _input_and_kept(path: Path) -> tuple[str, list[str]]:
    """Returns the names of the input and of the nodes that stay in float32; names every node."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    for place, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{place}"
    onnx.save(model, str(path))
    shapes = {each.name: each.type.tensor_type.shape.dim for each in model.graph.value_info}
    channels = {each.name: each.dims[0] for each in model.graph.initializer if each.dims}
    kinds = [node.op_type for node in model.graph.node]
    first = kinds.index("Conv") if "Conv" in kinds else len(kinds)
    kept = [
        node.name
        for place, node in enumerate(model.graph.node)
        if place < first
        or not _is_map(shapes, node)
        or (node.op_type == "Conv" and channels.get(node.input[1], _FEW_CHANNELS) < _FEW_CHANNELS)
    ]
    return model.graph.input[0].name, kept


def _is_map(shapes: dict[str, Any], node: Any) -> bool:
    """Tells whether a node's output has several places; an output with one describes whole channels."""
    sides = shapes.get(node.output[0], ())
    return len(sides) == 4 and any(side.dim_value != 1 for side in sides[2:])


def _with_small_weights(network: bytes) -> bytes:
    """Keeps the large weights of float32 operations as int8, with one scale per channel."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_model_from_string(network)
    graph = model.graph
    weights = {each.name: each for each in graph.initializer}
    for node in list(graph.node):
        tensor = weights.get(node.input[1]) if node.op_type in ("Conv", "MatMul", "Gemm") else None
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALL_WEIGHTS:
            continue
        turned = any(each.name == "transB" and each.i for each in node.attribute)
        axis = 0 if node.op_type == "Conv" or turned else 1
        others = tuple(place for place in range(values.ndim) if place != axis)
        scale = np.maximum(np.abs(values).max(axis=others), 1e-12) / 127
        steps = np.rint(values / np.expand_dims(scale, others)).astype(np.int8)
        parts = {"steps": steps, "scale": scale.astype(np.float32), "zero": np.zeros(len(scale), np.int8)}
        names = [f"{tensor.name}_{part}" for part in parts]
        graph.initializer.remove(tensor)
        del weights[tensor.name]
        pairs = zip(parts.values(), names, strict=True)
        graph.initializer.extend(numpy_helper.from_array(part, name) for part, name in pairs)
        node_of = helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis)
        graph.node.insert(0, node_of)
    _share_equal_integers(graph)
    # Names of nodes and noted shapes have no use, and take a hundredth of the file.
    del graph.value_info[:]
    for node in graph.node:
        node.ClearField("name")
    content: bytes = model.SerializeToString()
    return content


def _share_equal_integers(graph: Any) -> None:
    """Keeps one of equal integer tensors: each channel's zero points are zeros, over and over."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in list(graph.initializer):
        if tensor.data_type == tensor.FLOAT or not tensor.raw_data:
            continue
        kept = first.setdefault((tensor.data_type, tuple(tensor.dims), tensor.raw_data), tensor.name)
        if kept != tensor.name:
            same[tensor.name] = kept
            graph.initializer.remove(tensor)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
