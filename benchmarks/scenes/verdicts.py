"""What a whole scan says of scenes with one fake among real people, and of real people alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import vidscan
from scenes.footage import Clip, cells
from scenes.tiled import Gathering, Writer, gatherings
from vidscan.models.checkpoint import LoadedModel
from vidscan.records import Box, Label, Report
from vidscan_training.evaluation.metrics import auc, bootstrap_interval


@dataclass(frozen=True, slots=True)
class Said:
    """Of one scene: whether there is a fake, in which clip, the score, and the label.

    ``named``: whether the most suspicious track that counts lies in the fake's cell.
    """

    fake: bool
    cluster: str
    score: float
    label: Label
    named: bool


def said(
    clips: Sequence[Clip],
    *,
    people: int,
    count: int,
    seed: int,
    writer: Writer,
    model: LoadedModel,
    fps: float,
) -> list[Said]:
    """Makes scenes of so many people, as many with a fake as without, scans them, and deletes them again."""
    plans = [
        each
        for fake in (True, False)
        for each in gatherings(clips, people=people, fake=fake, count=count, seed=seed)
    ]
    paths = [writer.write(plan, f"{people}-{number}") for number, plan in enumerate(plans)]
    try:
        reports = list(vidscan.scan_many(paths, fps=fps, model=model))
    finally:
        for path in paths:
            path.unlink()
    return [
        _said(plan, report, number) for number, (plan, report) in enumerate(zip(plans, reports, strict=True))
    ]


def _said(plan: Gathering, report: Report, number: int) -> Said:
    if report.verdict is None:
        raise SystemExit(f"a scene could not be scanned: {report.error}")
    fake = plan.fake_cell is not None
    return Said(
        fake=fake,
        cluster=plan.stretches[plan.fake_cell].clip.path.stem
        if plan.fake_cell is not None
        else f"{len(plan.stretches)} real, {number}",
        score=report.verdict.fake_probability or 0.0,
        label=report.verdict.label,
        named=fake and _suspicious_cell(report, len(plan.stretches)) == plan.fake_cell,
    )


def _suspicious_cell(report: Report, people: int) -> int | None:
    """The cell of the most suspicious track that counts, where it is first seen."""
    judged = [
        (track.fake_probability, track.id)
        for track in report.tracks
        if track.counted and track.fake_probability is not None
    ]
    if not judged:
        return None
    named = max(judged)[1]
    box = next(face.box for point in report.timeline for face in point.faces if face.track == named)
    return next((number for number, cell in enumerate(cells(people)) if _holds(cell, box)), None)


def _holds(cell: tuple[int, int, int, int], box: Box) -> bool:
    left, top, width, height = cell
    return 0 <= box.x + box.w / 2 - left < width and 0 <= box.y + box.h / 2 - top < height


def ranked(rows: Sequence[Said]) -> tuple[float, tuple[float, float]] | None:
    """AUC with its 95% bootstrap interval, scenes of one fake drawn together; None without both classes."""
    fake = np.array([row.fake for row in rows])
    score = np.array([row.score for row in rows], np.float64)
    value = auc(fake, score)
    interval = bootstrap_interval(auc, fake, score, clusters=[row.cluster for row in rows])
    return None if value is None or interval is None else (value, interval)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Binomial 95% interval (E. B. Wilson, 1927); of no trials, everything."""
    if not trials:
        return 0.0, 1.0
    z, share = 1.96, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)
