from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

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
    failed,
    interview,
    no_face,
    still,
    too_small,
)
from rich.cells import cell_len
from rich.console import Console

from vidscan.records import Label, ModelCard, Remark, Report, Segment, SourceKind, Verdict
from vidscan.report.terminal.text import print_report, print_summary, print_timings


def shown(draw: Callable[..., None], what: Report | Sequence[Report], width: int = 100) -> str:
    """What a file or a pipe would get."""
    console = Console(file=io.StringIO(), width=width)
    draw(console, what)
    return console.file.getvalue()


def coloured(draw: Callable[..., None], what: Report | Sequence[Report]) -> str:
    console = Console(
        file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor", no_color=False
    )
    draw(console, what)
    return console.file.getvalue()


def test_a_clip_as_a_person_sees_it() -> None:
    assert [line.rstrip() for line in shown(print_report, clip()).splitlines()] == [
        "clips/interview.mp4",
        "   FAKE   P(fake) 0.98 (0.93 to >0.99)  very sure (98%)",
        "  5 of 10 faces look made",
        "",
        "  ▁▁▁▁▁▁▁▁▂▂▂▂▅▅▅▅████████████▅▅▅▅····▁▁▁▁",
        "  0:00.0                            0:05.0",
        "",
        "  Suspicious",
        "  0:01.5 – 0:03.5   track 1   0.97",
        "",
        "  10 frames · 9 faces · 0:05.0 long · took 3.6 s",
    ]


def test_an_ensemble_shows_what_each_member_says() -> None:
    lines = [line.rstrip() for line in shown(print_report, by_members(clip())).splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith("  member"))
    assert lines[start].split() == ["member", "P(fake)", "alone", "says", "weight", "crop"]
    assert lines[start + 2].split() == ["lite2", "0.96", "FAKE", "2", "260", "px,", "margin", "1.4"]
    assert lines[start + 3].split() == ["b4", "0.11", "REAL", "1", "380", "px,", "margin", "1.3"]
    assert lines[start + 4].strip() == "together: the weighted mean of their logits; thresholds alike"
    assert "member" not in shown(print_report, clip())
    assert "member" not in shown(print_report, by_members(no_face()))


def test_a_folder_shows_each_members_score_by_file() -> None:
    reports = [by_members(report) for report in (failed("in/a.mp4"), clip("in/b.mp4"), no_face("in/c.mp4"))]
    lines = [line.rstrip() for line in shown(print_summary, reports).splitlines()]
    assert lines[1].split() == [
        "file",
        "verdict",
        "P(fake)",
        "members",
        "people",
        "faces",
        "length",
        "timeline",
    ]
    assert lines[3].split()[:5] == ["b.mp4", "FAKE", "0.98", "0.96", "0.11"]
    assert "members, in this order: lite2, b4" in lines
    assert "members" not in shown(print_summary, [clip(), still()])


def remarked(report: Report) -> Report:
    """The report of a clip of two streams, the second track of which is in the second."""
    first, *others = report.tracks
    said = (Remark("streams", "It holds 2 video streams."), Remark("breaks-off", "It breaks off."))
    return replace(report, tracks=(first, *(replace(each, stream=1) for each in others)), remarks=said)


def test_remarks_are_said_of_a_clip_and_in_a_folder() -> None:
    report = remarked(clip("in/a.mp4", scores=[[0.9] * 8, [0.1] * 8]))
    text = shown(print_report, report)
    assert re.search(r"^  Note: It breaks off\.\s*$", text, re.M)
    assert re.search(r"0:03\.5 +stream 0\s*$", text, re.M) and re.search(r"0:03\.5 +stream 1\s*$", text, re.M)
    assert "stream" not in shown(print_report, replace(report, remarks=()))
    folder = shown(print_summary, [report, clip("in/b.mp4")])
    assert re.search(r"^a\.mp4: It breaks off\.\s*$", folder, re.M)
    many = [replace(report, source=replace(report.source, path=Path(f"in/{n}.mp4"))) for n in range(9)]
    assert "… and 6 more" in shown(print_summary, many)


