from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidscan.faces.crops import resize
from vidscan_training.evaluation.degradations import DEGRADATIONS, Degradation, Origin, degrade

SIDE = 64
BIG, SMALL = Origin("a.png", 400.0), Origin("a.png", 28.0)


def textured(seed=0, side=SIDE):
    """Noise of several sizes, as a face has pores, hair and cheeks."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.uniform(0, 255, (n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        for n in (4, 16, side)
    ]
    return np.clip(np.mean(layers, axis=0), 0, 255).astype(np.uint8)


def distance(a, b):
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def done(name, strength, origin=BIG, picture=None):
    picture = textured() if picture is None else picture
    return degrade(DEGRADATIONS[name], strength, [picture], [origin])[0]


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("origin", [BIG, SMALL])
def test_crops_keep_their_form_and_are_not_written_into(name, origin):
    picture = textured()
    before = picture.copy()
    for strength in DEGRADATIONS[name].strengths:
        found = done(name, strength, origin, picture)
        assert (found.shape, found.dtype) == (picture.shape, np.uint8)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", ["jpeg", "h264", "size", "blur", "noise"])
def test_strengths_go_from_mild_to_harsh(name):
    # So small a face that every share of its side is smaller than the crop.
    picture, whole = textured(), done("size", 1, SMALL)
    lost = [distance(done(name, each, SMALL, picture), whole) for each in DEGRADATIONS[name].strengths]
    assert lost == sorted(lost)
    assert lost[-1] > lost[0]


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_company_and_order_change_nothing(name):
    crops = [textured(seed) for seed in range(5)]
    origins = [Origin(f"{i}.png", native) for i, native in enumerate((28.0, 400.0, 28.4, 33.0, 51.0))]
    strength = DEGRADATIONS[name].strengths[-1]
    together = degrade(DEGRADATIONS[name], strength, crops, origins)
    backwards = degrade(DEGRADATIONS[name], strength, crops[::-1], origins[::-1])[::-1]
    for crop, origin, one, other in zip(crops, origins, together, backwards, strict=True):
        alone = degrade(DEGRADATIONS[name], strength, [crop], [origin])[0]
        assert np.array_equal(one, alone)
        assert np.array_equal(other, alone)


def test_small_faces_are_degraded_at_their_own_size():
    sides = []

    def watch(pictures, strength, origins):
        sides.extend(picture.shape[0] for picture in pictures)
        return list(pictures)

    crops = [textured()] * 4
    origins = [Origin("a", 28.4), Origin("b", 64.0), Origin("c", 700.0), Origin("d", 3.0)]
    degrade(Degradation("watch", (1,), watch), 1, crops, origins)
    assert sides == [28, 64, 64, 16]
    sides.clear()
    degrade(Degradation("watch", (1,), watch, at_native_side=False), 1, crops, origins)
    assert sides == [64] * 4


def test_the_way_to_the_native_side_and_back_costs_little():
    face = resize(textured(side=28), width=SIDE, height=SIDE)
    returned = done("size", 1, SMALL, face)
    assert 0 < distance(returned, face) < 4
    assert np.array_equal(done("size", 1, BIG, face), face)


def test_sizes_are_shares_of_the_side_in_the_video():
    """Half of 400 px is still more than the crop has; a quarter of 28 px would be too little to encode."""
    picture = textured()
    assert np.array_equal(done("size", 0.5, BIG), picture)
    assert distance(done("size", 0.5, Origin("a", 100.0)), picture) > 5
    assert np.array_equal(done("size", 0.25, SMALL), done("size", 16 / 28, SMALL))


def test_blur_counts_in_pixels_of_the_video():
    small = textured(side=28)
    face = resize(small, width=SIDE, height=SIDE)
    blurred = cv2.GaussianBlur(small, (0, 0), 1)
    expected = resize(blurred, width=SIDE, height=SIDE)
    assert distance(done("blur", 1, SMALL, face), expected) < 1.5
    assert distance(done("blur", 1, BIG, face), expected) > 5


def test_noise_has_the_stated_strength_and_is_the_crops_own():
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    noisy = done("noise", 12, BIG, grey)
    assert float(noisy.astype(float).std()) == pytest.approx(12, rel=0.05)
    assert np.array_equal(noisy, done("noise", 12, BIG, grey))
    assert not np.array_equal(noisy, done("noise", 12, Origin("b.png", 400.0), grey))
    # One pattern at every strength: a curve over strengths is then no luck of the draw.
    pattern = (noisy.astype(float) - 128) / 12
    weaker = (done("noise", 6, BIG, grey).astype(float) - 128) / 6
    assert np.abs(pattern - weaker).max() < 0.2


def test_colours_change_by_the_stated_factor():
    picture = np.tile(np.array([100, 60, 40], np.uint8), (SIDE, SIDE, 1))
    assert done("brightness", 1.6, BIG, picture)[0, 0].tolist() == [160, 96, 64]
    assert done("contrast", 0.6, BIG, picture)[0, 0].tolist() == [111, 87, 75]
    assert len(set(done("saturation", 0, BIG, picture)[0, 0].tolist())) == 1
    for name in ("brightness", "contrast", "saturation"):
        assert distance(done(name, 1.0, SMALL, picture), picture) < 1
