from __future__ import annotations

import numpy as np
import pytest

from vidscan_training.crops.folder import CropRow
from vidscan_training.evaluation.interval_coverage import interval_coverage
from vidscan_training.evaluation.scores import ScoredRow


def clips(spread: float, count: int = 60, crops: int = 16) -> list[ScoredRow]:
    """Clips whose people differ, and whose crops differ by ``spread`` in their logits."""
    rng = np.random.default_rng(3)
    scored = []
    for number in range(count):
        logits = rng.normal(0, 1.5) + rng.normal(0, spread, crops)
        for place, logit in enumerate(logits):
            name = f"clip{number}"
            row = CropRow(
                f"{name}-{place}.png", "real", "original", name, name, float(place), 0, 0, 9, 9, 0.9
            )
            scored.append(ScoredRow(row, float(1 / (1 + np.exp(-logit)))))
    return scored


def test_the_interval_holds_the_other_faces_nineteen_times_in_twenty():
    table = {each["sightings"]: each for each in interval_coverage(clips(0.8), spread=0.8)}
    assert set(table) == {1, 2, 4, 8}
    for each in table.values():
        assert 0.9 <= each["coverage"] <= 1.0
    assert table[8]["width"] < table[4]["width"] < table[1]["width"]


def test_a_spread_that_is_too_small_is_found_out():
    (one, *_) = interval_coverage(clips(0.8), spread=0.2)
    assert one["sightings"] == 1
    assert one["coverage"] < 0.6


def test_clips_of_one_crop_tell_nothing():
    assert interval_coverage(clips(1.0, crops=1), spread=1.0) == []


def test_the_order_of_rows_does_not_matter():
    scored = clips(1.0, count=5)
    shuffled = [scored[place] for place in np.random.default_rng(0).permutation(len(scored))]
    for ours, theirs in zip(interval_coverage(scored, 1.0), interval_coverage(shuffled, 1.0), strict=True):
        assert ours == pytest.approx(theirs)
