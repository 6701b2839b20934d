"""A store of results: one SQLite file with a row, the whole result and the pictures of every source.

It holds the results of scans on one set of terms. A scan writes into it while others read and mark.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Self

from vidscan.errors import StoreError
from vidscan.records import EvidenceCrop, Source
from vidscan.report.document import Document
from vidscan.results import pictures, rows, tables
from vidscan.results.database import Claim, Database
from vidscan.results.reading import StoredResults
from vidscan.results.rows import MARKS, MAX_NOTE, Known
from vidscan.results.tables import Heading, now
from vidscan.system.files import raising

ENDING = ".vidscan"
"""Of the names of stores that are kept."""

_COMPLETE = "complete"


class Store(StoredResults):
    """An open store; see :meth:`create` and :meth:`open`, and :class:`StoredResults` for what it tells."""

    def __init__(self, database: Database, claim: Claim | None = None) -> None:
        super().__init__(database)
        self._claim = claim

    @classmethod
    def create(cls, path: Path | None, heading: Heading) -> Self:
        """A new store, claimed for a scan; in memory alone where ``path`` is None."""
        claim = None
        if path is not None:
            claim = Claim(path)
            try:
                _make_empty(path)
            except BaseException:
                claim.release()
                raise
        store = cls(Database(path, write=True), claim)
        try:
            with store._database.change() as connection:
                tables.make(connection, heading)
        except BaseException:
            store.delete()
            raise
        return store

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """A store that is there, to be read and, with ``write``, marked; a scan claims it first."""
        if not path.exists():
            raise StoreError(f"{path}: there is no such store: check the name, or make it with --store")
        if not path.is_file():
            raise StoreError(f"{path}: is no store of vidscan's: name another")
        # Before it is known to be a store, nothing is changed in it.
        with closing(Database(path, write=False)) as looked_at:
            tables.check(str(path), looked_at.select)
        return cls(Database(path, write=write))

    def claim(self) -> None:
        """Takes the lock that one scan alone holds on a store, until :meth:`close`."""
        if self._claim is None and self.path is not None:
            self._claim = Claim(self.path)

    def find(self, name: str, occurrence: int = 0) -> Known | None:
        """What is known of a source by its name, the so-many-eth of it from 0; None where it is new."""
        query = "SELECT id, state FROM sources WHERE path = ? AND occurrence = ?"
        for number, state in self._database.select(query, (rows.path_of(name), occurrence)):
            return Known(number, state)
        return None

    def count(self) -> int:
        """How many sources there are."""
        return int(self._database.select("SELECT count(*) FROM sources")[0][0])

    def end(self) -> int:
        """The position after the last source's."""
        return int(self._database.select("SELECT ifnull(max(position) + 1, 0) FROM sources")[0][0])

    def arrange(self, positions: Iterable[tuple[int, int]]) -> None:
        """Puts sources in order by pairs of position and id."""
        with self._database.change() as connection:
            connection.executemany("UPDATE sources SET position = ? WHERE id = ?", positions)

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

    def amend(self, heading: Heading) -> None:
        """Writes another heading; what was created when stays."""
        heading = replace(heading, created=self.heading.created)
        with self._database.change() as connection:
            tables.put_heading(connection, heading)
        self._heading = heading

    @property
    def complete(self) -> bool:
        """Whether a scan into the store came to its end."""
        return bool(self._database.select(f"SELECT * FROM heading WHERE name = '{_COMPLETE}'"))

    def set_complete(self, complete: bool) -> None:
        """Notes whether a scan into the store came to its end."""
        with self._database.change() as connection:
            connection.execute(f"DELETE FROM heading WHERE name = '{_COMPLETE}'")
            if complete:
                connection.execute(f"INSERT INTO heading VALUES ('{_COMPLETE}', 'true')")

    def stamped(self) -> Iterator[tuple[Document, str | None]]:
        """Every result with the state that its file had."""
        ids = self.ids()
        for number, (state,) in zip(ids, self._columns("state", ids), strict=True):
            yield self.result(number), state

    def keep(self, ids: Collection[int]) -> None:
        """Takes out all sources but those with these ids."""
        others = [(number,) for number in self.ids() if number not in ids]
        with self._database.change() as connection:
            connection.executemany("DELETE FROM sources WHERE id = ?", others)

    def delete(self) -> None:
        """Closes the file, deletes it, and gives up the claim; the results are kept elsewhere."""
        self._database.close()
        if self.path is not None:
            with raising(
                lambda why: StoreError(f"{self.path}: cannot be removed ({why}): delete it yourself")
            ):
                self.path.unlink(missing_ok=True)
        self.close()

    def leave(self) -> None:
        """Closes the file; deletes it where it holds nothing."""
        if self.count():
            self.close()
        else:
            self.delete()

    def close(self) -> None:
        """Closes the file and gives up the claim."""
        self._database.close()
        if self._claim is not None:
            self._claim.release()
            self._claim = None


def _packed(result: Document) -> bytes:
    return zlib.compress(json.dumps(result, allow_nan=False, separators=(",", ":")).encode("ascii"))


def _make_empty(path: Path) -> None:
    """Makes an empty file for a store; raises StoreError where something is there, or it cannot be made."""
    with raising(lambda why: StoreError(f"{path}: cannot be made ({why}): name another place")):
        if path.is_symlink() or (path.exists() and path.stat().st_size):
            raise StoreError(f"{path}: is there already: add --resume to go on with it, or name another")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
