"""The figures as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidscan_training.evaluation.report import tables
from vidscan_training.evaluation.report.tables import Table

_FIRST_COLUMN = 16


def as_text(result: Mapping[str, Any]) -> str:
    """The figures in tables, lines of at most 100 columns as long as names are short."""
    shown = [
        tables.headline(result),
        tables.intervals(result),
        *tables.classes(result),
        tables.verdicts(result),
        tables.manipulations(result),
        tables.false_alarms(result),
        *tables.few_faces(result),
        *tables.robustness(result),
    ]
    head = f"split {result['split']}   FAKE at or above {result['fake_threshold']:.3f}\n"
    return "\n".join([head, *(_lines(table) for table in shown if table.rows)])


def _lines(table: Table) -> str:
    """The rows under their headers, the first column to the left and the others to the right."""
    rows = [(table.headers[0] or table.title, *table.headers[1:]), *table.rows]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    widths[0] = max(widths[0], _FIRST_COLUMN)
    return "".join(
        (
            row[0].ljust(widths[0])
            + "".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )
