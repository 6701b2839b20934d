from __future__ import annotations

import csv
import errno
import io
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest
from report_samples import HOSTILE, clip, document_of, failed

from vidscan.errors import ReportError
from vidscan.report import BESIDE, FORMATS
from vidscan.report.destination import Destination
from vidscan.report.document import Document, Evidence

DOCUMENT = document_of(clip(), failed())
OLD = "the previous report"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(OLD)
    return path


def the_only_file(path: Path) -> str:
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path.read_text()


def disk_full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_parse_knows_stdout_and_the_suffixes() -> None:
    assert Destination.parse("-") == Destination(None, FORMATS[".json"])
    assert Destination.parse("a/b.json") == Destination(Path("a/b.json"), FORMATS[".json"])
    assert Destination.parse("B.html") == Destination(Path("B.html"), FORMATS[".html"])
    beside = tuple(BESIDE[".csv"].items())
    assert Destination.parse("a/B.CSV") == Destination(Path("a/B.CSV"), FORMATS[".csv"], beside)
    assert Destination.parse("a/B.CSV").paths == (Path("a/B.CSV"), Path("a/B.files.csv"))
    assert Destination.parse("-").paths == ()


@pytest.mark.parametrize("text", ["out.txt", "out", "", ".json", "json", "out.json.gz", "a\nb"])
def test_an_unknown_suffix_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ReportError) as refused:
        Destination.parse(text)
    message = str(refused.value)
    assert ".json" in message
    assert ".html or .pdf" in message
    assert "\n" not in message


def test_a_free_place_and_an_old_report_are_fine(target: Path) -> None:
    Destination.parse("-").check()
    Destination.parse(str(target)).check()
    Destination.parse(str(target.with_name("new.csv"))).check()
    assert the_only_file(target) == OLD


def folder_there(path: Path) -> Path:
    path.unlink()
    path.mkdir()
    return path


def no_parent(path: Path) -> Path:
    return path.parent / "missing" / "report.json"


def file_as_parent(path: Path) -> Path:
    return path / "report.json"


def pipe_there(path: Path) -> Path:
    path.unlink()
    os.mkfifo(path)
    return path


def name_too_long(path: Path) -> Path:
    return path.with_name("x" * 300 + ".json")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (folder_there, "that is a folder"),
        (no_parent, "does not exist"),
        (file_as_parent, "is no folder"),
        (pipe_there, "no ordinary file"),
        (name_too_long, "cannot be written"),
    ],
)
def test_check_finds_the_obstacle(target: Path, make: Callable[[Path], Path], said: str) -> None:
    place = make(target)
    with pytest.raises(ReportError, match=said) as refused:
        Destination.parse(str(place)).check()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("denied", "said"), [("folder", "cannot be written to"), ("file", "write-protected")]
)
def test_check_asks_for_permission(
    target: Path, monkeypatch: pytest.MonkeyPatch, denied: str, said: str
) -> None:
    closed = target.parent if denied == "folder" else target
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed)
    with pytest.raises(ReportError, match=said):
        Destination.parse(str(target)).check()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_by_check_and_write(target: Path) -> None:
    target.parent.chmod(0o500)
    try:
        destination = Destination.parse(str(target))
        with pytest.raises(ReportError, match="cannot be written to"):
            destination.check()
        with pytest.raises(ReportError, match="cannot be written to"):
            destination.write(DOCUMENT)
    finally:
        target.parent.chmod(0o700)
    assert the_only_file(target) == OLD


def test_the_file_is_replaced_as_a_whole(target: Path) -> None:
    target.chmod(0o640)
    Destination.parse(str(target)).write(DOCUMENT)
    assert json.loads(the_only_file(target)) == DOCUMENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    Destination.parse(str(path)).write(DOCUMENT)
    assert path.stat().st_mode == ordinary.stat().st_mode
    assert len(list(csv.DictReader(path.open(newline="")))) == 9
    assert len(list(csv.DictReader(path.with_name("report.files.csv").open(newline="")))) == 2


def test_a_name_as_long_as_the_file_system_takes_works(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    Destination.parse(str(path)).check()
    Destination.parse(str(path)).write(DOCUMENT)
    assert json.loads(the_only_file(path)) == DOCUMENT


def test_a_link_keeps_pointing_to_the_report(target: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest.json"
    link.symlink_to(target)
    Destination.parse(str(link)).write(DOCUMENT)
    assert link.is_symlink()
    assert json.loads(target.read_text()) == DOCUMENT


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failing_system_call_leaves_the_old_report(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, disk_full)
    with pytest.raises(ReportError, match="No space left") as refused:
        Destination.parse(str(target)).write(DOCUMENT)
    assert isinstance(refused.value.__cause__, OSError)
    assert "\n" not in str(refused.value)
    assert the_only_file(target) == OLD


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ValueError("NaN"), KeyboardInterrupt()])
def test_a_writer_that_breaks_off_leaves_the_old_report(target: Path, error: BaseException) -> None:
    def half(document: Document, stream: BinaryIO, evidence: Evidence) -> None:
        stream.write(b"{" * 100_000)
        stream.flush()
        raise error

    expected = ReportError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        Destination(target, half).write(DOCUMENT)
    assert the_only_file(target) == OLD


def test_of_two_files_none_is_replaced_before_both_are_written(tmp_path: Path) -> None:
    path, beside = tmp_path / "out.csv", tmp_path / "out.files.csv"
    path.write_text(OLD)
    beside.write_text(OLD)

    def full(document: Document, stream: BinaryIO, evidence: Evidence) -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(ReportError, match="full"):
        Destination(path, FORMATS[".csv"], ((".files.csv", full),)).write(DOCUMENT)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "out.files.csv"]
    assert path.read_text() == beside.read_text() == OLD
    Destination.parse(str(path)).write(DOCUMENT)
    assert path.read_text() != OLD != beside.read_text()


def test_check_looks_at_the_file_beside_too(tmp_path: Path) -> None:
    (tmp_path / "out.files.csv").mkdir()
    with pytest.raises(ReportError, match=r"out\.files\.csv.*that is a folder"):
        Destination.parse(str(tmp_path / "out.csv")).check()


def test_the_old_report_is_there_until_the_new_one_is_on_disk(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(number: int) -> None:
        assert (target.read_text() == OLD) == (not order)
        order.append("fsync")
        real_fsync(number)

    def swap(source: Path, place: Path) -> None:
        assert json.loads(Path(source).read_text()) == DOCUMENT
        assert Path(source).parent == target.parent
        order.append("replace")
        real_replace(source, place)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", swap)
    Destination.parse(str(target)).write(DOCUMENT)
    assert order == ["fsync", "replace", "fsync"]


def test_a_parent_that_went_missing_is_a_report_error(target: Path) -> None:
    destination = Destination.parse(str(target))
    target.unlink()
    target.parent.rmdir()
    with pytest.raises(ReportError, match="No such file"):
        destination.write(DOCUMENT)
    target.parent.mkdir()


def test_stdout_gets_utf8_json_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    document = document_of(clip("clips/é日本.mp4"), clip(HOSTILE))
    Destination.parse("-").write(document)
    assert json.loads(raw.getvalue().decode("utf-8")) == document


def test_stdout_without_bytes_underneath_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    Destination.parse("-").write(DOCUMENT)
    assert json.loads(text.getvalue()) == DOCUMENT


def test_a_closed_pipe_is_a_report_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    stream = io.TextIOWrapper(Broken(), encoding="utf-8")  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(ReportError, match="standard output"):
        Destination.parse("-").write(DOCUMENT)
