"""Networks, checkpoints and cards: what is built, what is taken, and above all what is refused."""

import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidscan.errors import CardError, ModelError, ScoringError
from vidscan.models import checkpoint
from vidscan.models.calibration import calibrate, fake_probability
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model, save_checkpoint
from vidscan.records import Calibration, ModelCard
from vidscan.system.frameworks import import_keras

SIZE = 32
CARD = ModelCard(name="tiny", backbone="none", input_size=SIZE)
CALIBRATION = Calibration(slope=1.5, intercept=-0.3, fitted_on="nothing")


def tiny_network(outputs=1, activation="sigmoid", size=SIZE, seed=0):
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(outputs, activation=activation, kernel_initializer="he_normal")(x)
    return keras.Model(inputs, x)


def crops(count=3, size=SIZE):
    """Flat colours, so that even a tiny network's scores differ."""
    colours = np.random.default_rng(7).integers(0, 256, (count, 1, 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (count, size, size, 3)))


def outputs_of(network, pictures):
    return np.asarray(network(pictures, training=False)).reshape(-1)


@pytest.fixture(scope="session")
def tiny():
    return tiny_network()


@pytest.fixture
def tiny_file(tiny, tmp_path):
    tiny.save(tmp_path / "tiny.keras")
    return tmp_path / "tiny.keras"


def rewritten(path, changes, *, drop=(), extra=()):
    """The archive at ``path`` with members replaced, dropped or added; written over it."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    members = {name: data for name, data in {**members, **changes}.items() if name not in drop}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in [*members.items(), *extra]:
            new.writestr(name, data)
    return path


def reconfigured(path, change):
    """The archive at ``path`` after ``change(config)`` on its parsed configuration."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    return rewritten(path, {"config.json": json.dumps(config)})


def refused_before_keras(path, pattern, monkeypatch):
    """Asserts a refusal in one line that names the file, before Keras sees the file."""
    monkeypatch.setattr(
        import_keras().saving, "load_model", lambda *a, **k: pytest.fail("Keras was let at the file")
    )
    with pytest.raises(ModelError, match=pattern) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


# Strangers' files --------------------------------------------------------------------------------------

STRANGERS_SCRIPT = """
import sys, numpy as np, keras
from keras import layers

def network(architecture, size):
    keras.utils.set_random_seed(0)
    base = getattr(keras.applications, architecture)(
        include_top=False, weights=None, input_shape=(size, size, 3))
    base.trainable = False
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(512, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(base.input, layers.Dense(1, activation="sigmoid", dtype="float32")(x))

def pictures(size):
    blocks = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    return blocks.repeat(-(-size // 8), axis=1).repeat(-(-size // 8), axis=2)[:, :size, :size]

def settle(network):
    # Batch statistics as training leaves them; with fresh ones every picture scores the same.
    norms = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in norms:
        layer.was_trainable, layer.trainable, layer.momentum = layer.trainable, True, 0.0
    network(pictures(network.input_shape[1]), training=True)
    for layer in norms:
        layer.trainable, layer.momentum = layer.was_trainable, 0.99
    # And a last layer that tells the two apart: their logits become 1 and -1.
    before_last = keras.Model(network.inputs[0], network.layers[-2].output)
    one, other = np.asarray(before_last(pictures(network.input_shape[1]), training=False))
    kernel = 2 * (one - other) / np.sum((one - other) ** 2)
    network.layers[-1].set_weights([kernel[:, None], -(kernel @ (one + other))[None] / 2])

def compile_as_the_reference_does(network):
    adam = keras.optimizers.Adam(1e-3)
    network.compile(optimizer=keras.optimizers.LossScaleOptimizer(adam),
                    loss=keras.losses.BinaryFocalCrossentropy(gamma=2.0),
                    metrics=["accuracy", keras.metrics.AUC(name="auc")])
"""


def strangers():
    """The functions of the script above, in this process."""
    import_keras()
    namespace = {}
    exec(STRANGERS_SCRIPT, namespace)
    return namespace


