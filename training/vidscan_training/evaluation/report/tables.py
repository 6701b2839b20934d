"""The tables of an evaluation, with every number formatted: what terminal and page show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidscan.report.escape import visible

LABELS = ("FAKE", "UNCERTAIN", "REAL")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headers. The first column names the row, the others hold numbers or short words.

    ``note`` says what the reader must know to understand it.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def _table(title: str, headers: str, rows: Iterable[Sequence[Any]], note: str = "") -> Table:
    """``headers`` separated by |; whatever is no text is formatted by :func:`brief`."""
    shown = tuple(tuple(brief(cell) for cell in row) for row in rows)
    return Table(title, tuple(headers.split("|")), shown, note)


def brief(value: Any) -> str:
    """A cell: floats with three decimals, intervals as "a to b", a dash for what does not exist."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return f"{value[0]:.3f} to {value[1]:.3f}"
    return visible(str(value))


def headline(result: Mapping[str, Any]) -> Table:
    """The main figures of crops and clips."""
    keys = ("count", "real", "fake", "auc", "eer", "average_precision", "accuracy", "calibration_error")
    return _table(
        "Figures",
        "|n|real|fake|AUC|EER|AP|accuracy|ECE",
        [[name, *(result[name][key] for key in keys)] for name in ("crops", "clips")],
        f"Accuracy: FAKE at or above {result['fake_threshold']:.3f}. ECE: expected calibration error of the "
        "probability of fake, over ten equally wide bins.",
    )


def intervals(result: Mapping[str, Any]) -> Table:
    """95% intervals of the main figures."""
    keys = ("auc_interval", "eer_interval", "calibration_error_interval")
    return _table(
        "95% intervals",
        "|AUC|EER|ECE|ECE by chance",
        [
            [name, *(result[name][key] for key in keys), by_chance(result[name])]
            for name in ("crops", "clips")
        ],
        "By drawing clips anew, with all of their crops (bootstrap); people are not drawn anew, so other "
        "people may well lie outside. An ECE of few clips is too high, and its interval higher still: by "
        "chance, perfect probabilities of the same values have the mean shown, and 95 times in 100 less than "
        "the other figure.",
    )


def by_chance(figures: Mapping[str, Any]) -> str:
    """The calibration error of perfect probabilities: its mean and what 95 in 100 stay below."""
    chance = figures.get("calibration_error_by_chance")
    return "-" if chance is None else f"{chance['mean']:.3f}, 95%: {chance['high']:.3f}"


def classes(result: Mapping[str, Any]) -> list[Table]:
    """Precision and recall by class, for crops and for clips."""
    keys = ("precision", "recall", "f1", "support")
    return [
        _table(
            f"By class, {name}",
            f"{name}|precision|recall|F1|support",
            [[label, *(row[key] for key in keys)] for label, row in result[name]["classes"].items()],
        )
        for name in ("crops", "clips")
    ]


def verdicts(result: Mapping[str, Any]) -> Table:
    """Truth against verdict, by clip."""
    fake, real = result["fake_threshold"], result["real_threshold"]
    return _table(
        "Clips: truth against verdict",
        "truth|" + "|".join(LABELS),
        [[truth, *(counts[label] for label in LABELS)] for truth, counts in result["verdicts"].items()],
        f"FAKE at or above {fake:.3f}, REAL at or below {real:.3f}, as the checkpoint's card says.",
    )


def manipulations(result: Mapping[str, Any]) -> Table:
    """Each manipulation against the real faces it can be compared with."""
    keys = ("clips", "real_clips", "clip_auc", "clip_auc_interval", "clip_eer", "crop_auc")
    return _table(
        "By manipulation",
        "manipulation|clips|reals|clip AUC|95% interval|clip EER|crop AUC|against",
        [
            [name, *(row[key] for key in keys), "+".join(row["against"])]
            for name, row in result["manipulations"].items()
        ],
    )


def false_alarms(result: Mapping[str, Any]) -> Table:
    """Real clips that are called FAKE, by where they come from."""
    keys = ("clips", "called_fake", "uncertain", "false_alarm_rate")
    return _table(
        "False alarms by source of real faces",
        "real faces|clips|FAKE|uncertain|rate",
        [[name, *(row[key] for key in keys)] for name, row in result["reals"].items()],
    )


def few_faces(result: Mapping[str, Any]) -> list[Table]:
    """Whether a verdict's interval keeps its promise; nothing where no clip has two crops."""
    keys = ("intervals", "coverage", "width")
    rows = [[str(row["sightings"]), *(row[key] for key in keys)] for row in result["few_faces"]]
    if not rows:
        return []
    return [
        _table(
            "What few faces tell",
            "faces looked at|intervals|coverage|mean width",
            rows,
            "The interval of a verdict that rests on so many faces of a clip: how often it holds the score "
            "of the clip's other faces. 0.95 is promised.",
        )
    ]


def reliability(result: Mapping[str, Any]) -> list[Table]:
    """The bins of the reliability diagrams, for clips and for crops."""
    return [
        _table(
            f"Reliability, {name} (ECE {brief(result[name]['calibration_error'])})",
            "probability of fake|count|mean probability|share of fakes",
            [
                [f"{row['low']:.1f} to {row['high']:.1f}", row["count"], row["mean"], row["fakes"]]
                for row in result["reliability"][name]
            ],
        )
        for name in ("clips", "crops")
    ]


def robustness(result: Mapping[str, Any]) -> list[Table]:
    """One table a degradation, the undegraded figures first; none where it was not asked for."""
    if "robustness" not in result:
        return []
    keys = (
        "clip_auc",
        "clip_auc_interval",
        "crop_auc",
        "crop_auc_interval",
        "detection_rate",
        "false_alarm_rate",
    )
    undegraded = ["none", *(result["robustness"]["undegraded"][key] for key in keys)]
    return [
        _table(
            kind["title"],
            f"{kind['name']}|clip AUC|95% interval|crop AUC|95% interval|found|false alarms",
            [
                undegraded,
                *([f"{row['strength']:g}", *(row[key] for key in keys)] for row in kind["strengths"]),
            ],
            "The same crops, degraded at the face's size in its video and scored again. Found: fake clips "
            "called FAKE; false alarms: real clips called FAKE.",
        )
        for kind in result["robustness"]["degradations"]
    ]


def origin(result: Mapping[str, Any]) -> Table:
    """What was measured, on what."""
    groups, checkpoint = result["groups"], result["checkpoint"]
    named = ", ".join(groups["named"]) or "none"
    return _table(
        "What was measured",
        "what|is",
        [
            ["checkpoint", checkpoint["name"]],
            ["its SHA-256", checkpoint["sha256"] or "not known"],
            ["calibrated", "yes" if result["calibrated"] else "no: scores rank, and are no probabilities"],
            ["split", result["split"]],
            ["methods", ", ".join(result["methods"])],
            ["groups of people", named],
            ["groups of one clip", groups["single_clips"]],
            ["vidscan", result["vidscan"]],
        ],
    )
