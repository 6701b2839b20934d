from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_crops import SIZE, make_crop_folder
from tiny_network import save_tiny

from vidscan.errors import UsageError
from vidscan.models.calibration import calibrate
from vidscan.models.card_file import read_card
from vidscan.records import TYPICAL_SPREAD, ModelCard
from vidscan_training.crops.folder import CropRow, read_manifest, write_manifest
from vidscan_training.crops.split import assign_splits
from vidscan_training.evaluation.calibrate import (
    CalibrateOptions,
    as_text,
    calibrate_checkpoint,
    calibrated_card,
    choose_thresholds,
    clip_logits,
    fit_platt,
    lowest_allowed,
)
from vidscan_training.evaluation.scores import ScoredRow, by_clip

CARD = ModelCard("toy", "toy", SIZE)


def options(tmp_path=None, **changed):
    return CalibrateOptions(tmp_path, tmp_path, **changed)


def scored_clips(logits_by_clip, method="deepfakes"):
    """Scored crops: a list of (fake?, [logit of each crop])."""
    scored = []
    for number, (fake, logits) in enumerate(logits_by_clip):
        name = method if fake else "original"
        for i, logit in enumerate(logits):
            clip = f"{name}{number}"
            label = "fake" if fake else "real"
            row = CropRow(f"{clip}-{i}.png", label, name, clip, clip, i / 2, 0, 0, 9, 9, 0.9, "val")
            scored.append(ScoredRow(row, float(1 / (1 + np.exp(-logit)))))
    return scored


def drawn(count, slope, intercept, seed=0):
    """Clips whose truth follows sigmoid(slope * logit + intercept)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.0, count)
    fake = rng.random(count) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    return scored_clips([(bool(f), [value, value]) for f, value in zip(fake, logits, strict=True)])


def test_platt_scaling_finds_the_slope_that_made_the_data():
    slope, intercept = fit_platt(clip_logits(drawn(3000, 2.0, 0.0), {}))
    assert slope == pytest.approx(2.0, rel=0.15)
    assert intercept == pytest.approx(0.0, abs=0.15)


def test_classes_count_alike_whatever_their_number():
    few_reals = scored_clips(
        [(True, [1.0])] * 60 + [(True, [-1.0])] * 20 + [(False, [-1.0])] * 6 + [(False, [1.0])] * 2
    )
    slope, intercept = fit_platt(clip_logits(few_reals, {}))
    # Ten fakes to a real would put it at log(10) = 2.3; the rest is what Platt's targets do to few clips.
    assert abs(intercept) < 0.4
    assert slope > 0.5


def test_the_slope_is_positive_even_for_a_network_that_is_always_wrong():
    slope, _ = fit_platt(clip_logits(scored_clips([(True, [-2.0]), (False, [2.0])] * 20), {}))
    assert slope > 0


def test_separable_clips_do_not_make_the_slope_endless():
    slope, _ = fit_platt(clip_logits(scored_clips([(True, [1.0]), (False, [-1.0])] * 5), {}))
    assert 0.5 < slope < 50


def test_clip_means_are_what_a_verdict_computes():
    scored = scored_clips([(True, [0.3, 9.0, -1.0]), (False, [-2.0])])
    clips = clip_logits(scored, {})
    card = calibrated_card(CARD, scored, options())
    served = [
        replace(item, fake_probability=float(calibrate(item.fake_probability, card.calibration)))
        for item in scored
    ]
    ours = 1 / (1 + np.exp(-clips.means(card.calibration.slope, card.calibration.intercept)))
    theirs = [clip.fake_probability for clip in by_clip(served, card)]
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_method_weights_move_the_fit():
    mixed = scored_clips([(True, [2.0])] * 10 + [(False, [-1.0])] * 10)
    missed = scored_clips([(True, [-1.0])] * 10, method="faceswap")
    both = fit_platt(clip_logits(mixed + missed, {}))
    without = fit_platt(clip_logits(mixed + missed, {"faceswap": 1e-6}))
    assert without[0] > both[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(-6, 6)), min_size=6, max_size=40),
    st.floats(0.02, 0.3),
    st.floats(0.02, 0.3),
)
def test_thresholds_keep_their_promises(pairs, false_alarms, misses):
    pairs = [(True, 1.0), (False, -1.0), *pairs]
    clips = clip_logits(scored_clips([(fake, [logit]) for fake, logit in pairs]), {})
    probability = 1 / (1 + np.exp(-clips.means()))
    fake_threshold, real_threshold = choose_thresholds(
        clips, probability, options(false_alarms=false_alarms, misses=misses)
    )
    assert 0 < real_threshold <= 0.45 < 0.55 <= fake_threshold < 1
    alarm = (probability >= fake_threshold) & ~clips.fake
    miss = (probability <= real_threshold) & clips.fake
    # At the clipping limit of a verdict there is no threshold left to move to.
    if fake_threshold < 0.995:
        assert alarm.sum() <= false_alarms * (~clips.fake).sum() + 1e-6
    if real_threshold > 0.005:
        assert miss.sum() <= misses * clips.fake.sum() + 1e-6


def test_the_lowest_threshold_lies_between_two_scores():
    scores, weight = np.linspace(0.05, 0.95, 10), np.ones(10)
    assert lowest_allowed(scores, weight, 0.1) == pytest.approx(0.9)
    assert lowest_allowed(scores, weight, 0.05) == pytest.approx(0.975)
    assert lowest_allowed(scores, weight, 0.3) == pytest.approx(0.7)


def test_the_spread_is_that_of_a_clip_and_not_that_of_clips():
    clips = clip_logits(scored_clips([(True, [1.0, 2.0]), (False, [-2.0, -1.0]), (True, [4.0])]), {})
    assert clips.spread(1.0, 0.0) == pytest.approx(0.5**0.5, abs=1e-5)
    assert clips.spread(2.0, 0.5) == pytest.approx(2 * 0.5**0.5, abs=1e-5)
    alone = clip_logits(scored_clips([(True, [2.0]), (False, [-3.0])]), {})
    assert alone.spread(1.0, 0.0) == TYPICAL_SPREAD


def test_one_class_cannot_be_calibrated():
    with pytest.raises(UsageError, match="real and fake clips"):
        clip_logits(scored_clips([(True, [1.0])] * 3), {})


@pytest.mark.parametrize("changed", [{"false_alarms": 0}, {"misses": 1.0}, {"band": 0.5}])
def test_impossible_rates_are_refused(changed):
    with pytest.raises(UsageError):
        options(**changed)


@pytest.mark.slow
def test_a_card_is_calibrated_on_validation_rows_alone(tmp_path, monkeypatch):
    crops = make_crop_folder(tmp_path / "crops", groups=9)
    checkpoint = save_tiny(tmp_path / "tiny.keras")
    rows = assign_splits(read_manifest(crops / "manifest.csv"))
    write_manifest(crops / "manifest.csv", rows)
    for row in rows:
        if row.split != "val":
            (crops / row.file).write_bytes(b"not to be read")
    card = calibrate_checkpoint(CalibrateOptions(checkpoint, crops))
    assert card == read_card(tmp_path / "tiny.json")
    assert card.calibration is not None
    assert card.calibration.slope > 0
    assert card.real_threshold <= 0.45
    assert card.fake_threshold >= 0.55
    assert "validation clips" in as_text(card)
    again = calibrate_checkpoint(CalibrateOptions(checkpoint, crops))
    assert again.calibration == card.calibration, "a second calibration must start from raw scores"
