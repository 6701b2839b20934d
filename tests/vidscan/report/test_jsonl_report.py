from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import CREATED, HOSTILE, REPORTS, clip, document_of, failed, no_face, still

from vidscan.records import Report
from vidscan.report import WRITERS
from vidscan.report.formats import jsonl


def text_of(*reports: Report) -> str:
    stream = io.StringIO(newline="")
    jsonl.write(document_of(*reports), stream)
    return stream.getvalue()


def test_every_line_is_a_result_and_says_what_it_rests_on() -> None:
    reports = (clip(), still(), no_face(), failed(HOSTILE))
    document = document_of(*reports)
    lines = [json.loads(line) for line in text_of(*reports).splitlines()]
    assert len(lines) == 4
    for line, result in zip(lines, document["results"], strict=True):
        assert line.items() >= result.items()
        assert line["schema"] == "vidscan.report/1"
        assert line["created"] == CREATED.isoformat(timespec="seconds")
        assert line["model"] == {name: document["model"][name] for name in ("name", "sha256")}


@settings(max_examples=50, deadline=None)
@given(st.lists(REPORTS, max_size=3))
def test_whatever_a_report_holds_its_line_is_one(reports: list[Report]) -> None:
    text = text_of(*reports)
    assert text.count("\n") == len(reports) and "\r" not in text
    assert [json.loads(line)["source"] for line in text.split("\n")[:-1]] == [
        result["source"] for result in document_of(*reports)["results"]
    ]


def test_a_line_is_one_for_whoever_ends_lines_as_unicode_does() -> None:
    name = "a\x85b\u2028c\u2029d日.mp4"
    (line,) = text_of(clip(name)).splitlines()
    assert json.loads(line)["source"] == name and "日" in line


def test_pandas_and_duckdb_take_it_as_it_stands(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "out.jsonl"
    path.write_text(text_of(clip(), still(), failed()), encoding="utf-8")
    frame = pd.read_json(path, lines=True)
    assert list(frame["status"]) == ["ok", "ok", "failed"]
    query = "select source, verdict.fake_probability from read_json_auto(?) where verdict.label = 'FAKE'"
    assert ("clips/interview.mp4", 0.98) in duckdb.execute(query, [str(path)]).fetchall()


def test_it_is_known_by_its_ending() -> None:
    assert WRITERS[".jsonl"] is jsonl.write
