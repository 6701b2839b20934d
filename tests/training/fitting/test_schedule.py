from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vidscan_training.fitting.schedule import Plateau, WeightAverage, warmed_cosine


def test_the_rate_rises_to_its_peak_and_falls_to_its_floor():
    rates = [warmed_cosine(fraction, 2.0, warmup=0.2) for fraction in np.linspace(0, 1, 101)]
    assert rates[0] == pytest.approx(2.0 / 25)
    assert rates[20] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(1.0, rel=0.01)
    assert rates[100] == pytest.approx(0.002)
    assert all(later > earlier for earlier, later in pairwise(rates[:21]))
    assert all(later < earlier for earlier, later in pairwise(rates[20:]))


def test_no_warmup_and_fractions_beyond_the_end_are_fine():
    assert warmed_cosine(0.0, 1.0, warmup=0.0) == 1.0
    assert warmed_cosine(1.7, 1.0) == warmed_cosine(1.0, 1.0)


def test_a_plateau_lowers_the_rate_after_three_epochs_and_ends_after_seven():
    plateau = Plateau(1e-3)
    plateau.update(0.5)
    plateau.update(0.4)
    rates = []
    for _ in range(7):
        assert not plateau.exhausted
        plateau.update(0.4)
        rates.append(plateau.rate)
    assert rates == pytest.approx([1e-3, 1e-3, 3e-4, 3e-4, 3e-4, 9e-5, 9e-5])
    assert plateau.exhausted


def test_a_plateau_starts_anew_with_every_improvement_and_keeps_its_floor():
    plateau = Plateau(2e-7)
    plateau.update(1.0)
    for loss in (1.0, 1.0, 0.9, 1.0, 1.0):
        plateau.update(loss)
    assert plateau.rate == 2e-7
    plateau.update(1.0)
    assert plateau.rate == 1e-7
    assert not plateau.exhausted


def test_the_average_follows_closely_first_and_slowly_later():
    weights = [np.zeros(3, np.float32)]
    average = WeightAverage(weights, decay=0.999, every=1)
    average.update([np.ones(3, np.float32)], step=1)
    assert average.weights[0] == pytest.approx(1 - 2 / 11)
    before = average.weights[0].copy()
    average.update([np.zeros(3, np.float32)], step=10**6)
    assert average.weights[0] == pytest.approx(0.999 * before)
    assert not weights[0].any(), "the average must own its arrays"


def test_updating_seldom_comes_to_nearly_the_same():
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(0.01, 0.05, 4000))
    often, seldom = (WeightAverage([np.zeros(1, np.float32)], 0.99, every) for every in (1, 8))
    for step, value in enumerate(path, start=1):
        for average in (often, seldom):
            if average.due(step):
                average.update([np.array([value], np.float32)], step)
    assert seldom.weights[0] == pytest.approx(often.weights[0], abs=0.15)


def test_without_decay_the_average_is_the_last_weights():
    average = WeightAverage([np.zeros(2, np.float32)], decay=0.0, every=1)
    average.update([np.full(2, 5, np.float32)], step=3)
    assert average.weights[0].tolist() == [5, 5]


def test_a_counter_among_the_weights_is_taken_as_it_is():
    average = WeightAverage([np.zeros(2, np.float32), np.array(3, np.int32)], decay=0.9, every=1)
    average.update([np.ones(2, np.float32), np.array(5, np.int32)], step=50)
    assert average.weights[1].dtype == np.int32
    assert average.weights[1] == 5
    assert 0 < average.weights[0][0] < 1
