"""A folder of Parquet files that grows while a scan runs, part by part, for archives of any size.

``OUT/sources/label=FAKE/part-….parquet`` has a row a source, ``OUT/timeline/label=FAKE/part-….parquet`` a row
a sampled moment; the folders name the partition as Hive does, so that DuckDB, pandas and Spark read both as
they stand. ``OUT/_vidscan.json`` says what the results rest on.

A source's row is written after its moments and removed before them, and :meth:`ParquetDataset.resume` removes
moments without a source's row, so whatever is broken off, a source that has a row lacks nothing, and nothing
is there twice.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from vidscan.errors import ReportError
from vidscan.report.document import Document
from vidscan.report.parquet.files import UNFINISHED, DatasetFiles
from vidscan.report.parquet.schema import SOURCES, TIMELINE, arrow_schema, label_of, source_row, timeline_rows
from vidscan.system.files import raising
from vidscan.system.frameworks import import_pyarrow

SCHEMA = "vidscan.dataset/1"

ABOUT = "_vidscan.json"
"""Readers of Parquet leave names that begin so alone."""

REMOVAL = "_removal.json"
"""Lists the parts that :meth:`ParquetDataset.forget` changes, as long as it does."""

_PART = re.compile(r"label=[A-Z_]+/part-[0-9]+-[0-9a-f]+\.parquet")
_NAMING = ("source", "source_bytes")


class Finished(NamedTuple):
    """A source that the dataset has, by its name.

    ``stamp`` tells its file's state, ``label`` its outcome, ``declares_ai`` whether the file declares AI.
    """

    name: str
    stamp: str | None
    label: str
    declares_ai: bool = False


class Stamped(NamedTuple):
    """A result as :func:`vidscan.report.document.result_document` makes it, and its file's stamp."""

    result: Document
    stamp: str | None


@dataclass(frozen=True, slots=True)
class Scan:
    """What all rows of a scan have in common: vidscan's version, and the model's name and SHA-256.

    ``members``: name and SHA-256 of each network of an ensemble, which has no file of its own.
    """

    vidscan: str
    model_name: str
    model_sha256: str | None
    members: tuple[tuple[str, str | None], ...] = ()


