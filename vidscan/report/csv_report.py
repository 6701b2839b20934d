"""The document as a table for spreadsheets: CSV in UTF-8, one row for each source."""

from __future__ import annotations

import csv
from typing import Any, TextIO

from vidscan.report.document import Document
from vidscan.report.legible import visible

COLUMNS = (
    "source",
    "kind",
    "status",
    "label",
    "fake_probability",
    "confidence",
    "reason",
    "people",
    "tracks",
    "faces_scored",
    "frames_sampled",
    "duration_s",
    "segments",
    "seconds_total",
    "error",
)
"""The header. ``people`` counts the tracks that carry the verdict, ``tracks`` all; times in seconds.

An ensemble's table has one more, ``members``: what each member alone would have scored the source.
"""

# Spreadsheets run a cell that begins so as a formula; the wide forms do it in East Asian versions.
# Source: OWASP, "CSV Injection".
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(document: Document, stream: TextIO) -> None:
    """Write the results of ``document`` under a header line; lines end with a line feed.

    A text that a spreadsheet would run as a formula gets a leading apostrophe.

    Raises:
        OSError: the stream cannot take it.
    """
    columns = (*COLUMNS, "members") if "members" in document["model"] else COLUMNS
    table = csv.DictWriter(stream, columns, lineterminator="\n")
    table.writeheader()
    rows = map(_row, document["results"])
    table.writerows({name: _harmless(row[name]) for name in columns} for row in rows)


def _row(result: Document) -> dict[str, Any]:
    verdict = result["verdict"] or {}
    stats = result["stats"]
    error = result["error"]
    return {
        "source": result["source"],
        "kind": result["kind"],
        "status": result["status"],
        "label": verdict.get("label"),
        "fake_probability": verdict.get("fake_probability"),
        "confidence": verdict.get("confidence"),
        "reason": verdict.get("reason"),
        "people": sum(track["counted"] for track in result["tracks"]),
        "tracks": len(result["tracks"]),
        "faces_scored": stats["faces_scored"],
        "frames_sampled": stats["frames_sampled"],
        "duration_s": stats["duration_s"],
        "segments": ";".join(f"{each['start_s']}-{each['end_s']}" for each in result["segments"]),
        "seconds_total": stats["seconds"]["total"],
        "error": f"{error['type']}: {error['message']}" if error else None,
        "members": ";".join(
            f"{each['name']}={each['fake_probability']}" for each in verdict.get("members", ())
        ),
    }


def _harmless(cell: Any) -> Any:
    """A text on one line that no spreadsheet takes for a formula: csv leaves a lone CR unquoted."""
    if not isinstance(cell, str):
        return cell
    return "'" + visible(cell) if cell.startswith(_FORMULA_STARTS) else visible(cell)
