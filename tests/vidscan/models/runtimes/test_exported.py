"""ONNX files from anywhere: what is taken, and what is refused before it runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toy_networks import SIZE as RED_SIZE
from toy_networks import red_network, save_red_network

from vidscan.errors import CardError, ModelError, UsageError
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model
from vidscan.models.runtimes import exported
from vidscan.models.runtimes import onnx as onnx_runtime
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.models.runtimes.protocol import RuntimeUnavailableError
from vidscan.records import ModelCard, Quantisation
from vidscan.system.files import sha256_of

pytestmark = pytest.mark.slow

SIZE = 32
CARD = ModelCard("mean", "none", SIZE, positive_class="fake")


def mean_network(**changes) -> onnx.ModelProto:
    """P is the sigmoid of the mean of a crop, 127.5 taken off and divided by 32."""
    weights = [
        numpy_helper.from_array(np.array(127.5, np.float32), "middle"),
        numpy_helper.from_array(np.array(1 / 32, np.float32), "scale"),
    ]
    nodes = [
        helper.make_node("Cast", ["crop"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Sub", ["column", "middle"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "scale"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["p"], domain=changes.get("domain", "")),
    ]
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    shape, kind = changes.get("shape", ["n", SIZE, SIZE, 3]), changes.get("kind", TensorProto.UINT8)
    inputs = [helper.make_tensor_value_info("crop", kind, shape), *changes.get("inputs", [])]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, changes.get("output", ["n", 1]))]
    graph = helper.make_graph(nodes, "mean", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17)]
    if changes.get("domain"):
        opsets.append(helper.make_opsetid(changes["domain"], 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mean.onnx"
    onnx.save(mean_network(), path)
    return path


def grey(*levels: int) -> np.ndarray:
    return np.array(levels, np.uint8)[:, None, None, None] * np.ones((1, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("wanted", ["auto", "keras", "onnx"])
def test_file_without_a_card_scores_uncalibrated(wanted, file):
    model = load_model(file, wanted)
    assert (model.card.name, model.card.input_size, model.card.calibration) == ("mean", SIZE, None)
    assert model.runtime.name == "onnx"
    real = 1 / (1 + np.exp(-np.array([-127.5, 0.5, 127.5]) / 32))
    assert model.score(grey(0, 128, 255)) == pytest.approx(1 - real, abs=1e-6)
    with pytest.raises(ModelError, match="is an exported file and no Keras network"):
        _ = model.network


def test_what_ships_is_known_by_its_hash_and_not_inspected(file, monkeypatch):
    def inspected(path: Path, content: bytes) -> Quantisation:
        raise AssertionError

    monkeypatch.setattr(exported, "inspect_onnx", inspected)
    hashed = replace(CARD, sha256=sha256_of(file))
    runtime, quantisation = exported.open_exported(file, hashed, ours=True)
    assert (runtime.input_size, quantisation) == (SIZE, "none")
    for card, ours in ((hashed, False), (CARD, True), (None, True)):
        with pytest.raises(AssertionError):
            exported.open_exported(file, card, ours=ours)


def test_card_is_applied_and_its_hash_held_against_the_file(file):
    write_card(replace(CARD, sha256=sha256_of(file)), card_path(file))
    assert load_model(file, "auto").score(grey(255))[0] > 0.9
    write_card(replace(CARD, sha256="0" * 64), card_path(file))
    with pytest.raises(CardError, match=r"mean\.onnx: is not the file that its card mean\.json describes"):
        load_model(file, "auto")
    write_card(replace(CARD, input_size=64), card_path(file))
    with pytest.raises(CardError, match=r'"input_size" is 64, but the network takes 32 pixels'):
        load_model(file, "auto")


@pytest.mark.parametrize("how", ["none", "int8"])
def test_quantisation_on_the_card_is_held_against_the_graph(how, tmp_path):
    path = save_red_network(tmp_path / "red.onnx", int8=how == "int8")
    assert load_model(path, "auto").card.quantisation == how
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(path.read_bytes())
    assert load_model(alone, "auto").card.quantisation == how
    other = {"none": "int8", "int8": "none"}[how]
    write_card(replace(read_card(card_path(path)), quantisation=other), card_path(path))
    with pytest.raises(
        CardError, match=rf'"quantisation" is "{other}", but by .* red\.onnx is "{how}"'
    ) as caught:
        load_model(path, "auto")
    assert "\n" not in str(caught.value)


def test_int8_weights_alone_are_no_quantised_network(tmp_path):
    network = red_network(3.0)
    steps = numpy_helper.from_array(np.array([[127], [0], [0]], np.int8), "steps")
    scale = numpy_helper.from_array(np.array(3 / 255 / 127, np.float32), "scale")
    (red,) = (tensor for tensor in network.graph.initializer if tensor.name == "red")
    network.graph.initializer.remove(red)
    network.graph.initializer.extend([steps, scale])
    network.graph.node.insert(0, helper.make_node("DequantizeLinear", ["steps", "scale"], ["red"]))
    onnx.save(network, tmp_path / "red.onnx")
    write_card(ModelCard("red", "none", RED_SIZE, positive_class="fake"), tmp_path / "red.json")
    assert load_model(tmp_path / "red.onnx", "auto").card.quantisation == "none"


def test_second_output_of_shares_is_taken_and_scores_nothing(tmp_path):
    plain = load_model(save_red_network(tmp_path / "plain.onnx"), "auto")
    shared = load_model(save_red_network(tmp_path / "shared.onnx", shares=True), "auto")
    crops = np.random.default_rng(0).integers(0, 256, (5, RED_SIZE, RED_SIZE, 3), dtype=np.uint8)
    assert shared.score(crops).tolist() == plain.score(crops).tolist()
    assert [shared.score(crops[at : at + 1])[0] for at in range(5)] == shared.score(crops).tolist()


@pytest.mark.parametrize("shape", [["n", 2, 3], ["n", 4]])
def test_other_second_outputs_are_refused(shape, tmp_path):
    network = mean_network()
    network.graph.output.append(helper.make_tensor_value_info("shares", TensorProto.FLOAT, shape))
    onnx.save(network, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"puts out float32 \[-1, 1\] and float32 \[-1, "):
        load_model(tmp_path / "other.onnx", "auto")


def test_keras_file_whose_card_claims_integers_is_refused(tiny_checkpoint, tmp_path):
    path = tmp_path / "tiny.keras"
    path.write_bytes(tiny_checkpoint.read_bytes())
    write_card(replace(read_card(card_path(tiny_checkpoint)), quantisation="int8"), card_path(path))
    with pytest.raises(CardError, match=r'"quantisation" is "int8", but a \.keras file computes in floating'):
        load_model(path)


def test_an_unknown_runtime_is_refused(file):
    with pytest.raises(UsageError, match="--runtime abacus cannot work: give one of auto, keras, onnx"):
        load_model(file, "abacus")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": "evil.ops"}, "needs the operation 'Sigmoid' of 'evil.ops'"),
        ({"shape": ["n", 3, SIZE, SIZE]}, r"takes uint8 \[-1, 3, 32, 32\] where uint8 \[n, size, size, 3\]"),
        ({"shape": ["n", SIZE, 48, 3]}, r"takes uint8 \[-1, 32, 48, 3\]"),
        ({"kind": TensorProto.FLOAT}, r"takes float32 \[-1, 32, 32, 3\]"),
        ({"output": ["n", 2]}, r"puts out float32 \[-1, 2\]"),
        (
            {"inputs": [helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])]},
            r"takes uint8 \[-1, 32, 32, 3\] and float32 \[1\]",
        ),
    ],
)
def test_other_networks_are_refused(changes, reason, tmp_path):
    onnx.save(mean_network(**changes), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=rf"other\.onnx: .*{reason}"):
        load_model(tmp_path / "other.onnx", "auto")


def with_external_weights(path: Path) -> None:
    network = mean_network()
    secret = path.parent / "secret"
    secret.write_bytes(np.array(1, np.float32).tobytes())
    tensor = network.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    path.write_bytes(network.SerializeToString())


def with_external_constant_in_a_branch(path: Path) -> None:
    network = mean_network()
    value = numpy_helper.from_array(np.array(1, np.float32))
    value.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["c"], value=value)
    branch = helper.make_graph(
        [constant], "b", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [])]
    )
    network.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    path.write_bytes(network.SerializeToString())


def with_functions(path: Path) -> None:
    network = mean_network()
    network.functions.add(name="f", domain="d")
    path.write_bytes(network.SerializeToString())


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (with_external_weights, "keeps weights in other files; refused as unsafe"),
        (with_external_constant_in_a_branch, "keeps weights in other files; refused as unsafe"),
        (with_functions, "holds functions of its own; refused as unsafe"),
        (lambda path: path.write_bytes(b"no network at all"), "is no ONNX file, or incomplete"),
        (lambda path: path.write_bytes(mean_network().SerializeToString()[:-40]), "is no ONNX file"),
        (lambda path: None, "there is no such file; check the path given with --model"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_unsafe_and_broken_files_are_refused(write, reason, tmp_path):
    path = tmp_path / "strange.onnx"
    write(path)
    with pytest.raises(ModelError, match=rf"strange\.onnx: .*{reason}") as caught:
        load_model(path, "auto")
    assert "\n" not in str(caught.value)


def test_tensorflow_lite_file_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "some.tflite").write_bytes(b"\x20\0\0\0TFL3" + bytes(64))
    with pytest.raises(ModelError, match=r"some\.tflite: .*: vidscan export --format onnx") as caught:
        load_model(tmp_path / "some.tflite", "auto")
    assert "\n" not in str(caught.value)


def test_a_network_that_is_known_opens_beside_the_work_and_tells_of_a_failure_when_asked(file, monkeypatch):
    gate = threading.Event()
    whole = onnx_runtime._open

    def slow(*given):
        assert gate.wait(60)
        return whole(*given)

    monkeypatch.setattr(onnx_runtime, "_open", slow)
    hashed = replace(CARD, sha256=sha256_of(file))
    runtime, _ = exported.open_exported(file, hashed, ours=True)
    broken = OnnxRuntime(b"no network", wait=False)
    gate.set()
    assert runtime.outputs(grey(128)) == pytest.approx(1 / (1 + np.exp(-0.5 / 32)), abs=1e-6)
    with pytest.raises(RuntimeUnavailableError, match="onnxruntime refuses the network"):
        broken.outputs(grey(128))
    with pytest.raises(RuntimeUnavailableError, match="onnxruntime refuses the network"):
        OnnxRuntime(b"no network")