@pytest.fixture
def policy():
    """Sets the global dtype policy, and puts it back."""
    keras = import_keras()
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
def test_final_model_of_the_reference_project(tmp_path, policy):
    """EfficientNetB4, mixed precision, LossScaleOptimizer, focal loss: the first file users will try."""
    theirs = strangers()
    policy("float32")
    twin = theirs["network"]("EfficientNetB4", 380)
    theirs["settle"](twin)
    policy("mixed_float16")
    network = theirs["network"]("EfficientNetB4", 380)
    network.set_weights(twin.get_weights())
    theirs["compile_as_the_reference_does"](network)
    network.optimizer.build(network.trainable_variables)
    assert type(network.optimizer).__name__ == "LossScaleOptimizer"
    network.save(tmp_path / "final_model.keras")
    policy("float32")

    loaded = load_model(tmp_path / "final_model.keras")
    assert loaded.card == ModelCard(name="final_model", backbone="unknown", input_size=380)
    assert {layer.compute_dtype for layer in loaded.network.layers} == {"float32"}
    for ours, original in zip(loaded.network.get_weights(), twin.get_weights(), strict=True):
        assert np.array_equal(ours, original)
    pictures = theirs["pictures"](380)
    expected = outputs_of(twin, pictures)
    np.testing.assert_allclose(expected, [0.731, 0.269], atol=1e-3)
    # P(real) is what such a network puts out, P(fake) what is reported.
    np.testing.assert_allclose(loaded.score(pictures), 1 - expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("half", ["mixed_bfloat16", "bfloat16", "float16"])
def test_half_precision_of_every_kind_is_scored_in_float32(half, tmp_path, policy):
    policy(half)
    network = tiny_network()
    network.save(tmp_path / "half.keras")
    policy("float32")
    loaded = load_model(tmp_path / "half.keras")
    twin = tiny_network()
    twin.set_weights([np.asarray(value, np.float32) for value in network.get_weights()])
    assert {layer.compute_dtype for layer in loaded.network.layers} == {"float32"}
    assert {variable.dtype for variable in loaded.network.weights} == {"float32"}
    np.testing.assert_allclose(loaded.score(crops()), 1 - outputs_of(twin, crops()), atol=1e-6)


def test_file_of_an_older_keras(tmp_path):
    """Set VIDSCAN_OLD_KERAS_PYTHON to an interpreter with an older Keras 3 to run this."""
    interpreter = os.environ.get("VIDSCAN_OLD_KERAS_PYTHON")
    if not interpreter:
        pytest.skip("VIDSCAN_OLD_KERAS_PYTHON names no interpreter with an older Keras 3")
    script = STRANGERS_SCRIPT + (
        "twin = network('EfficientNetB0', 64); settle(twin)\n"
        "keras.mixed_precision.set_dtype_policy('mixed_float16')\n"
        "network = network('EfficientNetB0', 64); network.set_weights(twin.get_weights())\n"
        "compile_as_the_reference_does(network)\n"
        "network.optimizer.build(network.trainable_variables); network.save(sys.argv[1])\n"
        "weights = {str(i): value for i, value in enumerate(network.get_weights())}\n"
        "np.savez(sys.argv[2], **weights); print(keras.__version__)"
    )
    path, arrays = tmp_path / "old.keras", tmp_path / "weights.npz"
    result = subprocess.run(
        [interpreter, "-c", script, str(path), str(arrays)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() != import_keras().__version__, "that is no older Keras"
    loaded = load_model(path)
    theirs = strangers()
    twin = theirs["network"]("EfficientNetB0", 64)
    with np.load(arrays) as saved:
        twin.set_weights([saved[str(index)] for index in range(len(saved.files))])
    pictures = theirs["pictures"](64)
    expected = outputs_of(twin, pictures)
    np.testing.assert_allclose(expected, [0.731, 0.269], atol=1e-3)
    np.testing.assert_allclose(loaded.score(pictures), 1 - expected, atol=1e-4)


@pytest.mark.slow
def test_loss_and_metrics_of_the_authors_own_do_no_harm(tmp_path):
    keras = import_keras()

    @keras.saving.register_keras_serializable(package="stranger")
    def loss_of_their_own(truth, prediction):
        return keras.ops.mean(keras.ops.square(truth - prediction))

    network = tiny_network()
    network.compile(optimizer="adam", loss=loss_of_their_own)
    network.save(tmp_path / "own_loss.keras")
    keras.saving.get_custom_objects().clear()
    assert load_model(tmp_path / "own_loss.keras").score(crops()).shape == (3,)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the torch backend is not installed")
def test_checkpoint_is_scored_alike_under_the_torch_backend(tiny, tiny_file, tmp_path):
    np.save(tmp_path / "crops.npy", crops())
    code = (
        "import sys, numpy as np; from vidscan.models.checkpoint import load_model, save_checkpoint\n"
        "from dataclasses import replace; from pathlib import Path\n"
        "loaded = load_model(sys.argv[1]); scores = loaded.score(np.load(sys.argv[2]))\n"
        "assert 'tensorflow' not in sys.modules; print(*scores)\n"
        "save_checkpoint(loaded.network, Path(sys.argv[1]), loaded.card)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tiny_file), str(tmp_path / "crops.npy")],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        cwd=Path(checkpoint.__file__).parents[2],
        check=False,
    )
    assert result.returncode == 0, result.stderr
    expected = 1 - outputs_of(tiny, crops())
    np.testing.assert_allclose([float(score) for score in result.stdout.split()], expected, atol=1e-5)
    np.testing.assert_allclose(load_model(tiny_file).score(crops()), expected, atol=1e-5)


# Refusals ----------------------------------------------------------------------------------------------


def torch_archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"", "is empty; it is incomplete"),
        (b"\x00" * 1024, "holds only 1,024 bytes; it is incomplete"),
        (b"\x00" * 100_000, "is no complete .keras archive; it is incomplete"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 2000, "is an HDF5 file and no .keras file; load it with Keras"),
        (pickle.dumps({"weights": [1.0]}), "is a Python pickle, which can run code"),
        (torch_archive(), r"has no config\.json, so Keras 3 did not write it"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "run: git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
    ],
)
def test_what_is_no_keras_file_is_refused(content, pattern, tmp_path, monkeypatch):
    path = tmp_path / "final_model_pro.keras"
    path.write_bytes(content)
    refused_before_keras(path, pattern, monkeypatch)


def test_missing_file_and_folder_are_refused(tmp_path, monkeypatch):
    refused_before_keras(tmp_path / "absent.keras", "no such file; check the path", monkeypatch)
    (tmp_path / "folder.keras").mkdir()
    refused_before_keras(tmp_path / "folder.keras", "is a folder; name the .keras file in it", monkeypatch)


def test_file_cut_short_is_refused(tiny_file, monkeypatch):
    tiny_file.write_bytes(tiny_file.read_bytes()[:-2000])
    refused_before_keras(tiny_file, "incomplete or was altered: fetch or copy it again", monkeypatch)


def test_flipped_bytes_are_refused(tiny_file):
    """The checksum of the zip archive finds them, wherever they lie."""
    data = bytearray(tiny_file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
    tiny_file.write_bytes(data)
    with pytest.raises(ModelError):
        load_model(tiny_file)


def test_another_suffix_is_refused(tiny_file, monkeypatch):
    renamed = tiny_file.rename(tiny_file.with_suffix(".zip"))
    refused_before_keras(renamed, "must end in .keras; rename it", monkeypatch)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_missing_member_is_refused(member, tiny_file, monkeypatch):
    rewritten(tiny_file, {}, drop=(member,))
    refused_before_keras(tiny_file, f"has no {member}", monkeypatch)


@pytest.mark.parametrize("config", ["", "[]", "{", "[" * 100_000])
def test_unreadable_configuration_is_refused(config, tiny_file, monkeypatch):
    rewritten(tiny_file, {"config.json": config})
    refused_before_keras(tiny_file, r"its config\.json is no", monkeypatch)


def test_damaged_weights_member_is_refused(tiny_file, monkeypatch):
    rewritten(tiny_file, {"model.weights.h5": b"nothing"})
    refused_before_keras(tiny_file, r"its model\.weights\.h5 is damaged", monkeypatch)


def test_keras_2_file_is_refused_with_the_way_over(tiny_file, monkeypatch):
    rewritten(tiny_file, {"metadata.json": '{"keras_version": "2.15.0"}'})
    refused_before_keras(tiny_file, r"Keras 2\.15\.0, whose files Keras 3 cannot read", monkeypatch)


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "..\\evil.py", "C:/evil", "assets/../../evil"])
def test_names_that_point_out_of_the_archive_are_refused(name, tiny_file, monkeypatch):
    rewritten(tiny_file, {}, extra=[(name, "x")])
    refused_before_keras(tiny_file, "points out of the archive", monkeypatch)


