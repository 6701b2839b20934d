from __future__ import annotations

import csv
import io
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
    ENSEMBLE_REPORTS,
    HOSTILE,
    MEMBERS,
    REPORTS,
    by_members,
    clip,
    document_of,
    failed,
    interview,
    no_face,
    signed,
    still,
    too_small,
)

from vidscan.records import ErrorInfo, Provenance, Remark, Report, Segment, SourceFacts, Verdict
from vidscan.report import BESIDE, WRITERS
from vidscan.report.document import NO_EVIDENCE
from vidscan.report.formats import csv as csv_report

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(*reports: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_of_files(*reports), newline="")))


def table_of_files(*reports: Report) -> str:
    stream = io.StringIO(newline="")
    csv_report.write_files(document_of(*reports), stream)
    return stream.getvalue()


def table_of_faces(*reports: Report) -> str:
    stream = io.StringIO(newline="")
    csv_report.write(document_of(*reports), stream)
    return stream.getvalue()


def faces(*reports: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_of_faces(*reports), newline="")))


def test_a_clip_is_one_row_of_the_files() -> None:
    segments = (Segment(1.5, 3.5, 0.97, 1), Segment(4.0, 4.25, 0.8, 2))
    scores = [[0.1, 0.98, 0.97], [0.2, None, None]]
    report = clip(scores=scores, segments=segments, uncounted=frozenset({2}))
    said = (Remark("deinterlaced", "It was deinterlaced."), Remark("breaks-off", "It breaks off."))
    report = replace(report, facts=SourceFacts(1234, "ab" * 32, "h264", 640, 360), remarks=said)
    assert rows(report) == [
        {
            "file": "1",
            "source": "clips/interview.mp4",
            "kind": "video",
            "status": "ok",
            "label": "FAKE",
            "fake_probability": "0.98",
            "fake_probability_low": "0.93",
            "fake_probability_high": "1.0",
            "confidence": "0.98",
            "reason": "5 of 10 faces look made",
            "people": "1",
            "tracks": "2",
            "faces_scored": "4",
            "faces_unjudged": "0",
            "frames_sampled": "3",
            "duration_s": "1.5",
            "cuts_s": "",
            "segments": "1.5-3.5;4.0-4.25",
            "codec": "h264",
            "width": "640",
            "height": "360",
            "bytes": "1234",
            "sha256": "ab" * 32,
            "seconds_total": "3.6",
            "error": "",
            "remarks": "It was deinterlaced. It breaks off.",
            "declares_ai": "",
            "declared_generator": "",
            "content_credentials": "",
            "signer": "",
            "camera": "",
        }
    ]


def test_what_the_file_says_of_itself_is_in_the_row_of_the_file() -> None:
    generated, taken = rows(
        replace(clip(), provenance=signed()),
        replace(still(), provenance=Provenance(False, camera="Canon EOS R5")),
    )
    names = ("declares_ai", "declared_generator", "content_credentials", "signer", "camera")
    assert [generated[name] for name in names] == ["True", "Toy Generator 3", "valid", "Example Studios", ""]
    assert [taken[name] for name in names] == ["False", "", "", "", "Canon EOS R5"]


def test_what_is_unknown_is_an_empty_cell() -> None:
    face_less, broken, picture = rows(no_face(), failed(), still())
    assert (face_less["label"], face_less["fake_probability"], face_less["confidence"]) == ("NO_FACE", "", "")
    assert (broken["status"], broken["label"], broken["fake_probability"]) == ("failed", "", "")
    assert broken["error"] == "DecodeError: no video stream: is it a clip?"
    assert picture["duration_s"] == ""


def test_an_ensemble_has_a_column_of_what_its_members_say() -> None:
    analysed, face_less, broken = rows(by_members(clip()), by_members(no_face()), by_members(failed()))
    assert list(analysed) == [*csv_report.FILE_COLUMNS, "members"]
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
        assert set(row) == set(csv_report.FILE_COLUMNS)
        assert not any(cell.startswith(FORMULA_STARTS) for cell in row.values())


def test_a_name_with_a_line_break_stays_on_its_line() -> None:
    row = rows(clip(HOSTILE))[0]
    assert row["source"].startswith("[red]bad[/red]\\n=")
    assert row["source"].endswith(r"\xff\x80.mp4")


