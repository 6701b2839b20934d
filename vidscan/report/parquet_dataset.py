"""A folder of Parquet files that grows while a scan runs, part by part, for archives of any size.

``OUT/sources/label=FAKE/part-….parquet`` has a row a source, ``OUT/timeline/label=FAKE/part-….parquet`` a row
a sampled moment; the folders name the partition as Hive does, so that DuckDB, pandas and Spark read both as
they stand. ``OUT/_vidscan.json`` says what the results rest on. A file appears as a whole, and a source's row
is written last, so a source that has one lacks nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from vidscan.errors import ReportError, VidscanError, quoted
from vidscan.report.document import Document
from vidscan.report.parquet_schema import (
    SOURCES,
    TIMELINE,
    arrow_schema,
    import_pyarrow,
    label_of,
    source_row,
    timeline_rows,
)

SCHEMA = "vidscan.dataset/1"

ABOUT = "_vidscan.json"
"""Readers of Parquet leave names that begin so alone."""

ROW_GROUP = 16384
"""Rows read at once at least: large enough to be compressed well, small enough for little memory."""


class Finished(NamedTuple):
    """A source that the dataset has, by its name; ``stamp`` tells its file's state, ``label`` its outcome."""

    name: str
    stamp: str | None
    label: str


class Stamped(NamedTuple):
    """A result as :func:`vidscan.report.document.result_document` makes it, and its file's stamp."""

    result: Document
    stamp: str | None


@dataclass(frozen=True, slots=True)
class Scan:
    """What all rows of a scan have in common: vidscan's version, and the model's name and SHA-256."""

    vidscan: str
    model_name: str
    model_sha256: str | None