def test_zip_bomb_is_refused(tiny_file, monkeypatch):
    rewritten(tiny_file, {}, extra=[("assets/zeros", bytes(80 << 20))])
    assert tiny_file.stat().st_size < 1 << 20
    refused_before_keras(tiny_file, "would unpack to 80 MiB; refused as unsafe", monkeypatch)


def test_too_many_members_and_doubled_members_are_refused(tiny_file, monkeypatch):
    original = tiny_file.read_bytes()
    rewritten(tiny_file, {}, extra=[(f"assets/{index}", "") for index in range(300)])
    refused_before_keras(tiny_file, "too many files", monkeypatch)
    tiny_file.write_bytes(original)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the very thing
        rewritten(tiny_file, {}, extra=[("config.json", "{}")])
    refused_before_keras(tiny_file, "or one twice", monkeypatch)


def test_lambda_layer_is_refused_with_its_name(tmp_path, monkeypatch):
    keras = import_keras()
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Lambda(lambda pixels: pixels / 255, name="scale")(inputs)
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, x).save(tmp_path / "lambda.keras")
    pattern = "its layer 'scale' is a Lambda, which carries code of its own; replace it"
    refused_before_keras(tmp_path / "lambda.keras", pattern, monkeypatch)


def test_custom_layer_is_refused_even_where_it_is_registered(tmp_path, monkeypatch):
    keras = import_keras()

    @keras.saving.register_keras_serializable(package="stranger")
    class Halve(keras.layers.Layer):
        def call(self, pixels):
            return pixels / 2

    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.GlobalAveragePooling2D()(Halve()(inputs))
    keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x)).save(tmp_path / "own.keras")
    refused_before_keras(
        tmp_path / "own.keras", r"'Halve' \(stranger>Halve\), which is no part of Keras", monkeypatch
    )
    keras.saving.get_custom_objects().clear()


