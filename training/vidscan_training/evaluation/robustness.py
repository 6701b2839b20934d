"""How a checkpoint's ranking suffers when crops are degraded: the same figures at each kind and strength.

See :mod:`vidscan_training.evaluation.degradations` for what the strengths mean.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from vidscan.protocols import Scorer
from vidscan.records import Image, ModelCard
from vidscan_training.crops.folder import CropFolder, native_sizes
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.degradations import DEGRADATIONS, Degradation, Origin, degrade
from vidscan_training.evaluation.scores import ScoredRow, by_clip, score_rows, truth_and_scores


def measure_robustness(
    model: Scorer,
    folder: CropFolder,
    undegraded: Sequence[ScoredRow],
    names: Sequence[str],
    *,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Scores the same crops again under each strength of the degradations named.

    The figures are those of :func:`ranking`, undegraded and for each strength. Raises VidscanError where a
    crop cannot be read or scored, or ffmpeg failed.
    """
    from tqdm import tqdm

    chosen = {item.row.file for item in undegraded}
    places = [place for place, row in enumerate(folder.rows) if row.file in chosen]
    steps = [(name, strength) for name in names for strength in DEGRADATIONS[name].strengths]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for name, strength in tqdm(steps, "robustness", unit="strength", disable=not sys.stderr.isatty()):
        scored = _scored(model, folder, places, DEGRADATIONS[name], strength, batch_size)
        found[name].append({"strength": strength, **ranking(scored, model.card)})
    return {
        "undegraded": ranking(undegraded, model.card),
        "degradations": [
            {"name": name, "title": DEGRADATIONS[name].title, "strengths": rows}
            for name, rows in found.items()
        ],
    }


def _scored(
    model: Scorer,
    folder: CropFolder,
    places: Sequence[int],
    kind: Degradation,
    strength: float,
    batch_size: int,
) -> list[ScoredRow]:
    native = native_sizes(folder.rows, folder.geometry.margin)

    def change(crops: Sequence[Image], rows: Sequence[int]) -> Sequence[Image]:
        return degrade(
            kind, strength, crops, [Origin(folder.rows[row].file, float(native[row])) for row in rows]
        )

    # Crops of one side follow each other: each call of ffmpeg takes one side.
    ordered = sorted(places, key=lambda place: (native[place], folder.rows[place].file))
    return score_rows(model, folder, ordered, batch_size=batch_size, change=change)


def ranking(scored: Sequence[ScoredRow], card: ModelCard) -> dict[str, Any]:
    """AUC by clip and by crop with 95% intervals, and what the card's threshold makes of the clips.

    ``detection_rate`` (of fake clips) and ``false_alarm_rate`` (of real clips) say how many are called FAKE,
    None without such clips: the AUC alone would not show that all scores rise. The order of ``scored`` does
    not matter.
    """
    crop_fake, crop_score = truth_and_scores(scored)
    fake, score = truth_and_scores(by_clip(scored, card))
    clips = [item.row.clip for item in scored]
    called = score >= card.fake_threshold
    return {
        "clip_auc": metrics.auc(fake, score),
        "clip_auc_interval": metrics.bootstrap_interval(metrics.auc, fake, score),
        "crop_auc": metrics.auc(crop_fake, crop_score),
        "crop_auc_interval": metrics.bootstrap_interval(metrics.auc, crop_fake, crop_score, clusters=clips),
        "detection_rate": float(called[fake].mean()) if fake.any() else None,
        "false_alarm_rate": float(called[~fake].mean()) if not fake.all() else None,
    }
