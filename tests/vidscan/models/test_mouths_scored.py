"""Networks that look at mouths beside faces: what a mouth adds, what counts nothing, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from toy_networks import SIZE, red_network, save_red_network

from vidscan.errors import CardError, ModelError, ScoringError
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model
from vidscan.models.ensemble import Ensemble
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.records import CropBatch, Geometry
from vidscan.scan.scoring import score_batches


def crops(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.array(colours, np.uint8)[:, None, None, :] * np.ones((1, SIZE, SIZE, 1), np.uint8)


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


@pytest.fixture
def model(tmp_path):
    return load_model(save_red_network(tmp_path / "mouthed.onnx", mouth=True))


def test_a_mouth_adds_its_logit_to_the_faces(model):
    assert model.card.mouth
    scores = model.score(crops(RED, RED, BLACK), crops(GREEN, RED, GREEN))
    assert scores == pytest.approx([sigmoid(7), sigmoid(3), sigmoid(4)], abs=1e-5)


def test_a_mouth_that_is_not_seen_or_not_given_counts_nothing(model):
    assert model.score(crops(RED, RED), crops(BLACK, BLACK)) == pytest.approx([sigmoid(3)] * 2, abs=1e-6)
    assert model.score(crops(RED)) == pytest.approx([sigmoid(3)], abs=1e-6)
    none = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    assert model.score(none, none).shape == (0,)


def test_the_same_mouth_is_computed_once(model, monkeypatch):
    computed = []
    whole = OnnxRuntime._computed

    def counted(self, output, rows, added=None):
        computed.append((output, len(rows)))
        return whole(self, output, rows, added)

    monkeypatch.setattr(OnnxRuntime, "_computed", counted)
    half = (0, 128, 0)
    scores = model.score(crops(*[BLACK] * 5), crops(GREEN, half, GREEN, BLACK, half))
    assert computed == [("mouth_logit", 2), ("fake", 5)]
    middle = sigmoid(4 * 128 / 255)
    assert scores == pytest.approx([sigmoid(4), middle, sigmoid(4), 0.5, middle], abs=1e-5)


def test_mouths_of_another_form_or_number_are_refused(model, tmp_path):
    for wrong in (crops(GREEN), crops(GREEN, GREEN)[:, ::2], crops(GREEN, GREEN).astype(np.float32)):
        with pytest.raises(ScoringError, match="crops must be a uint8 array"):
            model.score(crops(RED, RED), wrong)
    plain = load_model(save_red_network(tmp_path / "plain.onnx"))
    with pytest.raises(ScoringError, match=r"plain\.onnx: looks at no mouths"):
        plain.score(crops(RED), crops(GREEN))


@pytest.mark.parametrize("mouth", [False, True])
def test_a_card_that_says_otherwise_is_refused(tmp_path, mouth):
    path = save_red_network(tmp_path / "red.onnx", mouth=mouth)
    write_card(replace(read_card(card_path(path)), mouth=not mouth), card_path(path))
    with pytest.raises(CardError, match=rf'"mouth" is {str(not mouth).lower()}, but the network'):
        load_model(path)


def test_a_file_without_a_card_tells_by_its_ports(tmp_path):
    path = tmp_path / "bare.onnx"
    onnx.save(red_network(3.0, mouth=True), path)
    assert load_model(path).card.mouth


def test_a_network_that_takes_a_mouth_and_gives_no_logit_of_it_is_refused(tmp_path):
    network = red_network(3.0, mouth=True)
    del network.graph.output[2]
    path = tmp_path / "half.onnx"
    onnx.save(network, path)
    with pytest.raises(ModelError, match=r"half\.onnx: puts out"):
        load_model(path)


def test_shares_are_those_of_the_face(model):
    assert model.runtime.gives_shares
    assert not model.runtime.shares(crops(RED)).any()


def test_each_member_of_an_ensemble_gets_the_crops_that_it_asks_for(model, tmp_path):
    plain = load_model(save_red_network(tmp_path / "plain.onnx"))
    ensemble = Ensemble((plain, model))
    face, mouth = ensemble.geometries
    assert (face.region, mouth) == ("face", Geometry(SIZE, 1.0, level=True, region="mouth"))
    batch = CropBatch((None,) * 2, (crops(RED, RED), crops(GREEN, BLACK)))  # type: ignore[arg-type]
    (scored,) = score_batches([batch], ensemble)
    expected = [[sigmoid(3), sigmoid(7)], [sigmoid(3), sigmoid(3)]]
    np.testing.assert_allclose(scored.fake_probability, expected, atol=1e-5)


def test_no_padding_is_computed_where_crops_are_computed_one_by_one(model, monkeypatch):
    rows = []
    whole = OnnxRuntime._computed

    def counted(self, output, crops, *more):
        rows.append(len(crops))
        return whole(self, output, crops, *more)

    monkeypatch.setattr(OnnxRuntime, "_computed", counted)
    batch = CropBatch((None,) * 5, (crops(*[RED] * 8), crops(*[BLACK] * 8)))  # type: ignore[arg-type]
    (scored,) = score_batches([batch], Ensemble((model,)))
    assert rows == [5]
    assert scored.computed == 5
