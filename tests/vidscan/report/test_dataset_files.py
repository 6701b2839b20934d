"""The files of a dataset, on disk and in a bucket alike."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vidscan.report.parquet.files import READERS, UNFINISHED, DatasetFiles

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'vidscan[parquet]'")

from pyarrow import fs  # noqa: E402


def on_disk(request: pytest.FixtureRequest) -> DatasetFiles:
    return DatasetFiles(fs.LocalFileSystem(), f"{request.getfixturevalue('tmp_path')}/sources/out.parquet/")


def in_a_bucket(request: pytest.FixtureRequest) -> DatasetFiles:
    request.getfixturevalue("s3").client.create_bucket(Bucket="sources")
    return DatasetFiles(bucket(), "sources/out.parquet")


def bucket(**options: Any) -> Any:
    import s3fs

    made = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True, **options)
    return fs.PyFileSystem(fs.FSSpecHandler(made))


@pytest.fixture(params=[on_disk, in_a_bucket])
def files(request: pytest.FixtureRequest) -> DatasetFiles:
    make: Callable[[pytest.FixtureRequest], DatasetFiles] = request.param
    return make(request)


def test_files_are_written_listed_replaced_read_and_removed(files: DatasetFiles) -> None:
    assert files.names() == files.names("sources") == []
    assert not files.is_file() and not files.is_file("about.json")
    files.write("sources/label=FAKE/a", b"1")
    files.write("about.json", b"2")
    files.write("sources/label=FAKE/a", b"3")
    assert files.names() == ["about.json", "sources/label=FAKE/a"]
    assert files.names("sources") == ["label=FAKE/a"]
    assert files.read("sources/label=FAKE/a") == b"3"
    assert files.is_file("about.json") and not files.is_file("sources") and not files.is_file()
    files.remove("about.json")
    assert files.names() == ["sources/label=FAKE/a"]


def test_many_tables_come_in_order_with_the_columns_asked_for(files: DatasetFiles) -> None:
    names = [f"t/{number:03}" for number in range(2 * READERS + 3)]
    for number, name in enumerate(names):
        files.write_table(name, pa.table({"n": [number], "text": ["x" * 99]}))
    read = list(files.tables(names, ["n"]))
    assert [name for name, _ in read] == names
    assert [table.to_pydict() for _, table in read] == [{"n": [number]} for number in range(len(names))]


def test_reading_many_tables_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = DatasetFiles(fs.LocalFileSystem(), str(tmp_path))
    asked, at_once, lock = [], threading.Barrier(READERS), threading.Lock()

    def table(name: str, columns: list[str]) -> str:
        with lock:
            asked.append(name)
            first = len(asked) <= READERS
        if first:
            at_once.wait(timeout=60)
        return name

    monkeypatch.setattr(files, "table", table)
    next(files.tables([str(number) for number in range(1000)], []))
    assert READERS <= len(asked) <= 2 * READERS


def test_a_local_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch) -> None:
    files = DatasetFiles(fs.LocalFileSystem(), str(tmp_path))
    files.write("a/b", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        files.write("a/b", b"new")
    assert files.names() == ["a/b"] and files.read("a/b") == b"old"
    assert not list(tmp_path.rglob(f"*{UNFINISHED}"))


def full(descriptor: int) -> None:
    raise OSError("the disk is full")


def test_names_are_put_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    DatasetFiles(fs.LocalFileSystem(), str(tmp_path)).write("a/b/c", b"1")
    new = [tmp_path / "a" / "b" / "c", tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert synced[0] == new[0].stat().st_ino
    assert set(synced) == {path.stat().st_ino for path in new}


def test_an_upload_that_breaks_leaves_no_object(s3: Any) -> None:
    """A file larger than what s3fs sends at once; another try would have succeeded."""
    s3.client.create_bucket(Bucket="out")
    filesystem = bucket()
    sent = filesystem.handler.fs.s3

    class Breaking:
        broken = False

        def __getattr__(self, name: str) -> Any:
            return getattr(sent, name)

        async def upload_part(self, **told: Any) -> Any:
            if not self.broken:
                self.broken = True
                raise OSError("the line broke")
            return await sent.upload_part(**told)

    filesystem.handler.fs._s3 = Breaking()
    with pytest.raises(OSError, match="the line broke"):
        DatasetFiles(filesystem, "out/x.parquet").write("big", bytes(120 * 2**20))
    assert s3.names("out") == []
