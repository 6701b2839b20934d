"""Sets thresholds by what a person found of their own footage: the marks in a store of results.

A threshold is moved where the marks allow the claim that is made of it, and stays elsewhere: the upper end
of the 95% interval of its mistakes (C. Clopper and E. Pearson, 1934) must lie within the rate allowed.
How many mistakes among the marks that leaves room for follows from their number alone, so choosing the
threshold by the same marks takes nothing from the interval (S. Wilks, "Determination of sample sizes for
setting tolerance limits", 1941). Scores and their calibration are left as they are.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.flags import flag
from vidscan.models.bundled import is_bundled, ships
from vidscan.models.card_file import card_path, checkpoint_sha256, write_card
from vidscan.records import ModelCard, thresholds_in_force
from vidscan.report.codec import plain
from vidscan.results.store import Store
from vidscan.results.tables import Heading
from vidscan_training.evaluation.calibrate import fake_threshold, lowest_allowed, real_threshold

CONFIDENCE = 0.95
"""Of the intervals, both ends together."""


@dataclass(frozen=True, slots=True)
class MarksOptions:
    """Which marks to go by, and which mistakes to allow; see ``CalibrateOptions``.

    ``checkpoint`` gets the thresholds on its card; None leaves cards alone.
    """

    marks: Path
    checkpoint: Path | None = None
    false_alarms: float = 0.05
    misses: float = 0.05
    band: float = flag(0.05)

    def __post_init__(self) -> None:
        """Refuses rates that are none."""
        if not (0 < self.false_alarms < 1 and 0 < self.misses < 1 and 0 <= self.band < 0.5):
            raise UsageError("rates must lie between 0 and 1, and the band between 0 and 0.5")


@dataclass(frozen=True, slots=True)
class Marked:
    """P(fake) of the sources marked real and fake; how many more are marked; how many sources are held."""

    real: npt.NDArray[np.float64]
    fake: npt.NDArray[np.float64]
    left_out: int
    sources: int


@dataclass(frozen=True, slots=True)
class Side:
    """One threshold: what it was and is, and of how many marked sources how many are on its wrong side.

    ``label`` is what it says of them, ``whose`` are those of whom that is wrong; ``needed`` is how many marks
    it takes to move it at the ``rate`` allowed, and ``moved`` whether there are enough.
    """

    label: str
    whose: str
    before: float
    threshold: float
    wrong: int
    marks: int
    rate: float
    needed: int

    @property
    def moved(self) -> bool:
        """Whether the marks were enough to set it."""
        return self.marks >= self.needed

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of mistakes lies among sources like those marked."""
        return clopper_pearson(self.wrong, self.marks)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Both thresholds, and the marks that they rest on. ``card`` is where they were written, if anywhere."""

    fake: Side
    real: Side
    marked: Marked
    card: Path | None = None


def calibrate_by_marks(options: MarksOptions) -> Thresholds:
    """Sets the thresholds that a store's marks support, on the card of ``checkpoint`` where one is named.

    Raises UsageError where the marks support none, or are of other networks than the checkpoint; StoreError
    where the store cannot be read; ModelError where the checkpoint is refused.
    """
    with closing(Store.open(options.marks, write=False)) as store:
        heading, marked = store.heading, marks_in(store)
    card = None if options.checkpoint is None else _card(options.checkpoint, heading, options.marks)
    found = thresholds_by(marked, _before(heading), options)
    if options.checkpoint is None or card is None:
        return found
    place = card_path(options.checkpoint)
    write_card(_with(card, found), place)
    return replace(found, card=place)


def marks_in(store: Store) -> Marked:
    """The scores of sources marked fake and real; those without a score, or marked unsure, are counted."""
    scores: dict[str, list[float]] = {"fake": [], "real": []}
    sources = left_out = 0
    for row in store.rows():
        sources += 1
        if row.mark is None or row.mark.label is None:
            continue
        if row.mark.label in scores and row.fake_probability is not None:
            scores[row.mark.label].append(row.fake_probability)
        else:
            left_out += 1
    return Marked(np.array(scores["real"]), np.array(scores["fake"]), left_out, sources)


def thresholds_by(marked: Marked, before: tuple[float, float], options: MarksOptions) -> Thresholds:
    """Both thresholds: set where there are marks enough, else as ``before`` (FAKE and REAL).

    Raises UsageError where there are enough for neither.
    """
    needed = marks_needed(options.false_alarms), marks_needed(options.misses)
    enough = len(marked.real) >= needed[0], len(marked.fake) >= needed[1]
    if not any(enough):
        raise UsageError(_too_few(options, marked, needed))
    fake, real = before
    if enough[0]:
        fake = fake_threshold(_lowest(marked.real, options.false_alarms), options.band)
    if enough[1]:
        real = real_threshold(1 - _lowest(1 - marked.fake, options.misses), options.band)
    if real > fake:  # a threshold that stays may lie on the other side of 0.5
        fake, real = (fake, fake) if enough[0] else (real, real)  # fewer verdicts of the other kind
    alarms, missed = int((marked.real >= fake).sum()), int((marked.fake <= real).sum())
    return Thresholds(
        Side("FAKE", "genuine", before[0], fake, alarms, len(marked.real), options.false_alarms, needed[0]),
        Side("REAL", "fake", before[1], real, missed, len(marked.fake), options.misses, needed[1]),
        marked,
    )


def marks_needed(rate: float) -> int:
    """How many marks without a mistake it takes for an interval that ends at ``rate`` or below."""
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log1p(-rate))


def clopper_pearson(wrong: int, marks: int) -> tuple[float, float]:
    """The interval of a share, ``wrong`` of ``marks``, that is never too narrow; all of 0-1 without marks."""
    from scipy.stats import beta

    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, wrong, marks - wrong + 1)) if wrong else 0.0
    high = float(beta.ppf(1 - tail, wrong + 1, marks - wrong)) if wrong < marks else 1.0
    return low, high


def _lowest(scores: npt.NDArray[np.float64], rate: float) -> float:
    """The lowest threshold that as many scores reach as the interval has room for."""
    marks, allowed = len(scores), 0
    while clopper_pearson(allowed + 1, marks)[1] <= rate:
        allowed += 1
    return lowest_allowed(scores, np.full(marks, 1 / marks), allowed / marks)


def _before(heading: Heading) -> tuple[float, float]:
    """The FAKE and the REAL threshold of the scans in a store."""
    card, given = heading.model, heading.options.get("verdict", {})
    return thresholds_in_force(
        (card["fake_threshold"], card["real_threshold"]),
        (given.get("fake_threshold"), given.get("real_threshold")),
    )


def _card(checkpoint: Path, heading: Heading, store: Path) -> ModelCard:
    """The checkpoint's card, once it is known to be what the scores in the store were made with."""
    from vidscan.models.checkpoint import load_model

    if is_bundled(checkpoint) or ships(checkpoint):
        raise UsageError(
            f"{checkpoint}: ships with vidscan, whose cards stay as they are: leave it out, and give the "
            "thresholds to scans as flags"
        )
    model = load_model(checkpoint)
    scanned = heading.terms.get("checkpoint SHA-256")
    if scanned != [checkpoint_sha256(model.card, model.path)]:
        several = isinstance(scanned, list) and len(scanned) > 1
        why = "several networks together" if several else "another network"
        raise UsageError(
            f"{store}: its sources were scanned with {why}, whose thresholds are no good to {checkpoint}: "
            "scan with --model and mark those results, or leave the checkpoint out"
        )
    for name in ("calibration", "margin", "level", "positive_class"):
        if plain(getattr(model.card, name)) != heading.model.get(name):
            raise UsageError(
                f"{store}: its sources were scanned while the card of {checkpoint} said something else of "
                f'"{name}": scan again, and mark those results'
            )
    return model.card


