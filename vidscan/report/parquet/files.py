"""The files of a dataset's folder, on this machine's disks or in an object store, by their names in it.

A file appears as a whole: an object by one PUT, a local file by a rename.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vidscan.system.files import replacing, sync_folder
from vidscan.system.frameworks import import_pyarrow

ROW_GROUP = 16384
"""Rows read at once at least: large enough to be compressed well, small enough for little memory."""

READERS = 16
"""Tables read at the same time: in an object store each costs several round trips, and little else."""

UNFINISHED = ".tmp"
"""How the name of a file ends that is not whole yet, or never became so."""


class DatasetFiles:
    """A folder that need not be there yet. Its methods raise whatever the file system does.

    ``filesystem`` is a ``pyarrow.fs.LocalFileSystem``, or a ``PyFileSystem`` of an ``FSSpecHandler``.
    """

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._arrow = import_pyarrow()
        self._filesystem, self._folder = filesystem, folder.rstrip("/")
        self._is_local = isinstance(filesystem, self._arrow.fs.LocalFileSystem)

    def is_file(self, name: str = "") -> bool:
        """Whether there is a file, and no folder, of this name; without one, in the folder's place."""
        info = self._filesystem.get_file_info(self._path(name))
        return bool(info.type == self._arrow.fs.FileType.File)

    def names(self, below: str = "") -> list[str]:
        """The files in the folder and in all that it contains, or those ``below`` one of these, sorted.

        They are named from there on. None where there is no folder.
        """
        folder = self._path(below)
        selector = self._arrow.fs.FileSelector(folder, allow_not_found=True, recursive=True)
        found = self._filesystem.get_file_info(selector)
        files = (each.path for each in found if each.type == self._arrow.fs.FileType.File)
        return sorted(path.partition(f"{folder}/")[2] for path in files)

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self._filesystem.open_input_stream(self._path(name)) as stream:
            content: bytes = stream.read()
        return content

    def table(self, name: str, columns: Sequence[str] | None = None) -> Any:
        """The ``pyarrow.Table`` in a Parquet file, or some columns of it."""
        with self._filesystem.open_input_file(self._path(name)) as file:
            return self._arrow.parquet.ParquetFile(file).read(columns)

    def tables(self, names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Columns of many Parquet files, each with its name; no more than a few are in memory."""
        with ThreadPoolExecutor(READERS) as pool:
            for start in range(0, len(names), 2 * READERS):
                few = names[start : start + 2 * READERS]
                yield from zip(few, pool.map(lambda name: self.table(name, columns), few), strict=True)

    def write_table(self, name: str, table: Any) -> None:
        """A table as a Parquet file; one of that name is replaced."""
        sink = self._arrow.BufferOutputStream()
        self._arrow.parquet.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP)
        self.write(name, sink.getvalue().to_pybytes())

    def write(self, name: str, content: bytes) -> None:
        """A file with this content, on the disk when this returns; one of that name is replaced."""
        if self._is_local:
            _write_local(Path(self._path(name)), content)
        else:
            # Not as a stream: closing one sends what is left of it, even after an error.
            self._filesystem.handler.fs.pipe_file(self._path(name), content)

    def remove(self, name: str) -> None:
        """Removes the file of this name."""
        self._filesystem.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}" if name else self._folder


def _write_local(path: Path, content: bytes) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, ending=UNFINISHED) as temporary:
        temporary.write_bytes(content)
    for folder in missing:
        sync_folder(folder.parent)
