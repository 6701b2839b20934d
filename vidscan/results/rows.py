"""What a store tells of a source without its whole result: the columns that tables sort and filter by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from vidscan.errors import quoted
from vidscan.records.limits import Count, Limits, Probability, Seconds
from vidscan.report.document import Document
from vidscan.results.tables import damaged
from vidscan.system.typed_json import Form, MismatchError, from_plain

FAILED = "FAILED"
"""The label of a source without a verdict."""

MARKS = ("fake", "real", "unsure")
"""What a person may find a source to be."""

MAX_NOTE = 10_000
"""Limit on the characters of a note."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person found: a label, a note, and when, ISO 8601 in UTC."""

    label: Literal["fake", "real", "unsure"] | None
    note: Annotated[str, Limits(high=MAX_NOTE)]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A source with what its result comes to.

    ``name`` is as in reports. ``label`` is the verdict's, or FAILED, and ``error`` its message then.
    ``people`` counts those who count in the verdict, ``faces`` the faces scored. ``remarks`` are their codes.
    ``finished``: when, ISO 8601 in UTC.
    """

    id: Count
    name: str
    kind: Literal["video", "image"]
    label: Literal["FAKE", "UNCERTAIN", "REAL", "NO_FACE", "FAILED"]
    fake_probability: Probability | None
    confidence: Probability | None
    fake_kind: str | None
    declares_ai: bool | None
    people: Count
    faces: Count
    duration_s: Seconds | None
    remarks: tuple[str, ...]
    error: str | None
    finished: str
    mark: Mark | None


COLUMNS = (
    "id, name, kind, label, fake_probability, confidence, fake_kind, declares_ai, people, faces, duration_s, "
    "remarks, error, finished, mark, note, marked"
)
"""The columns that make a row, as a query names them."""


class Known(NamedTuple):
    """What tells whether a result still holds: the state that its file had."""

    id: int
    state: str | None


def label_of(result: Document) -> str:
    """The label of a result's verdict, or FAILED."""
    return FAILED if result["verdict"] is None else str(result["verdict"]["label"])


def path_of(name: str) -> bytes:
    """A source's name as a key, with what Python makes of bytes that are no UTF-8: lone surrogates."""
    return name.encode("utf-8", "surrogatepass")


def chosen(only: Collection[str], pattern: str | None) -> tuple[str, list[str]]:
    """A query's condition for rows with these labels, any where there are none, and with names of a pattern.

    Its values too.
    """
    parts = [f"label IN ({', '.join('?' * len(only))})"] if only else []
    parts += [] if pattern is None else ["name GLOB ?"]
    values = [*only, *([] if pattern is None else [pattern])]
    return f" WHERE {' AND '.join(parts)}" if parts else "", values


def put(connection: sqlite3.Connection, columns: dict[str, Any], position: int | None) -> int:
    """Adds a source's row, or replaces one's columns, and its mark where the file changed; returns its id.

    ``position`` None leaves it where it is, or puts a new one at the end.
    """
    updated = list(columns) if position is None else [*columns, "position"]
    if position is None:
        (position,) = connection.execute("SELECT ifnull(max(position) + 1, 0) FROM sources").fetchone()
    columns = columns | {"position": position}
    same = "sources.state IS excluded.state"
    kept = [f"{name} = CASE WHEN {same} THEN {name} END" for name in ("mark", "note", "marked")]
    connection.execute(
        f"INSERT INTO sources ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT (path, occurrence) DO UPDATE SET {', '.join(kept)}, "
        + ", ".join(f"{name} = excluded.{name}" for name in updated),
        tuple(columns.values()),
    )
    key = (columns["path"], columns["occurrence"])
    found = connection.execute("SELECT id FROM sources WHERE path = ? AND occurrence = ?", key).fetchone()
    return int(found[0])


def columns_of(result: Document) -> dict[str, Any]:
    """The columns that follow from a result, as :func:`vidscan.report.document.result_document` makes it."""
    verdict = result["verdict"] or {}
    declared = (result["provenance"] or {}).get("declares_ai")
    people = {track["person"] or track["id"] for track in result["tracks"] if track["counted"]}
    return {
        "name": result["source"],
        "kind": result["kind"],
        "label": label_of(result),
        "fake_probability": verdict.get("fake_probability"),
        "confidence": verdict.get("confidence"),
        "fake_kind": (verdict.get("kind") or {}).get("label"),
        "declares_ai": None if declared is None else int(declared),
        "people": len(people),
        "faces": result["stats"]["faces_scored"],
        "duration_s": result["stats"]["duration_s"],
        "remarks": json.dumps([remark["code"] for remark in result.get("remarks", ())]),
        "error": None if result["error"] is None else result["error"]["message"],
    }


def row_from(shown: str, values: tuple[Any, ...]) -> Row:
    """The row that the values of ``COLUMNS`` make; raises StoreError where they make none."""
    found: dict[str, Any] = dict(zip(COLUMNS.split(", "), values, strict=True))
    label, note, at = (found.pop(name) for name in ("mark", "note", "marked"))
    found["mark"] = None if at is None else {"label": label, "note": note, "at": at}
    try:
        found["remarks"] = json.loads(found["remarks"])
        datetime.fromisoformat(found["finished"])
        if found["declares_ai"] is not None:
            found["declares_ai"] = bool(found["declares_ai"])
        return from_plain(Row, found, Form.WIRE)
    except (ValueError, TypeError, RecursionError, MismatchError) as error:
        raise damaged(shown, f"a row: {quoted(str(error))}") from error
