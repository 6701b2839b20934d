"""Reads lists of sources: one path or URL per line, or a column of a CSV or Parquet file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from vidscan.errors import SourceError
from vidscan.media import storage
from vidscan.media.sources import source_at
from vidscan.records import Source
from vidscan.system.files import raising

COLUMNS = ("source", "path", "file", "url")
"""Names of the column that holds the sources, in order of preference; else a table's first column is used."""

DELIMITERS = (",", ";", "\t")
"""Between the columns of a CSV file, where one of the names above shows which (many spreadsheets write
semicolons); else the first."""


def from_list(place: str) -> list[Source]:
    """Reads the sources that a list names, each once, in its order.

    A text file has one per line; ``.csv`` and ``.parquet`` files have a column of them. Relative paths count
    from the current folder. The sources themselves are not looked up before they are scanned.

    Raises:
        SourceError: the list at the path or URL ``place`` cannot be read, or is empty.
    """
    shown = storage.remote(place).shown
    if storage.is_remote(place):
        content, name = storage.fetch_bytes(place), urlsplit(place).path
    else:
        with raising(lambda why: SourceError(f"{shown}: the list cannot be read ({why}): check the path")):
            content, name = storage.local_path(place).read_bytes(), place
    suffix = PurePosixPath(name).suffix.lower()
    read = {".csv": _from_csv, ".parquet": _from_parquet}.get(suffix, _from_text)
    named = dict.fromkeys(entry for entry in read(content, shown) if entry)
    if not named:
        raise SourceError(f"{shown}: the list names no source: put a path or URL on each line")
    return [source_at(str(number), entry) for number, entry in enumerate(named)]


def _from_text(content: bytes, shown: str) -> Iterator[str]:
    return (line.strip("\r") for line in _text(content, shown).split("\n") if line.strip())


def _from_csv(content: bytes, shown: str) -> Iterator[str]:
    text = _text(content, shown)
    with raising(lambda why: SourceError(f"{shown}: the list is no CSV file ({why}): check it"), csv.Error):
        columns = {each: _column(next(_rows(text, each), [])) for each in DELIMITERS}
        delimiter = next((each for each in DELIMITERS if columns[each] is not None), DELIMITERS[0])
        rows = list(_rows(text, delimiter))
    named = columns[delimiter]
    column, first = (0, 0) if named is None else (named, 1)
    return (row[column] for row in rows[first:] if len(row) > column)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)


def _from_parquet(content: bytes, shown: str) -> Iterator[str]:
    from vidscan.system.frameworks import import_pyarrow

    arrow = import_pyarrow()
    try:
        file = arrow.parquet.ParquetFile(io.BytesIO(content))
        names = file.schema_arrow.names
        column = names[_column(names) or 0]
        values = file.read([column]).column(0).to_pylist()
    except (arrow.ArrowException, OSError, IndexError) as error:
        raise SourceError(
            f"{shown}: the list is no Parquet file that can be read ({error}): check it"
        ) from error
    return (str(value) for value in values if value is not None)


def _column(heading: Sequence[str]) -> int | None:
    names = [name.strip().lower() for name in heading]
    return next((names.index(name) for name in COLUMNS if name in names), None)


def _text(content: bytes, shown: str) -> str:
    """Decodes UTF-8, with or without a byte order mark; other bytes as this system's paths have them."""
    if b"\0" in content:
        raise SourceError(f"{shown}: the list is no text: is it one of sources, and not a clip itself?")
    return content.decode("utf-8-sig", "surrogateescape")
