"""Which group of crops belongs to training, validation and test.

People, not pictures, are split: a network that has seen a face in training knows it again, and its
figures on that face say nothing about other people.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vidscan.errors import UsageError
from vidscan.flags import flag
from vidscan_training.crops.folder import LABELS, SPLITS, CropRow

_CANDIDATES = 64
"""How many seeded shuffles compete for the best coverage of methods. More changes little."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Shares of the groups that validation and test get; training has the rest."""

    val: float = flag(0.2, name="val-share", group="data")
    test: float = flag(0.2, name="test-share", group="data")
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses shares that leave nothing to train on."""
        if self.val < 0 or self.test < 0 or self.val + self.test >= 1:
            raise UsageError("the shares of validation and test must be at least 0 and together below 1")

    def shares(self) -> dict[str, float]:
        """Share of the groups by split."""
        return {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}


def assign_splits(rows: Sequence[CropRow], options: SplitOptions | None = None) -> tuple[CropRow, ...]:
    """Gives every row a split, in the order of ``rows``; a group is never in two.

    Rows that name a split keep it, and carry their whole group with them. The other groups are dealt out by a
    seeded shuffle: of several, the one by which most methods are seen in every split, and by which the
    numbers of clips come nearest to the shares. Raises UsageError where one group names two splits, or a
    split would lack real or fake faces.
    """
    options = options or SplitOptions()
    assigned = _stated_splits(rows)
    free = sorted({row.group for row in rows} - set(assigned))
    if free:
        assigned = assigned | _best_deal(rows, free, assigned, options)
    result = tuple(replace(row, split=assigned[row.group]) for row in rows)
    _require_both_labels(result, [name for name, share in options.shares().items() if share > 0])
    return result


def split_record(rows: Sequence[CropRow], options: SplitOptions) -> dict[str, Any]:
    """The card's account of a split: what it takes to make it again, and the groups it holds.

    Groups of a single clip (portraits, each a person of its own) are only counted.
    """
    clips: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        clips[row.group].add(row.clip)
    shares = {"val": options.val, "test": options.test}
    record: dict[str, Any] = {"by": "group", "seed": options.seed, "shares": shares}
    for split in SPLITS:
        groups = {row.group for row in rows if row.split == split}
        named = sorted(group for group in groups if len(clips[group]) > 1)
        record[split] = {"groups": named, "single_clips": len(groups) - len(named)}
    return record


def _stated_splits(rows: Sequence[CropRow]) -> dict[str, str]:
    stated: dict[str, str] = {}
    for row in rows:
        if row.split and stated.setdefault(row.group, row.split) != row.split:
            raise UsageError(
                f"group {row.group} is in the splits {stated[row.group]} and {row.split}; "
                "correct the manifest's split column"
            )
    return stated


def _best_deal(
    rows: Sequence[CropRow], free: Sequence[str], stated: Mapping[str, str], options: SplitOptions
) -> dict[str, str]:
    methods: dict[str, Counter[str]] = defaultdict(Counter)
    for _, method, group in {(row.clip, row.method, row.group) for row in rows}:
        methods[group][method] += 1
    shares = options.shares()

    def merit(deal: Mapping[str, str]) -> tuple[int, float]:
        counts: Counter[tuple[str, str]] = Counter()
        totals: Counter[str] = Counter()
        for group, split in (dict(stated) | dict(deal)).items():
            for method, clips in methods[group].items():
                counts[split, method] += clips
                totals[method] += clips
        covered = sum(counts[split, method] > 0 for split in shares for method in totals)
        distance = sum(
            abs(counts[split, method] / totals[method] - share)
            for split, share in shares.items()
            for method in totals
        )
        return covered, -distance

    deals = [
        _deal(free, methods, shares, np.random.default_rng([options.seed, i])) for i in range(_CANDIDATES)
    ]
    return max(deals, key=merit)


def _deal(
    free: Sequence[str],
    methods: Mapping[str, Counter[str]],
    shares: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, str]:
    """Deals groups one by one to the split that is furthest behind its share.

    Groups with the same methods follow each other, so every kind is spread over the splits.
    """
    order = rng.permutation(len(free))
    kinds = {group: tuple(sorted(methods[group])) for group in free}
    shuffled = sorted((free[i] for i in order), key=lambda group: kinds[group])
    dealt: Counter[str] = Counter()
    result = {}
    for number, group in enumerate(shuffled, start=1):
        split = max(shares, key=lambda name: shares[name] * number - dealt[name])
        dealt[split] += 1
        result[group] = split
    return result


def _require_both_labels(rows: Sequence[CropRow], splits: Sequence[str]) -> None:
    present = {(row.split, row.label) for row in rows}
    for split in splits:
        for label in LABELS:
            if (split, label) not in present:
                raise UsageError(
                    f"no group with {label} faces is left for the split '{split}'; "
                    "bring more groups, or state the splits in the manifest"
                )


def spread_over_clips(places: Sequence[int], rows: Sequence[CropRow], per_clip: int) -> list[int]:
    """At most ``per_clip`` of ``places`` from each clip (0: all), evenly over its time, in their order."""
    if per_clip <= 0:
        return list(places)
    by_clip: dict[str, list[int]] = defaultdict(list)
    for place in places:
        by_clip[rows[place].clip].append(place)
    kept: set[int] = set()
    for members in by_clip.values():
        members.sort(key=lambda place: (rows[place].time_s, rows[place].file))
        chosen = np.linspace(0, len(members) - 1, min(per_clip, len(members))).round().astype(int)
        kept.update(members[i] for i in chosen)
    return [place for place in places if place in kept]
