from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
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
from vidscan.records import Remark, Report
from vidscan.report.document import report_from, result_document


def restored(report: Report, entry: dict[str, Any] | None = None) -> Report:
    return report_from(
        result_document(report) if entry is None else entry,
        report.source,
        options=report.options,
        card=report.model_card,
        members=report.members,
    )


@pytest.mark.parametrize(
    "report",
    [
        *(clip(), still(), no_face(), failed(), by_members(clip()), clip(HOSTILE)),
        *(interview(), by_members(interview()), too_small()),
    ],
)
def test_a_report_comes_back_whole(report: Report) -> None:
    back = restored(report)
    assert back.verdict is None or type(back.verdict.interval) is type(report.verdict.interval)
    assert result_document(back) == result_document(report)
    assert (back.source, back.options, back.members) == (report.source, report.options, report.members)
    assert {each.name for each in fields(Report)} == {each.name for each in fields(back)}


def test_remarks_and_streams_come_back() -> None:
    tracks = (replace(clip().tracks[0], stream=2),)
    report = replace(clip(), tracks=tracks, remarks=(Remark("cover", "A cover was left out."),))
    back = restored(report)
    assert (back.tracks, back.remarks) == (report.tracks, report.remarks)
    entry = result_document(report)
    assert entry["remarks"] == [{"code": "cover", "text": "A cover was left out."}]
    assert entry["tracks"][0]["stream"] == 2
    assert not {"remarks"} & result_document(clip()).keys()


def test_people_cuts_and_unjudged_faces_come_back_as_they_were() -> None:
    report = interview()
    back = restored(report)
    assert (back.tracks, back.timeline, back.stats) == (report.tracks, report.timeline, report.stats)
    assert restored(too_small()).verdict == too_small().verdict


@settings(max_examples=100, deadline=None)
@given(REPORTS | ENSEMBLE_REPORTS)
def test_what_comes_back_is_written_the_same(report: Report) -> None:
    entry = result_document(report)
    assert result_document(restored(report)) == entry


@pytest.mark.parametrize(
    "change",
    [
        {"status": "maybe"},
        {"verdict": {"label": "FAKE"}},
        {"verdict": []},
        {"timeline": [{}]},
        {"timeline": None},
        {"tracks": [{"id": 1}]},
        {"segments": [[]]},
        {"stats": {}},
        {"stats": {"seconds": {}, "cuts_s": None}},
        {"error": {"type": "E"}},
    ],
)
def test_a_damaged_entry_is_an_error_in_one_line(change: dict[str, Any]) -> None:
    report = replace(clip(), evidence=())
    with pytest.raises(ReportError, match=r"is damaged.*delete it and start anew") as refused:
        restored(report, result_document(report) | change)
    assert "\n" not in str(refused.value)
