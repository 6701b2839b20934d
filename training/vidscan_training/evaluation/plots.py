"""The only module that knows matplotlib: figures of evaluations and trainings.

Figures are made without pyplot, so that no backend is chosen and no window opened, and the same data give
the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidscan.system.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = Sequence[float]

COLOURS: Mapping[str, str] = {
    "ink": "#1c2127",
    "muted": "#5d6673",
    "grid": "#dde1e6",
    "surface": "#fdfdfc",
    "first": "#1f5fbf",
    "second": "#b3540a",
}
"""The colours of figures by their part; a page may put others in their place. The two series differ in
warmth, and in their line and marker as well, so no eye depends on hue."""


@contextmanager
def _style(name: str) -> Iterator[None]:
    """Settings under which a figure is drawn and saved; ``name`` seeds the ids within an SVG."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",  # text stays text: it can be read, searched and enlarged
        "text.parse_math": False,  # a name may hold dollar signs
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.edgecolor": COLOURS["muted"],
        "axes.facecolor": COLOURS["surface"],
        "figure.facecolor": COLOURS["surface"],
        "axes.labelcolor": COLOURS["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": COLOURS["grid"],
        "grid.linewidth": 0.6,
        "text.color": COLOURS["ink"],
        "xtick.color": COLOURS["muted"],
        "ytick.color": COLOURS["muted"],
        "lines.linewidth": 1.8,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(settings):
        yield


def _figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **layout: Any
) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def _svg(figure: Figure) -> str:
    drawn = io.StringIO()
    # Neither a date nor matplotlib's version: the same figures give the same file.
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def roc_plot(result: Mapping[str, Any]) -> str:
    """An SVG of the ROC curves of crops and clips, each with the point where the card's threshold lies.

    Args:
        result: from ``vidscan_training.evaluation.evaluate.figures``; curves that are None are left out.
    """
    with _style("roc"):
        figure, axes = _figure(4.2, 4.0)
        panel = axes[0, 0]
        panel.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.8, linestyle=":")
        for name, colour, line in (("clips", "first", "-"), ("crops", "second", "--")):
            if result["roc"][name] is None:
                continue
            label = f"{name}, AUC {result[name]['auc']:.3f}"
            panel.plot(*zip(*result["roc"][name], strict=True), line, color=COLOURS[colour], label=label)
            (passed, alarms), (missed, found) = result[name]["confusion"]
            working = alarms / (passed + alarms), found / (missed + found)
            panel.plot(*working, "o", color=COLOURS[colour], markersize=7, clip_on=False)
        panel.plot([], [], "o", color=COLOURS["muted"], label="at the FAKE threshold")
        panel.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
        panel.set(xlabel="real ones called fake", ylabel="fake ones found")
        panel.legend(loc="lower right")
        return _svg(figure)


def reliability_plot(rows: Sequence[Mapping[str, float]], name: str) -> str:
    """An SVG of a reliability diagram, the number of rows in each bin below it.

    Each bin is a point, the larger the more it holds, with a line to where it would lie if probabilities
    were kept. Points are not joined: bins of one or two rows would make a saw of it.

    Args:
        rows: from ``vidscan_training.evaluation.metrics.reliability``.
        name: what was counted, "clips" or "crops".
    """
    mean, fakes, count = (np.array([row[key] for row in rows]) for key in ("mean", "fakes", "count"))
    with _style(f"reliability-{name}"):
        figure, axes = _figure(4.2, 4.0, 2, 1, height_ratios=(3, 1), sharex=True)
        panel, below = axes[:, 0]
        panel.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.8, linestyle=":")
        panel.vlines(mean, mean, fakes, color=COLOURS["second"], linewidth=1.2)
        panel.scatter(mean, fakes, 15 + 120 * count / count.max(), COLOURS["first"], zorder=3, clip_on=False)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of fakes")
        middles = [(row["low"] + row["high"]) / 2 for row in rows]
        bars = below.bar(middles, count, 0.9 * (rows[0]["high"] - rows[0]["low"]), color=COLOURS["first"])
        below.bar_label(bars, fontsize=7.5, color=COLOURS["ink"], padding=1)
        below.set(ylim=(0, 1.3 * count.max()), xlabel="probability of fake", ylabel=name, yticks=[])
        below.grid(False)
        return _svg(figure)


