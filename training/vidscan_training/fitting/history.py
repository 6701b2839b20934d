"""A training's history as ``history.csv`` and ``history.png``. No other module imports matplotlib.

The figure is made without pyplot, so that no backend is chosen and no window opened, and the same data give
the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidscan.system.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID, SURFACE = "#1c2127", "#5d6673", "#dde1e6", "#fdfdfc"
SERIES = ("#1f5fbf", "#b3540a")
"""The two series differ in warmth, and in their line as well, so no eye depends on hue."""

STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a name may hold dollar signs
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.facecolor": SURFACE,
    "figure.facecolor": SURFACE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Writes one line an epoch, the whole file each time.

    A training that is resumed must not leave lines behind of epochs that it does again.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def history_plot(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws a training's history as a PNG: losses, validation log loss, AUCs, learning rate.

    ``history`` has one record an epoch: ``images`` (training pictures seen so far), and where present
    ``loss``, ``log_loss`` and ``crop_log_loss`` (validation clips and crops), ``clip_auc``, ``crop_auc``,
    ``auc_METHOD`` and ``learning_rate``; None leaves a gap. Raises ValueError where ``history`` is empty;
    OSError where the file cannot be written.
    """
    if not history:
        raise ValueError("a history without an epoch cannot be drawn")
    methods = sorted({name for record in history for name in record if name.startswith("auc_")})
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 6.4), layout="constrained")
        axes = figure.subplots(2, 2)
        _history_panel(axes[0, 0], history, {"loss": "loss"}, "training loss")
        names = {"log_loss": "clips", "crop_log_loss": "crops"}
        _history_panel(axes[0, 1], history, names, "validation log loss")
        names = {"clip_auc": "clips", "crop_auc": "crops"} | {name: name[4:] for name in methods}
        _history_panel(axes[1, 0], history, names, "validation AUC")
        _history_panel(axes[1, 1], history, {"learning_rate": "learning rate"}, "learning rate")
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=120, metadata={"Software": None})
    with replacing(path) as partial:
        partial.write_bytes(drawn.getvalue())


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
        colour = SERIES[number] if number < 2 else f"C{number}"
        panel.plot(images, values, line, color=colour, label=label, linewidth=width, markersize=3)
    panel.set(title=title, xlabel="training pictures seen")
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.ticklabel_format(axis="y", scilimits=(-3, 4))
    if len(names) > 1 and panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=7.5, frameon=True, edgecolor="none", facecolor=SURFACE)
