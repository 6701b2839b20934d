"""What leaves the page: the report on one source, and tables to be downloaded."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vidscan.report import html
from vidscan.report.formats.csv import write_table
from vidscan.results.rows import Row
from vidscan.serve.service import Service

FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
"""What tables can be downloaded as, with their media types."""

_COLUMNS = (
    *("id", "name", "mark", "note", "marked", "label", "fake_probability", "confidence", "fake_kind"),
    *("declares_ai", "kind", "people", "duration_s", "remarks", "error", "finished"),
)


def page(service: Service, number: int) -> str:
    """The report on one source as a page."""
    service.row(number)
    document = service.store.document(ids=[number])
    (result,) = document["results"]
    stream = io.StringIO(newline="")
    html.write(document | {"results": [result]}, stream, {result["source"]: service.store.evidence(number)})
    return stream.getvalue()


def pieces(service: Service, form: str, *, marked: bool) -> Iterator[str]:
    """The table of all results, or of those that are ``marked``, piece by piece."""
    rows = (_told(row) for row in service.store.rows() if row.mark is not None or not marked)
    return _csv(rows) if form == "csv" else _json(rows)


def _told(row: Row) -> dict[str, Any]:
    mark = row.mark
    of_mark = {
        "mark": None if mark is None else mark.label,
        "note": "" if mark is None else mark.note,
        "marked": None if mark is None else mark.at,
    }
    told = asdict(row) | of_mark
    return {name: told[name] for name in _COLUMNS}


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    stream = io.StringIO(newline="")
    write_table(stream, _COLUMNS, ())
    for row in rows:
        write_table(stream, _COLUMNS, [row | {"remarks": " ".join(row["remarks"])}], header=False)
        if stream.tell() > 1 << 16:
            yield stream.getvalue()
            stream.seek(0)
            stream.truncate()
    yield stream.getvalue()


def _json(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=True)
        before = ",\n"
    yield before + "]\n" if before == "[\n" else "\n]\n"
