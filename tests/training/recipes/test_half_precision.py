from __future__ import annotations

import io
import zipfile

import h5py
import numpy as np
import pytest
from made_crops import SIZE
from tiny_network import build_tiny, save_tiny

from vidscan.errors import CardError
from vidscan.models.card_file import card_path
from vidscan.models.checkpoint import load_model, save_checkpoint
from vidscan.records import ModelCard
from vidscan.system.files import sha256_of
from vidscan_training.recipes.half_precision import store_in_half

PICTURES = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


def stored_types(path):
    found = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(
            lambda name, node: found.update({node.ndim > 1: node.dtype}) if hasattr(node, "dtype") else None
        )
    return found


def test_kernels_are_stored_in_half_and_the_scores_stay(tmp_path):
    path = save_tiny(tmp_path / "tiny.keras")
    before = load_model(path).score(PICTURES)
    change = store_in_half(path, PICTURES)
    assert stored_types(path) == {True: np.float16, False: np.float32}
    model = load_model(path)
    assert {str(weight.dtype) for weight in model.network.weights} == {"float32"}
    assert np.abs(model.score(PICTURES) - before).max() == pytest.approx(change, abs=1e-7)
    assert 0 < change < 1e-3
    assert model.card.sha256 == sha256_of(path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["tiny.json", "tiny.keras"]


def test_a_file_is_left_alone_where_scores_would_change(tmp_path):
    path = save_tiny(tmp_path / "tiny.keras")
    bytes_before, card = path.read_bytes(), card_path(path).read_bytes()
    assert store_in_half(path, PICTURES, largest=1e-9) > 1e-9
    assert (path.read_bytes(), card_path(path).read_bytes()) == (bytes_before, card)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["tiny.json", "tiny.keras"]


def test_what_float16_cannot_hold_stays_as_it_is(tmp_path):
    network = build_tiny()
    network.get_layer("conv0").kernel.assign(np.full((3, 3, 3, 6), 1e6, np.float32))
    path = tmp_path / "large.keras"
    save_checkpoint(network, path, ModelCard("large", "tiny-net", SIZE))
    store_in_half(path, PICTURES, largest=1.0)
    assert load_model(path).network.get_layer("conv0").kernel.numpy().max() == 1e6


def test_a_checkpoint_without_a_card_is_refused(tmp_path):
    path = save_tiny(tmp_path / "tiny.keras")
    card_path(path).unlink()
    with pytest.raises(CardError):
        store_in_half(path, PICTURES)