HOSTILE = {
    "download": {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "file:///"}},
    "download as function": {"module": "keras.utils", "class_name": "function", "config": "get_file"},
    "builtin": {"module": "builtins", "class_name": "function", "config": "eval"},
    "function among layers": {"module": "keras.layers", "class_name": "add", "config": {}},
    "switch of safe mode": {
        "module": "keras.config",
        "class_name": "function",
        "config": "enable_unsafe_deserialization",
    },
    "other package": {"module": "os", "class_name": "System", "config": {}},
    "legacy form without a module": {"class_name": "Conv2D", "config": {}},
    "registered name": {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {},
        "registered_name": "stranger>Dense",
    },
    "python lambda": {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
    "type spec": {"class_name": "__typespec__", "module": "os", "spec_name": "x", "config": []},
    "saved model": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp"}},
    "torch module": {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}},
    "file reader": {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc"}},
    "no text": {"module": ["keras"], "class_name": ["Dense"], "config": {}},
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_configuration_that_names_more_than_layers_is_refused(hostile, tiny_file, monkeypatch):
    reconfigured(tiny_file, lambda config: config["config"]["layers"].append(hostile))
    refused_before_keras(tiny_file, "no part of Keras|carries code|runs code|reads other files", monkeypatch)


def test_hostile_object_hidden_in_a_layer_is_found(tiny_file, monkeypatch):
    def hide(config):
        config["config"]["layers"][-1]["config"]["kernel_initializer"] = HOSTILE["download as function"]

    refused_before_keras(reconfigured(tiny_file, hide), "'get_file'", monkeypatch)


def test_layer_without_its_weights_is_refused(tiny_file):
    """Keras must not leave such a layer at random."""
    with zipfile.ZipFile(tiny_file) as archive:
        buffer = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(buffer, "a") as weights:
        for name in list(weights["layers/dense/vars"]):
            del weights[f"layers/dense/vars/{name}"]
    rewritten(tiny_file, {"model.weights.h5": buffer.getvalue()})
    with pytest.raises(ModelError, match=r"cannot rebuild the network: .*save it again") as caught:
        load_model(tiny_file)
    assert "\n" not in str(caught.value)


def test_warning_of_random_weights_is_a_refusal(tiny_file, tiny, monkeypatch):
    def load_in_part(*args, **kwargs):
        warnings.warn("Affected layers will retain their freshly-initialized weights.", stacklevel=1)
        return tiny

    monkeypatch.setattr(import_keras().saving, "load_model", load_in_part)
    with pytest.raises(ModelError, match="would keep random weights"):
        load_model(tiny_file)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(poison, tmp_path):
    network = tiny_network()
    kernel, bias = network.layers[-1].get_weights()
    kernel[1, 0] = poison
    network.layers[-1].set_weights([kernel, bias])
    network.save(tmp_path / "broken.keras")
    with pytest.raises(ModelError, match=r"hold NaN or infinity.*use an earlier checkpoint"):
        load_model(tmp_path / "broken.keras")


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        ((SIZE, SIZE, 1), r"takes \[None, 32, 32, 1\] where"),
        ((SIZE, SIZE, 4), r"takes \[None, 32, 32, 4\] where"),
        ((SIZE, 48, 3), r"takes \[None, 32, 48, 3\] where"),
        ((None, None, 3), r"takes \[None, None, None, 3\] where"),
    ],
)
def test_other_inputs_are_refused(shape, pattern, tmp_path):
    keras = import_keras()
    inputs = keras.Input(shape)
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, x).save(tmp_path / "shape.keras")
    with pytest.raises(ModelError, match=pattern):
        load_model(tmp_path / "shape.keras")


