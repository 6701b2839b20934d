"""What a store tells: its heading, rows, results, pictures, and the document that reports are written from.

All of it is checked as it is read, since a store may come from elsewhere.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from vidscan.errors import StoreError, quoted
from vidscan.records import EvidenceCrop
from vidscan.report.document import Document, Evidence, assemble, require_result
from vidscan.report.summary import tally
from vidscan.results import pictures, rows, tables
from vidscan.results.database import Database
from vidscan.results.rows import Row
from vidscan.results.tables import Heading, damaged
from vidscan.results.views import Lazy, LazyEvidence

PAGE = 500
"""Rows that are read at once."""

MAX_RESULT = 256 << 20
"""Bytes of one result as JSON."""


class StoredResults:
    """The results in a database, to be read from any thread.

    Every method may raise StoreError: one line with the file, the cause and the remedy. Sources are chosen by
    ``only``, labels (FAKE, UNCERTAIN, REAL, NO_FACE, FAILED) or none for all, and ``pattern``, as a shell has
    them for names, in which ``*`` takes slashes too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heading: Heading | None = None

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

    def ids(self, only: Collection[str] = (), pattern: str | None = None) -> array[int]:
        """The ids of the sources chosen, in their order."""
        where, values = rows.chosen(only, pattern)
        found = self._database.select(f"SELECT id FROM sources{where} ORDER BY position, id", values)
        return array("q", (number for (number,) in found))

    def rows(self, only: Collection[str] = (), pattern: str | None = None) -> Iterator[Row]:
        """The sources chosen, in their order, without their results."""
        return self._rows(self.ids(only, pattern))

    def holds(self, number: int) -> bool:
        """Whether there is a source with this id."""
        return bool(self._database.select("SELECT 1 FROM sources WHERE id = ?", (number,)))

    def row(self, number: int) -> Row:
        """The source with this id."""
        (row,) = self._rows([number])
        return row

    def result(self, number: int) -> Document:
        """The whole result of the source with this id: its entry in a report."""
        ((packed,),) = self._of("results", "source", "document", [number])
        return self._unpacked(packed)

    def evidence(self, number: int) -> tuple[EvidenceCrop, ...]:
        """The pictures kept of the source with this id."""
        query = f"SELECT {pictures.COLUMNS} FROM pictures WHERE source = ? ORDER BY number"
        return tuple(pictures.crop_from(self.shown, each) for each in self._database.select(query, (number,)))

    def document(
        self, only: Collection[str] = (), pattern: str | None = None, *, ids: Sequence[int] | None = None
    ) -> Document:
        """The report on the sources chosen, or on those with these ``ids``, which may be given instead.

        Its ``results`` are read from the file as often as they are asked for. ``created`` is when the last of
        the sources was finished.
        """
        ids = self.ids(only, pattern) if ids is None else ids
        labels, declared, finished = Counter[str](), 0, self.heading.created
        for row in self._rows(ids):
            labels[row.label] += 1
            declared += row.declares_ai is True
            finished = max(finished, row.finished)
        return assemble(
            Lazy(ids, self.result),
            options=self.heading.options,
            model=self.heading.model,
            summary=tally(labels.elements(), declared),
            created=finished,
            vidscan=self.heading.vidscan,
        )

    def evidence_by_source(self) -> Evidence:
        """The pictures kept, by the names that reports have; each is read as it is asked for."""
        return LazyEvidence(self._pictured, self._pictures_of)

    def _rows(self, ids: Sequence[int]) -> Iterator[Row]:
        """The sources with these ids, in their order."""
        for values in self._columns(rows.COLUMNS, ids):
            yield rows.row_from(self.shown, values)

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
            require_result(entry, len(self.heading.model.get("members", ())))
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
