from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from textures import high_frequency_energy, textured

from vidscan_training.data.augment_presets import PRESETS, AugmentOptions
from vidscan_training.data.h264 import compress_some

ALL = AugmentOptions(h264=1.0)
LOOKS = list(range(100, 116))


@pytest.fixture(scope="module")
def pictures():
    return [textured(96, seed) for seed in range(len(LOOKS))]


def test_about_the_share_asked_for_is_compressed_and_the_rest_left_alone(pictures):
    counts = []
    for start in range(0, 400, 16):
        looks = list(range(start, start + 16))
        returned = compress_some(pictures, looks, replace(ALL, h264=0.25))
        counts.append(sum(new is not old for new, old in zip(returned, pictures, strict=True)))
    assert np.mean(counts) / 16 == pytest.approx(0.25, abs=0.08)
    assert len(set(counts)) > 1


def test_nothing_is_compressed_unless_asked_for(pictures, monkeypatch):
    monkeypatch.setenv("VIDSCAN_FFMPEG", "/nowhere")
    returned = compress_some(pictures, LOOKS, PRESETS["broad"])
    assert all(new is old for new, old in zip(returned, pictures, strict=True))


def test_detail_is_lost_and_the_scene_stays(pictures):
    before = [picture.copy() for picture in pictures]
    for old, new in zip(pictures, compress_some(pictures, LOOKS, ALL), strict=True):
        assert new.shape == old.shape
        assert new.dtype == np.uint8
        assert high_frequency_energy(new) < high_frequency_energy(old)
        assert np.abs(new.astype(int) - old).mean() < 20
    assert all(np.array_equal(old, kept) for old, kept in zip(pictures, before, strict=True))


def test_a_coarser_crf_loses_more(pictures):
    def loss(crf):
        options = replace(ALL, h264_crf=(crf, crf), h264_smallest=1.0)
        returned = compress_some(pictures, LOOKS, options)
        return np.abs(np.stack(returned).astype(int) - np.stack(pictures)).mean()

    assert loss(15) < loss(30) < loss(45)


def test_the_same_seeds_give_the_same_pictures(pictures):
    first, again = (compress_some(pictures, LOOKS, ALL) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_twins_are_compressed_alike(pictures):
    """A forgery and the crop that it was made of may differ by the forgery alone."""
    looks = [7, 8, 7, 8]
    shown = [pictures[0], pictures[1], pictures[0], pictures[1]]
    returned = compress_some(shown, looks, ALL)
    assert np.array_equal(returned[0], returned[2])
    assert np.array_equal(returned[1], returned[3])
    for start in range(40):
        some = compress_some(shown, [start, start + 1, start, start + 1], replace(ALL, h264=0.3))
        assert (some[0] is shown[0]) == (some[2] is shown[2])
