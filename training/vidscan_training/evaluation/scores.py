"""Scores the crops of a folder as a scan would, and brings crops together into clips as a verdict does.

Every score stays tied to its row: nothing here depends on the order in which rows come or are scored.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.options import VerdictOptions
from vidscan.protocols import Scorer
from vidscan.records import Box, FaceScore, FaceSeen, Image, ModelCard, SourceKind
from vidscan.verdict.judge import judge
from vidscan_training.crops.folder import CropFolder, CropRow
from vidscan_training.crops.reader import CropReader, in_order
from vidscan_training.crops.split import SplitOptions, assign_splits

ChangeCrops = Callable[[Sequence[Image], Sequence[int]], Sequence[Image]]
"""Makes as many crops of the same size out of RGB ``uint8[s, s, 3]`` crops and the numbers of their rows."""


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A crop with its P(fake), calibrated where the card allows it."""

    row: CropRow
    fake_probability: float


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """A clip's P(fake), brought together from its crops exactly as a scan does for one person."""

    clip: str
    method: str
    fake: bool
    crops: int
    fake_probability: float


def rows_of_split(folder: CropFolder, card: ModelCard, split: str) -> list[int]:
    """Numbers of the rows of one split, by the manifest's ``split`` column or by the card.

    Raises UsageError where neither says how to split, there are no such rows, or validation or test would
    hold people that the network was trained on.
    """
    if split == "all":
        return list(range(len(folder.rows)))
    if all(row.split for row in folder.rows):
        rows: Sequence[CropRow] = folder.rows
    elif {"seed", "shares"} <= set(card.split):
        shares = card.split["shares"]
        options = SplitOptions(float(shares["val"]), float(shares["test"]), int(card.split["seed"]))
        rows = assign_splits(folder.rows, options)
    else:
        raise UsageError(
            f"neither {folder.path / 'manifest.csv'} nor the card of {card.name} says what belongs to "
            f"'{split}': fill the manifest's split column, or use --split all"
        )
    chosen = [place for place, row in enumerate(rows) if row.split == split]
    if not chosen:
        raise UsageError(f"{folder.path} has no crops in the split '{split}'")
    refuse_leaks(card, {rows[place].group for place in chosen}, split)
    return chosen


def refuse_leaks(card: ModelCard, groups: set[str], split: str) -> None:
    """Raises UsageError if ``groups``, meant for ``split``, played another part in the training."""
    for other in ("train", "val", "test"):
        known = card.split.get(other)
        if other == split or split == "train" or not isinstance(known, dict):
            continue
        if shared := sorted(groups & set(known.get("groups", ()))):
            raise UsageError(
                f"{', '.join(shared[:5])} should be in the split '{split}', but the card of {card.name} "
                f"has them in '{other}': the crops differ from those it was trained on"
            )


def score_rows(
    model: Scorer,
    folder: CropFolder,
    places: Sequence[int],
    *,
    batch_size: int = 32,
    change: ChangeCrops | None = None,
) -> list[ScoredRow]:
    """Scores the rows at ``places`` through ``model.score``, the function that serves a scan too.

    ``change``, where given, is applied to the crops of each batch before they are scored, in threads.
    """
    size = folder.geometry.input_size
    if model.card.input_size != size:
        raise UsageError(f"{model.card.name} takes {model.card.input_size} px, the crops have {size}")
    if model.card.level != folder.geometry.level:
        wanted = "level crops" if model.card.level else "crops that are not levelled"
        raise UsageError(f"{model.card.name} takes {wanted}: cut them anew, with or without --level")
    reader = CropReader(folder)

    def batch(start: int) -> Image:
        chosen = places[start : start + batch_size]
        pictures = np.zeros((batch_size, size, size, 3), np.uint8)
        crops = [reader(place) for place in chosen]
        pictures[: len(chosen)] = crops if change is None else change(crops, chosen)
        return pictures

    scored: list[ScoredRow] = []
    starts = range(0, len(places), batch_size)
    for start, pictures in zip(starts, in_order(batch, starts), strict=True):
        probability = model.score(pictures)
        for place, value in zip(places[start : start + batch_size], probability, strict=False):
            scored.append(ScoredRow(folder.rows[place], float(value)))
    return scored


def rows_by_clip(scored: Sequence[ScoredRow]) -> dict[str, list[ScoredRow]]:
    """The crops of each clip, in the order of ``scored``."""
    members: dict[str, list[ScoredRow]] = defaultdict(list)
    for item in scored:
        members[item.row.clip].append(item)
    return members


def by_clip(scored: Sequence[ScoredRow], card: ModelCard) -> list[ScoredClip]:
    """One score a clip, sorted by name; all crops of a clip count as sightings of one person."""
    members = rows_by_clip(scored)
    return [_clip(name, members[name], card) for name in sorted(members)]


def _clip(name: str, members: Sequence[ScoredRow], card: ModelCard) -> ScoredClip:
    faces = [
        FaceScore(
            FaceSeen(
                name,
                number,
                item.row.time_s,
                Box(item.row.x, item.row.y, item.row.w, item.row.h),
                item.row.confidence,
            ),
            item.fake_probability,
        )
        # Sorted, so that the sum of logits is the same to the last bit whatever order the rows came in.
        for number, item in enumerate(sorted(members, key=lambda item: (item.row.time_s, item.row.file)))
    ]
    # As a still's faces are judged: everything counts, however few sightings there are.
    verdict = judge(faces, card, VerdictOptions(), SourceKind.IMAGE).verdict
    assert verdict.fake_probability is not None  # there is at least one face
    first = members[0].row
    return ScoredClip(name, first.method, first.label == "fake", len(faces), verdict.fake_probability)


def truth_and_scores(
    items: Sequence[ScoredRow] | Sequence[ScoredClip],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """``bool[n]``, True for fake, and ``float64[n]``, P(fake), in the order of ``items``."""
    fake = [item.fake if isinstance(item, ScoredClip) else item.row.label == "fake" for item in items]
    return np.array(fake, bool), np.array([item.fake_probability for item in items], np.float64)


def uncalibrated(model: Any) -> Any:
    """The same model without calibration: its scores are what the network itself says."""
    return replace(model, card=replace(model.card, calibration=None))


def write_scores(path: Path, scored: Sequence[ScoredRow]) -> None:
    """Writes one line a crop: file, truth, method, group, clip, time and P(fake)."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "label", "method", "group", "clip", "time_s", "fake_probability"])
        for item in scored:
            row = item.row
            facts = (row.file, row.label, row.method, row.group, row.clip, row.time_s)
            writer.writerow([*facts, f"{item.fake_probability:.7f}"])
