"""Inspects and opens ONNX files, made by ``vidscan export`` or by others.

An ONNX file holds a graph of fixed operations and no code, but it may refer to other files, need operations
from a third-party library, or hold a network of another shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidscan.errors import CardError, ModelError
from vidscan.models.card_file import card_path
from vidscan.models.guards.archive import reading
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.models.runtimes.protocol import Runtime, RuntimeUnavailableError
from vidscan.records import ModelCard, Quantisation

SUFFIX = ".onnx"

_MAX_BYTES = 2 << 30
_DOMAINS = frozenset(("", "ai.onnx", "com.microsoft"))
"""ONNX's own operations, and those that onnxruntime adds for quantised networks."""

_INT8_OPERATIONS = ("MatMulInteger", "ConvInteger", "DynamicQuantize", "QLinear", "QuantizeLinear")
"""How the names of operations begin that compute in 8-bit integers, or quantise activations."""

_REMEDY = "export it again from its .keras checkpoint, with: vidscan export"


def open_exported(path: Path, card: ModelCard | None, *, ours: bool = False) -> tuple[Runtime, Quantisation]:
    """Inspects an ONNX file and opens it in onnxruntime; returns the runtime and the graph's quantisation.

    ``card`` is the card beside the file, whose hash was compared with it. ``ours``: the file ships with
    vidscan. Where its card has a hash, that is the file meant, and it is not inspected: who can replace both
    can replace the code. It may still be opening when it is returned.

    Raises:
        ModelError: the file is missing or unsafe, or holds a network of another shape.
        CardError: the card states another quantisation than the graph shows.
    """
    try:
        if ours and card is not None and card.sha256 is not None:
            return OnnxRuntime(path, wait=False), card.quantisation
        content = _content(path)
        quantisation = inspect_onnx(path, content)
        if card is not None and card.quantisation != quantisation:
            raise CardError(
                f'{card_path(path)}: "quantisation" is "{card.quantisation}", but by its graph {path.name} '
                f'is "{quantisation}"; fetch both again, or correct the card'
            )
        return OnnxRuntime(content), quantisation
    except RuntimeUnavailableError as error:
        raise ModelError(f"{path}: {error}; {_REMEDY}") from error


def inspect_onnx(path: Path, content: bytes) -> Quantisation:
    """Refuses an ONNX file that reaches outside itself or has another shape; returns its quantisation.

    Raises:
        ModelError: the reason, and what to do.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise ModelError(f"{path}: is no ONNX file, or incomplete; fetch or copy it again") from error
    if model.functions or model.training_info:
        raise ModelError(f"{path}: holds functions of its own; refused as unsafe; {_REMEDY}")
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in _DOMAINS:
                raise ModelError(
                    f"{path}: needs the operation {node.op_type!r} of {node.domain!r}, which is no part of "
                    f"onnxruntime; {_REMEDY}"
                )
        tensors = [*graph.initializer, *(tensor for node in graph.node for tensor in _constants(node))]
        if graph.sparse_initializer or any(
            tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in tensors
        ):
            raise ModelError(f"{path}: keeps weights in other files; refused as unsafe; {_REMEDY}")
    weights = {tensor.name for tensor in model.graph.initializer}
    _check_ports(
        path,
        [_port(each) for each in model.graph.input if each.name not in weights],
        [_port(each) for each in model.graph.output],
    )
    operations = {node.op_type for graph in _graphs(model.graph) for node in graph.node}
    return "int8" if any(name.startswith(_INT8_OPERATIONS) for name in operations) else "none"


Port = tuple[str, list[int]]
"""Type and shape of an input or output; an open side is below 1."""


def _check_ports(path: Path, inputs: list[Port], outputs: list[Port]) -> None:
    match inputs:
        case [("uint8", [_, height, width, 3])] if height == width > 0:
            mouth = False
        # What the mouth adds to the logit: ``OnnxRuntime.takes_mouths``.
        case [("uint8", [_, height, width, 3]), ("float32", [_, 1])] if height == width > 0:
            mouth = True
        case _:
            raise ModelError(
                f"{path}: takes {_shown(inputs)} where uint8 [n, size, size, 3] is due (square RGB crops "
                f"0-255, channels last); {_REMEDY}"
            )
    match outputs:
        case [("float32", [_, 1])] if not mouth:
            pass
        # What each part of a crop adds to the logit: ``OnnxRuntime.shares``.
        case [("float32", [_, 1]), ("float32", [_, rows, columns])] if rows == columns > 0 and not mouth:
            pass
        case [("float32", [_, 1]), ("float32", [_, rows, columns]), ("float32", [_, 1])] if (
            rows == columns > 0 and mouth
        ):
            pass
        case _:
            raise ModelError(
                f"{path}: puts out {_shown(outputs)} where float32 [n, 1], one probability, is due, "
                f"and at most float32 [n, cells, cells] beside it; {_REMEDY}"
            )


def _shown(ports: list[Port]) -> str:
    return " and ".join(f"{kind} {shape}" for kind, shape in ports) or "nothing"


def _port(value: Any) -> Port:
    import onnx

    tensor = value.type.tensor_type
    names = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.FLOAT: "float32"}
    kind = names.get(tensor.elem_type, f"type {tensor.elem_type}")
    return kind, [int(side.dim_value) if side.HasField("dim_value") else -1 for side in tensor.shape.dim]


def _graphs(graph: Any) -> Iterator[Any]:
    """Yields a graph and those inside its nodes, such as the branches of an ``If``."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _constants(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _content(path: Path) -> bytes:
    with reading(path):
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: is larger than 2 GiB; refused as unsafe")
        return path.read_bytes()
