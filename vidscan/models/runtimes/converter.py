"""Keras -> frozen TensorFlow graph -> ONNX; run as a process by :mod:`vidscan.models.runtimes.conversion`.

Keras's own ONNX export leaves dangling inputs if a network holds constants (``Normalization``), and a
SavedModel doubles the memory. So the graph is frozen here, constants included, and tf2onnx translates it.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidscan.errors import ModelError
from vidscan.models.runtimes.cache import Manifest
from vidscan.models.runtimes.comparison import TOLERANCE, largest_difference
from vidscan.models.runtimes.conversion import CONVERTER
from vidscan.models.runtimes.keras import KerasRuntime
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.system.files import sha256_of
from vidscan.system.frameworks import import_tensorflow

OPSET = 17
"""The version of ONNX's operations that onnxruntime 1.14 and later read."""


def main(checkpoint: Path, target: Path) -> dict[str, Any]:
    """Converts ``checkpoint`` to ``target``; returns the manifest, or the reason why not.

    What TensorFlow, tf2onnx and onnxruntime raise, which has no common base, passes through.
    """
    sha256 = sha256_of(checkpoint)
    try:
        keras = KerasRuntime(checkpoint)
        network = keras.network
    except ModelError as error:
        return {"refused": str(error)}
    content = onnx_of(network)
    apart = largest_difference(OnnxRuntime(content).outputs, keras.outputs_on_cpu, keras.input_size)
    if not apart <= TOLERANCE:
        return {"failed": f"its outputs lie {apart:.2g} from Keras's, where {TOLERANCE:g} is allowed"}
    target.write_bytes(content)
    return {"manifest": asdict(Manifest(sha256, CONVERTER, sha256_of(content), apart))}


def onnx_of(network: Any) -> bytes:
    """Returns the ONNX file of a Keras network with a uint8 input."""
    import tf2onnx

    graph, inputs, outputs = frozen_graph(network)
    # tf2onnx copies the whole graph for each of its passes, in cycles that only the collector frees;
    # with what is there already set aside, it collects them in time.
    gc.collect()
    gc.freeze()
    model, _ = tf2onnx.convert.from_graph_def(
        graph, name="vidscan", input_names=inputs, output_names=outputs, opset=OPSET
    )
    content: bytes = model.SerializeToString()
    return content


def frozen_graph(network: Any) -> tuple[Any, list[str], list[str]]:
    """Returns the network's TensorFlow graph with constant weights, and its input and output names."""
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    size = network.inputs[0].shape[1]

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8, name="crop")])  # type: ignore[untyped-decorator]
    def probability(crop: Any) -> Any:
        return network(tf.cast(crop, tf.float32), training=False)

    traced = probability.get_concrete_function()
    frozen, graph = convert_variables_to_constants_v2_as_graph(traced, aggressive_inlining=True)
    captured = {place.op.name: value for value, place in traced.graph.captures if place.dtype != tf.resource}
    for node in graph.node:
        name = node.name
        if name in captured and node.op == "Placeholder":
            value = tf.make_tensor_proto(captured[name].numpy())
            node.Clear()
            node.name, node.op = name, "Const"
            node.attr["value"].tensor.CopyFrom(value)
            node.attr["dtype"].type = value.dtype
    return graph, ["crop:0"], [frozen.outputs[0].name]


if __name__ == "__main__":
    # Standard output is for the answer alone: what libraries print there goes to standard error.
    _answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.WARNING)
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))), file=_answer, flush=True)
