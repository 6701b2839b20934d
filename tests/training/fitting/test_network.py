from __future__ import annotations

import numpy as np
import pytest
from made_crops import SIZE
from tiny_network import build_tiny

from vidscan.errors import UsageError
from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.build import build_network, put_head
from vidscan_training.fitting.network import (
    choose_trainable,
    compile_like,
    compile_network,
    feature_part,
    has_map_head,
    head_part,
    map_cells,
    restore_optimizer,
    scoring_part,
    seed_dropout,
    with_map_head,
    with_precision,
)

pytestmark = pytest.mark.slow

PICTURES = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
TARGETS = np.array([[1], [1], [0], [0]], np.float32)


def trainable(network):
    return [layer.name for layer in network.layers if layer.trainable and layer.trainable_variables]


def test_the_head_phase_trains_the_head_alone_with_the_reference_numbers():
    network = build_network("efficientnetb0", input_size=SIZE, head="reference", weights=None)
    choose_trainable(network, "head")
    assert trainable(network) == ["head_bn1", "head_dense", "head_bn2", "probability"]


def test_the_last_phase_unfreezes_layers_but_not_their_normalisation():
    network = build_tiny()
    choose_trainable(network, "last", unfreeze=3)
    assert trainable(network) == ["conv1", "probability"]
    assert not network.get_layer("bn1").trainable
    choose_trainable(network, "last", unfreeze=99)
    assert trainable(network) == ["conv0", "conv1", "probability"]


def test_the_full_phase_thaws_everything_again():
    network = build_tiny()
    choose_trainable(network, "head")
    choose_trainable(network, "full")
    assert trainable(network) == ["conv0", "bn0", "conv1", "bn1", "probability"]


def test_a_network_without_pooling_is_refused():
    keras = import_keras()
    inputs = keras.Input((SIZE, SIZE, 3))
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(inputs))
    with pytest.raises(UsageError, match="no global average pooling"):
        choose_trainable(keras.Model(inputs, outputs), "head")


def test_frozen_normalisation_keeps_its_statistics_while_the_head_learns():
    network = build_tiny()
    choose_trainable(network, "head")
    compile_network(network, "head")
    before = [np.array(value) for value in network.get_weights()]
    for _ in range(3):
        network.train_on_batch(PICTURES, TARGETS)
    changed = [not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True)]
    assert changed == [False] * 10 + [True] * 2


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_precision_changes_the_arithmetic_and_not_the_weights(precision):
    network = build_tiny()
    choose_trainable(network, "last", 3)
    half = with_precision(network, precision)
    assert half.get_layer("conv1").compute_dtype == precision.removeprefix("mixed_")
    assert half.get_layer("probability").compute_dtype == "float32"
    assert trainable(half) == trainable(network)
    back = with_precision(half, "float32")
    assert np.array_equal(back.predict_on_batch(PICTURES), network.predict_on_batch(PICTURES))
    assert np.allclose(half.predict_on_batch(PICTURES), network.predict_on_batch(PICTURES), atol=0.05)
    compile_network(half, "full")
    scaled = type(half.optimizer).__name__ == "LossScaleOptimizer"
    assert scaled == (precision == "mixed_float16")
    half.optimizer.learning_rate = 1e-3
    assert np.isfinite(half.train_on_batch(PICTURES, TARGETS))


def test_only_kernels_decay():
    network = build_tiny(dropout=0.0)
    compile_network(network, "full", weight_decay=0.5)
    network.optimizer.build(network.trainable_variables)
    decaying = [v.path for v in network.trainable_variables if network.optimizer._use_weight_decay(v)]
    assert decaying == ["conv0/kernel", "conv1/kernel", "probability/kernel"]


def test_an_optimiser_put_back_continues_as_if_nothing_had_happened():
    first, second = build_tiny(dropout=0.0), build_tiny(dropout=0.0)
    for network in (first, second):
        compile_network(network, "full")
    for _ in range(4):
        first.train_on_batch(PICTURES, TARGETS)
    second.set_weights(first.get_weights())
    restore_optimizer(second, [np.array(variable) for variable in first.optimizer.variables])
    for network in (first, second):
        network.train_on_batch(PICTURES, TARGETS)
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_dropout_is_seeded_by_epoch():
    network = build_tiny(dropout=0.5)

    def outputs(epoch):
        seed_dropout(network, 3, epoch)
        return np.asarray(network(PICTURES, training=True))

    first = outputs(1)
    assert not np.allclose(first, outputs(2))
    state = [np.array(value) for value in network.get_weights()]
    assert np.allclose(first, outputs(1), atol=1e-5)
    assert len(state) == 12


