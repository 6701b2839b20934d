"""Scores land in the rows of their crops, and what is no probability goes no further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toys import CARD, ConstantScorer, ToyScorer, toy_crop

from vidscan.errors import ScoringError
from vidscan.models.ensemble import Ensemble
from vidscan.probability import combine
from vidscan.records import Calibration, CropBatch, Geometry, StillRule
from vidscan.scan.scoring import score_batches

SIZE = CARD.input_size


def batch_of(filled: int, batch_size: int = 8) -> CropBatch:
    """A batch whose n-th crop has the brightness 10 * (n + 1)."""
    crops = [toy_crop(10 * (number + 1), sizes=(SIZE,)) for number in range(filled)]
    image = np.zeros((batch_size, SIZE, SIZE, 3), np.uint8)
    for row, crop in enumerate(crops):
        image[row] = crop.images[0]
    return CropBatch(tuple(crop.face for crop in crops), (image,))


def test_each_face_gets_its_own_score():
    scorer = ToyScorer()
    (scored,) = score_batches([batch_of(5)], Ensemble((scorer,)))
    assert scored.fake_probability.shape == (5, 1)
    assert scored.fake_probability.dtype == np.float32
    expected = [10 / 255, 20 / 255, 30 / 255, 40 / 255, 50 / 255]
    assert scored.fake_probability[:, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("filled", "computed"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (9, 16), (17, 24), (24, 24), (25, 30)]
)
def test_few_more_rows_are_computed_than_are_filled(filled: int, computed: int):
    scorer = ToyScorer()
    list(score_batches([batch_of(filled, batch_size=30)], Ensemble((scorer,))))
    assert scorer.batches == [computed]


def test_batch_of_padding_alone_is_not_computed():
    scorer = ToyScorer()
    (scored,) = score_batches([batch_of(0)], Ensemble((scorer,)))
    assert scorer.batches == []
    assert scored.fake_probability.shape == (0, 1)


def test_batches_keep_their_order_and_take_time():
    given = [batch_of(3), batch_of(8), batch_of(1)]
    scored = list(score_batches(given, Ensemble((ToyScorer(),))))
    assert [each.batch for each in scored] == given
    assert all(each.seconds > 0 for each in scored)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_score_that_is_no_probability_is_refused(value: float):
    class Broken(ToyScorer):
        def score(self, crops: np.ndarray) -> np.ndarray:
            probability = super().score(crops)
            probability[-1] = value
            return probability

    with pytest.raises(ScoringError, match=r"toy: the network gave a score that is no probability.*--model"):
        list(score_batches([batch_of(8)], Ensemble((Broken(),))))


# Several members

WIDE = replace(CARD, name="wide", input_size=SIZE // 2, margin=2.0)


def two_geometries(filled: int) -> CropBatch:
    """A batch whose second image, for ``WIDE``, is twice as bright as its first."""
    batch = batch_of(filled)
    (first,) = batch.images
    return CropBatch(batch.faces, (first, 2 * first[:, ::2, ::2]))


def test_each_member_scores_the_crops_of_its_own_geometry():
    ensemble = Ensemble((ToyScorer(), ToyScorer(WIDE), ConstantScorer(0.5)))
    assert ensemble.geometries == (Geometry(SIZE, 1.0), Geometry(SIZE // 2, 2.0))
    (scored,) = score_batches([two_geometries(5)], ensemble)
    assert scored.fake_probability.shape == (5, 3)
    one = np.array([10, 20, 30, 40, 50]) / 255
    half = np.full(5, 0.5)
    assert scored.fake_probability == pytest.approx(np.stack([one, 2 * one, half], axis=1))


def test_a_margin_alone_makes_another_geometry():
    members = (
        ToyScorer(),
        ToyScorer(replace(CARD, margin=1.5)),
        ToyScorer(replace(CARD, name="like the first")),
    )
    assert Ensemble(members).geometries == (Geometry(SIZE, 1.0), Geometry(SIZE, 1.5))


def test_a_single_member_is_no_ensemble_to_its_reports():
    one = Ensemble((ToyScorer(WIDE),))
    assert one.card is WIDE
    assert one.member_cards == ()
    two = Ensemble((ToyScorer(WIDE), ToyScorer(replace(CARD, ensemble_weight=3.0))))
    assert [card.name for card in two.member_cards] == ["wide", "toy"]
    assert two.weights == (1.0, 3.0)
    assert two.card.name == "wide + toy"


def test_stills_are_put_together_by_their_own_rule_where_a_card_has_one():
    rule = StillRule((3.0, 1.0), Calibration(2.0, -0.5, "stills"))
    detector = replace(CARD, calibration=Calibration(1.0, 0.0, "clips"))
    said = (0.9, 0.3)
    pair = Ensemble((ToyScorer(WIDE), ToyScorer()), replace(detector, stills=rule))
    assert pair.together(said, still=False) == combine(said, (1.0, 1.0), detector.calibration)
    assert pair.together(said, still=True) == combine(said, rule.weights, rule.calibration)
    same = replace(pair, detector=detector)
    assert same.together(said, still=True) == same.together(said, still=False)


def test_the_member_that_gives_no_probability_is_named():
    ensemble = Ensemble((ToyScorer(), ConstantScorer(np.nan, WIDE)))
    with pytest.raises(ScoringError, match=r"^wide: the network gave a score that is no probability"):
        list(score_batches([two_geometries(3)], ensemble))
