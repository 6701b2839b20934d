"""The tables of a store, what makes a file one, and its heading."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from vidscan.errors import StoreError, quoted
from vidscan.models.card_file import MAX_DEPTH, card_from_json, nested_deeper_than
from vidscan.records import StillRule
from vidscan.report.document import Document
from vidscan.system.typed_json import Form, from_plain

APPLICATION = int.from_bytes(b"vdsc", "big")
"""SQLite's ``application_id`` of a store."""

VERSION = 1
"""SQLite's ``user_version`` of the tables below."""

_TABLES = (
    "CREATE TABLE heading (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE sources ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL, path BLOB NOT NULL, "
    "occurrence INTEGER NOT NULL, state TEXT, name TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL, "
    "fake_probability REAL, confidence REAL, fake_kind TEXT, declares_ai INTEGER, people INTEGER NOT NULL, "
    "faces INTEGER NOT NULL, duration_s REAL, remarks TEXT NOT NULL, error TEXT, finished TEXT NOT NULL, "
    "mark TEXT, note TEXT, marked TEXT, UNIQUE (path, occurrence))",
    "CREATE INDEX in_order ON sources (position)",
    "CREATE INDEX by_label ON sources (label, fake_probability)",
    "CREATE INDEX by_name ON sources (name)",
    "CREATE TABLE results ("
    "source INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE, document BLOB NOT NULL)",
    "CREATE TABLE pictures ("
    "source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE, number INTEGER NOT NULL, "
    "track INTEGER NOT NULL, frame_index INTEGER NOT NULL, time_s REAL NOT NULL, "
    "fake_probability REAL NOT NULL, jpeg BLOB NOT NULL, cells INTEGER NOT NULL, heat BLOB, "
    "heat_kind TEXT, heat_network TEXT, PRIMARY KEY (source, number))",
)

_COUNTERS = "CREATE TABLE sqlite_sequence(name,seq)"
"""What SQLite adds to tables whose ids are never given twice."""

Select = Callable[[str], list[tuple[Any, ...]]]
"""Gives the rows of a query."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What all results of a store have in common, as plain documents.

    ``terms`` is what they depend on; ``options`` and ``model`` are as in a report, ``vidscan`` is the version
    that scans, ``created`` when the store was made (ISO 8601, UTC).
    """

    terms: Document
    options: Document
    model: Document
    vidscan: str
    created: str


def make(connection: sqlite3.Connection, heading: Heading) -> None:
    """Makes the tables in an empty database."""
    for table in _TABLES:
        connection.execute(table)
    put_heading(connection, heading)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def check(shown: str, select: Select) -> None:
    """Raises StoreError where a database is no store that this vidscan can read.

    It must have exactly the tables above: what else a file can define, such as triggers, would be run.
    """
    (application,), (version,) = select("PRAGMA application_id")[0], select("PRAGMA user_version")[0]
    there = {text for (text,) in select("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if application != APPLICATION:
        raise StoreError(f"{shown}: is no store of vidscan's: name another")
    if version > VERSION:
        raise StoreError(f"{shown}: was written by a newer vidscan: update this one, or name another")
    if there != {*_TABLES, _COUNTERS}:
        raise StoreError(f"{shown}: has other tables than a store of vidscan's: name another")


def heading(shown: str, select: Select) -> Heading:
    """The heading of a store; raises StoreError where it is damaged."""
    try:
        told = {name: json.loads(value) for name, value in select("SELECT name, value FROM heading")}
        found = Heading(**{each.name: told[each.name] for each in fields(Heading)})
        _check_heading(found)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(shown, f"its heading: {quoted(str(error))}") from error
    return found


def _check_heading(heading: Heading) -> None:
    """Raises ValueError where a heading is none that reports can be written with."""
    for text in (heading.vidscan, heading.created):
        if not isinstance(text, str):
            raise ValueError("a text is none")
    datetime.fromisoformat(heading.created)
    for tree in (heading.terms, heading.options, heading.model):
        if not isinstance(tree, dict) or nested_deeper_than(2 * MAX_DEPTH, tree):
            raise ValueError("an object is none, or is nested too deep")
    _check_model(heading.model)
    verdict = heading.options.get("verdict", {})
    if not isinstance(verdict, dict):
        raise ValueError("its options are none")
    for name in ("fake_threshold", "real_threshold"):
        given = verdict.get(name)
        if not (given is None or (isinstance(given, int | float) and 0 <= given <= 1)):
            raise ValueError("a threshold is none")


def _check_model(model: Document) -> None:
    """Raises ValueError where it is not what ``report.document.model_document`` makes."""
    own = dict(model)
    members, detector = own.pop("members", []), own.pop("detector", True)
    if not isinstance(members, list) or len(members) == 1 or detector is not True:
        raise ValueError("its model is none")
    still = own.pop("stills", None)  # of the members, which are named in their own cards alone
    if still is not None and len(from_plain(StillRule, still, Form.CARD).weights) != len(members):
        raise ValueError("its rule for stills is of other networks")
    for card in (own, *members):
        card_from_json(card)


def put_heading(connection: sqlite3.Connection, heading: Heading) -> None:
    """Writes the heading, in place of the one before."""
    told = [(name, json.dumps(value, allow_nan=False)) for name, value in asdict(heading).items()]
    connection.executemany("REPLACE INTO heading VALUES (?, ?)", told)


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def damaged(shown: str, what: str) -> StoreError:
    """What a person is told of a store with a part that makes no sense."""
    return StoreError(f"{shown}: is damaged ({what}): bring it back from a copy, or start anew")