def test_two_inputs_and_a_fixed_batch_are_refused(tmp_path):
    keras = import_keras()
    pair = [keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))]
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(pair))
    keras.Model(pair, keras.layers.Dense(1, activation="sigmoid")(x)).save(tmp_path / "two.keras")
    with pytest.raises(ModelError, match=r"3\] and \[None"):
        load_model(tmp_path / "two.keras")
    inputs = keras.Input(batch_shape=(8, SIZE, SIZE, 3))
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, x).save(tmp_path / "eight.keras")
    with pytest.raises(ModelError, match=r"takes \[8, 32, 32, 3\]"):
        load_model(tmp_path / "eight.keras")


@pytest.mark.parametrize(
    ("outputs", "activation", "pattern"),
    [
        (2, "softmax", r"puts out \[None, 2\].*softmax over two classes: replace"),
        (3, "sigmoid", r"puts out \[None, 3\].*one sigmoid output"),
        (1, "linear", "ends in 'linear' and not in a sigmoid"),
        (1, "tanh", "ends in 'tanh'"),
    ],
)
def test_other_outputs_are_refused(outputs, activation, pattern, tmp_path):
    tiny_network(outputs, activation).save(tmp_path / "output.keras")
    with pytest.raises(ModelError, match=pattern):
        load_model(tmp_path / "output.keras")


# Saving and loading with a card ------------------------------------------------------------------------


