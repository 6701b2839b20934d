"""How several scores become one: an unsure one pulls nowhere, a sure one is heard, agreement stands."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidscan.models.ensemble import ensemble_card
from vidscan.probability import CLIP_AT, average, clipped, combine
from vidscan.records import ModelCard
from vidscan.verdict.evidence import any_of, interval, views_interval

probabilities = st.floats(0, 1)
weights = st.floats(1e-6, 1e6)
said = st.lists(st.tuples(probabilities, weights), min_size=1, max_size=5)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_the_average_is_taken_of_logits():
    assert logit(average([0.9, 0.6])) == pytest.approx((logit(0.9) + logit(0.6)) / 2, abs=1e-6)
    assert logit(average([0.9, 0.6], [3, 1])) == pytest.approx((3 * logit(0.9) + logit(0.6)) / 4, abs=1e-6)
    assert average([0.9, 0.1]) == 0.5


def test_weights_are_as_many_as_scores():
    with pytest.raises(ValueError, match="zip"):
        average([0.5, 0.5], [1.0])


def test_a_sure_member_is_heard_beside_an_unsure_one():
    assert combine([0.99, 0.5], [1, 1]) > (0.99 + 0.5) / 2


def test_no_member_is_surer_than_the_clip_level():
    assert combine([1.0, 0.3], [1, 1]) == combine([1 - CLIP_AT, 0.3], [1, 1])
    assert combine([0.0, 1.0], [1, 1]) == pytest.approx(0.5)


@given(probabilities, weights)
def test_a_single_score_stays_as_it_is_to_the_last_bit(probability: float, weight: float):
    assert combine([probability], [weight]) == probability


@given(said)
def test_the_whole_lies_between_its_members(members: list[tuple[float, float]]):
    scores = [clipped(score) for score, _ in members]
    whole = clipped(combine([score for score, _ in members], [weight for _, weight in members]))
    assert min(scores) - 1e-8 <= whole <= max(scores) + 1e-8


@given(said, st.floats(0.1, 10))
def test_only_ratios_of_weights_matter(members: list[tuple[float, float]], factor: float):
    scores, given_weights = zip(*members, strict=True)
    scaled = [weight * factor for weight in given_weights]
    assert combine(scores, scaled) == pytest.approx(combine(scores, given_weights), abs=1e-8)


@given(st.lists(st.tuples(probabilities, weights, probabilities), min_size=2, max_size=5), st.booleans())
def test_members_that_agree_are_never_overruled(members: list[tuple[float, float, float]], fake: bool):
    """Every member beyond its own threshold puts the whole beyond the ensemble's."""
    cards = []
    for score, weight, share in members:
        # A threshold that the member's score, which counts as clipped, reaches.
        own = clipped(score)
        threshold = own * share if fake else own + (1 - own) * share
        cards.append(ModelCard("m", "m", 32, 1.4, "real", threshold, threshold, ensemble_weight=weight))
    whole = combine([score for score, _, _ in members], [weight for _, weight, _ in members])
    card = ensemble_card(cards)
    if fake:
        assert whole >= card.fake_threshold - 1e-8
    else:
        assert whole <= card.real_threshold + 1e-8


def width(scores: list[float], spread: float = 1.0) -> float:
    low, high = interval(scores, spread)
    return logit(high) - logit(low)


def test_one_sighting_is_known_as_well_as_the_typical_one():
    low, high = interval([0.5], spread=0.8)
    assert (logit(low), logit(high)) == pytest.approx((-1.96 * 0.8, 1.96 * 0.8), abs=1e-6)


def test_more_sightings_and_more_agreement_narrow_the_interval():
    assert width([0.7] * 20) < width([0.7] * 5) < width([0.7])
    assert width([0.6, 0.8, 0.7, 0.65, 0.75]) < width([0.1, 0.99, 0.6, 0.3, 0.97])


def test_sightings_that_follow_each_other_closely_count_for_less():
    rising = [0.05 * step for step in range(1, 20)]
    shuffled = rising[::4] + rising[1::4] + rising[2::4] + rising[3::4]
    assert sorted(shuffled) == rising
    assert width(rising) > 1.3 * width(shuffled)


@given(st.lists(st.floats(CLIP_AT, 1 - CLIP_AT), min_size=1, max_size=30), st.floats(0.01, 10))
def test_the_interval_holds_the_average(scores: list[float], spread: float):
    low, high = interval(scores, spread)
    assert 0 <= low <= average(scores) <= high <= 1


people = st.lists(st.tuples(st.floats(0.005, 0.995), st.floats(1e-3, 1e3)), min_size=1, max_size=6)


def test_one_person_is_the_clip():
    assert any_of([0.123456789], [7.0]) == 0.123456789


def test_people_who_all_look_alike_make_the_clip_look_like_each_of_them():
    assert any_of([0.3] * 6, [1, 2, 3, 4, 5, 6]) == pytest.approx(0.3)


def test_one_clear_forgery_among_many_is_found_and_one_doubtful_one_is_not():
    assert any_of([0.99] + [0.1] * 5, [1] * 6) > 0.95
    assert any_of([0.85] + [0.1] * 5, [1] * 6) < 0.75


@given(people)
def test_the_clip_lies_between_its_people_and_only_ratios_of_weights_matter(said):
    probabilities, weights = zip(*said, strict=True)
    together = any_of(probabilities, weights)
    assert min(probabilities) - 1e-6 <= together <= max(probabilities) + 1e-6
    assert any_of(probabilities, [3 * weight for weight in weights]) == pytest.approx(together, abs=1e-6)


@given(people, st.integers(0, 5), st.floats(0, 1))
def test_a_more_suspicious_person_never_clears_the_clip(said, which, share):
    probabilities, weights = map(list, zip(*said, strict=True))
    before = any_of(probabilities, weights)
    place = which % len(probabilities)
    probabilities[place] += share * (0.995 - probabilities[place])
    assert any_of(probabilities, weights) >= before - 1e-9


def test_poor_sightings_widen_the_interval_of_good_ones():
    scores = [0.2, 0.4, 0.3, 0.5, 0.3, 0.4]
    even, uneven = interval(scores), interval(scores, weights=[1.0, 0.05, 1.0, 0.05, 1.0, 0.05])
    assert uneven.high - uneven.low > even.high - even.low
    assert interval(scores, weights=[0.5] * 6) == even


def test_views_that_agree_say_no_more_than_one_sighting():
    assert views_interval([0.8] * 4, 0.9) == interval([0.8], 0.9)


@given(st.lists(st.floats(CLIP_AT, 1 - CLIP_AT), min_size=2, max_size=8), st.floats(0.01, 3))
def test_the_interval_of_views_holds_their_mean_and_is_never_narrower_than_their_spread(views, spread):
    low, high = views_interval(views, spread)
    assert low <= average(views) <= high
    logits = [math.log(p / (1 - p)) for p in views]
    half = (math.log(high / (1 - high)) - math.log(low / (1 - low))) / 2 if 0 < low < high < 1 else math.inf
    assert half >= 1.95 * math.sqrt(spread**2 + statistics.variance(logits)) - 0.01
