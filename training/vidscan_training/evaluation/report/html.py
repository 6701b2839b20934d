"""The figures as one page that needs nothing beside it: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidscan_training.evaluation.report import tables
from vidscan_training.evaluation.report.plots import reliability_plot, roc_plot
from vidscan_training.evaluation.report.tables import Table, brief

_HERE = Path(__file__).parent


def as_html(result: Mapping[str, Any]) -> str:
    """The figures as an HTML document. The same figures give the same bytes."""
    from vidscan.report.html.page import asset, environment, policy

    styles = [asset("page.css"), asset("evaluation.css", _HERE)]
    plots = [roc_plot(result), *(reliability_plot(result, name) for name in ("clips", "crops"))]
    page = environment(_HERE / "templates").get_template("evaluation.html")
    text = page.render(
        policy=policy(styles),
        styles=styles,
        name=result["checkpoint"]["name"],
        result=result,
        tiles=list(_tiles(result)),
        plots=[plot for plot in plots if plot is not None],
        sections=list(_sections(result)),
        origin=tables.origin(result),
    )
    return text.lstrip()


def _sections(result: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Table]]]:
    yield "Crops and clips", [tables.headline(result), tables.intervals(result)]
    yield "Verdicts", [tables.verdicts(result)]
    yield "Kinds of fakes", [tables.manipulations(result)]
    yield "Real faces", [tables.false_alarms(result)]
    yield "Precision and recall", tables.classes(result)
    if few := tables.few_faces(result):
        yield "Few faces", few
    yield "Reliability", tables.reliability(result)
    if degradations := tables.robustness(result):
        yield "Robustness", degradations


def _tiles(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Title, figure and a note of each of the main figures."""
    clips, verdicts = result["clips"], result["verdicts"]
    for key, title in (("auc", "AUC of clips"), ("eer", "equal error rate")):
        interval = clips.get(f"{key}_interval")
        yield title, brief(clips[key]), f"95%: {brief(interval)}" if interval else "no interval"
    for truth in ("fake", "real"):
        called, total = verdicts[truth]["FAKE"], sum(verdicts[truth].values())
        yield f"{truth} clips called FAKE", brief(called / total if total else None), f"{called} of {total}"
    error = brief(clips["calibration_error"])
    yield "calibration error (ECE)", error, f"of perfect probabilities {tables.by_chance(clips)}"