def test_saved_checkpoint_is_loaded_with_its_card(tiny, tmp_path):
    card = replace(
        CARD, positive_class="fake", calibration=CALIBRATION, metrics={"auc": 0.9}, data="öffentlich"
    )
    path = tmp_path / "tiny.keras"
    written = save_checkpoint(tiny, path, card)
    assert written == replace(card, sha256=written.sha256)
    assert len(written.sha256) == 64
    loaded = load_model(str(path))
    assert (loaded.card, loaded.path) == (written, path)
    expected = calibrate(outputs_of(tiny, crops()), CALIBRATION)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(loaded.score(crops()), expected, atol=1e-6)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["tiny.json", "tiny.keras"]


def test_training_can_go_on_from_a_checkpoint(tmp_path):
    keras = import_keras()
    network = tiny_network()
    network.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    network.train_on_batch(crops(4), np.array([[0.0], [1], [0], [1]], np.float32))
    save_checkpoint(network, tmp_path / "tiny.keras", CARD)
    resumed = keras.saving.load_model(tmp_path / "tiny.keras")
    assert int(resumed.optimizer.iterations) == 1
    moments = [np.asarray(variable) for variable in network.optimizer.variables]
    for ours, theirs in zip(resumed.optimizer.variables, moments, strict=True):
        assert np.array_equal(np.asarray(ours), theirs)


def test_failed_save_leaves_the_previous_checkpoint(tiny, tmp_path, monkeypatch):
    path = tmp_path / "tiny.keras"
    save_checkpoint(tiny, path, CARD)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    other = tiny_network(seed=5)

    def break_off(target, *args, **kwargs):
        Path(target).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(other, "save", break_off)
    with pytest.raises(ModelError, match=r"tiny\.keras: cannot be written: No space left on device"):
        save_checkpoint(other, path, CARD)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_crash_between_the_two_files_is_noticed(tiny, tmp_path, monkeypatch):
    path = tmp_path / "tiny.keras"
    save_checkpoint(tiny, path, CARD)
    monkeypatch.setattr(checkpoint, "write_card", lambda *a: None)
    save_checkpoint(tiny_network(seed=5), path, CARD)
    with pytest.raises(CardError, match=r"tiny\.json describes \(their SHA-256 differ\)"):
        load_model(path)


def test_what_would_be_refused_is_not_saved(tmp_path, tiny):
    with pytest.raises(ModelError, match=r"must end in \.keras"):
        save_checkpoint(tiny, tmp_path / "tiny.h5", CARD)
    with pytest.raises(ModelError, match="softmax"):
        save_checkpoint(tiny_network(2, "softmax"), tmp_path / "tiny.keras", CARD)
    with pytest.raises(CardError, match="input size 64 is not the network's, 32"):
        save_checkpoint(tiny, tmp_path / "tiny.keras", replace(CARD, input_size=64))
    assert list(tmp_path.iterdir()) == []


def test_another_networks_card_is_refused(tiny_file, monkeypatch):
    write_card(replace(CARD, sha256="0" * 64), card_path(tiny_file))
    refused_before_keras(tiny_file, "their SHA-256 differ.*move the card away", monkeypatch)


def test_card_of_another_input_size_is_refused(tiny_file):
    write_card(replace(CARD, input_size=64), card_path(tiny_file))
    with pytest.raises(CardError, match=r'"input_size" is 64, but the network takes 32 pixels; correct it'):
        load_model(tiny_file)


def test_card_without_a_hash_is_taken(tiny_file):
    write_card(CARD, card_path(tiny_file))
    assert load_model(tiny_file).card == CARD


# Cards -------------------------------------------------------------------------------------------------

BROKEN_FIELDS = {
    "colour": 1,
    "name": None,
    "backbone": 3,
    "input_size": 380.0,
    "input_size ": 380,
    "margin": 0.5,
    "positive_class": "true",
    "fake_threshold": 1.2,
    "real_threshold": "0.4",
    "calibration": [1, 0],
    "sha256": "ABC",
    "terms": ["Apache"],
    "split": "by person",
    "metrics": [0.9],
    "ensemble_weight": 0,
}


