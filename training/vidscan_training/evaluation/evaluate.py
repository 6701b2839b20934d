"""Measures a checkpoint on crops it has not learnt from: per crop, per clip, and per manipulation."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidscan import __version__
from vidscan.errors import ReportError, UsageError
from vidscan.flags import flag
from vidscan.protocols import Scorer
from vidscan.records import TYPICAL_SPREAD, ModelCard
from vidscan_training.crops.folder import CropFolder, open_crop_folder
from vidscan_training.crops.split import spread_over_clips
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.degradations import DEGRADATIONS
from vidscan_training.evaluation.interval_coverage import interval_coverage
from vidscan_training.evaluation.metrics import comparable_reals
from vidscan_training.evaluation.robustness import measure_robustness
from vidscan_training.evaluation.scores import (
    ScoredClip,
    ScoredRow,
    by_clip,
    rows_of_split,
    score_rows,
    truth_and_scores,
    write_scores,
)
from vidscan_training.named_values import names, pairs

SCHEMA = "vidscan.evaluation/1"

STDOUT = Path("-")
"""As a report: the figures as JSON on standard output, which the caller writes."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to measure.

    ``methods`` are those looked at, real ones included (all where empty). ``against`` names, for a
    manipulation, the real methods it is compared with, where those that share its people are not meant.
    ``per_clip`` limits the crops of each clip (0: all). ``robustness`` scores all crops again under the
    ``degradations`` (all where empty; see :mod:`vidscan_training.evaluation.degradations`). ``scores`` and
    ``reports`` are files to write, a report's suffix naming its format.
    """

    checkpoint: Path = flag()
    crops: Path = flag()
    split: str = flag("test", choices=("train", "val", "test", "all"))
    methods: Sequence[str] = flag(help_text="only these, real ones included", read=names, metavar="NAME,…")
    against: Mapping[str, Sequence[str]] = flag(
        help_text="real methods to compare a manipulation with (default: those of the same people)",
        read=lambda text: {name: reals.split("+") for name, reals in pairs(text)},
        metavar="METHOD=REAL+REAL,…",
    )
    per_clip: int = flag(0, "crops of each clip (default: all)")
    batch_size: int = flag(32)
    scores: Path | None = flag(None, "write one line a crop", name="out", metavar="SCORES.csv")
    robustness: bool = flag(False, "score degraded crops too: 30 times as long")
    degradations: Sequence[str] = flag(
        help_text="with --robustness, only these", read=names, metavar="NAME,…"
    )
    reports: tuple[Path, ...] = flag(
        (),
        "write the figures as .json or .html (repeatable); - for JSON on stdout alone",
        name="report",
        metavar="FILE",
    )
    record: bool = flag(False, "put the main figures into the card")

    def __post_init__(self) -> None:
        """Refuses degradations that are unknown or not asked for, before anything is scored."""
        if self.degradations and not self.robustness:
            raise UsageError("--degradations chooses among those of --robustness: give that too")
        if unknown := sorted(set(self.degradations) - set(DEGRADATIONS)):
            raise UsageError(f"--degradations {','.join(unknown)}: not among {', '.join(DEGRADATIONS)}")


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Scores the chosen split and returns the figures; writes the files that ``options`` name.

    Raises:
        SourceError: the crop folder is malformed.
        ModelError: the checkpoint is refused.
        UsageError: the split cannot be told, or would hold people of the training.
        ReportError: a file cannot be written, or its suffix names no format of a report.
    """
    from vidscan.models.checkpoint import load_model
    from vidscan_training.evaluation.report import check_report, write_report

    files = [path for path in options.reports if path != STDOUT]
    for path in files:
        check_report(path)
    model = load_model(options.checkpoint)
    folder = open_crop_folder(options.crops)
    result, scored = measure(model, folder, options)
    if options.scores is not None:
        try:
            write_scores(options.scores, scored)
        except OSError as error:
            raise ReportError(f"{options.scores} cannot be written: {error.strerror}") from error
    for path in files:
        write_report(path, result)
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
    result = figures(scored, model.card, options)
    if options.robustness:
        result["robustness"] = measure_robustness(
            model, folder, scored, options.degradations or tuple(DEGRADATIONS), batch_size=options.batch_size
        )
    return result, scored


def _of_methods(places: Sequence[int], folder: CropFolder, methods: Sequence[str]) -> list[int]:
    known = {folder.rows[place].method for place in places}
    if unknown := sorted(set(methods) - known):
        raise UsageError(f"--methods {','.join(unknown)}: not among {', '.join(sorted(known))}")
    return [place for place in places if not methods or folder.rows[place].method in methods]