def test_several_people_have_a_row_and_a_line_each() -> None:
    report = clip(scores=[[0.9] * 8, [None, None, 0.1, 0.1, *[None] * 4]], uncounted=frozenset({2}))
    brief = replace(report.tracks[1], note="seen too briefly")
    report = replace(report, tracks=(report.tracks[0], brief))
    text = shown(print_report, report)
    assert re.search(r"^  track 1  █+$", text, re.M)
    assert re.search(r"^  track 2  ·+▁+·+$", text, re.M)
    assert re.search(r"^ +2 +0\.10 +2 +0:01\.0 – 0:01\.5 +seen too briefly *$", text, re.M)
    assert "person" not in text, "nobody was joined"


def test_a_person_joined_over_cuts_is_one_line_and_several_rows() -> None:
    lines = [line.rstrip() for line in shown(print_report, interview()).splitlines()]
    assert lines[4:10] == [
        "  person 1  ▃▃▃▃▆▆▆▆████████················████████▅▅▅▅████····",
        "  person 2  ················▁▁▁▁▂▂▂▂▁▁▁▁▂▂▂▂····················",
        "  person 3  ················????????????????····················",
        "  person 5  ············································▄▄▄▄····",
        "      cuts                  ╵               ╵",
        "            0:00.0                    0:03.2              0:06.5",
    ]
    start = next(at for at, line in enumerate(lines) if line.startswith("  track  person"))
    assert lines[start].split() == ["track", "person", "P(fake)", "faces", "seen"]
    assert [line.split(maxsplit=7) for line in lines[start + 2 : start + 7]] == [
        ["1", "1", "0.80", "4", "0:00.0", "–", "0:01.5"],
        ["2", "2", "0.14", "4", "0:02.0", "–", "0:03.5", "poor quality"],
        ["3", "3", "—", "4", "0:02.0", "–", "0:03.5", "too small to judge"],
        ["4", "1", "0.88", "4", "0:04.0", "–", "0:05.5"],
        ["5", "5", "0.40", "1", "0:05.5", "–", "0:05.5", "seen too briefly"],
    ]
    assert lines[-1] == ("  13 frames · 13 faces · 4 too small to judge · 0:06.5 long · 2 cuts · took 2.9 s")


def test_the_last_line_breaks_between_its_parts() -> None:
    lines = [line.rstrip() for line in shown(print_report, interview(), 80).splitlines()]
    assert lines[-2:] == [
        "  13 frames · 13 faces · 4 too small to judge · 0:06.5 long · 2 cuts",
        "  took 2.9 s",
    ]


def test_a_clip_of_faces_too_small_to_judge_has_no_score_to_show() -> None:
    lines = [line.rstrip() for line in shown(print_report, too_small()).splitlines()]
    assert lines[1:3] == ["   UNCERTAIN", "  Every face is too small to judge."]
    assert set(lines[4].strip()) == {"?"}
    assert "4 frames · 0 faces · 4 too small to judge" in lines[-1]
    still_text = shown(print_report, too_small("s.jpg", SourceKind.IMAGE))
    assert "0 faces · 1 too small to judge" in still_text
    assert "P(fake)" not in still_text


def test_a_still_says_which_of_its_faces_was_not_judged() -> None:
    report = still()
    first, second = report.timeline[0].faces
    faces = (replace(first, fake_probability=None, quality=0.01), replace(second, quality=0.1))
    unjudged = replace(report.tracks[0], fake_probability=None, note="too small to judge")
    report = replace(
        report,
        timeline=(replace(report.timeline[0], faces=faces),),
        tracks=(unjudged, report.tracks[1]),
    )
    text = shown(print_report, report)
    assert re.search(r"^ +1 +— +120, 80 +96×110 +0\.88 +too small to judge *$", text, re.M)
    assert re.search(r"^ +2 +0\.93 +240, 80 +96×110 +0\.88 +poor quality *$", text, re.M)


