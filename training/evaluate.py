"""Measures a checkpoint on crops it has not learnt from: per crop, per clip, and per manipulation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from training import metrics
from training.manifest import CropFolder, open_crop_folder
from training.scores import (
    ScoredClip,
    ScoredRow,
    by_clip,
    rows_of_split,
    score_rows,
    truth_and_scores,
    write_scores,
)
from training.validation import comparable_reals, spread_over_clips
from vidscan.errors import ReportError, UsageError
from vidscan.records import ModelCard
from vidscan.scoring import Scorer

SCHEMA = "vidscan.evaluation/1"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to measure.

    ``split``: ``train``, ``val``, ``test`` or ``all``. ``methods`` are those looked at, real ones
    included (all where empty). ``against`` names, for a manipulation, the real
    methods it is compared with, where those that share its people are not meant. ``per_clip`` limits the
    crops of each clip (0: all). ``scores`` and ``report`` are files to write; ``record`` puts the main
    figures into the checkpoint's card.
    """

    checkpoint: Path
    crops: Path
    split: str = "test"
    methods: Sequence[str] = ()
    against: Mapping[str, Sequence[str]] = field(default_factory=dict)
    per_clip: int = 0
    batch_size: int = 32
    scores: Path | None = None
    report: Path | None = None
    record: bool = False


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Scores the chosen split and returns the figures; writes the files that ``options`` name.

    Raises:
        SourceError: the crop folder is malformed.
        ModelError: the checkpoint is refused.
        UsageError: the split cannot be told, or would hold people of the training.
        ReportError: a file cannot be written.
    """
    from vidscan.model import load_model

    model = load_model(options.checkpoint)
    folder = open_crop_folder(options.crops)
    result, scored = measure(model, folder, options)
    result["checkpoint"] = {"name": model.card.name, "sha256": model.card.sha256}
    try:
        if options.scores is not None:
            write_scores(options.scores, scored)
        if options.report is not None:
            options.report.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{error.filename} cannot be written: {error.strerror}") from error
    if options.record:
        _record(options, result)
    return result


def measure(
    model: Scorer, folder: CropFolder, options: EvaluateOptions
) -> tuple[dict[str, Any], list[ScoredRow]]:
    """Scores and measures without touching files: the part that tests can call with a toy scorer."""
    places = rows_of_split(folder, model.card, options.split)
    places = _of_methods(places, folder, options.methods)
    places = spread_over_clips(places, folder.rows, options.per_clip)
    scored = score_rows(model, folder, places, batch_size=options.batch_size)
    return figures(scored, model.card, options), scored


def _of_methods(places: Sequence[int], folder: CropFolder, methods: Sequence[str]) -> list[int]:
    known = {folder.rows[place].method for place in places}
    if unknown := sorted(set(methods) - known):
        raise UsageError(f"--methods {','.join(unknown)}: not among {', '.join(sorted(known))}")
    return [place for place in places if not methods or folder.rows[place].method in methods]


def figures(scored: Sequence[ScoredRow], card: ModelCard, options: EvaluateOptions) -> dict[str, Any]:
    """All figures of scored crops. The order of ``scored`` does not matter."""
    scored = sorted(scored, key=lambda item: item.row.file)
    clips = by_clip(scored, card)
    threshold = card.fake_threshold
    return {
        "schema": SCHEMA,
        "split": options.split,
        "methods": sorted({item.row.method for item in scored}),
        "fake_threshold": threshold,
        "real_threshold": card.real_threshold,
        "calibrated": card.calibration is not None,
        "crops": metrics.summary(*truth_and_scores(scored), threshold),
        "clips": metrics.summary(*truth_and_scores(clips), threshold, intervals=True),
        "verdicts": _verdicts(clips, card),
        "manipulations": _manipulations(scored, clips, options),
        "reals": _real_methods(clips, card),
        "reliability": metrics.reliability(*truth_and_scores(clips)),
    }


def _verdicts(clips: Sequence[ScoredClip], card: ModelCard) -> dict[str, dict[str, int]]:
    """How many real and fake clips get which label."""
    counted = {"real": Counter[str](), "fake": Counter[str]()}
    for clip in clips:
        counted["fake" if clip.fake else "real"][_label(clip.fake_probability, card)] += 1
    return {
        truth: {label: counts[label] for label in ("FAKE", "UNCERTAIN", "REAL")}
        for truth, counts in counted.items()
    }


def _label(probability: float, card: ModelCard) -> str:
    if probability >= card.fake_threshold:
        return "FAKE"
    return "REAL" if probability <= card.real_threshold else "UNCERTAIN"


def _manipulations(
    scored: Sequence[ScoredRow], clips: Sequence[ScoredClip], options: EvaluateOptions
) -> dict[str, dict[str, Any]]:
    """Each manipulation against the reals it can be compared with."""
    result = {}
    for method, reals in comparable_reals([item.row for item in scored], options.against).items():
        chosen = {method, *reals}
        some_clips = [clip for clip in clips if clip.method in chosen]
        clip_fake, clip_score = truth_and_scores(some_clips)
        crop_fake, crop_score = truth_and_scores([item for item in scored if item.row.method in chosen])
        result[method] = {
            "against": sorted(reals),
            "clips": int(clip_fake.sum()),
            "real_clips": int((~clip_fake).sum()),
            "clip_auc": metrics.auc(clip_fake, clip_score),
            "clip_auc_interval": metrics.bootstrap_interval(metrics.auc, clip_fake, clip_score),
            "clip_eer": metrics.equal_error_rate(clip_fake, clip_score),
            "crop_auc": metrics.auc(crop_fake, crop_score),
            "crop_eer": metrics.equal_error_rate(crop_fake, crop_score),
        }
    return result


def _real_methods(clips: Sequence[ScoredClip], card: ModelCard) -> dict[str, dict[str, Any]]:
    """False alarms, by where the real faces come from."""
    result = {}
    for method in sorted({clip.method for clip in clips if not clip.fake}):
        score = np.array([clip.fake_probability for clip in clips if clip.method == method])
        result[method] = {
            "clips": len(score),
            "called_fake": int((score >= card.fake_threshold).sum()),
            "false_alarm_rate": float((score >= card.fake_threshold).mean()),
            "uncertain": int(((score < card.fake_threshold) & (score > card.real_threshold)).sum()),
        }
    return result


def _record(options: EvaluateOptions, result: Mapping[str, Any]) -> None:
    """Puts the main figures, and the command that makes them again, into the card."""
    from vidscan.cards import card_path, read_card, write_card

    path = card_path(options.checkpoint)
    card = read_card(path)
    names = ("count", "auc", "auc_interval", "eer", "average_precision", "accuracy", "calibration_error")
    limited = f" --methods {','.join(options.methods)}" if options.methods else ""
    kept = {
        "command": f"vidscan-train evaluate {options.checkpoint.name} CROPS --split {options.split}{limited}",
        "clips": {name: result["clips"][name] for name in names},
        "crops": {name: result["crops"][name] for name in ("count", "auc", "eer")},
        "verdicts": result["verdicts"],
        "manipulations": {
            name: {key: row[key] for key in ("against", "clips", "clip_auc", "crop_auc")}
            for name, row in result["manipulations"].items()
        },
        "false_alarms": {name: row["false_alarm_rate"] for name, row in result["reals"].items()},
    }
    name = " ".join([options.split, *options.methods])
    write_card(replace(card, metrics={**card.metrics, name: kept}), path)


def as_table(result: Mapping[str, Any]) -> str:
    """The figures as plain text for a terminal, lines of at most 100 columns."""
    lines = [f"split {result['split']}   FAKE at or above {result['fake_threshold']:.3f}", ""]
    lines.append(_columns("", "n", "real", "fake", "AUC", "EER", "AP", "accuracy", "ECE"))
    for name in ("crops", "clips"):
        row = result[name]
        shown = (row[key] for key in ("auc", "eer", "average_precision", "accuracy", "calibration_error"))
        lines.append(_columns(name, row["count"], row["real"], row["fake"], *map(_brief, shown)))
    if interval := result["clips"].get("auc_interval"):
        lines.append(f"clip AUC, 95% interval: {interval[0]:.3f} to {interval[1]:.3f}")
    for name in ("crops", "clips"):
        lines += ["", _columns(name, "precision", "recall", "F1", "support")]
        for label, row in result[name]["classes"].items():
            shown = (_brief(row[key]) for key in ("precision", "recall", "f1"))
            lines.append(_columns(label, *shown, row["support"]))
    lines += ["", _columns("manipulation", "clips", "reals", "clip AUC", "clip EER", "crop AUC", "against")]
    for name, row in result["manipulations"].items():
        shown = (_brief(row[key]) for key in ("clip_auc", "clip_eer", "crop_auc"))
        lines.append(_columns(name, row["clips"], row["real_clips"], *shown, "+".join(row["against"])))
    lines += ["", _columns("real faces", "clips", "FAKE", "uncertain", "rate")]
    for name, row in result["reals"].items():
        shown = (row["clips"], row["called_fake"], row["uncertain"], _brief(row["false_alarm_rate"]))
        lines.append(_columns(name, *shown))
    return "\n".join(lines)


def _columns(first: str, *others: Any) -> str:
    return f"{first:<16}" + "".join(f"{other!s:>10}" for other in others)


def _brief(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