def figures(scored: Sequence[ScoredRow], card: ModelCard, options: EvaluateOptions) -> dict[str, Any]:
    """All figures of scored crops but those that need new scores. The order of ``scored`` does not matter."""
    scored = sorted(scored, key=lambda item: item.row.file)
    clips = by_clip(scored, card)
    truth = {"crops": truth_and_scores(scored), "clips": truth_and_scores(clips)}
    clusters = {"crops": [item.row.clip for item in scored], "clips": None}
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "vidscan": __version__,
        "command": command(options, str(options.checkpoint), str(options.crops)),
        "checkpoint": {"name": card.name, "sha256": card.sha256},
        "split": options.split,
        "methods": sorted({item.row.method for item in scored}),
        "groups": _groups(scored),
        "fake_threshold": card.fake_threshold,
        "real_threshold": card.real_threshold,
        "calibrated": card.calibration is not None,
        **{
            name: metrics.summary(*truth[name], card.fake_threshold, clusters=clusters[name])
            for name in truth
        },
        "verdicts": _verdicts(clips, card),
        "few_faces": interval_coverage(
            scored, TYPICAL_SPREAD if card.calibration is None else card.calibration.spread
        ),
        "manipulations": _manipulations(scored, clips, options),
        "reals": _real_methods(clips, card),
        "roc": {name: _roc(*truth[name]) for name in truth},
        "reliability": {name: metrics.reliability(*truth[name]) for name in truth},
    }
    # Of clips alone: crops of one clip share its truth, so truths drawn for each by itself would say little.
    chance = metrics.calibration_error_by_chance(truth["clips"][1])
    result["clips"]["calibration_error_by_chance"] = chance
    return result


def command(options: EvaluateOptions, checkpoint: str, crops: str) -> str:
    """The command that makes the figures again, with the names given for checkpoint and crop folder."""
    parts = ["vidscan-train", "evaluate", checkpoint, crops, "--split", options.split]
    if options.methods:
        parts += ["--methods", ",".join(options.methods)]
    if options.against:
        pairs = (f"{method}={'+'.join(reals)}" for method, reals in options.against.items())
        parts += ["--against", ",".join(pairs)]
    if options.per_clip:
        parts += ["--per-clip", str(options.per_clip)]
    if options.robustness:
        parts.append("--robustness")
        if options.degradations:
            parts += ["--degradations", ",".join(options.degradations)]
    return shlex.join(parts)


def _groups(scored: Sequence[ScoredRow]) -> dict[str, Any]:
    """Whose faces these are: names of groups of several clips, and how many groups are a single clip."""
    clips: dict[str, set[str]] = defaultdict(set)
    for item in scored:
        clips[item.row.group].add(item.row.clip)
    named = sorted(group for group, members in clips.items() if len(members) > 1)
    return {"named": named, "single_clips": len(clips) - len(named)}


def _roc(fake: metrics.Flags, score: metrics.Scores) -> list[tuple[float, float]] | None:
    """The ROC curve's corners, (false alarm rate, detection rate); None with one class only."""
    if not metrics.has_both(fake):
        return None
    points = np.column_stack(metrics.roc_curve(fake, score))
    steps = np.diff(points, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    return [(float(x), float(y)) for x, y in points[np.concatenate([[True], turns, [True]])]]


def _verdicts(clips: Sequence[ScoredClip], card: ModelCard) -> dict[str, dict[str, int]]:
    """How many real and fake clips get which label."""
    fake, score = truth_and_scores(clips)
    called_fake = score >= card.fake_threshold
    called_real = (score <= card.real_threshold) & ~called_fake
    return {
        truth: {
            "FAKE": int((called_fake & members).sum()),
            "UNCERTAIN": int((~called_fake & ~called_real & members).sum()),
            "REAL": int((called_real & members).sum()),
        }
        for truth, members in (("real", ~fake), ("fake", fake))
    }


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
    from vidscan.models.card_file import card_path, read_card, write_card

    path = card_path(options.checkpoint)
    card = read_card(path)
    names = ("count", "auc", "auc_interval", "eer", "average_precision", "accuracy", "calibration_error")
    kept = {
        "command": command(options, options.checkpoint.name, "CROPS"),
        "clips": {name: result["clips"][name] for name in names},
        "crops": {name: result["crops"][name] for name in ("count", "auc", "eer")},
        "verdicts": result["verdicts"],
        "manipulations": {
            name: {key: row[key] for key in ("against", "clips", "clip_auc", "crop_auc")}
            for name, row in result["manipulations"].items()
        },
        "false_alarms": {name: row["false_alarm_rate"] for name, row in result["reals"].items()},
    }
    if "robustness" in result:
        kept["robustness"] = {name: _brief(result["robustness"], name) for name in ("clip_auc", "crop_auc")}
    name = " ".join([options.split, *options.methods])
    write_card(replace(card, metrics={**card.metrics, name: kept}), path)


def _brief(robustness: Mapping[str, Any], figure: str) -> dict[str, Any]:
    """One figure of the robustness test: undegraded, and by degradation and strength."""

    def rounded(row: Mapping[str, Any]) -> float | None:
        return None if row[figure] is None else round(row[figure], 4)

    by_name = {
        kind["name"]: {f"{row['strength']:g}": rounded(row) for row in kind["strengths"]}
        for kind in robustness["degradations"]
    }
    return {"undegraded": rounded(robustness["undegraded"]), **by_name}