def test_a_folder_counts_people_and_shows_where_there_is_no_score() -> None:
    lines = shown(print_summary, [too_small("in/s.mp4"), no_face("in/n.mp4"), interview("in/i.mp4")])
    rows = [line.split() for line in lines.splitlines()]
    assert ["i.mp4", "FAKE", "0.86", "2", "13", "0:06.5"] in [row[:6] for row in rows]
    assert ["s.mp4", "UNCERTAIN", "—", "0", "0", "0:02.0"] in [row[:6] for row in rows]
    assert ["n.mp4", "NO", "FACE", "0", "0", "0:06.0"] in rows


def test_a_crowd_shows_those_that_matter_and_says_how_many_more() -> None:
    scores = [[0.1]] * 10 + [[0.9]] + [[0.2]] * 9
    text = shown(print_report, clip(scores=scores, segments=()))
    assert text.count("track ") - text.count("track  P(fake)") == 8
    assert "track 11  █" in text
    assert "… and 12 more" in text


def test_many_segments_are_cut_with_a_count() -> None:
    segments = tuple(Segment(float(at), at + 0.5, 0.9, 1) for at in range(40))
    text = shown(print_report, clip(segments=segments))
    assert text.count(" – ") == 12
    assert "… and 28 more" in text


def test_a_still_has_a_table_of_faces_and_no_timeline() -> None:
    text = shown(print_report, still())
    assert re.search(r"^ +2 +0\.93 +240, 80 +96×110 +0\.88 *$", text, re.M)
    assert not set("▁█·") & set(text.replace(" · ", ""))
    assert "frame" not in text
    assert "96×110" not in shown(print_report, still(scores=[0.93]))


def test_no_face_and_failed_are_said_plainly() -> None:
    text = shown(print_report, no_face())
    assert "NO FACE" in text
    assert "P(fake)" not in text
    assert shown(print_report, failed()) == " FAILED  clips/broken.mp4: no video stream: is it a clip?\n"
    named = failed(message="clips/broken.mp4 has no video stream")
    assert shown(print_report, named) == " FAILED  clips/broken.mp4 has no video stream\n"


@pytest.mark.parametrize(
    ("label", "probability", "confidence", "words"),
    [
        (Label.FAKE, 0.999, 0.999, "P(fake) >0.99  very sure (99%)"),
        (Label.REAL, 0.001, 0.999, "P(fake) <0.01  very sure (99%)"),
        (Label.REAL, 0.15, 0.85, "P(fake) 0.15  fairly sure (85%)"),
        (Label.FAKE, 0.62, 0.62, "P(fake) 0.62  not very sure (62%)"),
        (Label.UNCERTAIN, 0.45, 0.55, "could be either, leans to real (55%)"),
        (Label.UNCERTAIN, 0.55, 0.55, "could be either, leans to fake (55%)"),
        (Label.UNCERTAIN, 0.502, 0.502, "could be either (50%)"),
    ],
)
def test_confidence_in_words(label: Label, probability: float, confidence: float, words: str) -> None:
    report = replace(clip(), verdict=Verdict(label, probability, confidence, "because"))
    assert words in shown(print_report, report)


def test_an_uncalibrated_score_is_not_called_sure() -> None:
    text = shown(print_report, clip(card=ModelCard("mine", "unknown", 380)))
    assert "uncalibrated" in text
    assert "sure" not in text.replace("uncalibrated", "")


def test_the_verdict_s_colours_end_with_its_badge() -> None:
    line = coloured(print_report, clip()).splitlines()[1]
    assert re.fullmatch(
        r"  \x1b\[1;37;48;2;201;60;55m FAKE \x1b\[0m\x1b\[1m  P\(fake\) 0.98\x1b\[0m"
        r"\x1b\[2m \(0.93 to >0.99\)\x1b\[0m  very sure \(98%\)",
        line,
    )