def robustness_plots(robustness: Mapping[str, Any]) -> dict[str, str]:
    """An SVG a degradation: AUC against strength, the undegraded AUC as a level line, all on one scale.

    Args:
        robustness: from ``vidscan_training.evaluation.robustness.measure_robustness``.

    Returns:
        SVG by the degradation's name; empty where no AUC exists.
    """
    undegraded = robustness["undegraded"]
    if undegraded["clip_auc"] is None:
        return {}
    lows = [
        low
        for kind in robustness["degradations"]
        for row in kind["strengths"]
        for low in (row["clip_auc_interval"][0], row["crop_auc"])
    ]
    floor = min(0.5, np.floor(min(lows) * 20) / 20)
    return {
        kind["name"]: _robustness_plot(kind, undegraded, float(floor)) for kind in robustness["degradations"]
    }


def _robustness_plot(kind: Mapping[str, Any], undegraded: Mapping[str, Any], floor: float) -> str:
    with _style(f"robustness-{kind['name']}"):
        figure, axes = _figure(3.3, 2.6)
        panel, rows = axes[0, 0], kind["strengths"]
        places = np.arange(len(rows))
        low, high = zip(*(row["clip_auc_interval"] for row in rows), strict=True)
        panel.fill_between(places, low, high, color=COLOURS["first"], alpha=0.15, linewidth=0)
        for key, name, colour, line in (
            ("clip_auc", "clips", "first", "o-"),
            ("crop_auc", "crops", "second", "s--"),
        ):
            panel.axhline(undegraded[key], color=COLOURS[colour], linewidth=0.9, linestyle=":")
            values = [row[key] for row in rows]
            panel.plot(places, values, line, color=COLOURS[colour], label=name, markersize=4.5, clip_on=False)
        panel.set_xticks(places, [f"{row['strength']:g}" for row in rows])
        panel.set(xlim=(-0.3, len(rows) - 0.7), ylim=(floor, 1.0), ylabel="AUC")
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0, borderaxespad=0.2)
        return _svg(figure)


def history_plot(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws a training's history as a PNG: losses, validation log loss, AUCs, learning rate.

    Args:
        history: one record an epoch, as in ``history.csv``: ``images`` (training pictures seen so far),
            and where present ``loss``, ``log_loss`` and ``crop_log_loss`` (validation clips and crops),
            ``clip_auc``, ``crop_auc``, ``auc_METHOD`` and ``learning_rate``; None leaves a gap.
        path: the file to write; the previous one is replaced as a whole.

    Raises:
        ValueError: ``history`` is empty.
        OSError: the file cannot be written.
    """
    if not history:
        raise ValueError("a history without an epoch cannot be drawn")
    methods = sorted({name for record in history for name in record if name.startswith("auc_")})
    with _style("history"):
        figure, axes = _figure(9.0, 6.4, 2, 2)
        _history_panel(axes[0, 0], history, {"loss": "loss"}, "training loss")
        names = {"log_loss": "clips", "crop_log_loss": "crops"}
        _history_panel(axes[0, 1], history, names, "validation log loss")
        names = {"clip_auc": "clips", "crop_auc": "crops"} | {name: name[4:] for name in methods}
        _history_panel(axes[1, 0], history, names, "validation AUC")
        _history_panel(axes[1, 1], history, {"learning_rate": "learning rate"}, "learning rate")
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=120, metadata={"Software": None})
    with replacing(path) as temporary:
        temporary.write_bytes(drawn.getvalue())


def _history_panel(
    panel: Axes, history: Sequence[Mapping[str, Any]], names: Mapping[str, str], title: str
) -> None:
    images = [record["images"] for record in history]
    for number, (key, label) in enumerate(names.items()):
        values = [np.nan if record.get(key) is None else float(record[key]) for record in history]
        if np.isnan(values).all():
            continue
        # The first two are the figures of all methods together, and stand out from those of each.
        line, width = ("o-", 1.8) if number < 2 else ("o:", 1.2)
        colour = (COLOURS["first"], COLOURS["second"])[number] if number < 2 else f"C{number}"
        panel.plot(images, values, line, color=colour, label=label, linewidth=width, markersize=3)
    panel.set(title=title, xlabel="training pictures seen")
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.ticklabel_format(axis="y", scilimits=(-3, 4))
    if len(names) > 1 and panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=7.5, frameon=True, edgecolor="none", facecolor=COLOURS["surface"])
