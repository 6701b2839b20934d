"""The store of results: what it gives back, who may use it at the same time, and what it refuses."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.vidscan import report_samples as samples
from tests.vidscan.full_disk import files_of_at_most
from vidscan.errors import StoreError
from vidscan.records import Calibration, HeatKind, HeatSource, Report, StillRule
from vidscan.report.document import model_document, result_document
from vidscan.report.formats import csv, jsonl
from vidscan.report.formats import json as json_format
from vidscan.results import database, tables
from vidscan.results.store import Store
from vidscan.results.tables import Heading

HEADING = Heading(
    terms={"vidscan": "1"},
    options={"sampling": {"fps": 2.0}},
    model=model_document(samples.CARD, ()),
    vidscan="1",
    created="2026-01-02T03:04:05+00:00",
)
SOME = (samples.clip(), samples.still(), samples.interview(), samples.no_face(), samples.failed())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path / "case.vidscan", HEADING)
    yield made
    made.close()


def add(store: Store, report: Report, state: str | None = "1-2") -> int:
    return store.add(report.source, state, result_document(report), report.evidence)


def filled(store: Store) -> list[int]:
    return [add(store, report) for report in SOME]


@pytest.mark.parametrize("where", ["file", "memory"])
def test_it_gives_back_what_was_added(tmp_path, where):
    path = tmp_path / "case.vidscan" if where == "file" else None
    store = Store.create(path, HEADING)
    numbers = filled(store)
    if path is not None:
        store.close()
        store = Store.open(path, write=False)
    assert store.heading == HEADING
    assert [store.result(number) for number in numbers] == [result_document(report) for report in SOME]
    found = list(store.rows())
    assert [row.name for row in found] == [str(report.source.path) for report in SOME]
    assert [row.label for row in found] == ["FAKE", "FAKE", "FAKE", "NO_FACE", "FAILED"]
    clip, *_, broken = found
    assert (clip.kind, clip.fake_probability, clip.people, clip.faces, clip.duration_s) == (
        "video",
        0.98,
        1,
        9,
        5.0,
    )
    assert broken.error == "no video stream: is it a clip?" and broken.mark is None
    assert store.row(clip.id) == clip
    store.close()


@given(report=samples.REPORTS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_result_comes_back_as_it_was(report: Report):
    store = Store.create(None, HEADING)
    number = add(store, report, None)
    assert store.result(number) == result_document(report)
    assert store.row(number).name == result_document(report)["source"]
    store.remove([report.source.name])
    assert list(store.rows()) == []
    store.close()


def test_a_part_is_chosen_by_label_and_by_name(store):
    filled(store)
    assert [row.name for row in store.rows(only=["NO_FACE", "FAILED"])] == [
        "clips/landscape.mp4",
        "clips/broken.mp4",
    ]
    assert [row.name for row in store.rows(pattern="*inter*")] == [
        "clips/interview.mp4",
        "clips/interview-cut.mp4",
    ]
    document = store.document(only=["FAKE"], pattern="stills/*")
    assert document["summary"] == {
        "total": 1,
        "fake": 1,
        "real": 0,
        "uncertain": 0,
        "no_face": 0,
        "failed": 0,
        "declared_ai": 0,
    }
    assert list(document["results"]) == [result_document(samples.still())]


@pytest.mark.parametrize("write", [json_format.write, jsonl.write, csv.write, csv.write_files])
@pytest.mark.parametrize("reports", [SOME, ()])
def test_the_formats_write_its_document_as_one_in_memory(store, write, reports):
    for report in reports:
        add(store, report)
    document = store.document()
    lazy, whole = io.StringIO(newline=""), io.StringIO(newline="")
    write(document, lazy)
    write(document | {"results": list(document["results"])}, whole)
    assert lazy.getvalue() == whole.getvalue()


def test_an_added_again_source_keeps_its_place_and_where_the_file_is_the_same_its_mark(store):
    clip, still, *_ = filled(store)
    store.set_mark(clip, "real", "a colleague filmed it")
    store.set_mark(still, "unsure", "")
    assert store.row(clip).mark.label == "real" and store.row(clip).mark.note == "a colleague filmed it"
    assert add(store, samples.clip()) == clip and add(store, samples.still(), "2-9") == still
    assert store.row(clip).mark.label == "real"
    assert store.row(still).mark is None, "it is of another state of the file"
    assert [row.id for row in store.rows()][:2] == [clip, still]
    store.set_mark(clip, None, "")
    assert store.row(clip).mark is None


def test_marks_that_are_none_are_refused(store):
    (clip, *_) = filled(store)
    for label, note in (("maybe", ""), ("fake", "x" * 10_001)):
        with pytest.raises(StoreError, match="a mark is fake, real, unsure or none"):
            store.set_mark(clip, label, note)
    with pytest.raises(StoreError, match="holds no result 99"):
        store.set_mark(99, "fake", "")


def test_pictures_come_back(store):
    crops = samples.face_crops(1, [0.9, 0.2], heat=True)
    crops = tuple(replace(crop, heat_source=HeatSource(HeatKind.SHARES, "vit")) for crop in crops)
    report = replace(samples.clip(), evidence=crops)
    number = add(store, report)
    add(store, samples.still())
    back = store.evidence(number)
    assert [(each.track, each.frame_index, each.time_s, each.fake_probability) for each in back] == [
        (1, 0, 0.0, 0.9),
        (1, 1, 0.5, 0.2),
    ]
    assert back[0].heat_source == crops[0].heat_source
    np.testing.assert_array_equal(back[0].heat, crops[0].heat)
    assert np.abs(back[0].image.astype(int) - crops[0].image).max() < 6
    evidence = store.evidence_by_source()
    assert list(evidence) == ["clips/interview.mp4"] and len(evidence["clips/interview.mp4"]) == 2
    assert evidence.get("stills/group.jpg") is None
    add(store, samples.clip())
    assert store.evidence(number) == (), "they were another result's"


def test_others_read_and_mark_while_a_scan_writes_and_a_second_scan_is_refused(store):
    (clip, *_) = filled(store)
    beside = Store.open(store.path, write=True)
    beside.set_mark(clip, "fake", "seen")
    add(store, samples.too_small())
    assert len(list(beside.rows())) == 6 and store.row(clip).mark.note == "seen"
    with pytest.raises(StoreError, match="another vidscan is at work on it"):
        beside.claim()
    store.close()
    beside.claim()
    beside.close()
    assert [path.name for path in store.path.parent.iterdir()] == ["case.vidscan"]


def test_the_file_is_whole_once_the_scan_has_closed_it_though_others_still_read(store, tmp_path):
    filled(store)
    reader = Store.open(store.path, write=False)
    assert reader.count() == len(SOME)
    store.close()
    copy = shutil.copy(store.path, tmp_path / "copy.vidscan")
    alone = Store.open(copy, write=False)
    assert alone.count() == len(SOME)
    alone.close()
    reader.close()


def test_threads_have_connections_of_their_own(store):
    filled(store)
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(len(list(store.rows())) + add(store, samples.clip()) * 0))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [5] * 8


def test_what_is_no_store_is_refused(tmp_path, store):
    store.close()
    (tmp_path / "text.vidscan").write_text("no store" * 200)
    (tmp_path / "empty.vidscan").touch()
    for name, said in (
        ("none.vidscan", "there is no such store"),
        ("text.vidscan", "is no store of vidscan's"),
        ("empty.vidscan", "is no store of vidscan's"),
        (".", "is no store of vidscan's"),
    ):
        with pytest.raises(StoreError, match=said):
            Store.open(tmp_path / name, write=False)
    with pytest.raises(StoreError, match="is there already"):
        Store.create(store.path, HEADING)


@pytest.mark.parametrize(("weights", "good"), [((0.1, 0.9), True), ((0.1, 0.2, 0.7), False)])
def test_a_rule_for_stills_is_of_the_members(tmp_path, weights, good):
    card = replace(samples.CARD, stills=StillRule(weights, Calibration(1.0, 0.0, "others")))
    heading = replace(
        HEADING, model=model_document(card, (samples.CARD, replace(samples.CARD, name="second")))
    )
    with closing(Store.create(tmp_path / "case.vidscan", heading)):
        pass
    with closing(Store.open(tmp_path / "case.vidscan", write=False)) as store:
        if good:
            assert store.heading == heading
        else:
            with pytest.raises(StoreError, match="rule for stills"):
                _ = store.heading


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("PRAGMA user_version = 9", "written by a newer vidscan"),
        ("PRAGMA application_id = 7", "is no store of vidscan's"),
        ("CREATE TRIGGER t AFTER INSERT ON sources BEGIN DELETE FROM sources; END", "has other tables"),
        ("CREATE TRIGGER sqliteT AFTER INSERT ON sources BEGIN SELECT 1; END", "has other tables"),
        ("CREATE VIEW v AS SELECT 1", "has other tables"),
        ("DELETE FROM heading", "its heading"),
        ("UPDATE heading SET value = '[]'", "its heading"),
        ("UPDATE heading SET value = '{}' WHERE name = 'model'", "its heading"),
        ("UPDATE heading SET value = '\"then\"' WHERE name = 'created'", "its heading"),
        ("UPDATE heading SET value = '{\"verdict\": 1}' WHERE name = 'options'", "its heading"),
        ('UPDATE heading SET value = \'{"verdict": {"fake_threshold": "x"}}\'', "its heading"),
        ("UPDATE sources SET label = 'PERHAPS'", "a row"),
        ("UPDATE sources SET fake_probability = 7", "a row"),
        ("UPDATE sources SET name = x'00ff'", "a row"),
        ("UPDATE sources SET finished = 'yesterday'", "a row"),
        ("UPDATE results SET document = x'00ff'", "a result"),
        ("UPDATE results SET document = 'text'", "a result"),
        ("UPDATE pictures SET jpeg = x'ffd8ff'", "a picture"),
        ("UPDATE pictures SET track = 'one'", "a picture"),
        ("UPDATE pictures SET cells = 2000", "a picture"),
        ("UPDATE pictures SET heat_kind = 'guess'", "a picture"),
    ],
)
def test_a_store_that_was_tampered_with_is_refused(store, change, said):
    crops = samples.face_crops(1, [0.9], heat=True)
    crops = (replace(crops[0], heat_source=HeatSource(HeatKind.GRAD_CAM, "lite2")),)
    number = add(store, replace(samples.clip(), evidence=crops))
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(StoreError, match=said) as caught:
        opened = Store.open(store.path, write=False)
        assert opened.heading and list(opened.rows()) and opened.result(number)
        opened.evidence(number)
    assert str(store.path) in str(caught.value)


def read_all(path: Path) -> int:
    store = Store.open(path, write=False)
    try:
        numbers = [row.id for row in store.rows()]
        return len([(store.result(number), store.evidence(number)) for number in numbers])
    finally:
        store.close()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_file_is_one_line(store, share):
    for number in range(40):
        add(store, replace(samples.clip(f"{number}.mp4"), evidence=samples.face_crops(1, [0.9])))
    store.close()
    size = store.path.stat().st_size
    with store.path.open("r+b") as file:
        file.seek(int(share * size))
        file.write(bytes(range(256)) * 40)
    with pytest.raises(StoreError) as refused:
        read_all(store.path)
    assert str(refused.value).startswith(f"{store.path}: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_one_line(store, share):
    for number in range(40):
        add(store, samples.clip(f"{number}.mp4"))
    store.close()
    with store.path.open("r+b") as file:
        file.truncate(int(share * store.path.stat().st_size))
    with pytest.raises(StoreError, match=str(store.path)):
        read_all(store.path)


def test_a_result_that_inflates_beyond_all_bounds_is_refused(store, monkeypatch):
    number = add(store, samples.clip())
    monkeypatch.setattr("vidscan.results.reading.MAX_RESULT", 100)
    with pytest.raises(StoreError, match="a result"):
        store.result(number)


def test_a_full_disk_loses_nothing_that_was_added(store):
    filled(store)
    size = max(path.stat().st_size for path in store.path.parent.iterdir())
    with files_of_at_most(size), pytest.raises(StoreError, match=str(store.path)):
        for number in range(1000):
            add(store, samples.clip(f"clips/{number}.mp4"))
    assert json.dumps(store.result(1)) == json.dumps(result_document(SOME[0]))
    assert len(list(store.rows())) >= len(SOME)
    add(store, samples.too_small())


def test_where_there_is_no_write_ahead_log_it_does_without(tmp_path, monkeypatch):
    """As on a network drive: the locks of this SQLite file system have no shared memory."""
    connected = database._connected
    monkeypatch.setattr(
        database,
        "_connected",
        lambda where: connected(where + "&vfs=unix-dotfile" if where != ":memory:" else where),
    )
    path = tmp_path / "case.vidscan"
    store = Store.create(path, HEADING)
    number = add(store, samples.clip())
    assert store._database.select("PRAGMA journal_mode") == [("delete",)]
    assert store._database.select("PRAGMA synchronous") == [(2,)], "a commit is on the disk"
    beside = Store.open(path, write=True)
    beside.set_mark(number, "fake", "")
    add(store, samples.still())
    beside.close()
    assert [row.label for row in store.rows()] == ["FAKE", "FAKE"]
    store.close()
    assert [each.name for each in tmp_path.iterdir()] == ["case.vidscan"]


def test_a_commit_is_on_the_disk_when_it_returns(store):
    assert store._database.select("PRAGMA journal_mode") == [("wal",)]
    assert store._database.select("PRAGMA synchronous") == [(2,)]


def test_the_tables_are_those_that_the_version_stands_for():
    assert tables.VERSION == 1, "another version has to read stores of the versions before"
