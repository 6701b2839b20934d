"""Results as a folder of Parquet files: read by others as they stand, and whole whatever happens."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_samples import (
    ENSEMBLE_REPORTS,
    HOSTILE,
    REPORTS,
    by_members,
    clip,
    failed,
    interview,
    no_face,
    still,
    too_small,
)

from vidscan.errors import ReportError
from vidscan.records import Report
from vidscan.report.document import result_document
from vidscan.report.parquet_dataset import ABOUT, Finished, ParquetDataset, Scan, Stamped
from vidscan.report.parquet_schema import COLUMNS, SOURCES, TIMELINE, arrow_schema

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'vidscan[parquet]'")
duckdb = pytest.importorskip("duckdb")

TERMS = {"vidscan": "1.0", "options": {"fps": 2.0}}
SCAN = Scan("1.0", "toy", "ab" * 32)
SCANNED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def local() -> Any:
    import pyarrow.fs

    return pyarrow.fs.LocalFileSystem()


def same(then: Any, now: Any) -> None:
    if then != now:
        raise ReportError("other terms")


def begun(folder: Path) -> ParquetDataset:
    return ParquetDataset.begin(local(), str(folder), TERMS, shown=folder.name)


def resumed(folder: Path, terms: Any = TERMS, compare: Callable = same) -> ParquetDataset:
    return ParquetDataset.resume(local(), str(folder), terms, shown=folder.name, compare=compare)


def add(dataset: ParquetDataset, *reports: Report, stamp: str | None = "1-2") -> None:
    dataset.append([Stamped(result_document(each), stamp) for each in reports], SCAN, SCANNED)


def names(dataset: ParquetDataset) -> list[str]:
    return sorted(each.name for each in dataset.finished())


def moments(folder: Path) -> list[str]:
    """The sources of all rows of the timeline."""
    paths = sorted((folder / TIMELINE).rglob("*.parquet"))
    return sorted(name for path in paths for name in pd.read_parquet(path, columns=["source"])["source"])


def ask(query: str, folder: Path) -> list[tuple]:
    for table in (SOURCES, TIMELINE):
        query = query.replace(
            table.upper(), f"read_parquet('{folder}/{table}/**/*.parquet', hive_partitioning = true)"
        )
    return duckdb.execute(query).fetchall()


def test_duckdb_queries_both_tables(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip(), still(), no_face(), failed("broken.mp4"))
    add(dataset, interview(), too_small())
    found = ask(
        "select source, label, verdict.fake_probability, error.message from SOURCES order by source", folder
    )
    assert ("clips/interview.mp4", "FAKE", 0.98, None) in found
    assert [row[1] for row in found if row[0] == "broken.mp4"] == ["FAILED"]
    assert len(found) == 6
    longest = ask(
        "select source, max(face.fake_probability) from (select source, unnest(faces) as face from TIMELINE) "
        "where source = 'clips/interview.mp4' group by source",
        folder,
    )
    assert longest == [("clips/interview.mp4", 0.98)]
    people = ask("select count(*) from (select unnest(tracks) as t from SOURCES) where t.counted", folder)
    assert people[0][0] > 0
    assert ask("select stats.seconds.score from SOURCES where label = 'FAKE' limit 1", folder)[0][0] == 3.0


def test_pandas_and_arrow_read_the_folder(tmp_path: Path) -> None:
    import pyarrow.dataset

    folder = tmp_path / "out.parquet"
    add(begun(folder), clip(), no_face(), failed())
    frame = pd.read_parquet(folder / SOURCES)
    assert sorted(frame["label"].astype(str)) == ["FAILED", "FAKE", "NO_FACE"]
    table = pyarrow.dataset.dataset(str(folder / TIMELINE), partitioning="hive").to_table()
    assert table.num_rows == len(clip().timeline)
    assert set(table.column("label").to_pylist()) == {"FAKE"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(REPORTS, ENSEMBLE_REPORTS), min_size=1, max_size=3))
def test_rows_hold_what_the_json_report_holds(reports: list[Report]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "out.parquet"
        dataset = begun(folder)
        add(dataset, *reports)
        rows = [row for path in dataset._files(SOURCES) for row in dataset._read(path).to_pylist()]
        points = [row for path in dataset._files(TIMELINE) for row in dataset._read(path).to_pylist()]
    wanted = [result_document(report) for report in reports]
    assert sorted(row["source"] for row in rows) == sorted(result["source"] for result in wanted)
    assert all(any(same_result(row, result) for row in rows) for result in wanted)
    assert sorted((point["source"], point["time_s"]) for point in points) == sorted(
        (result["source"], point["time_s"]) for result in wanted for point in result["timeline"]
    )


def same_result(row: dict, result: dict) -> bool:
    """Whether a row is this result, as far as anything in it was not nested."""
    verdict = result["verdict"] or {}
    found = row["verdict"] or {}
    tracks = [(track["id"], track["fake_probability"], track["note"]) for track in result["tracks"]]
    return (
        row["source"] == result["source"]
        and row["status"] == result["status"]
        and found.get("fake_probability") == verdict.get("fake_probability")
        and [(track["id"], track["fake_probability"], track["note"]) for track in row["tracks"]] == tracks
        and row["stats"] == result["stats"]
        and row["segments"] == result["segments"]
        and row["facts"] == result["facts"]
        and row["error"] == result["error"]
    )


def test_members_of_an_ensemble_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    add(begun(folder), by_members(clip()))
    (members,) = ask("select verdict.members[1].label, tracks[1].members from SOURCES", folder)
    assert members == ("FAKE", [0.96, 0.11])
    assert ask("select faces[1].members from TIMELINE limit 1", folder) == [([0.96, 0.11],)]


def test_a_name_that_is_no_utf8_is_found_again(tmp_path: Path) -> None:
    dataset = begun(tmp_path / "out.parquet")
    add(dataset, failed(HOSTILE), stamp=None)
    add(dataset, clip("plain.mp4"), stamp="7-8")
    assert set(dataset.finished()) == {
        Finished(HOSTILE, None, "FAILED"),
        Finished("plain.mp4", "7-8", "FAKE"),
    }


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    begun(folder)
    add(begun(folder), clip())  # one that was begun and got no result is nothing
    with pytest.raises(ReportError, match=r"out\.parquet: holds results already: add --resume"):
        begun(folder)
    assert names(resumed(folder)) == ["clips/interview.mp4"]
    other = tmp_path / "other.parquet"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(ReportError, match="is no dataset of vidscan's"):
        begun(other)
    with pytest.raises(ReportError, match="is no dataset of vidscan's"):
        resumed(other)
    file = tmp_path / "file.parquet"
    file.write_text("a file")
    with pytest.raises(ReportError, match=r"file\.parquet"):
        begun(file)


def test_resuming_compares_terms_and_knows_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    assert names(resumed(folder)) == [], "none there: a new one"
    with pytest.raises(ReportError, match="other terms"):
        resumed(folder, terms={"vidscan": "2.0"})
    (folder / ABOUT).write_text(json.dumps({"schema": "vidscan.dataset/0", "terms": TERMS}))
    with pytest.raises(ReportError, match="no dataset that this vidscan can add to"):
        resumed(folder)
    (folder / ABOUT).write_text("{")
    with pytest.raises(ReportError, match="no dataset that this vidscan can add to"):
        resumed(folder)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("writes", range(5))
def test_killed_between_two_files_a_source_is_whole_or_not_there(tmp_path, monkeypatch, writes: int) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("before.mp4"))
    left = iter([None] * writes)
    write = ParquetDataset._write

    def until_killed(self: ParquetDataset, name: str, content: bytes) -> None:
        if next(left, Killed) is Killed:
            raise Killed
        write(self, name, content)

    monkeypatch.setattr(ParquetDataset, "_write", until_killed)
    if writes < 4:
        with pytest.raises(Killed):
            add(dataset, clip("a.mp4"), still("b.jpg"), failed("c.mp4"), no_face("d.mp4"))
    monkeypatch.setattr(ParquetDataset, "_write", write)
    (folder / SOURCES / ".0123.tmp").write_bytes(b"half")

    again = resumed(folder)
    there = names(again)
    assert "before.mp4" in there and len(there) == len(set(there))
    assert set(moments(folder)) <= set(there)
    assert not list(folder.rglob("*.tmp"))
    missing = [each for each in (clip("a.mp4"), failed("c.mp4")) if str(each.source.path) not in there]
    add(again, *missing)
    assert moments(folder).count("a.mp4") == len(clip().timeline)


def test_forgotten_sources_are_gone_from_both_tables(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("a.mp4"), clip("b.mp4"), failed("c.mp4"))
    dataset.forget({"a.mp4", "c.mp4", "never-seen.mp4"})
    assert names(dataset) == ["b.mp4"]
    assert set(moments(folder)) == {"b.mp4"}
    assert not list(folder.rglob("label=FAILED/*.parquet"))
    add(dataset, clip("a.mp4"))
    assert moments(folder).count("a.mp4") == len(clip().timeline)
    dataset.forget(set())
    assert names(dataset) == ["a.mp4", "b.mp4"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "forget", "resume"]), st.integers(0, 5)), max_size=8))
def test_whatever_is_added_and_forgotten_each_source_is_there_once(steps: Sequence[tuple[str, int]]) -> None:
    makers = [clip, still, no_face, failed, interview, too_small]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "out.parquet"
        dataset, expected = begun(folder), set()
        for step, which in steps:
            name = f"{which}.mp4"
            if step == "resume":
                dataset = resumed(folder)
            elif step == "forget":
                dataset.forget({name})
                expected.discard(name)
            elif name not in expected:
                add(dataset, makers[which](name))
                expected.add(name)
        assert names(dataset) == sorted(expected)
        assert set(moments(folder)) <= expected


def test_a_file_system_that_refuses_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip())
    damaged = next((folder / SOURCES).rglob("*.parquet"))
    damaged.write_bytes(b"PAR1 no more")
    with pytest.raises(ReportError, match=r"^out\.parquet: the results cannot be read \(") as raised:
        list(dataset.finished())
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ReportError, match="cannot be written"):
        begun(tmp_path / "out.parquet")


def test_schema_says_what_every_column_means() -> None:
    for table, columns in COLUMNS.items():
        schema = arrow_schema(table)
        assert [field.name for field in schema] == [column.name for column in columns]
        for field, column in zip(schema, columns, strict=True):
            assert field.metadata[b"meaning"].decode() == column.meaning
            assert str(field.type).replace("item: ", "").replace("element: ", "") == column.type.replace(
                "timestamp[us, UTC]", "timestamp[us, tz=UTC]"
            )


def test_without_pyarrow_the_line_says_how_to_get_it(tmp_path, monkeypatch) -> None:
    import sys

    filesystem = local()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReportError, match=r"pip install 'vidscan\[parquet\]'"):
        ParquetDataset.begin(filesystem, str(tmp_path / "o"), TERMS, shown="o")


def test_documentation_has_every_column() -> None:
    text = (Path(__file__).parents[3] / "docs" / "archives.md").read_text("utf-8")
    for table, columns in COLUMNS.items():
        for column in columns:
            assert f"| {table} | `{column.name}` | `{column.type}` | {column.meaning} |\n" in text


def test_what_the_documentation_asks_duckdb_can_be_asked(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "archives.md").read_text("utf-8")
    (query,) = (line.split('"')[1] for line in text.splitlines() if line.startswith("duckdb -c"))
    folder = tmp_path / "out.parquet"
    add(begun(folder), clip(), no_face())
    found = duckdb.execute(query.replace("OUT.parquet", str(folder))).fetchall()
    assert found == [("clips/interview.mp4", 0.98)]
