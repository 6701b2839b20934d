"""Whether a verdict's interval keeps its promise: looks at a few faces of a clip, and asks the others.

``evidence.interval`` says where a clip's score would lie had other moments been looked at. Here some crops
of each clip stand for what was looked at and the rest for those other moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidscan.probability import average, clipped
from vidscan.verdict.evidence import interval
from vidscan_training.evaluation.scores import ScoredRow, rows_by_clip

SIGHTINGS = (1, 2, 4, 8)
"""How many crops of a clip are looked at."""


def interval_coverage(scored: Sequence[ScoredRow], spread: float) -> list[dict[str, Any]]:
    """How often the interval from a few crops holds the score of the clip's others.

    ``spread`` is the card's standard deviation within a clip, of logits. Only clips with at least twice as
    many crops as are looked at count. ``intervals`` are those tried, ``coverage`` is which share of them held
    the other crops' score (0.95 is promised), and ``width`` their mean width.
    """
    clips = [
        [clipped(item.fake_probability) for item in sorted(items, key=lambda item: item.row.time_s)]
        for items in rows_by_clip(scored).values()
    ]
    table = []
    for sightings in SIGHTINGS:
        tried = [
            one for clip in clips if len(clip) >= 2 * sightings for one in _tries(clip, sightings, spread)
        ]
        if tried:
            held, widths = zip(*tried, strict=True)
            table.append(
                {
                    "sightings": sightings,
                    "intervals": len(tried),
                    "coverage": sum(held) / len(tried),
                    "width": sum(widths) / len(tried),
                }
            )
    return table


def _tries(scores: Sequence[float], sightings: int, spread: float) -> list[tuple[bool, float]]:
    """For each way to take every n-th score: whether its interval holds the others' mean, and its width."""
    step, tries = len(scores) // sightings, []
    for start in range(step):
        taken = range(start, step * sightings, step)
        rest = [score for place, score in enumerate(scores) if place not in taken]
        low, high = interval([scores[place] for place in taken], spread)
        tries.append((low <= average(rest) <= high, high - low))
    return tries
