"""Words for numbers, the same in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping

from vidscan.records import HeatKind, HeatSource, Label

VERY_SURE, FAIRLY_SURE = 0.95, 0.8

MAX_SUFFIXES = 12
"""Upper limit on the endings of skipped files that are named."""

NOT_JUDGED = "—"
"""Stands for the score of a face that has none."""

REMARKABLY_POOR = 0.3
"""Faces of a quality below this (0-1) are called poor; they count for less than this beside a perfect one."""


def certainty(
    label: str, fake_probability: float | None, confidence: float | None, *, calibrated: bool
) -> str:
    """Returns the confidence of a verdict in plain words, with its percentage if scores are ``calibrated``.

    ``confidence`` is the probability of the label, 0-1; for UNCERTAIN, that of the likelier side.
    """
    if not calibrated:
        return "an uncalibrated score, not a probability"
    sure = confidence or 0.0
    if label == Label.UNCERTAIN:
        side = "fake" if (fake_probability or 0.0) >= 0.5 else "real"
        words = f"could be either, leans to {side}" if round(sure * 100) > 50 else "could be either"
    else:
        words = (
            "very sure" if sure >= VERY_SURE else "fairly sure" if sure >= FAIRLY_SURE else "not very sure"
        )
    return f"{words} ({min(99, round(sure * 100))}%)"  # never 100%: no detector is that sure


def score(probability: float | None) -> str:
    """Formats a score with two decimals, never as a certain 0.00 or 1.00; None becomes a dash."""
    if probability is None:
        return NOT_JUDGED
    return "<0.01" if probability < 0.005 else ">0.99" if probability >= 0.995 else f"{probability:.2f}"


def remark(note: str, quality: float) -> str:
    """Returns the note on a track or a face beside its score, or that its quality is poor."""
    return note or ("poor quality" if quality < REMARKABLY_POOR else "")


def heat_origin(source: HeatSource) -> str:
    """Returns a sentence on how a heat map was made and what it explains."""
    if source.kind is HeatKind.SHARES:
        return (
            f"Patch shares of {source.network}: exactly what the token of each patch adds to the network’s "
            "logit, beyond the average patch of its crop. A token also holds what it took from other patches."
        )
    return f"Grad-CAM of {source.network}: an estimate by the gradients at the network’s last feature map."


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Returns a count with its noun; the plural gets an s by default."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def passed_over(suffixes: Mapping[str, int]) -> str:
    """Returns a sentence on the files that were not scanned for their endings, the most frequent first."""
    ordered = sorted(suffixes, key=lambda suffix: (-suffixes[suffix], suffix))
    named = ", ".join(f"{suffixes[each]} {each or 'without an ending'}" for each in ordered[:MAX_SUFFIXES])
    more = f" and {len(ordered) - MAX_SUFFIXES} more kinds" if len(ordered) > MAX_SUFFIXES else ""
    return (
        f"{counted(sum(suffixes.values()), 'file')} skipped, by their endings no clip or still: {named}{more}"
    )


def clock(seconds: float) -> str:
    """Formats seconds as ``m:ss.s``, or ``h:mm:ss.s`` from an hour on."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    ahead = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{ahead}:{rest / 10:04.1f}"
