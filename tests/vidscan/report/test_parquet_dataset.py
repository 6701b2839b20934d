"""Results as a folder of Parquet files: read by others as they stand, and whole whatever happens."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
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
from vidscan.report.document import Document, result_document
from vidscan.report.parquet.dataset import ABOUT, REMOVAL, Finished, ParquetDataset, Scan, Stamped
from vidscan.report.parquet.files import DatasetFiles
from vidscan.report.parquet.schema import COLUMNS, SOURCES, TIMELINE, arrow_schema

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'vidscan[parquet]'")
duckdb = pytest.importorskip("duckdb")

TERMS = {"vidscan": "1.0", "options": {"fps": 2.0}}
SCAN = Scan("1.0", "toy", None, (("one", "ab" * 32), ("two", None)))
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


def rows_of(folder: Path, table: str) -> list[dict[str, Any]]:
    import pyarrow.parquet

    paths = sorted((folder / table).rglob("*.parquet"))
    return [row for path in paths for row in pyarrow.parquet.ParquetFile(path).read().to_pylist()]


def moments(folder: Path) -> list[str]:
    """The sources of all rows of the timeline."""
    return sorted(row["source"] for row in rows_of(folder, TIMELINE))


class Killed(BaseException):
    pass


@contextmanager
def killed_after(changes: int) -> Iterator[None]:
    """A process that ends instead of changing one more file; without an error where it changes fewer."""
    left = iter(range(changes))

    def until_killed(change: Callable[..., None]) -> Callable[..., None]:
        def changing(*arguments: Any) -> None:
            if next(left, None) is None:
                raise Killed
            change(*arguments)

        return changing

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "remove"):
            patch.setattr(DatasetFiles, name, until_killed(getattr(DatasetFiles, name)))
        try:
            yield
        except Killed:
            return


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


def results_in(folder: Path) -> list[Document]:
    """The results that the rows of both tables tell of, as the JSON report has them."""
    timelines: dict[tuple[str, str | None], list[Document]] = {}
    for row in rows_of(folder, TIMELINE):
        timelines.setdefault((row.pop("source"), row.pop("source_bytes")), []).append(row)
    labels = {Path(path).parent.name.removeprefix("label="): path for path in folder.rglob("part-*")}
    assert set(labels) <= {"FAKE", "REAL", "UNCERTAIN", "NO_FACE", "FAILED"}
    results = []
    for label in labels:
        for row in rows_of(folder, f"{SOURCES}/label={label}"):
            assert row.pop("scanned") == SCANNED and row.pop("vidscan") == "1.0" and row.pop("stamp") == "1-2"
            assert row.pop("model") == {
                "name": "toy",
                "sha256": None,
                "members": [{"name": "one", "sha256": "ab" * 32}, {"name": "two", "sha256": None}],
            }
            verdict = row["verdict"]
            assert (verdict is None) == (label == "FAILED")
            if verdict is not None:
                interval = verdict["interval"]
                row["verdict"] = verdict | {"label": label, "interval": interval and list(interval.values())}
            timeline = timelines.get((row["source"], row["source_bytes"]), [])
            for face in (face for point in timeline for face in point["faces"]):
                face["box"] = list(face["box"].values())
            results.append(without_absent(row | {"timeline": timeline}))
    return results


def without_absent(value: Any) -> Any:
    """Nested values without the names that a JSON report leaves out where there is nothing to say."""
    if isinstance(value, dict):
        return {
            name: without_absent(each)
            for name, each in value.items()
            if each is not None or name not in ("members", "source_bytes", "views", "remarks", "stream")
        }
    return [without_absent(each) for each in value] if isinstance(value, list) else value


def by_source(results: list[Document]) -> list[Document]:
    return sorted(results, key=lambda result: (result["source"], result.get("source_bytes", "")))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(REPORTS, ENSEMBLE_REPORTS),
        min_size=1,
        max_size=3,
        unique_by=lambda report: report.source.path,
    )
)
def test_rows_hold_all_that_the_json_report_holds(reports: list[Report]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "out.parquet"
        add(begun(folder), *reports)
        assert by_source(results_in(folder)) == by_source([result_document(report) for report in reports])


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


@pytest.mark.parametrize("changes", range(7))
def test_killed_while_it_adds_a_source_is_whole_or_not_there(tmp_path: Path, changes: int) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("before.mp4"))
    with killed_after(changes):
        add(dataset, clip("a.mp4"), still("b.jpg"), failed("c.mp4"), no_face("d.mp4"))
    (folder / SOURCES / ".0123.tmp").write_bytes(b"half")

    again = resumed(folder)
    there = names(again)
    assert "before.mp4" in there and len(there) == len(set(there))
    assert set(moments(folder)) == set(there) - {"c.mp4", "d.mp4"}
    assert not list(folder.rglob("*.tmp"))
    missing = [each for each in (clip("a.mp4"), failed("c.mp4")) if str(each.source.path) not in there]
    add(again, *missing)
    assert moments(folder).count("a.mp4") == len(clip().timeline)


def test_what_was_never_finished_is_not_in_the_way_of_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    folder.mkdir()
    (folder / ".0123.tmp").write_bytes(b"half")
    assert names(begun(folder)) == []


@pytest.mark.parametrize("place", ["sources", "timeline", "sources/label=FAKE", "out.parquet", "part-1-a"])
def test_the_name_of_the_place_does_not_matter(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("a.mp4"), clip("b.mp4"))
    dataset.forget({"a.mp4"})
    assert names(resumed(folder)) == ["b.mp4"]
    assert moments(folder) == ["b.mp4"] * len(clip().timeline)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("a.mp4"))
    others = [folder / SOURCES / "_SUCCESS", folder / TIMELINE / "label=FAKE" / "mine.parquet"]
    for path in others:
        path.write_bytes(b"not vidscan's")
    again = resumed(folder)
    again.forget({"a.mp4"})
    assert names(again) == [] and all(path.exists() for path in others)


def test_a_list_of_removals_reaches_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    add(begun(folder), clip("a.mp4"))
    outside = tmp_path / "letter.parquet"
    outside.write_bytes(b"dear")
    (folder / REMOVAL).write_text(json.dumps(["../../letter.parquet"]))
    assert names(resumed(folder)) == ["a.mp4"]
    assert outside.exists() and not (folder / REMOVAL).exists()


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


MAKERS: list[Callable[[str], Report]] = [clip, still, no_face, failed, interview, too_small]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forget"]),
        st.sets(st.integers(0, 5), max_size=4),
        st.none() | st.integers(0, 9),
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_is_added_forgotten_and_killed_each_source_is_whole_and_there_once(
    steps: list[tuple[str, set[int], int | None]],
) -> None:
    made = {f"{number}.mp4": make(f"{number}.mp4") for number, make in enumerate(MAKERS)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "out.parquet"
        dataset, expected = begun(folder), set()
        for step, which, changes in steps:
            meant = {f"{number}.mp4" for number in which}
            chosen = meant & expected if step == "forget" else meant - expected
            with killed_after(99 if changes is None else changes):
                if step == "forget":
                    dataset.forget(chosen)
                else:
                    add(dataset, *(made[name] for name in sorted(chosen)))
            if changes is not None:
                dataset = resumed(folder)
                there = set(names(dataset))
                assert expected - chosen <= there <= expected | chosen
                expected = there
            else:
                expected = expected - chosen if step == "forget" else expected | chosen
            assert names(dataset) == sorted(expected)
            found = by_source(results_in(folder))
            assert found == [result_document(made[name]) for name in sorted(expected)]


@pytest.mark.parametrize("changes", range(8))
def test_killed_while_it_forgets_nothing_is_left_by_halves(tmp_path: Path, changes: int) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("a.mp4"), clip("b.mp4"), failed("c.mp4"))
    add(dataset, clip("d.mp4"))
    gone = {"a.mp4", "c.mp4", "d.mp4"}
    with killed_after(changes):
        dataset.forget(gone)
    again = resumed(folder)
    left = names(again)
    assert "b.mp4" in left
    assert Counter(moments(folder)) == {name: len(clip().timeline) for name in left if name != "c.mp4"}
    again.forget(gone)
    assert names(again) == ["b.mp4"] and set(moments(folder)) == {"b.mp4"}


def test_a_removal_that_failed_is_finished_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip("a.mp4"), clip("b.mp4"))
    add(dataset, clip("c.mp4"))
    with killed_after(2):  # the list, and the row of the first
        dataset.forget({"a.mp4"})
    assert "a.mp4" in moments(folder)
    dataset.forget({"c.mp4"})
    assert set(moments(folder)) == {"b.mp4"}


def test_a_file_system_that_refuses_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    dataset = begun(folder)
    add(dataset, clip())
    damaged = next((folder / SOURCES).rglob("*.parquet"))
    damaged.write_bytes(b"PAR1 no more")
    with pytest.raises(ReportError, match=r"^out\.parquet: the results cannot be read \(") as raised:
        list(dataset.finished())
    assert "\n" not in str(raised.value)


def in_bucket(bucket: str) -> tuple[Any, str]:
    import pyarrow.fs
    import s3fs

    filesystem = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem)), f"{bucket}/sources/out.parquet"


def test_a_bucket_holds_a_dataset_as_a_disk_does(s3: Any, tmp_path: Path) -> None:
    s3.client.create_bucket(Bucket="archive")
    place, told = in_bucket("archive"), {"shown": "s3://archive/sources/out.parquet"}
    dataset = ParquetDataset.begin(*place, TERMS, **told)
    add(dataset, clip("a.mp4"), failed(HOSTILE), by_members(interview("b.mp4")))
    add(dataset, no_face("c.mp4"))
    with pytest.raises(ReportError, match=r"^s3://archive/sources/out\.parquet: holds results already"):
        ParquetDataset.begin(*place, TERMS, **told)
    with pytest.raises(ReportError, match="other terms"):
        ParquetDataset.resume(*place, {}, compare=same, **told)
    dataset.forget({HOSTILE})
    with killed_after(1):
        add(dataset, still("d.jpg"))
    with killed_after(2):
        dataset.forget({"a.mp4"})
    again = ParquetDataset.resume(*place, TERMS, compare=same, **told)
    assert names(again) == ["b.mp4", "c.mp4"]
    add(again, clip("a.mp4"))
    fetched = tmp_path / "fetched"
    for name in s3.names("archive"):
        path = fetched / name.removeprefix("sources/out.parquet/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.content("archive", name))
    wanted = [clip("a.mp4"), by_members(interview("b.mp4")), no_face("c.mp4")]
    assert by_source(results_in(fetched)) == [result_document(report) for report in wanted]
    assert ask("select count(*), count(distinct source) from SOURCES", fetched) == [(3, 3)]


def test_a_bucket_that_is_missing_or_refuses_is_one_line(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    filesystem, folder = in_bucket("nowhere-at-all")
    with pytest.raises(ReportError, match=r"^s3://nowhere: the results cannot be written \(") as missing:
        ParquetDataset.begin(filesystem, folder, TERMS, shown="s3://nowhere")

    def refuse(*_: Any, **__: Any) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(filesystem.handler.fs, "pipe_file", refuse)
    with pytest.raises(ReportError, match=r"^s3://nowhere: .*Unable to locate credentials") as refused:
        ParquetDataset.begin(filesystem, folder, TERMS, shown="s3://nowhere")
    assert "\n" not in f"{missing.value}{refused.value}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ReportError, match="cannot be written"):
        begun(tmp_path / "out.parquet")


def test_schema_says_what_every_column_means() -> None:
    for table, columns in COLUMNS.items():
        schema = arrow_schema(table)
        assert {field.name: field.metadata[b"meaning"].decode() for field in schema} == columns


def test_without_pyarrow_the_line_says_how_to_get_it(tmp_path, monkeypatch) -> None:
    import sys

    filesystem = local()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReportError, match=r"pip install 'vidscan\[parquet\]'"):
        ParquetDataset.begin(filesystem, str(tmp_path / "o"), TERMS, shown="o")


def test_documentation_has_every_column() -> None:
    text = (Path(__file__).parents[3] / "docs" / "archives.md").read_text("utf-8")
    for table, columns in COLUMNS.items():
        for field in arrow_schema(table):
            kind = str(field.type).replace("item: ", "").replace("element: ", "").replace("tz=UTC", "UTC")
            assert f"| {table} | `{field.name}` | `{kind}` | {columns[field.name]} |\n" in text


def test_what_the_documentation_asks_duckdb_can_be_asked(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "archives.md").read_text("utf-8")
    (query,) = (line.split('"')[1] for line in text.splitlines() if line.startswith("duckdb -c"))
    folder = tmp_path / "out.parquet"
    add(begun(folder), clip(), no_face())
    found = duckdb.execute(query.replace("OUT.parquet", str(folder))).fetchall()
    assert found == [("clips/interview.mp4", 0.98)]