def test_no_color_and_pipes_get_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for draw, what in (
        (print_report, clip()),
        (print_summary, [clip(), failed()]),
        (print_timings, [clip()]),
    ):
        assert "\x1b" not in shown(draw, what)
    assert "\x1b[38" in coloured(print_report, clip())
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="truecolor")
    print_report(console, clip())
    assert not re.search(r"\x1b\[[\d;]*[34]8;", console.file.getvalue())


def test_hostile_names_and_messages_are_shown_not_obeyed() -> None:
    evil = replace(clip(HOSTILE), verdict=Verdict(Label.FAKE, 0.9, 0.9, HOSTILE))
    evil = by_members(evil, members=(replace(MEMBERS[0], name=HOSTILE), MEMBERS[1]))
    for draw, what in (
        (print_report, evil),
        (print_report, failed(HOSTILE, HOSTILE)),
        (print_summary, [evil, failed(HOSTILE, "[bold]\x1b[2J")]),
        (print_timings, [evil]),
    ):
        text = coloured(draw, what)
        assert "[red]bad" in text
        assert r"\x80.mp4" in text
        for sequence in ("\x1b[31m", "\x1b]", "\x1b[2J", "\x07", "\u202e", "\udcff"):
            assert sequence not in text


def test_a_folder_is_a_table_with_totals_and_reasons() -> None:
    reports = [
        clip("in/a.mp4"),
        clip("in/sub/b.mp4", label=Label.REAL),
        still("in/c.jpg"),
        no_face("in/d.mp4"),
        failed("in/e.mp4"),
    ]
    lines = [line.rstrip() for line in shown(print_summary, reports).splitlines()]
    assert lines[0] == "in"
    assert lines[1].split() == ["file", "verdict", "P(fake)", "people", "faces", "length", "timeline"]
    assert lines[3].split() == ["a.mp4", "FAKE", "0.98", "1", "9", "0:05.0", "▁▁▁▁▂▂▅▅██████▅▅··▁▁"]
    assert lines[4].split() == ["c.jpg", "FAKE", "0.93", "2", "2"]
    assert lines[5].split()[:2] == ["sub/b.mp4", "REAL"]
    assert lines[6].split() == ["d.mp4", "NO", "FACE", "0", "0", "0:06.0"]
    assert lines[7].split() == ["e.mp4", "FAILED"]
    assert lines[8] == " FAILED  e.mp4: no video stream: is it a clip?"
    assert lines[9:] == ["", "5 files: 2 fake, 1 real, 1 without a face, 1 failed"]


def test_the_most_suspicious_files_come_first() -> None:
    def judged(name: str, label: Label, score: float) -> Report:
        report = clip(name)
        assert report.verdict is not None
        return replace(report, verdict=replace(report.verdict, label=label, fake_probability=score))

    reports = [
        failed("a.mp4"),
        no_face("b.mp4"),
        judged("c.mp4", Label.REAL, 0.1),
        judged("d.mp4", Label.UNCERTAIN, 0.95),
        judged("e.mp4", Label.FAKE, 0.8),
        judged("f.mp4", Label.REAL, 0.2),
        judged("g.mp4", Label.FAKE, 0.9),
        too_small("h.mp4"),
        judged("i.mp4", Label.UNCERTAIN, 0.0),
    ]
    rows = re.findall(r"^(\w\.mp4)", shown(print_summary, reports), re.M)
    assert rows == ["g.mp4", "e.mp4", "d.mp4", "i.mp4", "h.mp4", "f.mp4", "c.mp4", "b.mp4", "a.mp4"]


