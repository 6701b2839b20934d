"""A store of results: one SQLite file with a row, the whole result and the pictures of every source.

It holds the results of scans on one set of terms. A scan writes into it while others read and mark. What
is read is checked, since a store may come from elsewhere.
"""

from __future__ import annotations

import json
import os
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from vidscan.errors import StoreError, quoted
from vidscan.records import EvidenceCrop, Source
from vidscan.report.document import SCHEMA as REPORT_SCHEMA
from vidscan.report.document import Document, Evidence, require_result
from vidscan.report.summary import tally
from vidscan.results import pictures, rows, tables
from vidscan.results.database import Claim, Database
from vidscan.results.rows import MARKS, MAX_NOTE, Row
from vidscan.results.tables import Heading, damaged
from vidscan.results.views import PAGE, LazyEvidence, LazyResults
from vidscan.system.files import raising

ENDING = ".vidscan"
"""Of the names of stores that are kept."""

MAX_RESULT = 256 << 20
"""Bytes of one result as JSON."""

_RANKED = (
    "CASE label WHEN 'FAKE' THEN 0 WHEN 'UNCERTAIN' THEN 1 WHEN 'REAL' THEN 2 WHEN 'NO_FACE' THEN 3 "
    "ELSE 4 END, ifnull(fake_probability, -1) DESC, position, id"
)


