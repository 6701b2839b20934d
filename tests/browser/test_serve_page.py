"""The page of ``vidscan serve``, in a browser, against a real server and store with toy networks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from looking import drop, expect, faults, focus_table, report_frame, row, shown
from made_reports import HOSTILE_NAME, clip_with_faces

pytest.importorskip("starlette", reason="the server is not installed: pip install 'vidscan[serve]'")
pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'vidscan[serve]'")

from served import serving

from vidscan.serve import routes

pytestmark = pytest.mark.slow

PAGE = Path(routes.__file__).parent / "page"


def test_two_clips_are_dropped_scanned_looked_at_and_marked(served, enter, bright_clip, dark_clip):
    served.engine.gate.clear()
    page = enter(served)
    expect(page.get_by_text("Drop clips, stills or a folder anywhere on this page.")).to_be_visible()
    drop(page, bright_clip, dark_clip)
    expect(page.locator("#queue-words")).to_contain_text("Scanning bright.mp4: 0:00.0 of 0:02.0 · 1 waiting")
    page.locator("#queue summary").click()
    expect(page.locator("#jobs li.running progress")).to_have_attribute(
        "aria-label", "Progress of bright.mp4"
    )
    expect(page.locator("#jobs li.queued")).to_contain_text("dark.mp4")
    served.engine.gate.set()
    expect(page.locator("#queue")).to_be_hidden()
    shown(page, "bright.mp4", "dark.mp4")
    focus_table(page)
    page.keyboard.press("Enter")
    expect(report_frame(page).locator("h1")).to_have_text("bright.mp4")
    expect(report_frame(page).locator(".plot canvas")).to_be_visible()
    page.keyboard.press("f")
    expect(row(page, "bright.mp4").locator(".c-mark")).to_have_text("fake")
    page.keyboard.press("ArrowDown")
    expect(report_frame(page).locator("h1")).to_have_text("dark.mp4")
    page.keyboard.press("r")
    page.keyboard.press("n")
    page.keyboard.type("An empty room")
    page.keyboard.press("Enter")
    expect(row(page, "dark.mp4").locator(".c-mark")).to_have_text("real")
    expect(page.locator("#export")).to_contain_text("Export the 2 marked")
    page.reload()
    expect(row(page, "bright.mp4").locator(".c-mark")).to_have_text("fake")
    expect(row(page, "dark.mp4").locator(".c-mark")).to_have_text("real")
    assert served.marks() == {"bright.mp4": ("fake", ""), "dark.mp4": ("real", "An empty room")}
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "An empty room" in Path(download.value.path()).read_text("utf-8")


def test_a_scan_and_an_upload_can_be_called_off(served, enter, bright_clip, dark_clip):
    served.engine.gate.clear()
    page = enter(served)
    drop(page, bright_clip, dark_clip)
    expect(page.locator("#queue-words")).to_contain_text("Scanning bright.mp4")
    page.locator("#queue summary").click()
    page.get_by_role("button", name="Cancel dark.mp4").click()
    expect(page.locator("#jobs li")).to_have_count(1)
    served.engine.gate.set()
    expect(page.locator("#queue")).to_be_hidden()
    shown(page, "bright.mp4")
    states = {scan["name"]: scan["state"] for scan in served.service.scans()}
    assert states == {"bright.mp4": "done", "dark.mp4": "cancelled"}


def test_what_the_server_refuses_is_said_in_words(served, enter, visit, text_as_clip, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no clip")
    page = enter(served)
    drop(page, notes, text_as_clip)
    page.locator("#queue summary").click()
    expect(page.locator("#jobs li.failed")).to_contain_text("notes.txt")
    expect(page.locator("#jobs li.failed .state")).not_to_have_text("")
    expect(row(page, "text.mp4").locator(".badge")).to_have_text("FAILED")
    row(page, "text.mp4").click()
    expect(page.locator("#selected-error")).to_contain_text("text.mp4")
    page.get_by_role("button", name="Clear notes.txt").click()
    expect(page.locator("#queue")).to_be_hidden()
    assert len(visit.said) == 1 and "415" in visit.said.pop()


@pytest.mark.parametrize("how", ["dropped", "chosen"])
def test_of_a_folder_what_is_no_medium_is_counted_and_left_out(served, enter, bright_clip, tmp_path, how):
    footage = tmp_path / "footage"
    (footage / "deep" / "deeper").mkdir(parents=True)
    for name in ("a.MP4", "deep/b.mp4", "deep/deeper/c.mp4"):
        (footage / name).write_bytes(bright_clip.read_bytes())
    for name in ("a.srt", "deep/b.srt", "read me"):
        (footage / name).write_text("words")
    page = enter(served)
    if how == "dropped":
        drop(page, footage)
    else:
        page.locator("#choose-folder").set_input_files(footage)
    expect(page.locator("#messages")).to_contain_text(
        "3 files skipped, by their endings no clip or still: 2 .srt, 1 without an ending"
    )
    shown(page, "a.MP4", "b.mp4", "c.mp4")


def test_a_path_below_the_folder_is_scanned_and_one_outside_is_refused(enter, visit, bright_clip, tmp_path):
    footage = tmp_path / "footage"
    footage.mkdir()
    (footage / "seen.mp4").write_bytes(bright_clip.read_bytes())
    with serving(tmp_path, folder=footage) as served:
        page = enter(served)
        page.get_by_text("By path").click()
        field = page.get_by_label("File or folder on this machine")
        assert field.input_value() == str(footage)
        field.press("Enter")
        expect(row(page, "seen.mp4")).to_be_visible()
        expect(field).to_be_hidden()
        page.get_by_text("By path").click()
        field.fill("/etc")
        field.press("Enter")
        expect(page.locator("#messages")).to_contain_text("not below the folder")
        assert len(visit.said) == 1 and "403" in visit.said.pop()
        page.close()


def test_where_nothing_can_be_scanned_the_page_says_why(enter, tmp_path):
    with serving(tmp_path, misfit="it was made by --fast") as served:
        page = enter(served)
        expect(page.locator("#refusal")).to_have_text(
            "Nothing new can be scanned here: it was made by --fast"
        )
        expect(page.locator("#add")).to_be_hidden()
        page.close()


def test_a_mark_that_is_refused_is_taken_back_with_a_word(filled, enter, visit):
    page = enter(filled)
    answers = []
    page.route("**/mark", lambda route: answers.append(route))
    focus_table(page)
    page.keyboard.press("f")
    mark = row(page, "folder/b10.mp4").locator(".c-mark")
    expect(mark).to_have_text("fake")
    page.keyboard.press("r")
    expect(mark).to_have_text("real")
    page.wait_for_timeout(100)
    assert len(answers) == 1, "marks of one source go one after the other"
    page.route("**/mark", lambda route: route.fulfill(status=409, json={"error": "the disk is full"}))
    answers[0].continue_()
    expect(page.locator("#messages")).to_contain_text("folder/b10.mp4 was not kept: the disk is full")
    expect(mark).to_have_text("fake")
    assert filled.marks() == {"folder/b10.mp4": ("fake", "")}
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#messages")).to_be_empty()
    assert len(visit.said) == 1 and "409" in visit.said.pop()


def test_two_windows_tell_each_other(filled, enter):
    here, there = enter(filled), enter(filled)
    expect(row(there, "folder/b9.mp4")).to_be_visible()
    row(here, "folder/b9.mp4").click()
    here.get_by_role("button", name="Real").click()
    expect(row(there, "folder/b9.mp4").locator(".c-mark")).to_have_text("real")


def test_after_a_break_the_page_catches_up(filled, enter, visit):
    page = enter(filled)
    expect(row(page, "folder/b9.mp4")).to_be_visible()
    row(page, "folder/b9.mp4").click()
    page.evaluate("window.stayed = true")
    page.context.set_offline(True)
    filled.service.events._loop.call_soon_threadsafe(filled.service.events.close)
    expect(page.locator("#connection")).to_have_text("Not connected, trying again …")
    filled.add(clip_with_faces("folder/late.mp4"))
    page.context.set_offline(False)
    expect(row(page, "folder/late.mp4")).to_be_visible()
    expect(page.locator("#connection")).to_be_empty()
    assert page.evaluate("window.stayed")
    page.keyboard.press("r")
    expect(row(page, "folder/b9.mp4").locator(".c-mark")).to_have_text("real")
    expect(page.get_by_role("button", name="Real")).to_have_attribute("aria-pressed", "true")
    visit.said.clear()


def test_a_hostile_name_stays_text(served, enter):
    report = clip_with_faces()
    number = served.add(replace(report, source=replace(report.source, path=HOSTILE_NAME)))
    served.store.set_mark(number, "fake", "<b>\u202eevil</b>")
    page = enter(served)
    focus_table(page)
    page.keyboard.press("Enter")
    expect(report_frame(page).locator("h1")).to_be_visible()
    for text in (
        page.locator("#selected-name").inner_text(),
        row(page, "onerror").locator(".c-name").text_content(),
    ):
        assert text.startswith("\"'><img src=x onerror=window.hacked=1></script><script>window.hacked=2")
        assert text.endswith(r"\u202egpj.mp4")
    expect(row(page, "onerror").locator(".c-note")).to_have_attribute("title", r"<b>\u202eevil</b>")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("main img, main b, #selected img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text()


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (800, "light"), (1440, "light"), (1440, "dark")]
)
def test_it_is_accessible_and_fits_the_window(filled, enter, bright_clip, width, scheme):
    filled.engine.gate.clear()
    page = enter(filled, width=width, scheme=scheme)
    drop(page, bright_clip, bright_clip)
    page.get_by_text("More filters").click()
    page.locator("#queue summary").click()
    expect(page.locator("#jobs li.running")).to_be_visible()
    assert faults(page) == []
    focus_table(page)
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    expect(report_frame(page).locator("h1")).to_be_visible()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.keyboard.press("?")
    assert faults(page) == []


def test_the_empty_page_is_accessible(served, enter):
    page = enter(served, width=390)
    expect(page.locator("#store")).to_have_text("case.vidscan")
    assert faults(page) == []


def test_its_colours_are_those_of_the_report():
    def colours(text: str) -> list[tuple[str, str]]:
        return re.findall(r"--(ground|card|ink|soft|line|link|fake|real|unsure|none): (#\w+);", text)

    report = (PAGE.parents[1] / "report" / "html" / "page.css").read_text("utf-8")
    own = colours((PAGE / "app.css").read_text("utf-8"))
    assert len(own) == 20 and own == colours(report)