@pytest.mark.parametrize(("field", "value"), BROKEN_FIELDS.items())
def test_wrong_field_is_named(field, value, tmp_path):
    path = tmp_path / "card.json"
    path.write_text(json.dumps({**asdict(CARD), field: value}))
    with pytest.raises(CardError) as caught:
        read_card(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: "{field}"')
    assert "correct it" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"input_size": True}, '"input_size" must be'),
        ({"input_size": 0}, '"input_size" must be'),
        ({"margin": True}, '"margin" must be'),
        ({"real_threshold": 0.7}, '"real_threshold" must not lie above "fake_threshold"'),
        ({"calibration": {"slope": 1, "intercept": 0}}, r'"calibration\.fitted_on" is missing'),
        ({"calibration": {"slope": 0, "intercept": 0, "fitted_on": ""}}, r'"calibration\.slope" must be'),
        ({"calibration": {"slope": -1, "intercept": 0, "fitted_on": ""}}, r'"calibration\.slope" must be'),
        ({"calibration": {"slope": 1, "intercept": "0", "fitted_on": ""}}, r"\.intercept"),
        ({"calibration": {"slope": 1, "intercept": 0, "fitted_on": 3}}, r"\.fitted_on"),
        ({"calibration": {"slope": 1, "intercept": 0, "fitted_on": "", "x": 1}}, r'"calibration\.x" is not'),
    ],
)
def test_wrong_values_within_a_card(change, pattern, tmp_path):
    path = tmp_path / "card.json"
    path.write_text(json.dumps({**asdict(CARD), **change}))
    with pytest.raises(CardError, match=pattern):
        read_card(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"name": "a", "name": "b"}', '{"margin": NaN}', "[" * 100_000, "\x00", '"text"'],
)
def test_what_is_no_card_is_refused(text, tmp_path):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(CardError, match=r"card\.json: .*; correct it, or move it away") as caught:
        read_card(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["name", "backbone", "input_size"])
def test_missing_field_is_named(field, tmp_path):
    document = asdict(CARD)
    del document[field]
    (tmp_path / "card.json").write_text(json.dumps(document))
    with pytest.raises(CardError, match=f'"{field}" is missing'):
        read_card(tmp_path / "card.json")


def test_missing_binary_and_huge_cards_are_refused(tmp_path):
    with pytest.raises(CardError, match="cannot be read"):
        read_card(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(CardError, match="not readable as JSON"):
        read_card(tmp_path / "binary.json")
    (tmp_path / "huge.json").write_text(" " * (1 << 20) + "{}")
    with pytest.raises(CardError, match="over 1 MiB"):
        read_card(tmp_path / "huge.json")


def test_card_that_would_be_refused_is_not_written(tmp_path):
    for wrong in (replace(CARD, margin=9.0), replace(CARD, metrics={"auc": float("nan")})):
        with pytest.raises(CardError, match="would be refused"):
            write_card(wrong, tmp_path / "card.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CardError, match="cannot be written"):
        write_card(CARD, tmp_path / "absent" / "card.json")


probabilities = st.floats(0, 1)
calibrations = st.builds(
    Calibration, slope=st.floats(0.01, 100), intercept=st.floats(-20, 20), fitted_on=st.text(max_size=20)
)


@given(
    calibration=st.none() | calibrations,
    thresholds=st.tuples(probabilities, probabilities).map(sorted),
    size=st.integers(32, 4096),
    positive_class=st.sampled_from(["real", "fake"]),
    text=st.text(st.characters(codec="utf-8"), max_size=30),
)
def test_card_reads_back_as_written(tmp_path_factory, calibration, thresholds, size, positive_class, text):
    card = ModelCard(
        name=text,
        backbone="lite2",
        input_size=size,
        positive_class=positive_class,
        real_threshold=thresholds[0],
        fake_threshold=thresholds[1],
        calibration=calibration,
        sha256="0123456789abcdef" * 4,
        split={"train": [text]},
    )
    path = tmp_path_factory.getbasetemp() / "card.json"
    write_card(card, path)
    assert read_card(path) == card


# Probabilities -----------------------------------------------------------------------------------------


def test_positive_class_decides_the_direction():
    output = np.array([[0.0], [0.25], [1.0]], np.float32)
    assert fake_probability(output, CARD).tolist() == [1.0, 0.75, 0.0]
    assert fake_probability(output, replace(CARD, positive_class="fake")).tolist() == [0.0, 0.25, 1.0]
    assert fake_probability([], CARD).shape == (0,)
    assert fake_probability(output[:, 0], CARD).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, -0.01, 1.01, np.inf])