def _with(card: ModelCard, found: Thresholds) -> ModelCard:
    figures: dict[str, Any] = {
        f"{side.whose} called {side.label}": {
            "wrong": side.wrong,
            "marks": side.marks,
            "interval": [round(end, 4) for end in side.interval] if side.marks else None,
            "rate_allowed": side.rate,
            "set_by_marks": side.moved,
        }
        for side in (found.fake, found.real)
    }
    return replace(
        card,
        fake_threshold=found.fake.threshold,
        real_threshold=found.real.threshold,
        metrics={**card.metrics, "marks": figures},
    )


def _too_few(options: MarksOptions, marked: Marked, needed: tuple[int, int]) -> str:
    return (
        f"{options.marks}: {len(marked.real)} sources marked real and {len(marked.fake)} marked fake are too "
        f"few: {needed[0]} real ones are needed for {options.false_alarms:.3g} false alarms, or {needed[1]} "
        f"fake ones for {options.misses:.3g} misses, since with fewer even none called wrongly leaves a "
        "larger share possible: mark more, or allow more with --false-alarms and --misses"
    )


def as_text(found: Thresholds, marks: Path) -> str:
    """What was set, what was not and why, and how it is used, for a terminal."""
    marked = found.marked
    rest = f", {marked.left_out} more left out (unsure, or without a score)" if marked.left_out else ""
    used = f"--fake-threshold {found.fake.threshold:g} --real-threshold {found.real.threshold:g}"
    told = f"vidscan dir FOLDER {used}"
    if found.card is not None:
        told = f"written to {found.card}, which scans with that checkpoint go by"
    return "\n".join(
        (
            f"{marks}: {len(marked.real)} sources marked real, {len(marked.fake)} marked fake{rest}, "
            f"of {marked.sources}",
            _side_text(found.fake, "at or above"),
            _side_text(found.real, "at or below"),
            "The intervals are of footage like that marked, and of sources that do not depend on each other: "
            "where the most suspicious were marked, or many clips of one person or camera, they say less.",
            f"use: {told}",
        )
    )


def _side_text(side: Side, where: str) -> str:
    how = f"was {side.before:.4f}" if side.moved else "not moved"
    told = f"{side.label} {where} {side.threshold:.4f} ({how})"
    if side.marks:
        low, high = side.interval
        told += f": {side.wrong} of {side.marks} {side.whose} sources are called so, {low:.1%} to {high:.1%}"
    if not side.moved:
        told += f"; {side.needed} marks would be needed for {side.rate:.1%}"
    return told
