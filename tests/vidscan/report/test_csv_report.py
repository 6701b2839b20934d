from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_samples import (
    ENSEMBLE_REPORTS,
    HOSTILE,
    MEMBERS,
    REPORTS,
    by_members,
    clip,
    document_of,
    failed,
    no_face,
    still,
)

from vidscan.records import ErrorInfo, Report, Segment, Verdict
from vidscan.report import WRITERS, csv_report


def rows(*reports: Report) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    csv_report.write(document_of(*reports), stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_a_clip_is_one_row() -> None:
    segments = (Segment(1.5, 3.5, 0.97, 1), Segment(4.0, 4.25, 0.8, 2))
    scores = [[0.1, 0.98, 0.97], [0.2, None, None]]
    report = clip(scores=scores, segments=segments, uncounted=frozenset({2}))
    assert rows(report) == [
        {
            "source": "clips/interview.mp4",
            "kind": "video",
            "status": "ok",
            "label": "FAKE",
            "fake_probability": "0.98",
            "confidence": "0.98",
            "reason": "5 of 10 faces look made",
            "people": "1",
            "tracks": "2",
            "faces_scored": "4",
            "frames_sampled": "3",
            "duration_s": "1.5",
            "segments": "1.5-3.5;4.0-4.25",
            "seconds_total": "3.6",
            "error": "",
        }
    ]


def test_what_is_unknown_is_an_empty_cell() -> None:
    face_less, broken, picture = rows(no_face(), failed(), still())
    assert (face_less["label"], face_less["fake_probability"], face_less["confidence"]) == ("NO_FACE", "", "")
    assert (broken["status"], broken["label"], broken["fake_probability"]) == ("failed", "", "")
    assert broken["error"] == "DecodeError: no video stream: is it a clip?"
    assert picture["duration_s"] == ""


def test_an_ensemble_has_a_column_of_what_its_members_say() -> None:
    analysed, face_less, broken = rows(by_members(clip()), by_members(no_face()), by_members(failed()))
    assert list(analysed) == [*csv_report.COLUMNS, "members"]
    assert analysed["members"] == "lite2=0.96;b4=0.11"
    assert face_less["members"] == broken["members"] == ""


@settings(max_examples=40, deadline=None)
@given(ENSEMBLE_REPORTS)
def test_names_of_members_are_harmless(report: Report) -> None:
    evil = (replace(MEMBERS[0], name="=1+1"), MEMBERS[1])
    for read in (rows(report), rows(by_members(clip(), members=evil))):
        assert not read[0]["members"].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_formula_is_made_harmless_in_every_text(start: str) -> None:
    attack = f'{start}HYPERLINK("x","y")'
    report = replace(clip(f"{attack}.mp4"), verdict=Verdict(clip().verdict.label, 0.9, 0.9, attack))
    ok, broken = rows(report, replace(failed(), error=ErrorInfo(attack, "m")))
    harmless = f"'{attack.encode('unicode_escape').decode() if start.isspace() else attack}"
    assert ok["source"] == f"{harmless}.mp4"
    assert ok["reason"] == harmless
    assert broken["error"] == f"{harmless}: m"


def test_numbers_and_ordinary_names_are_left_alone() -> None:
    row = rows(clip("a=b.mp4"))[0]
    assert row["source"] == "a=b.mp4"
    assert float(row["fake_probability"]) == 0.98


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORTS, min_size=1, max_size=3))
def test_every_report_is_one_row_without_formulas(reports: list[Report]) -> None:
    read = rows(*reports)
    assert len(read) == len(reports)
    for row in read:
        assert set(row) == set(csv_report.COLUMNS)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())


def test_a_name_with_a_line_break_stays_on_its_line() -> None:
    row = rows(clip(HOSTILE))[0]
    assert row["source"].startswith("[red]bad[/red]\\n=")
    assert row["source"].endswith(r"\xff\x80.mp4")


def test_the_name_map_holds_the_writer() -> None:
    assert WRITERS[".csv"] is csv_report.write
