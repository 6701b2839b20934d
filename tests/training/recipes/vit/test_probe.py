from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vidscan_training.recipes.vit.folds import auc
from vidscan_training.recipes.vit.probe import ProbeOptions, Sample, fit, head_of, sample_weights

OPTIONS = ProbeOptions()


@pytest.fixture
def sample() -> Sample:
    """60 views of 3 real sources and 3 of fakes, one of these self-blends; people and degraded views vary."""
    sources = ["camera"] * 20 + ["phone"] * 6 + ["studio"] * 4 + ["swap"] * 15 + ["sync"] * 5
    sources += ["blended/camera"] * 10
    fake = np.arange(60) >= 30
    people = [f"{source}{place % 5 % (place // 7 + 1)}" for place, source in enumerate(sources)]
    generator = np.random.default_rng(3)
    features = generator.normal(size=(60, 8)) + np.where(fake, 1.0, -1.0)[:, None] * [2, 1, 0, 0, 0, 0, 0, 0]
    return Sample(
        features.astype(np.float32), fake, sources, people, ["degraded", "plain", "fields", "reduced"] * 15
    )


def by_source(sample: Sample, weights: np.ndarray) -> dict[str, float]:
    names = np.array(sample.source)
    return {name: float(weights[names == name].sum()) for name in dict.fromkeys(sample.source)}


@pytest.mark.parametrize("evenness", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("forged", [0.1, 0.4])
def test_weights_sum_to_1_with_half_for_each_label(sample, evenness, forged):
    weights = sample_weights(sample, replace(OPTIONS, evenness=evenness, forged=forged))
    assert weights.dtype == np.float32
    assert np.all(weights > 0)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert weights[sample.fake].sum() == pytest.approx(0.5, abs=1e-5)
    assert by_source(sample, weights)["blended/camera"] == pytest.approx(0.5 * forged, abs=1e-5)


def test_without_self_blends_the_other_fakes_have_the_half(sample):
    kept = np.array([not source.startswith("blended") for source in sample.source])
    names, people = np.array(sample.source)[kept], np.array(sample.person)[kept]
    kinds = list(np.array(sample.kind)[kept])
    rest = Sample(sample.features[kept], sample.fake[kept], list(names), list(people), kinds)
    weights = sample_weights(rest, OPTIONS)
    assert weights[rest.fake].sum() == pytest.approx(0.5, abs=1e-5)


def test_sources_count_alike_or_by_their_people(sample):
    people = {
        name: len(
            {person for source, person in zip(sample.source, sample.person, strict=True) if source == name}
        )
        for name in ("camera", "phone", "studio")
    }
    assert len(set(people.values())) > 1
    even = by_source(sample, sample_weights(sample, replace(OPTIONS, evenness=1.0)))
    assert [even[name] for name in people] == pytest.approx([0.5 / 3] * 3, abs=1e-5)
    counted = by_source(sample, sample_weights(sample, replace(OPTIONS, evenness=0.0)))
    total = sum(people.values())
    assert [counted[name] for name in people] == pytest.approx(
        [0.5 * each / total for each in people.values()], abs=1e-5
    )


def test_people_of_a_source_count_alike_and_degraded_views_less(sample):
    weights = sample_weights(sample, replace(OPTIONS, degraded=0.25, fields=0.5, reduced=0.75))
    names, people = np.array(sample.source), np.array(sample.person)
    own = [weights[(names == "camera") & (people == each)].sum() for each in set(people[names == "camera"])]
    assert len(own) > 1
    np.testing.assert_allclose(own, own[0], rtol=1e-4)
    chosen = (names == "camera") & (people == people[names == "camera"][0])
    kinds = np.array(sample.kind)
    one = weights[chosen & (kinds == "plain")][0]
    for kind, say in (("degraded", 0.25), ("fields", 0.5), ("reduced", 0.75)):
        own = weights[chosen & (kinds == kind)]
        assert own.size > 0
        np.testing.assert_allclose(own, say * one, rtol=1e-4)


def test_head_separates_what_can_be_separated(sample):
    kernel, bias = fit(sample, OPTIONS)
    assert kernel.shape == (8,)
    assert kernel.dtype == np.float32
    logits = sample.features @ kernel + bias
    assert auc(logits[~sample.fake], logits[sample.fake]) > 0.97
    assert np.abs(kernel[:2]).min() > np.abs(kernel[2:]).max()


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_head_does_not_depend_on_scale_and_origin_of_the_features(sample, drift):
    options = replace(OPTIONS, drift=drift)
    scale = np.array([0.05, 3.0, 1.0, 20.0, 0.3, 1.0, 7.0, 0.5], np.float32)
    other = replace(sample, features=(sample.features + np.float32(2.0)) * scale)
    kernel, bias = fit(sample, options)
    other_kernel, other_bias = fit(other, options)
    np.testing.assert_allclose(other_kernel * scale, kernel, atol=0.02 * np.abs(kernel).max())
    np.testing.assert_allclose(
        other.features @ other_kernel + other_bias, sample.features @ kernel + bias, atol=0.05
    )


def test_penalty_of_drift_brings_sources_of_one_label_together(sample):
    """One source of each label differs from the rest in a feature that tells the labels apart a little."""
    names = np.array(sample.source)
    features = sample.features.copy()
    features[:, 5] += 3.0 * (names == "swap") - 3.0 * (names == "phone")
    shifted = replace(sample, features=features)

    def spread(drift: float) -> float:
        kernel, bias = fit(shifted, replace(OPTIONS, drift=drift, fields=1.0))
        logits = (features @ kernel + bias) / np.std(features @ kernel)
        means = {name: logits[names == name].mean() for name in dict.fromkeys(sample.source)}
        return float(np.std([means["swap"], means["sync"]]) + np.std([means["phone"], means["camera"]]))

    assert spread(1.0) < 0.8 * spread(0.0)


def test_kernel_is_laid_out_by_block_and_token():
    head = head_of(np.arange(2 * 2 * 3, dtype=np.float32), 0.5, (6, 8))
    assert head.taps == (6, 8)
    assert head.bias == 0.5
    assert head.kernel.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
