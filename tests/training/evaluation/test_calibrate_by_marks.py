"""Thresholds by the marks in a store: what so few allow, what they do not, and whose card they are for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tiny_network import SIZE, save_tiny

from tests.vidscan import report_samples as samples
from vidscan.errors import UsageError
from vidscan.models.card_file import card_path, checkpoint_sha256, read_card, write_card
from vidscan.records import Calibration, ModelCard, Source, SourceKind
from vidscan.report.document import model_document, result_document
from vidscan.results.store import Store
from vidscan.results.tables import Heading
from vidscan_training.cli.main import main
from vidscan_training.evaluation.marks import (
    Marked,
    MarksOptions,
    calibrate_by_marks,
    clopper_pearson,
    marks_needed,
    thresholds_by,
)

CARD = ModelCard("toy", "toy", 32, fake_threshold=0.8, real_threshold=0.2, calibration=Calibration(1, 0, "x"))
CALM, WILD = tuple(np.linspace(0.02, 0.5, 80)), tuple(np.linspace(0.4, 0.98, 80))


def marked_store(
    path: Path,
    real: Sequence[float] = CALM,
    fake: Sequence[float] = WILD,
    *,
    card: ModelCard = CARD,
    checkpoints: Sequence[str] = ("ab" * 32,),
) -> Path:
    model = model_document(card, ())
    heading = Heading({"checkpoint SHA-256": [*checkpoints]}, {}, model, "1", "2026-01-02T03:04:05+00:00")
    store = Store.create(path, heading)
    verdict = samples.still().verdict
    assert verdict is not None
    told = [
        *(("real", each) for each in real),
        *(("fake", each) for each in fake),
        ("unsure", 0.5),
        (None, 0.9),
    ]
    for number, (label, score) in enumerate(told):
        source = Source(str(number), Path(f"{number}.jpg"), SourceKind.IMAGE)
        found = replace(verdict, fake_probability=float(score), interval=None)
        made = replace(samples.still(), source=source, verdict=found)
        marked = store.add(source, "1-2", result_document(made))
        store.set_mark(marked, label, "")
    store.close()
    return path


def marked(real: Sequence[float] = CALM, fake: Sequence[float] = WILD) -> Marked:
    return Marked(np.array(real), np.array(fake), 0, len(real) + len(fake))


def options(**changed: float) -> MarksOptions:
    return MarksOptions(Path("case.vidscan"), **changed)


def test_an_interval_is_the_one_in_the_books() -> None:
    assert clopper_pearson(0, 72)[1] == pytest.approx(1 - 0.025 ** (1 / 72))
    assert clopper_pearson(4, 20) == pytest.approx((0.0573, 0.4366), abs=1e-4)  # C. Clopper, E. Pearson, 1934
    assert clopper_pearson(20, 20)[1] == 1.0
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@given(st.floats(0.005, 0.5))
def test_as_many_marks_are_asked_for_as_the_interval_needs(rate: float) -> None:
    needed = marks_needed(rate)
    assert clopper_pearson(0, needed)[1] <= rate < clopper_pearson(0, max(1, needed - 1))[1] or needed == 1


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 1), min_size=73, max_size=300),
    st.lists(st.floats(0, 1), min_size=73, max_size=300),
    st.floats(0.05, 0.3),
)
def test_what_is_claimed_of_a_threshold_is_what_the_marks_support(
    real: list[float], fake: list[float], rate: float
) -> None:
    found = thresholds_by(marked(real, fake), (0.8, 0.2), options(false_alarms=rate, misses=rate))
    for side in (found.fake, found.real):
        # A threshold can lie no farther out than at 0.005 from an end, which scores may reach.
        if 0.01 < side.threshold < 0.99:
            assert side.interval[1] <= rate
    assert found.real.threshold <= 0.45 and found.fake.threshold >= 0.55


def test_the_claim_holds_for_footage_that_was_not_marked() -> None:
    """Of many users who mark 100 genuine sources each, 19 of 20 and more get the rate they asked for."""
    rng, kept, users = np.random.default_rng(0), 0, 300
    for _ in range(users):
        found = thresholds_by(marked(rng.uniform(0, 1, 100), ()), (0.8, 0.2), options(false_alarms=0.1))
        kept += 1 - found.fake.threshold <= 0.1
    assert binom.cdf(kept, users, 0.95) > 0.001


def test_too_few_marks_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(
        UsageError, match="71 sources marked real and 3 marked fake are too few: 72 real"
    ) as why:
        thresholds_by(marked(CALM[:71], WILD[:3]), (0.8, 0.2), options())
    assert "even none called wrongly leaves a larger share possible" in str(why.value)
    assert thresholds_by(marked(CALM[:72], ()), (0.8, 0.2), options()).fake.moved


def test_the_side_with_too_few_marks_stays_as_it_was() -> None:
    found = thresholds_by(marked(CALM, WILD[:10]), (0.8, 0.2), options())
    assert found.fake.moved and found.fake.threshold == 0.75  # half way from the highest to 1
    assert not found.real.moved and found.real.threshold == 0.2
    other = thresholds_by(marked(CALM[:10], WILD), (0.8, 0.2), options())
    assert not other.fake.moved and other.fake.threshold == 0.8
    assert other.real.moved and other.real.threshold == pytest.approx(0.2, abs=2e-4)


def test_a_threshold_that_stays_never_crosses_the_one_that_is_set() -> None:
    found = thresholds_by(marked(CALM[:5], tuple(np.linspace(0.44, 0.99, 90))), (0.3, 0.2), options())
    assert found.real.threshold <= found.fake.threshold


def test_genuine_footage_that_looks_synthesised_raises_the_threshold() -> None:
    """Of 110 sources one may be called FAKE (1 of 110: up to 4.96%), here the highest of many high ones."""
    found = thresholds_by(marked(tuple(np.linspace(0.5, 0.95, 110)), ()), (0.8, 0.2), options())
    assert found.fake.threshold > 0.94 and found.fake.wrong == 1


def test_the_command_reads_the_marks_and_says_how_thresholds_are_used(tmp_path: Path, capsys) -> None:
    store = marked_store(tmp_path / "case.vidscan")
    assert main(["calibrate", "--marks", str(store)]) == 0
    told = capsys.readouterr().out
    assert (
        "80 sources marked real, 80 marked fake, 1 more left out (unsure, or without a score), of 162" in told
    )
    assert "FAKE at or above 0.7500 (was 0.8000): 0 of 80 genuine sources are called so, 0.0% to 4.5%" in told
    assert "use: vidscan dir FOLDER --fake-threshold 0.75 --real-threshold 0.1999" in told


def test_it_goes_without_what_the_marks_replace(tmp_path: Path, capsys) -> None:
    store = str(marked_store(tmp_path / "case.vidscan", (), ()))
    assert main(["calibrate", "a.keras", "crops", "--marks", store]) == 2
    assert "--marks goes without crops" in capsys.readouterr().err
    assert main(["calibrate", "a.keras"]) == 2
    assert "name a CHECKPOINT and CROPS, or a store of results with --marks" in capsys.readouterr().err
    assert main(["calibrate", "--marks", store]) == 2
    assert "too few" in capsys.readouterr().err
    assert main(["calibrate", "--marks", store, "vidscan-lite2"]) == 2
    assert "ships with vidscan, whose cards stay as they are" in capsys.readouterr().err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = save_tiny(tmp_path / "mine.keras")
    write_card(replace(CARD, input_size=SIZE), card_path(path))
    return path


@pytest.mark.slow
def test_a_checkpoints_card_gets_the_thresholds_and_nothing_else(checkpoint: Path, tmp_path: Path) -> None:
    before = read_card(card_path(checkpoint))
    sha256 = checkpoint_sha256(before, checkpoint)
    store = marked_store(tmp_path / "case.vidscan", fake=WILD[:10], card=before, checkpoints=(sha256,))
    found = calibrate_by_marks(MarksOptions(store, checkpoint))
    after = read_card(card_path(checkpoint))
    assert found.card == card_path(checkpoint)
    assert (after.fake_threshold, after.real_threshold) == (0.75, before.real_threshold)
    figures = after.metrics["marks"]
    assert figures["genuine called FAKE"]["marks"] == 80 and figures["genuine called FAKE"]["set_by_marks"]
    assert not figures["fake called REAL"]["set_by_marks"]
    assert replace(after, fake_threshold=before.fake_threshold, metrics=before.metrics) == before
    json.dumps(figures)


@pytest.mark.slow
def test_marks_of_other_networks_or_another_calibration_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    card = read_card(card_path(checkpoint))
    sha256 = checkpoint_sha256(card, checkpoint)
    for name, checkpoints, words in (
        ("other", ("cd" * 32,), "scanned with another network"),
        ("both", (sha256, "cd" * 32), "scanned with several networks together"),
    ):
        store = marked_store(tmp_path / f"{name}.vidscan", card=card, checkpoints=checkpoints)
        with pytest.raises(UsageError, match=words):
            calibrate_by_marks(MarksOptions(store, checkpoint))
    store = marked_store(tmp_path / "then.vidscan", card=card, checkpoints=(sha256,))
    write_card(replace(card, calibration=Calibration(2, 0, "newer clips")), card_path(checkpoint))
    with pytest.raises(UsageError, match='said something else of "calibration"'):
        calibrate_by_marks(MarksOptions(store, checkpoint))
    assert read_card(card_path(checkpoint)).fake_threshold == card.fake_threshold
