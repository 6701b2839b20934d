"""The figures as one page that needs nothing beside it: no network, no script, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vidscan.report.escape import visible
from vidscan_training.evaluation.report import tables
from vidscan_training.evaluation.report.svg import StyleSheet, inline_svg
from vidscan_training.evaluation.report.tables import Table, brief

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def as_html(result: Mapping[str, Any]) -> str:
    """The figures as an HTML document. The same figures give the same bytes."""
    styles = StyleSheet()
    name = visible(result["checkpoint"]["name"])
    body = "\n".join(
        [
            _header(result, name),
            _plots(result, styles),
            _section("Crops and clips", tables.headline(result), tables.intervals(result)),
            _section("Verdicts", tables.verdicts(result)),
            _section("Kinds of fakes", tables.manipulations(result)),
            _section("Real faces", tables.false_alarms(result)),
            _section("Precision and recall", *tables.classes(result)),
            _robustness(result, styles),
            *(_section("Few faces", table) for table in tables.few_faces(result)),
            _section("Reliability", *tables.reliability(result)),
            _origin(result),
        ]
    )
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8") + styles.css()
    return _PAGE.format(
        policy=escape(_policy(style)), title=escape(f"Evaluation of {name}"), style=style, body=body
    )


def _policy(style: str) -> str:
    """Nothing may be loaded or run; of styles, this one sheet alone."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _header(result: Mapping[str, Any], name: str) -> str:
    clips, verdicts = result["clips"], result["verdicts"]
    tiles = [
        ("AUC of clips", brief(clips["auc"]), _between(clips.get("auc_interval"))),
        ("equal error rate", brief(clips["eer"]), _between(clips.get("eer_interval"))),
        ("fake clips called FAKE", *_share(verdicts["fake"])),
        ("real clips called FAKE", *_share(verdicts["real"])),
        (
            "calibration error (ECE)",
            brief(clips["calibration_error"]),
            f"of perfect probabilities {tables.by_chance(clips)}",
        ),
    ]
    drawn = "".join(
        f"<div><dt>{escape(title)}</dt><dd>{escape(figure)}<small>{escape(note)}</small></dd></div>"
        for title, figure, note in tiles
    )
    measured = f"Split {result['split']}: {result['crops']['count']} crops of {clips['count']} clips"
    kinds = f"{clips['real']} real and {clips['fake']} fake"
    return (
        f"<header><h1>Evaluation of {escape(name)}</h1>"
        f"<p>{escape(measured)}, {kinds}.</p><dl class='tiles'>{drawn}</dl></header>"
    )


def _between(interval: Sequence[float] | None) -> str:
    return f"95%: {brief(interval)}" if interval else "no interval"


def _share(counts: Mapping[str, int]) -> tuple[str, str]:
    total = sum(counts.values())
    return (brief(counts["FAKE"] / total) if total else "-", f"{counts['FAKE']} of {total}")


def _section(title: str, *shown: Table) -> str:
    drawn = "".join(_table(table) for table in shown if table.rows)
    return f"<section><h2>{escape(title)}</h2>{drawn or '<p>Nothing to show.</p>'}</section>"


def _table(table: Table, kind: str = "numbers") -> str:
    head = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in table.headers)
    rows = "".join(_row(row) for row in table.rows)
    note = f"<p class='note'>{escape(table.note)}</p>" if table.note else ""
    # A wide table scrolls within its own frame, which the keyboard can reach, and not with the page.
    return (
        f"<div class='wide' tabindex='0' role='region' aria-label='{escape(table.title)}'>"
        f"<table class='{kind}'><caption>{escape(table.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _row(row: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
    return f"<tr><th scope='row'>{escape(row[0])}</th>{cells}</tr>"


def _plots(result: Mapping[str, Any], styles: StyleSheet) -> str:
    from vidscan_training.evaluation.plots import reliability_plot, roc_plot

    drawn = []
    if any(result["roc"].values()):
        svg = inline_svg(roc_plot(result), "roc", "ROC curves of clips and crops", styles)
        drawn.append(_figure(svg, "ROC: how many fakes are found at how many false alarms"))
    for name in ("clips", "crops"):
        label = f"Reliability diagram of {name}"
        svg = reliability_plot(result["reliability"][name], name)
        error = f"ECE {brief(result[name]['calibration_error'])}"
        drawn.append(
            _figure(
                inline_svg(svg, f"reliability-{name}", label, styles),
                f"{label}, {error}: dotted is perfect, and a larger point holds more",
            )
        )
    return f"<section><h2>Curves</h2><div class='plots'>{''.join(drawn)}</div></section>"


def _figure(svg: str, caption: str, more: str = "") -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption>{more}</figure>"


def _robustness(result: Mapping[str, Any], styles: StyleSheet) -> str:
    if "robustness" not in result:
        return ""
    from vidscan_training.evaluation.plots import robustness_plots

    svgs = robustness_plots(result["robustness"])
    drawn = []
    for kind, table in zip(result["robustness"]["degradations"], tables.robustness(result), strict=True):
        numbers = _table(table)
        if svg := svgs.get(kind["name"]):
            label = f"AUC against {table.title}"
            drawing = inline_svg(svg, f"robustness-{kind['name']}", label, styles)
            numbers = f"<details><summary>in numbers</summary>{numbers}</details>"
            drawn.append(_figure(drawing, table.title, numbers))
        else:
            drawn.append(f"<div>{numbers}</div>")
    note = f"{tables.ROBUSTNESS_NOTE} Dotted: not degraded. Shaded: 95% interval of the clips."
    return (
        f"<section><h2>Robustness</h2><p class='note'>{escape(note)}</p>"
        f"<div class='plots small'>{''.join(drawn)}</div></section>"
    )


def _origin(result: Mapping[str, Any]) -> str:
    return (
        f"<section><h2>Where this comes from</h2>{_table(tables.origin(result), 'facts')}"
        f"<p>The figures again:</p><pre tabindex='0'><code>{escape(visible(result['command']))}</code></pre>"
        "</section>"
    )
