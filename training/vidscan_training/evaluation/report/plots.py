"""The plots of an evaluation as points on a plane of 0 to 1, which the page's template draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vidscan_training.evaluation.report.tables import brief

Point = tuple[float, float]


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
    """One drawing; ``label`` describes it to a screen reader."""

    label: str
    caption: str
    across: str
    upwards: str
    lines: Sequence[Line]
    dots: Sequence[Dot] = ()
    bars: Sequence[Bar] = ()
    keys: Sequence[Key] = ()


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
        lines=[
            _DIAGONAL,
            *(Line("off", ((row["mean"], row["mean"]), (row["mean"], row["fakes"]))) for row in rows),
        ],
        dots=[
            Dot("first", row["mean"], row["fakes"], math.sqrt(5 + 40 * row["count"] / most)) for row in rows
        ],
        bars=[Bar(row["low"] + 0.005, row["count"] / most, str(row["count"])) for row in rows],
    )
