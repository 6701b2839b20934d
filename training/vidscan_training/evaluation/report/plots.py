"""The plots of an evaluation as points on a plane of 0 to 1, which the page's template draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vidscan_training.evaluation.report.tables import brief

Point = tuple[float, float]


class Tick(NamedTuple):
    """A labelled place on an axis, 0-1."""

    at: float
    text: str


class Line(NamedTuple):
    """Joined points; ``kind`` is the class that the page's style sheet colours."""

    kind: str
    points: Sequence[Point]


class Dot(NamedTuple):
    """A point, ``radius`` in units of the drawing."""

    kind: str
    x: float
    y: float
    radius: float


class Bar(NamedTuple):
    """A bar below the plane, from ``x``; ``height`` is a share of the highest."""

    x: float
    height: float
    text: str


class Key(NamedTuple):
    """What a colour means."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing. ``band`` is a shaded outline; ``label`` describes the drawing to a screen reader."""

    label: str
    caption: str
    across: str
    upwards: str
    ticks: Sequence[Tick]
    up_ticks: Sequence[Tick]
    lines: Sequence[Line]
    dots: Sequence[Dot] = ()
    bars: Sequence[Bar] = ()
    band: Sequence[Point] = ()
    keys: Sequence[Key] = ()


_FIFTHS = tuple(Tick(n / 5, f"{n / 5:.1f}") for n in range(6))
_DIAGONAL = Line("guide", ((0.0, 0.0), (1.0, 1.0)))
_SERIES = (("clips", "first"), ("crops", "second"))


def roc_plot(result: Mapping[str, Any]) -> Plot | None:
    """ROC curves of crops and clips, each with the point at the card's threshold; None without a curve."""
    lines, dots, keys = [_DIAGONAL], [], []
    for name, kind in _SERIES:
        if result["roc"][name] is None:
            continue
        (passed, alarms), (missed, found) = result[name]["confusion"]
        lines.append(Line(kind, result["roc"][name]))
        dots.append(Dot(kind, alarms / (passed + alarms), found / (missed + found), 4.5))
        keys.append(Key(kind, f"{name}, AUC {brief(result[name]['auc'])}"))
    if not dots:
        return None
    return Plot(
        label="ROC curves of clips and crops",
        caption="ROC: how many fakes are found at how many false alarms; a point is at the FAKE threshold.",
        across="real ones called fake",
        upwards="fake ones found",
        ticks=_FIFTHS,
        up_ticks=_FIFTHS,
        lines=lines,
        dots=dots,
        keys=keys,
    )


def reliability_plot(result: Mapping[str, Any], name: str) -> Plot:
    """The reliability diagram of ``clips`` or ``crops``, with the number in each bin below it.

    Each bin is a point, the larger the more it holds, with a line to where it would lie if probabilities
    were kept. Points are not joined: bins of one or two rows would make a saw of it.
    """
    rows = result["reliability"][name]
    most = max(row["count"] for row in rows)
    return Plot(
        label=f"Reliability diagram of {name}",
        caption=f"Reliability diagram of {name}, ECE {brief(result[name]['calibration_error'])}: dotted is "
        "perfect, and a larger point holds more.",
        across="probability of fake",
        upwards="share of fakes",
        ticks=_FIFTHS,
        up_ticks=_FIFTHS,
        lines=[
            _DIAGONAL,
            *(Line("off", ((row["mean"], row["mean"]), (row["mean"], row["fakes"]))) for row in rows),
        ],
        dots=[
            Dot("first", row["mean"], row["fakes"], math.sqrt(5 + 40 * row["count"] / most)) for row in rows
        ],
        bars=[Bar(row["low"] + 0.005, row["count"] / most, str(row["count"])) for row in rows],
    )


def robustness_plots(robustness: Mapping[str, Any]) -> list[Plot | None]:
    """AUC against strength, one plot a degradation, all on one scale; None where no AUC exists."""
    undegraded, kinds = robustness["undegraded"], robustness["degradations"]
    if undegraded["clip_auc"] is None:
        return [None] * len(kinds)
    rows = [row for kind in kinds for row in kind["strengths"]]
    lowest = min(min(row["clip_auc_interval"][0], row["crop_auc"]) for row in rows)
    floor = min(0.5, math.floor(lowest * 20) / 20)
    return [_robustness_plot(kind, undegraded, floor) for kind in kinds]


def _robustness_plot(kind: Mapping[str, Any], undegraded: Mapping[str, Any], floor: float) -> Plot:
    rows = kind["strengths"]

    def up(value: float) -> float:
        return (value - floor) / (1 - floor)

    places = [0.04 + 0.92 * n / max(len(rows) - 1, 1) for n in range(len(rows))]
    curves = {
        colour: [(x, up(row[f"{name[:-1]}_auc"])) for x, row in zip(places, rows, strict=True)]
        for name, colour in _SERIES
    }
    levels = [(colour, up(undegraded[f"{name[:-1]}_auc"])) for name, colour in _SERIES]
    low, high = (
        [(x, up(row["clip_auc_interval"][end])) for x, row in zip(places, rows, strict=True)]
        for end in (0, 1)
    )
    tenths = range(math.ceil(floor * 10 - 1e-9), 11)
    return Plot(
        label=f"AUC against {kind['title']}",
        caption=kind["title"],
        across="",
        upwards="AUC",
        ticks=[Tick(x, f"{row['strength']:g}") for x, row in zip(places, rows, strict=True)],
        up_ticks=[Tick(up(n / 10), f"{n / 10:.1f}") for n in tenths],
        lines=[
            *(Line(f"{colour}-level", ((0.0, level), (1.0, level))) for colour, level in levels),
            *(Line(colour, points) for colour, points in curves.items()),
        ],
        dots=[Dot(colour, x, y, 2.8) for colour, points in curves.items() for x, y in points],
        band=[*low, *reversed(high)],
        keys=[Key(colour, name) for name, colour in _SERIES],
    )
