"""New networks: the reference network's published counts, and the heads."""

from __future__ import annotations

import numpy as np
import pytest

from vidscan.errors import ModelError
from vidscan.models.checkpoint import load_model, save_checkpoint
from vidscan.records import ModelCard
from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.build import CELL_LAYER, build_network, put_head
from vidscan_training.fitting.network import choose_trainable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reference():
    return build_network("efficientnetb4")


def test_reference_network_has_the_published_counts(reference):
    keras = import_keras()
    assert reference.input_shape == (None, 380, 380, 3)
    assert reference.output_shape == (None, 1)
    assert reference.count_params() == 18_601_568
    assert len(reference.layers) == 480

    choose_trainable(reference, "head")
    trainable = sum(int(np.prod(variable.shape)) for variable in reference.trainable_weights)
    assert trainable == 923_137
    assert reference.count_params() - trainable == 17_678_431

    # Adam keeps two moments of every trainable weight, its step counter and its learning rate.
    adam = keras.optimizers.Adam()
    adam.build(reference.trainable_variables)
    state = sum(int(np.prod(variable.shape)) for variable in adam.variables)
    assert state == 2 * 923_137 + 2
    assert reference.count_params() + state == 20_447_844

    choose_trainable(reference, "full")
    assert sum(int(np.prod(variable.shape)) for variable in reference.trainable_weights) > 18_000_000


def test_reference_network_is_flat(reference):
    keras = import_keras()
    assert not any(isinstance(layer, keras.Model) for layer in reference.layers)
    assert reference.get_layer("top_activation").output.shape == (None, 12, 12, 1792)
    after = [layer.name for layer in reference.layers]
    after = after[after.index("top_activation") + 1 :]
    assert after == [
        "avg_pool",
        "head_bn1",
        "head_dense",
        "head_bn2",
        "head_dropout",
        "probability",
    ]
    assert reference.get_layer("head_dropout").rate == 0.5
    assert reference.get_layer("probability").dtype_policy.name == "float32"


def test_imagenet_weights_add_one_layer(monkeypatch):
    import_keras()
    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", lambda *a, **k: "absent")
    monkeypatch.setattr("keras.src.models.model.Model.load_weights", lambda *a, **k: None)
    network = build_network("efficientnetb4", weights="imagenet")
    assert len(network.layers) == 481
    assert network.count_params() == 18_601_568


def test_the_region_head_judges_by_the_most_suspicious_part():
    keras = import_keras()
    features = keras.Input((9, 9, 4))
    network = keras.Model(features, put_head(features, "region", dropout=0.0))
    cells = network.get_layer(CELL_LAYER)
    cells.set_weights([np.array([1, 0, 0, 0], np.float32).reshape(1, 1, 4, 1), np.zeros(1, np.float32)])

    def score(*forged):
        grid = np.full((1, 9, 9, 4), -4, np.float32)
        for rows, columns in forged:
            grid[0, rows, columns] = 4
        return float(np.asarray(network.predict_on_batch(grid))[0, 0])

    genuine, one_cell = score(), score((4, 4))
    mouth, elsewhere = score((slice(5, 8), slice(3, 6))), score((slice(0, 3), slice(6, 9)))
    assert genuine > one_cell > 0.5 > mouth
    assert mouth == pytest.approx(elsewhere) == pytest.approx(score((slice(9), slice(9))))


def test_a_region_network_is_saved_and_loaded(tmp_path):
    network = build_network("lite2", input_size=96, head="region")
    save_checkpoint(network, tmp_path / "region.keras", ModelCard("region", "lite2", 96))
    loaded = load_model(tmp_path / "region.keras")
    pictures = np.random.default_rng(7).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    assert loaded.score(pictures) == pytest.approx(1 - np.asarray(network(pictures)).ravel(), abs=1e-6)


def test_linear_head_and_other_sizes():
    network = build_network("lite2", input_size=64, head="linear", dropout=0.3)
    names = [layer.name for layer in network.layers]
    assert names[names.index("top_activation") + 1 :] == ["avg_pool", "head_dropout", "probability"]
    assert network.input_shape == (None, 64, 64, 3)
    assert network.count_params() == 4_869_168 + 1281
    assert network.get_layer("head_dropout").rate == 0.3


def test_unknown_backbone_is_an_error():
    with pytest.raises(ModelError, match="no backbone 'b4'"):
        build_network("b4")