def test_a_wide_strip_has_times_between_its_ends() -> None:
    lines = shown(print_report, clip(scores=[[0.5] * 60]), 160).splitlines()
    at = next(number for number, line in enumerate(lines) if "▅▅▅" in line)
    times = re.findall(r"\d:\d\d\.\d", lines[at + 1])
    assert times == ["0:00.0", "0:06.0", "0:12.0", "0:18.0", "0:24.0", "0:30.0"]
    assert len(lines[at].rstrip()) == len(lines[at + 1].rstrip())
    assert lines[at + 1].index("0:12.0") - 2 == pytest.approx(0.4 * (len(lines[at].rstrip()) - 2), abs=1)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_large_folder_keeps_one_line_a_file_at_every_width(width: int) -> None:
    reports = [clip(f"in/{'long name ' * 9}{at}.mp4", label=Label.UNCERTAIN) for at in range(120)]
    text = shown(print_summary, reports, width)
    rows = [line for line in text.splitlines() if "UNCERTAIN" in line]
    assert len(rows) == 120
    assert rows[7].split("   ")[0].split("  ")[0].endswith("7.mp4")
    assert all(row.count("…") == 1 for row in rows)
    assert max(map(cell_len, text.splitlines())) <= width


def test_files_of_different_roots_keep_their_paths() -> None:
    text = shown(print_summary, [clip("/a/x.mp4"), clip("b/y.mp4")])
    assert "/a/x.mp4" in text
    assert "b/y.mp4" in text


def test_timings_by_file_and_together() -> None:
    lines = [line.split() for line in shown(print_timings, [clip("a.mp4"), no_face("b.mp4")]).splitlines()]
    assert lines[0] == ["file", "decode", "detect", "wait", "score", "total"]
    assert lines[2] == ["a.mp4", "0.40", "1.25", "0.00", "3.00", "3.60"]
    assert lines[4] == ["together", "0.60", "1.55", "0.00", "3.00", "4.00"]
    assert "together" not in shown(print_timings, [clip()])


def test_timings_tell_how_full_the_batches_were() -> None:
    report = clip()
    padded = replace(report, stats=replace(report.stats, crops_scored=24, batch_slots=30.0))
    assert "Batch slots filled: 80%" in shown(print_timings, [padded])
    assert "slots" not in shown(print_timings, [no_face()])


def test_nothing_scanned_is_said_without_a_fault() -> None:
    assert "0 files" in shown(print_summary, [])
    assert "decode" in shown(print_timings, [])


@settings(max_examples=80, deadline=None)
@given(st.lists(REPORTS, min_size=1, max_size=3), st.sampled_from([40, 60, 80, 100, 200]))
def test_any_report_fits_the_terminal(reports: list[Report], width: int) -> None:
    fits(reports, width)


@settings(max_examples=80, deadline=None)
@given(st.lists(ENSEMBLE_REPORTS, min_size=1, max_size=3), st.sampled_from([40, 60, 80, 100, 200]))
def test_any_report_of_an_ensemble_fits_the_terminal(reports: list[Report], width: int) -> None:
    fits(reports, width)


def fits(reports: list[Report], width: int) -> None:
    texts = [shown(print_report, report, width) for report in reports]
    texts += [shown(print_summary, reports, width), shown(print_timings, reports, width)]
    for text in texts:
        assert "\x1b" not in text
        # A failure is one line however long, which the terminal wraps by itself.
        lines = [line for line in text.split("\n") if not line.startswith(" FAILED ")]
        assert max(map(cell_len, lines), default=0) <= width


def test_a_failure_is_one_line_on_any_width() -> None:
    report = failed()
    assert report.error is not None
    long = replace(report, error=replace(report.error, message="cause " * 60 + "remedy"))
    for text in (shown(print_report, long, 40), shown(print_summary, [long], 40)):
        assert any(line.startswith(" FAILED ") and line.endswith("remedy") for line in text.splitlines())


def test_a_table_that_nobody_sees_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidscan.report.terminal.text._summary_table", lambda *_: pytest.fail("it was drawn"))
    print_summary(Console(file=io.StringIO(), quiet=True), [clip(), failed()])
