"""The figures as Markdown: what the page shows, in tables instead of pictures."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from vidscan_training.evaluation.report import tables
from vidscan_training.evaluation.report.tables import Table


def as_markdown(result: Mapping[str, Any]) -> str:
    """The figures as GitHub-flavoured Markdown; no name can change the format of what stands around it."""
    parts = [
        f"# Evaluation of {escaped(result['checkpoint']['name'])}",
        _section(tables.origin(result)),
        _section(tables.headline(result)),
        _section(tables.intervals(result)),
        _section(tables.verdicts(result)),
        *map(_section, tables.classes(result)),
        _section(tables.manipulations(result)),
        _section(tables.false_alarms(result)),
        *map(_section, tables.few_faces(result)),
        *map(_section, tables.reliability(result)),
    ]
    if degradations := tables.robustness(result):
        parts += ["## Robustness", tables.ROBUSTNESS_NOTE]
        parts += [_section(table, level=3) for table in degradations]
    parts += ["## The figures again", _code(result["command"])]
    return "\n\n".join(parts) + "\n"


def _section(table: Table, level: int = 2) -> str:
    if not table.rows:
        return f"{'#' * level} {escaped(table.title)}\n\nNothing to show."
    marks = [":---", *["---:"] * (len(table.headers) - 1)]
    lines = [[escaped(cell) or " " for cell in table.headers], marks]
    lines += [[escaped(cell) for cell in row] for row in table.rows]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = f"\n\n{escaped(table.note)}" if table.note else ""
    return f"{'#' * level} {escaped(table.title)}\n\n{drawn}{note}"


def escaped(text: str) -> str:
    """``text`` with nothing in it that Markdown or HTML would act on."""
    return re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", html.escape(text, quote=False))


def _code(text: str) -> str:
    """A fenced block that ``text`` cannot end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