def test_the_map_head_shares_the_network_and_learns_where():
    network = build_tiny(dropout=0.0)
    mapped = with_map_head(network, dropout=0.0)
    assert (map_cells(network), has_map_head(network)) == (0, False)
    cells = map_cells(mapped)
    assert cells > 1
    score, forged = mapped.predict_on_batch(PICTURES)
    assert np.array_equal(score, network.predict_on_batch(PICTURES))
    assert forged.shape == (len(PICTURES), cells * cells)
    assert np.array_equal(scoring_part(mapped).predict_on_batch(PICTURES), score)
    assert scoring_part(network) is network
    compile_network(mapped, "full", map_loss=1.0)
    mapped.optimizer.learning_rate = 0.02
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 60, (16, *PICTURES.shape[1:])).astype(np.float32)
    images[:, : images.shape[1] // 2] += 150  # the upper half is "forged", in every picture
    maps = np.zeros((16, cells, cells), np.float32)
    maps[:, : cells // 2] = 1
    target = np.zeros((16, 1), np.float32)
    for _ in range(40):
        mapped.train_on_batch(images, [target, maps.reshape(16, -1)])
    learnt = mapped.predict_on_batch(images)[1].reshape(16, cells, cells)
    assert learnt[:, 0].mean() > 0.8 > 0.2 > learnt[:, -1].mean()


def test_a_map_of_weight_nought_teaches_nothing():
    weighed, plain = (with_map_head(build_tiny(dropout=0.0), dropout=0.0) for _ in range(2))
    plain.set_weights(weighed.get_weights())
    ones = np.ones(len(PICTURES), np.float32)
    maps = np.random.default_rng(0).random((len(PICTURES), map_cells(weighed) ** 2)).astype(np.float32)
    for network, other in ((weighed, maps), (plain, 1 - maps)):
        compile_network(network, "full", map_loss=1.0)
        network.train_on_batch(PICTURES, [TARGETS, other], sample_weight=[ones, 0 * ones])
    for ours, theirs in zip(weighed.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_network_is_its_features_and_its_head(precision):
    network = with_precision(build_tiny(dropout=0.0), precision)
    features = np.asarray(feature_part(network).predict_on_batch(PICTURES)).astype(np.float32)
    assert features.shape == (len(PICTURES), 8)
    score = np.asarray(head_part(network).predict_on_batch(features))
    np.testing.assert_allclose(score, network.predict_on_batch(PICTURES), atol=1e-6)


def test_a_region_head_has_its_dropout_and_all_behind_it():
    base = build_tiny()
    network = import_keras().Model(
        base.input, put_head(base.get_layer("top_activation").output, "region", 0.4)
    )
    features = np.asarray(feature_part(network).predict_on_batch(PICTURES))
    head = head_part(network)
    assert features.shape == (len(PICTURES), 7, 7, 8)
    assert "head_dropout" in [layer.name for layer in head.layers]
    np.testing.assert_allclose(head.predict_on_batch(features), network.predict_on_batch(PICTURES), atol=1e-6)


def test_training_the_head_alone_trains_the_network_and_its_optimiser():
    network = build_tiny(dropout=0.0)
    choose_trainable(network, "head")
    compile_network(network, "head")
    head = head_part(network)
    compile_like(head, network)
    features = np.asarray(feature_part(network).predict_on_batch(PICTURES))
    whole = build_tiny(dropout=0.0)
    choose_trainable(whole, "head")
    compile_network(whole, "head")
    for _ in range(3):
        head.train_on_batch(features, TARGETS)
        whole.train_on_batch(PICTURES, TARGETS)
    assert int(network.optimizer.iterations) == 3
    for ours, theirs in zip(network.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_head_that_looks_past_the_pooling_is_refused():
    keras = import_keras()
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    both = keras.layers.Concatenate()(
        [keras.layers.GlobalMaxPooling2D()(x), keras.layers.GlobalAveragePooling2D()(x)]
    )
    network = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(both), name="twofold")
    with pytest.raises(UsageError, match="twofold needs more than the features before it"):
        head_part(network)


def test_a_region_head_and_its_map_are_the_same_cells():
    network = build_network("lite2", input_size=96, head="region", dropout=0.0)
    mapped = with_map_head(network)
    assert map_cells(mapped) == 3
    assert len(mapped.get_weights()) == len(network.get_weights())
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    score, forged = (np.asarray(output) for output in mapped.predict_on_batch(pictures))
    logit = np.log(forged / (1 - forged)).mean(axis=1)
    assert score.ravel() == pytest.approx(1 / (1 + np.exp(logit)), abs=1e-5)
    choose_trainable(mapped, "head")
    assert {weight.path.split("/")[0] for weight in mapped.trainable_variables} == {
        "forgery_cells",
        "probability",
    }