def test_every_face_is_a_row_of_the_faces() -> None:
    scores = [[0.1, 0.98, 0.97], [0.2, None, None]]
    read = faces(
        no_face(), clip(scores=scores, segments=(Segment(0.5, 1.0, 0.97, 1),), uncounted=frozenset({2}))
    )
    told = [
        (row["time_s"], row["track"], row["fake_probability"], row["counted"], row["suspicious"])
        for row in read
    ]
    assert told == [
        ("0.0", "1", "0.1", "True", "False"),
        ("0.0", "2", "0.2", "False", "False"),
        ("0.5", "1", "0.98", "True", "True"),
        ("1.0", "1", "0.97", "True", "True"),
    ]
    assert list(read[0]) == list(csv_report.FACE_COLUMNS)
    assert [read[0][name] for name in ("box_x", "box_y", "box_w", "box_h")] == [
        "10.0",
        "20.0",
        "64.0",
        "80.0",
    ]
    assert {
        (row["file"], row["source"], row["file_label"], row["file_fake_probability"]) for row in read
    } == {("2", "clips/interview.mp4", "FAKE", "0.98")}


def test_faces_tell_whose_they_are_how_well_they_are_seen_and_whether_they_were_judged() -> None:
    told = ("time_s", "track", "person", "fake_probability", "quality", "counted", "weight", "note")
    read = [tuple(row[name] for name in told) for row in faces(interview())]
    assert read[4:6] == [
        ("2.0", "2", "2", "0.1", "0.2", "True", "0.25", ""),
        ("2.0", "3", "3", "", "0.05", "False", "0.0", "too small to judge"),
    ]
    assert read[-2][:3] == ("5.5", "4", "1")
    assert {row["file_fake_probability"] for row in faces(too_small())} == {""}


def test_a_file_tells_its_people_cuts_and_faces_not_judged() -> None:
    report, small = rows(interview(), too_small())
    told = ("people", "tracks", "faces_scored", "faces_unjudged", "cuts_s")
    assert [report[name] for name in told] == ["2", "5", "13", "4", "2.0;4.0"]
    assert [small[name] for name in told] == ["0", "1", "0", "4", ""]
    assert (small["label"], small["fake_probability"], small["confidence"]) == ("UNCERTAIN", "", "")


def test_an_ensembles_faces_have_a_column_for_each_member() -> None:
    row, *_ = faces(by_members(clip()))
    assert list(row) == [*csv_report.FACE_COLUMNS, "member_1", "member_2"]
    assert (row["member_1"], row["member_2"]) == ("0.96", "0.11")


def test_an_ensembles_face_without_a_score_has_empty_cells_for_the_members() -> None:
    told = faces(by_members(interview()))
    assert {row["member_1"] for row in told if row["fake_probability"]} == {"0.96"}
    assert {row["member_1"] for row in told if not row["fake_probability"]} == {""}


@settings(max_examples=40, deadline=None)
@given(st.lists(REPORTS, min_size=1, max_size=3))
def test_no_row_of_faces_is_lost_or_a_formula(reports: list[Report]) -> None:
    read = faces(*reports)
    assert len(read) == sum(len(point.faces) for report in reports for point in report.timeline)
    for row in read:
        assert set(row) == set(csv_report.FACE_COLUMNS)
        texts = [row["source"], row["file_label"]]
        assert not any(cell.startswith(FORMULA_STARTS) for cell in texts)


def test_pandas_takes_both_tables_as_they_stand_and_joins_them() -> None:
    reports = [clip(HOSTILE), no_face(), failed(), still(), clip('a,b "c".mp4'), clip('a,b "c".mp4')]
    reports.append(interview())
    by_face = pd.read_csv(io.StringIO(table_of_faces(*reports)))
    by_file = pd.read_csv(io.StringIO(table_of_files(*reports)))
    assert len(by_file) == 7 and list(by_file["file"]) == [1, 2, 3, 4, 5, 6, 7]
    assert len(by_face) == 9 + 2 + 9 + 9 + 17
    assert by_face["fake_probability"].isna().sum() == 4
    for name in (
        *("time_s", "fake_probability", "detection_confidence", "box_x", "file_fake_probability"),
        *("quality", "weight"),
    ):
        assert by_face[name].dtype == float
    assert by_face["counted"].dtype == by_face["suspicious"].dtype == bool
    assert by_face["track"].dtype == by_face["file"].dtype == by_face["person"].dtype == int
    assert by_file["fake_probability"].dtype == float and by_file["people"].dtype == int
    assert by_file["fake_probability"].isna().tolist() == [False, True, True, False, False, False, False]
    joined = by_face.merge(by_file, on="file", validate="many_to_one")
    assert (joined["source_x"] == joined["source_y"]).all()
    assert (joined["file_fake_probability"] == joined["fake_probability_y"]).all()
    highest = by_face.groupby("file")["fake_probability"].max()
    assert highest[5] == highest[6] == 0.98


def test_the_name_map_holds_the_writers() -> None:
    assert WRITERS[".csv"] is csv_report.write
    whole = io.BytesIO()
    BESIDE[".csv"][".files.csv"](document_of(clip()), whole, NO_EVIDENCE)
    assert whole.getvalue().startswith(b"file,source,kind,status")