def test_what_is_no_probability_never_becomes_a_score(value):
    with pytest.raises(ScoringError, match="no probabilities"):
        fake_probability(np.array([[0.5], [value]]), CARD)


def test_output_of_another_shape_is_an_error():
    with pytest.raises(ScoringError, match=r"shape \[2, 2\]"):
        fake_probability(np.full((2, 2), 0.5), CARD)


def test_calibration_follows_platts_formula():
    p = np.array([0.1, 0.5, 0.9])
    expected = 1 / (1 + np.exp(-(1.5 * np.log(p / (1 - p)) - 0.3)))
    np.testing.assert_allclose(calibrate(p, CALIBRATION), expected, rtol=1e-6)
    assert fake_probability(1 - p, replace(CARD, calibration=CALIBRATION)) == pytest.approx(expected)


@given(p=st.lists(probabilities, min_size=2, max_size=20).map(sorted), calibration=calibrations)
def test_calibrated_scores_are_probabilities_in_the_same_order(p, calibration):
    scores = calibrate(np.array(p), calibration)
    assert np.all((scores >= 0) & (scores <= 1))
    assert np.all(np.diff(scores) >= 0)


@given(p=probabilities)
def test_identity_calibration_changes_nothing(p):
    identity = Calibration(slope=1.0, intercept=0.0, fitted_on="")
    assert float(calibrate(p, identity)) == pytest.approx(p, abs=2e-7)
    assert float(calibrate(p, None)) == np.float32(p)


# Scoring -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("scoring") / "tiny.keras"
    tiny_network().save(path)
    return load_model(path)


def test_score_is_the_same_in_chunks_and_alone(loaded):
    pictures = crops(70)
    scores = loaded.score(pictures)
    assert (scores.shape, scores.dtype) == ((70,), np.float32)
    np.testing.assert_allclose(scores, 1 - outputs_of(loaded.network, pictures), atol=1e-6)
    assert float(loaded.score(pictures[40:41])[0]) == pytest.approx(float(scores[40]), abs=1e-6)
    assert loaded.score(pictures[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (np.zeros((2, SIZE, SIZE, 3), np.float32), r"not float32 \[2, 32, 32, 3\]"),
        (np.zeros((2, 64, 64, 3), np.uint8), r"\[n, 32, 32, 3\].*not uint8 \[2, 64, 64, 3\]"),
        (np.zeros((SIZE, SIZE, 3), np.uint8), r"not uint8 \[32, 32, 3\]"),
        (np.zeros((2, 3, SIZE, SIZE), np.uint8), r"not uint8 \[2, 3, 32, 32\]"),
        ([[0]], "not a list"),
    ],
)
def test_other_crops_are_refused(loaded, wrong, shown):
    with pytest.raises(ScoringError, match=shown):
        loaded.score(wrong)


def test_failure_of_the_network_is_a_scoring_error(loaded, monkeypatch):
    def fail(batch):
        raise RuntimeError("out of memory\nand a long story")

    monkeypatch.setattr(loaded.network, "predict_on_batch", fail)
    with pytest.raises(ScoringError, match=r"the network failed: RuntimeError: out of memory$"):
        loaded.score(crops())