class ParquetDataset:
    """An open dataset; see :meth:`begin` and :meth:`resume`."""

    def __init__(self, filesystem: Any, folder: str, shown: str) -> None:
        """Of a folder that is there.

        Args:
            filesystem: a ``pyarrow.fs.FileSystem``.
            folder: as that names it.
            shown: as the user named it.
        """
        self._arrow = import_pyarrow()
        self._filesystem, self._folder, self._shown = filesystem, folder.rstrip("/"), shown
        self._schemas = {table: arrow_schema(table) for table in (SOURCES, TIMELINE)}
        self._parts = 0

    @classmethod
    def begin(cls, filesystem: Any, folder: str, terms: Document, *, shown: str) -> ParquetDataset:
        """A new dataset, for results on these terms.

        Raises:
            ReportError: something is there already, or it cannot be written.
        """
        dataset = cls(filesystem, folder, shown)
        with dataset._refused("cannot be written"):
            dataset._require_nothing()
            dataset._write(ABOUT, json.dumps({"schema": SCHEMA, "terms": terms}, indent=2).encode())
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

        Args:
            filesystem: as for the class.
            folder: as for the class.
            terms: what results rest on now.
            shown: as for the class.
            compare: raises an error where results on the terms that it gets first cannot stand beside
                results on the second.

        Raises:
            ReportError: it is no dataset of this vidscan, is damaged, or cannot be read and written.
        """
        dataset = cls(filesystem, folder, shown)
        with dataset._refused("cannot be read and written"):
            if not dataset._is_there(ABOUT):
                return cls.begin(filesystem, folder, terms, shown=shown)
            compare(dataset._terms(), terms)
            dataset._remove_halves()
        return dataset

    def finished(self) -> Iterator[Finished]:
        """What the dataset has of every source, file by file.

        Raises:
            ReportError: a file is damaged or cannot be read.
        """
        with self._refused("cannot be read"):
            for path in self._files(SOURCES):
                columns = self._read(path, ["source", "source_bytes", "stamp"]).to_pylist()
                for row in columns:
                    yield Finished(_name(row), row["stamp"], _label(path))

    def append(self, results: Sequence[Stamped], scan: Scan, scanned: datetime) -> None:
        """Adds results; every file appears whole, a source's row after all that belongs to it.

        Raises:
            ReportError: a file cannot be written; what is there before stays.
        """
        by_label: dict[str, list[Stamped]] = defaultdict(list)
        for each in results:
            by_label[label_of(each.result)].append(each)
        self._parts += 1
        part = f"part-{self._parts:06}-{secrets.token_hex(4)}.parquet"
        model = {"name": scan.model_name, "sha256": scan.model_sha256}
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

        Should it be broken off, those whose rows are left have them in ``sources``, so that they are
        forgotten anew by whoever resumes.

        Raises:
            ReportError: a file cannot be read or written.
        """
        if not names:
            return
        with self._refused("cannot be written"):
            for path in self._files(SOURCES):
                rows = self._read(path)
                if any(_name(row) in names for row in _named(rows)):
                    twin = path.replace(f"/{SOURCES}/", f"/{TIMELINE}/")
                    if self._is_there(self._relative(twin)):
                        self._keep(twin, TIMELINE, names)
                    self._keep(path, SOURCES, names)

    def _keep(self, path: str, table: str, without: Collection[str]) -> None:
        """Writes a file anew without some sources, or removes it where nothing is left."""
        rows = self._read(path)
        mask = self._arrow.array([_name(row) not in without for row in _named(rows)])
        rest = rows.filter(mask)
        if len(rest):
            self._write(self._relative(path), self._encoded(rest))
        else:
            self._filesystem.delete_file(path)

    # What is there.

    def _require_nothing(self) -> None:
        """Raises ReportError where results, or anything of somebody else's, lie in the place."""
        there = [self._relative(path) for path in self._listed("")]
        if ABOUT in there and any(name.endswith(".parquet") for name in there):
            raise ReportError(
                f"{self._shown}: holds results already: add --resume to go on, or name another place"
            )
        is_file = self._filesystem.get_file_info(self._folder).type == self._arrow.fs.FileType.File
        if is_file or set(there) - {ABOUT}:
            raise ReportError(f"{self._shown}: is there already and is no dataset of vidscan's: name another")

    def _is_there(self, name: str) -> bool:
        info = self._filesystem.get_file_info(f"{self._folder}/{name}")
        return bool(info.type == self._arrow.fs.FileType.File)

    def _terms(self) -> Any:
        with self._filesystem.open_input_stream(f"{self._folder}/{ABOUT}") as stream:
            text = stream.read()
        try:
            about = json.loads(text)
            if about["schema"] == SCHEMA:
                return about["terms"]
        except (ValueError, KeyError, TypeError):
            pass
        raise ReportError(f"{self._shown}: is no dataset that this vidscan can add to: name another place")

    def _remove_halves(self) -> None:
        """Timelines whose sources were never written, and files that were never finished."""
        whole = {path.replace(f"/{SOURCES}/", f"/{TIMELINE}/") for path in self._files(SOURCES)}
        for path in self._files(TIMELINE):
            if path not in whole:
                self._filesystem.delete_file(path)
        for path in self._listed(""):
            if path.endswith(_UNFINISHED):
                self._filesystem.delete_file(path)
        self._parts = max((int(Path(path).name.split("-")[1]) for path in whole), default=0)

    def _files(self, table: str) -> list[str]:
        return sorted(path for path in self._listed(table) if path.endswith(".parquet"))

    def _listed(self, name: str) -> list[str]:
        """Files below a folder, which need not be there."""
        below = f"{self._folder}/{name}".rstrip("/")
        selector = self._arrow.fs.FileSelector(below, allow_not_found=True, recursive=True)
        found = self._filesystem.get_file_info(selector)
        return [each.path for each in found if each.type == self._arrow.fs.FileType.File]

    def _relative(self, path: str) -> str:
        return path[path.rindex(self._folder) + len(self._folder) + 1 :]

    # Reading and writing of files.

    def _read(self, path: str, columns: Sequence[str] | None = None) -> Any:
        with self._filesystem.open_input_file(path) as file:
            return self._arrow.parquet.ParquetFile(file).read(columns)

    def _write_rows(self, table: str, name: str, rows: Sequence[Document]) -> None:
        made = self._arrow.Table.from_pylist(rows, schema=self._schemas[table])
        self._write(f"{table}/{name}", self._encoded(made))

    def _encoded(self, rows: Any) -> bytes:
        sink = self._arrow.BufferOutputStream()
        self._arrow.parquet.write_table(rows, sink, compression="zstd", row_group_size=ROW_GROUP)
        return bytes(sink.getvalue())

    def _write(self, name: str, content: bytes) -> None:
        """A file appears whole: an object by one PUT, a local one by a rename."""
        path = f"{self._folder}/{name}"
        if isinstance(self._filesystem, self._arrow.fs.LocalFileSystem):
            _write_local(Path(path), content)
            return
        with self._filesystem.open_output_stream(path) as stream:
            stream.write(content)

    @contextmanager
    def _refused(self, what: str) -> Iterator[None]:
        """Turns whatever a file system raises, which may be any plug-in, into a ReportError."""
        try:
            yield
        except VidscanError:
            raise
        except Exception as error:
            cause = getattr(error, "strerror", None) or quoted(str(error)) or type(error).__name__
            raise ReportError(
                f"{self._shown}: the results {what} ({cause}): check the place, and go on with --resume"
            ) from error


_UNFINISHED = ".tmp"


def _write_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{secrets.token_hex(8)}{_UNFINISHED}")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _named(rows: Any) -> list[Document]:
    """The columns that name a row's source."""
    named: list[Document] = rows.select(["source", "source_bytes"]).to_pylist()
    return named


def _name(row: Document) -> str:
    """A source's name as the scan has it, bytes that are no UTF-8 and all."""
    kept = row["source_bytes"]
    return str(row["source"]) if kept is None else os.fsdecode(bytes.fromhex(kept))


def _label(path: str) -> str:
    return Path(path).parent.name.removeprefix("label=")
