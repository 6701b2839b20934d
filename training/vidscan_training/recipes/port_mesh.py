"""Turns MediaPipe's face mesh, a TensorFlow Lite file, into the ONNX file that ships.

``python -m vidscan_training.recipes.port_mesh MEDIAPIPE.whl OUT.onnx`` takes the network out of a wheel of
mediapipe 0.10.21 (Apache-2.0), in which later wheels lack it, gives it the ports that
:mod:`vidscan.models.landmarks` describes, and writes the file only when both see the same points in a few
pictures. Weights stay in float16, as they are in the original.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError, SourceError, VidscanError
from vidscan.models.landmarks import MESH_SIDE
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.records import LANDMARK_COUNT
from vidscan.system.files import replacing
from vidscan.system.frameworks import import_tensorflow

MEMBER = "mediapipe/modules/face_landmark/face_landmark.tflite"
OPSET, IR_VERSION = 17, 8
TOLERANCE = 0.02
"""Largest difference allowed between two coordinates, in pixels of 192."""

Array = npt.NDArray[np.float32]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m vidscan_training.recipes.port_mesh", description=__doc__)
    parser.add_argument("wheel", type=Path, metavar="MEDIAPIPE.whl")
    parser.add_argument("out", type=Path, metavar="OUT.onnx")
    flags = parser.parse_args(arguments)
    try:
        difference = port(flags.wheel, flags.out)
    except (VidscanError, OSError) as error:
        print(f"port_mesh: {error}", file=sys.stderr)
        return 1
    print(f"wrote {flags.out}; largest difference from the original: {difference:.4f} pixels of {MESH_SIDE}")
    return 0


def port(wheel: Path, out: Path) -> float:
    """Writes ``out``; returns the largest difference between two coordinates, in pixels of the network.

    Raises:
        SourceError: the wheel does not hold the network.
        ModelError: the two disagree.
    """
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "mesh.tflite"
        try:
            with zipfile.ZipFile(wheel) as archive:
                original.write_bytes(archive.read(MEMBER))
        except (KeyError, zipfile.BadZipFile) as error:
            raise SourceError(f"{wheel}: holds no {MEMBER}: give a wheel of mediapipe 0.10.21") from error
        converted, _ = tf2onnx.convert.from_tflite(str(original), opset=OPSET)
        content = with_ports(converted).SerializeToString()
        pictures = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3)).astype(np.uint8)
        pictures = pictures.repeat(MESH_SIDE // 6, axis=1).repeat(MESH_SIDE // 6, axis=2)
        found = OnnxRuntime(content).outputs(pictures)
        difference = float(np.abs(found - _original_outputs(original, pictures)).max())
    if difference > TOLERANCE:
        raise ModelError(f"{out}: not written, as its points differ from the original's by {difference:.3f}")
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    return difference


def with_ports(converted: Any) -> Any:
    """The network from ``uint8[1, 192, 192, 3]`` to ``float32[1, 937]``: points' x and y, then a logit."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = converted.graph
    pixels = graph.input[0].name
    mesh, presence = sorted(
        graph.output, key=lambda each: -max(side.dim_value for side in each.type.tensor_type.shape.dim)
    )
    nodes = [helper.make_node("Cast", ["crops"], ["whole"], to=TensorProto.FLOAT)]
    constants = [numpy_helper.from_array(np.float32(255.0), "255")]
    nodes.append(helper.make_node("Div", ["whole", "255"], [pixels]))
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32:
            constants.append(tensor)
            continue
        constants.append(numpy_helper.from_array(value.astype(np.float16), f"{tensor.name}/half"))
        nodes.append(helper.make_node("Cast", [f"{tensor.name}/half"], [tensor.name], to=TensorProto.FLOAT))
    shapes = {
        "triples": [1, LANDMARK_COUNT, 3],
        "flat": [1, 2 * LANDMARK_COUNT],
        "one": [1, 1],
        "from": [0],
        "to": [2],
        "axis": [2],
    }
    constants += [numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()]
    nodes += [
        *graph.node,
        helper.make_node("Reshape", [mesh.name, "triples"], ["points"]),
        helper.make_node("Slice", ["points", "from", "to", "axis"], ["plane"]),
        helper.make_node("Reshape", ["plane", "flat"], ["coordinates"]),
        helper.make_node("Reshape", [presence.name, "one"], ["presence"]),
        helper.make_node("Concat", ["coordinates", "presence"], ["mesh"], axis=1),
    ]
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, [1, MESH_SIDE, MESH_SIDE, 3])
    result = helper.make_tensor_value_info("mesh", TensorProto.FLOAT, [1, 2 * LANDMARK_COUNT + 1])
    whole = helper.make_graph(nodes, "face_mesh", [crops], [result], initializer=constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="vidscan")
    checker.check_model(model)
    return model


def _original_outputs(file: Path, pictures: npt.NDArray[np.uint8]) -> Array:
    """What TensorFlow Lite computes of the pictures, in the order of :func:`with_ports`."""
    interpreter = import_tensorflow().lite.Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    port_in = interpreter.get_input_details()[0]["index"]
    mesh, presence = sorted(interpreter.get_output_details(), key=lambda each: -int(np.prod(each["shape"])))
    rows = []
    for picture in pictures:
        interpreter.set_tensor(port_in, picture[None].astype(np.float32) / np.float32(255))
        interpreter.invoke()
        points = interpreter.get_tensor(mesh["index"]).reshape(LANDMARK_COUNT, 3)[:, :2]
        rows.append(np.append(points.reshape(-1), interpreter.get_tensor(presence["index"]).reshape(-1)))
    return np.asarray(rows, np.float32)


if __name__ == "__main__":
    sys.exit(main())