class ParquetDataset:
    """An open dataset; see :meth:`begin` and :meth:`resume`.

    ``filesystem`` and ``folder`` are as for :class:`vidscan.report.parquet.files.DatasetFiles`; ``shown`` is
    the user's name for the folder.
    """

    def __init__(self, filesystem: Any, folder: str, shown: str) -> None:
        self._arrow = import_pyarrow()
        self._files, self.shown = DatasetFiles(filesystem, folder), shown
        self._schemas = {table: arrow_schema(table) for table in (SOURCES, TIMELINE)}
        self._number = 0

    @classmethod
    def begin(cls, filesystem: Any, folder: str, terms: Document, *, shown: str) -> ParquetDataset:
        """A new dataset, for results on these terms.

        Raises:
            ReportError: something is there already, or it cannot be written.
        """
        dataset = cls(filesystem, folder, shown)
        with dataset._refused("cannot be written"):
            dataset._require_nothing()
            dataset._files.write(ABOUT, json.dumps({"schema": SCHEMA, "terms": terms}, indent=2).encode())
        return dataset

    @classmethod
    def resume(
        cls,
        filesystem: Any,
        folder: str,
        terms: Document,
        *,
        shown: str,
        compare: Callable[[Any, Document], None],
    ) -> ParquetDataset:
        """The dataset of a scan that was broken off or shall be added to; a new one if there is none.

        ``compare`` raises an error where results on the dataset's terms, its first argument, cannot stand
        beside results on ``terms``.

        Raises:
            ReportError: it is no dataset of this vidscan, is damaged, or cannot be read and written.
        """
        dataset = cls(filesystem, folder, shown)
        with dataset._refused("cannot be read and written"):
            if not dataset._files.is_file(ABOUT):
                return cls.begin(filesystem, folder, terms, shown=shown)
            compare(dataset._terms(), terms)
            dataset._tidy()
        return dataset

    def finished(self) -> Iterator[Finished]:
        """What the dataset has of every source, file by file.

        Raises:
            ReportError: a file is damaged or cannot be read.
        """
        with self._refused("cannot be read"):
            for part, rows in self._tables(*_NAMING, "stamp", "provenance.declares_ai"):
                label = part.partition("/")[0].removeprefix("label=")
                declared = (bool((each or {}).get("declares_ai")) for each in rows["provenance"].to_pylist())
                for name, stamp, ai in zip(_names(rows), rows["stamp"].to_pylist(), declared, strict=True):
                    yield Finished(name, stamp, label, ai)

    def append(self, results: Sequence[Stamped], scan: Scan, scanned: datetime) -> None:
        """Adds results; every file appears whole, a source's row after all that belongs to it.

        Raises:
            ReportError: a file cannot be written; what was there before stays. Some of the results may be
                there then: go on with :meth:`resume`, and :meth:`finished` says which.
        """
        by_label: dict[str, list[Stamped]] = defaultdict(list)
        for each in results:
            by_label[label_of(each.result)].append(each)
        self._number += 1
        part = f"part-{self._number:06}-{secrets.token_hex(4)}.parquet"
        networks = [{"name": name, "sha256": sha256} for name, sha256 in scan.members]
        model = {"name": scan.model_name, "sha256": scan.model_sha256, "members": networks}
        with self._refused("cannot be written"):
            for label, members in by_label.items():
                moments = [row for each in members for row in timeline_rows(each.result)]
                if moments:
                    self._write_rows(TIMELINE, f"label={label}/{part}", moments)
                common = {"scanned": scanned, "vidscan": scan.vidscan, "model": model}
                rows = [source_row(each.result, {"stamp": each.stamp, **common}) for each in members]
                self._write_rows(SOURCES, f"label={label}/{part}", rows)

    def forget(self, names: Collection[str]) -> None:
        """Takes out sources that will be scanned again.

        Should it be broken off, some of them are left as they were, and :meth:`resume` removes what is left
        of the others.

        Raises:
            ReportError: a file cannot be read or written.
        """
        if not names:
            return
        with self._refused("cannot be written"):
            self._go_on_removing()
            parts = [
                part for part, rows in self._tables(*_NAMING) if any(name in names for name in _names(rows))
            ]
            if parts:
                self._files.write(REMOVAL, json.dumps(parts).encode())
                for part in parts:
                    self._keep(f"{SOURCES}/{part}", lambda name: name not in names)
                self._finish_removal(parts)

    def _go_on_removing(self) -> None:
        """Finishes what was broken off."""
        if self._files.is_file(REMOVAL):
            self._finish_removal(json.loads(self._files.read(REMOVAL)))

    def _finish_removal(self, parts: Collection[str]) -> None:
        """Takes from these parts the moments of sources that have no row."""
        there = set(self._parts(SOURCES))
        for part in self._parts(TIMELINE):
            if part in parts:
                rows = self._files.table(f"{SOURCES}/{part}", _NAMING) if part in there else None
                left = set() if rows is None else set(_names(rows))
                self._keep(f"{TIMELINE}/{part}", left.__contains__)
        self._files.remove(REMOVAL)

    def _keep(self, file: str, wanted: Callable[[str], bool]) -> None:
        """Writes a table anew with the rows of some sources, or removes it where none is left."""
        rows = self._files.table(file)
        rest = rows.filter(self._arrow.array([wanted(name) for name in _names(rows)], self._arrow.bool_()))
        if not len(rest):
            self._files.remove(file)
        elif len(rest) < len(rows):
            self._files.write_table(file, rest)

    def _require_nothing(self) -> None:
        """Raises ReportError where results, or anything of somebody else's, lie in the place."""
        foreign = f"{self.shown}: is there already and is no dataset of vidscan's: name another"
        if self._files.is_file():
            raise ReportError(foreign)
        there = {name for name in self._files.names() if not name.endswith(UNFINISHED)}
        if ABOUT in there and any(name.endswith(".parquet") for name in there):
            raise ReportError(
                f"{self.shown}: holds results already: add --resume to go on, or name another place"
            )
        if there - {ABOUT}:
            raise ReportError(foreign)

    def _terms(self) -> Any:
        try:
            about = json.loads(self._files.read(ABOUT))
            if about["schema"] == SCHEMA:
                return about["terms"]
        except (ValueError, KeyError, TypeError):
            pass
        raise ReportError(f"{self.shown}: is no dataset that this vidscan can add to: name another place")

    def _tidy(self) -> None:
        """Removes what was left half done, and goes on with the numbers of the parts."""
        for name in self._files.names():
            if name.endswith(UNFINISHED):
                self._files.remove(name)
        self._go_on_removing()
        whole = self._parts(SOURCES)
        for part in set(self._parts(TIMELINE)) - set(whole):
            self._files.remove(f"{TIMELINE}/{part}")
        self._number = max((int(part.split("/part-")[1].split("-")[0]) for part in whole), default=0)

    def _parts(self, table: str) -> list[str]:
        """The files of a table, by their names in its folder; others that lie there are not ours."""
        return [name for name in self._files.names(table) if _PART.fullmatch(name)]

    def _tables(self, *columns: str) -> Iterator[tuple[str, Any]]:
        """Columns of sources, part by part."""
        parts = self._parts(SOURCES)
        read = self._files.tables([f"{SOURCES}/{part}" for part in parts], columns)
        for part, (_, rows) in zip(parts, read, strict=True):
            yield part, rows

    def _write_rows(self, table: str, name: str, rows: Sequence[Document]) -> None:
        made = self._arrow.Table.from_pylist(rows, schema=self._schemas[table])
        self._files.write_table(f"{table}/{name}", made)

    def _refused(self, what: str) -> AbstractContextManager[None]:
        """Turns whatever a file system raises, which may be any plug-in, into a ReportError."""
        told, remedy = f"{self.shown}: the results {what}", "check the place, and go on with --resume"
        return raising(lambda cause: ReportError(f"{told} ({cause}): {remedy}"), Exception)


def _names(rows: Any) -> Iterator[str]:
    """The sources of rows, named as the scan names them: bytes that are no UTF-8 and all."""
    columns = (rows[column].to_pylist() for column in _NAMING)
    for text, kept in zip(*columns, strict=True):
        yield text if kept is None else os.fsdecode(bytes.fromhex(kept))
