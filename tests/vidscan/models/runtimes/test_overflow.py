from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import vidscan
from vidscan.models.runtimes import onnx as onnx_runtime
from vidscan.models.runtimes import overflow


def test_the_network_multiplies_what_it_is_said_to():
    weights = numpy_helper.from_array(np.full((overflow.SIDE, overflow.SIDE), overflow.B, np.int8), "b")
    ports = [
        helper.make_tensor_value_info(name, kind, [overflow.SIDE, overflow.SIDE])
        for name, kind in (("a", TensorProto.UINT8), ("product", TensorProto.INT32))
    ]
    node = helper.make_node("MatMulInteger", ["a", "b"], ["product"])
    graph = helper.make_graph([node], "product", ports[:1], ports[1:], initializer=[weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert onnx.load_model_from_string(asset()) == made


def asset():
    return (Path(vidscan.__file__).parent / "assets" / overflow.NETWORK).read_bytes()


def test_wider_sums_are_exact_on_every_processor():
    assert overflow.product(onnxruntime, overflow.WIDER_SUMS) == overflow.EXACT == 64 * 255 * 127


class _Session:
    """What is asked of onnxruntime, on a processor whose sums stop at 16 bits."""

    def __init__(self, content, options, providers):
        pass

    def run(self, outputs, inputs):
        return [np.full((64, 64), 32 * 32767, np.int32)]


class _Overflowing:
    SessionOptions = onnxruntime.SessionOptions
    InferenceSession = _Session


def test_a_processor_that_overflows_is_found_out_and_takes_wider_sums():
    assert overflow.products_overflow(_Overflowing)
    options = onnx_runtime._session_options(_Overflowing)
    assert options.get_session_config_entry(overflow.WIDER_SUMS[0]) == "1"