class Store:
    """An open store; see :meth:`create` and :meth:`open`. Usable from any thread.

    Every method may raise StoreError: one line with the file, the cause and the remedy. Sources are chosen by
    ``only``, labels (FAKE, UNCERTAIN, REAL, NO_FACE, FAILED) or none for all, and ``pattern``, as a shell has
    them for names, in which ``*`` takes slashes too.
    """

    def __init__(self, database: Database, claim: Claim | None = None) -> None:
        self._database, self._claim = database, claim
        self._heading: Heading | None = None

    @classmethod
    def create(cls, path: Path | None, heading: Heading) -> Self:
        """A new store, claimed for a scan; in memory alone where ``path`` is None."""
        claim = None if path is None else Claim(path)
        try:
            if path is not None:
                _require_room(path)
            database = Database(path, write=True)
            with database.change() as connection:
                tables.make(connection, heading)
        except BaseException:
            if claim is not None:
                claim.release()
            raise
        return cls(database, claim)

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """A store that is there, to be read and, with ``write``, marked; a scan claims it first."""
        if not path.exists():
            raise StoreError(f"{path}: there is no such store: check the name, or make it with --store")
        if not path.is_file():
            raise StoreError(f"{path}: is no store of vidscan's: name another")
        store = cls(Database(path, write=write))
        try:
            tables.check(store.shown, store._database.select)
        except BaseException:
            store.close()
            raise
        return store

    def claim(self) -> None:
        """Takes the lock that one scan alone holds on a store, until :meth:`close`."""
        if self._claim is None and self.path is not None:
            self._claim = Claim(self.path)

    @property
    def path(self) -> Path | None:
        """The file; None in memory."""
        return self._database.path

    @property
    def shown(self) -> str:
        """What messages call the store."""
        return "the results in memory" if self.path is None else str(self.path)

    @property
    def heading(self) -> Heading:
        """What all results have in common."""
        if self._heading is None:
            self._heading = tables.heading(self.shown, self._database.select)
        return self._heading

    def ids(
        self, only: Collection[str] = (), pattern: str | None = None, *, ranked: bool = False
    ) -> array[int]:
        """The ids of sources, in the order of the sources or, ``ranked``, the most suspicious first."""
        where, values = rows.chosen(only, pattern)
        order = _RANKED if ranked else "position, id"
        found = self._database.select(f"SELECT id FROM sources{where} ORDER BY {order}", values)
        return array("q", (number for (number,) in found))

    def rows(self, only: Collection[str] = (), pattern: str | None = None) -> Iterator[Row]:
        """The sources chosen, in their order, without their results."""
        for values in self._columns(rows.COLUMNS, self.ids(only, pattern)):
            yield rows.row_from(self.shown, values)

    def row(self, number: int) -> Row:
        """The source with this id."""
        (values,) = self._columns(rows.COLUMNS, [number])
        return rows.row_from(self.shown, values)

    def known(self, name: str) -> tuple[int, str | None] | None:
        """The id of the source of a name, and the state that its file had; None where there is none."""
        query = "SELECT id, state FROM sources WHERE path = ? AND occurrence = 0"
        found: list[tuple[int, str | None]] = self._database.select(query, (rows.path_of(name),))
        return found[0] if found else None

    def result(self, number: int) -> Document:
        """The whole result of the source with this id: its entry in a report."""
        return self.results([number])[0]

    def results(self, ids: Sequence[int]) -> list[Document]:
        """The whole results of the sources with these ids, in their order."""
        return [self._unpacked(packed) for (packed,) in self._of("results", "source", "document", ids)]

    def evidence(self, number: int) -> tuple[EvidenceCrop, ...]:
        """The pictures kept of the source with this id."""
        query = f"SELECT {pictures.COLUMNS} FROM pictures WHERE source = ? ORDER BY number"
        return tuple(pictures.crop_from(self.shown, each) for each in self._database.select(query, (number,)))

    def add(
        self,
        source: Source,
        state: str | None,
        result: Document,
        evidence: Iterable[EvidenceCrop] = (),
        *,
        at: tuple[int, int] | None = None,
    ) -> int:
        """Puts a finished source on the disk, in the place of an earlier result of it; returns its id.

        ``state`` tells its file from a later state of it: a mark stays where that is the same. ``at`` is its
        place among the sources, and which of several of one name it is; None puts a new one at the end.
        """
        position, occurrence = at or (None, 0)
        columns = rows.columns_of(result) | {
            "path": rows.path_of(source.name),
            "occurrence": occurrence,
            "state": state,
            "finished": now(),
        }
        drawn = [pictures.row_of(crop) for crop in evidence]
        with self._database.change() as connection:
            number = rows.put(connection, columns, position)
            connection.execute("REPLACE INTO results VALUES (?, ?)", (number, _packed(result)))
            connection.execute("DELETE FROM pictures WHERE source = ?", (number,))
            connection.executemany(
                f"INSERT INTO pictures (source, number, {pictures.COLUMNS}) VALUES ({pictures.VALUES})",
                ((number, place, *each) for place, each in enumerate(drawn)),
            )
        return number

    def set_mark(self, number: int, label: str | None, note: str) -> None:
        """Notes what a person found a source to be: "fake", "real", "unsure" or None, with a note.

        Neither of the two takes the mark away.
        """
        if label not in (None, *MARKS) or len(note) > MAX_NOTE:
            raise StoreError(
                f"a mark is {', '.join(MARKS)} or none, with a note of up to {MAX_NOTE} characters"
            )
        at = None if label is None and not note else now()
        with self._database.change() as connection:
            done = connection.execute(
                "UPDATE sources SET mark = ?, note = ?, marked = ? WHERE id = ?",
                (label, None if at is None else note, at, number),
            )
            if not done.rowcount:
                raise StoreError(f"{self.shown}: holds no result {number}: it was taken out, or never there")

    def remove(self, names: Iterable[str]) -> None:
        """Takes sources out, with all that belongs to them, by their names."""
        with self._database.change() as connection:
            connection.executemany(
                "DELETE FROM sources WHERE path = ?", ((rows.path_of(name),) for name in names)
            )

    def document(
        self, only: Collection[str] = (), pattern: str | None = None, *, ids: Sequence[int] | None = None
    ) -> Document:
        """The report on the sources chosen, or on those with these ``ids``, which may be given instead.

        Its ``results`` are read from the file as often as they are asked for. ``created`` is when the last of
        the sources was finished.
        """
        ids = self.ids(only, pattern) if ids is None else ids
        labels, declared, finished = Counter[str | None](), 0, self.heading.created
        for label, ai, at in self._columns("label, declares_ai, finished", ids):
            labels[None if label == "FAILED" else label] += 1
            declared += ai == 1
            finished = max(finished, at)
        return {
            "schema": REPORT_SCHEMA,
            "created": finished,
            "vidscan": self.heading.vidscan,
            "model": self.heading.model,
            "options": self.heading.options,
            "summary": tally(labels.elements(), declared),
            "results": LazyResults(ids, self.results),
        }

    def evidence_by_source(self) -> Evidence:
        """The pictures kept, by the names that reports have; each is read as it is asked for."""
        return LazyEvidence(self._pictured, self._pictures_of)

    def close(self) -> None:
        """Closes the file and gives up the claim."""
        self._database.close()
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _columns(self, columns: str, ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """Columns of the table of sources for these ids, in their order."""
        for start in range(0, len(ids), PAGE):
            yield from self._of("sources", "id", columns, ids[start : start + PAGE])

    def _of(self, table: str, key: str, columns: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """One row of a table for each of a page of ids, in their order."""
        query = f"SELECT {key}, {columns} FROM {table} WHERE {key} IN ({', '.join('?' * len(ids))})"
        found = {number: values for number, *values in self._database.select(query, tuple(ids))}
        for number in ids:
            if number not in found:
                raise StoreError(f"{self.shown}: holds no result {number}: it was taken out, or never there")
        return [tuple(found[number]) for number in ids]

    def _unpacked(self, packed: Any) -> Document:
        try:
            if not isinstance(packed, bytes) or len(packed) > MAX_RESULT:
                raise ValueError("no result, or a longer one than any")
            inflating = zlib.decompressobj()
            text = inflating.decompress(packed, MAX_RESULT)
            if not inflating.eof:
                raise ValueError("a cut-off result, or a longer one than any")
            entry: Document = json.loads(text)
            require_result(entry)
        except (ValueError, RecursionError, zlib.error) as error:  # MismatchError among them
            raise damaged(self.shown, f"a result: {quoted(str(error))}") from error
        return entry

    def _pictured(self) -> list[str]:
        query = (
            "SELECT DISTINCT name FROM sources WHERE id IN (SELECT source FROM pictures) ORDER BY position"
        )
        return [str(name) for (name,) in self._database.select(query)]

    def _pictures_of(self, name: str) -> tuple[EvidenceCrop, ...]:
        for (number,) in self._database.select("SELECT id FROM sources WHERE name = ? ORDER BY id", (name,)):
            if found := self.evidence(number):
                return found
        return ()


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _packed(result: Document) -> bytes:
    return zlib.compress(json.dumps(result, allow_nan=False, separators=(",", ":")).encode("ascii"))


def _require_room(path: Path) -> None:
    """Makes an empty file for a store; raises StoreError where something is there, or it cannot be made."""
    with raising(lambda why: StoreError(f"{path}: cannot be made ({why}): name another place")):
        if path.is_symlink() or (path.exists() and path.stat().st_size):
            raise StoreError(f"{path}: is there already: add --resume to go on with it, or name another")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
