"""The page of ``vidscan serve``, in a browser, against a real server and store with toy networks."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from made_reports import HOSTILE_NAME, clip_with_faces, folder
from playwright.sync_api import expect

pytest.importorskip("starlette", reason="the server is not installed: pip install 'vidscan[serve]'")
pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'vidscan[serve]'")

from served import HEADING, Served, serving

from vidscan.results.store import Store
from vidscan.serve import routes
from vidscan.serve.service import COLUMNS

pytestmark = pytest.mark.slow

PAGE = Path(routes.__file__).parent / "page"
DROP = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with an empty store."""
    with serving(Store.create(tmp_path / "case.vidscan", HEADING), tmp_path) as running:
        yield running


@pytest.fixture
def filled(served: Served) -> Served:
    """The same with five results: broken.mp4, nobody.mp4, b9.mp4, still.jpg, b10.mp4."""
    for report in folder():
        served.add(report)
    return served


@dataclass
class Visit:
    """What the pages of one test said on their consoles, and what they asked of others than the server."""

    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@pytest.fixture
def visit() -> Visit:
    return Visit()


@pytest.fixture
def enter(browser, visit: Visit) -> Iterator[Callable[..., object]]:
    """Opens the page of a server; at the end nothing may have gone wrong in any."""
    contexts = []

    def open_page(served: Served, *, width: int = 1440, scheme: str = "light", before=lambda page: None):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: visit.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: visit.said.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((served.url, "data:")) or visit.elsewhere.append(request.url)
            ),
        )
        before(page)
        page.goto(served.entrance)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert visit.said == []
    assert visit.elsewhere == []


def drop(page, *paths: Path) -> None:
    page.evaluate(DROP, [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in paths])


def names(page) -> list[str]:
    """The names in the window, from top to bottom."""
    rows = page.locator("#grid .body .row:visible").all()
    placed = sorted((row.bounding_box()["y"], row.locator(".c-name").text_content()) for row in rows)
    return [name for _, name in placed]


def shown(page, *expected: str) -> None:
    expect(page.locator("#grid .body .row:visible")).to_have_count(len(expected))
    assert names(page) == list(expected)


def row(page, name: str):
    return page.locator("#grid .body .row:visible", has_text=name)


def focus_table(page) -> None:
    expect(page.locator("#grid")).to_be_visible()
    page.locator("#grid").focus()


def report_frame(page):
    return page.frame_locator("#frame iframe")


def test_two_clips_are_dropped_scanned_looked_at_and_marked(served, enter, bright_clip, dark_clip):
    served.engine.may_look.clear()
    page = enter(served)
    expect(page.get_by_text("Drop clips, stills or a folder anywhere on this page.")).to_be_visible()
    drop(page, bright_clip, dark_clip)
    expect(page.locator("#queue-words")).to_contain_text("Scanning bright.mp4: 0:00.0 of 0:02.0 · 1 waiting")
    page.locator("#queue summary").click()
    expect(page.locator("#jobs li.running progress")).to_have_attribute(
        "aria-label", "Progress of bright.mp4"
    )
    expect(page.locator("#jobs li.queued")).to_contain_text("dark.mp4")
    served.engine.may_look.set()
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
    page.wait_for_function("document.querySelector('#export').textContent.startsWith('Export the 2 marked')")
    page.reload()
    expect(row(page, "bright.mp4").locator(".c-mark")).to_have_text("fake")
    expect(row(page, "dark.mp4").locator(".c-mark")).to_have_text("real")
    assert served.marks() == {"bright.mp4": ("fake", ""), "dark.mp4": ("real", "An empty room")}
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "An empty room" in Path(download.value.path()).read_text("utf-8")


def test_a_scan_and_an_upload_can_be_called_off(served, enter, bright_clip, dark_clip):
    served.engine.may_look.clear()
    page = enter(served)
    drop(page, bright_clip, dark_clip)
    expect(page.locator("#queue-words")).to_contain_text("Scanning bright.mp4")
    page.locator("#queue summary").click()
    page.get_by_role("button", name="Cancel dark.mp4").click()
    expect(page.locator("#jobs li")).to_have_count(1)
    served.engine.may_look.set()
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


def test_of_a_folder_what_is_no_medium_is_counted_and_left_out(served, enter, bright_clip, tmp_path):
    footage = tmp_path / "footage"
    (footage / "deep").mkdir(parents=True)
    (footage / "deep" / "seen.MP4").write_bytes(bright_clip.read_bytes())
    for name in ("a.srt", "b.srt", "read me"):
        (footage / name).write_text("words")
    page = enter(served)
    page.locator("#choose-folder").set_input_files(footage)
    expect(page.locator("#messages")).to_contain_text(
        "3 files skipped, by their endings no clip or still: 2 .srt, 1 without an ending"
    )
    expect(row(page, "seen.MP4")).to_be_visible()


def test_a_path_below_the_folder_is_scanned_and_one_outside_is_refused(enter, visit, bright_clip, tmp_path):
    footage = tmp_path / "footage"
    footage.mkdir()
    (footage / "seen.mp4").write_bytes(bright_clip.read_bytes())
    with serving(Store.create(None, HEADING), tmp_path, folder=footage) as served:
        page = enter(served)
        page.get_by_text("By path").click()
        field = page.get_by_label("File or folder on this machine")
        assert field.input_value() == str(footage)
        field.press("Enter")
        expect(row(page, "seen.mp4")).to_be_visible()
        field.fill("/etc")
        field.press("Enter")
        expect(page.locator("#messages")).to_contain_text("not below the folder")
        assert len(visit.said) == 1 and "403" in visit.said.pop()
        page.close()


def test_where_nothing_can_be_scanned_the_page_says_why(enter, tmp_path):
    with serving(Store.create(None, HEADING), tmp_path, misfit="it was made by --fast") as served:
        page = enter(served)
        expect(page.locator("#refusal")).to_have_text(
            "Nothing new can be scanned here: it was made by --fast"
        )
        expect(page.locator("#add")).to_be_hidden()
        page.close()


def test_the_table_sorts_by_every_column(filled, enter):
    page = enter(filled)
    suspicion = ["folder/b9.mp4", "folder/still.jpg", "folder/nobody.mp4", "folder/broken.mp4"]
    shown(page, "folder/b10.mp4", *suspicion)
    head = page.get_by_role("columnheader", name="P(fake)")
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Name").focus()
    page.keyboard.press("Enter")
    shown(
        page, *(f"folder/{name}" for name in ("b9.mp4", "b10.mp4", "broken.mp4", "nobody.mp4", "still.jpg"))
    )
    page.keyboard.press("Space")
    assert names(page)[0] == "folder/still.jpg"
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    assert page.locator("[aria-sort]").count() == 1
    page.get_by_role("button", name="Length").click()
    assert names(page)[:2] == ["folder/nobody.mp4", "folder/b10.mp4"]
    page.get_by_role("button", name="Verdict").click()
    assert names(page)[0] == "folder/b10.mp4" and names(page)[-1] == "folder/broken.mp4"
    page.get_by_role("button", name="Verdict").click()
    assert names(page)[0] == "folder/broken.mp4"


def test_the_table_filters(filled, enter):
    page = enter(filled)
    expect(page.locator("#shown")).to_have_text("5 of 5 sources shown")
    counts = [choice.inner_text().split("\n") for choice in page.locator("#filter-label label").all()]
    assert counts == [[label, "1"] for label in ("FAKE", "UNCERTAIN", "REAL", "NO FACE", "FAILED")]
    page.get_by_label("Name contains").fill("B")
    shown(page, "folder/b10.mp4", "folder/b9.mp4", "folder/nobody.mp4", "folder/broken.mp4")
    page.get_by_role("checkbox", name="FAKE").uncheck()
    shown(page, "folder/b9.mp4", "folder/nobody.mp4", "folder/broken.mp4")
    page.get_by_text("More filters").click()
    page.locator("#filter-declares").select_option("a camera")
    expect(page.locator("#filters-set")).to_have_text("(1 set)")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#shown")).to_have_text("5 of 5 sources shown")
    page.get_by_label("Name contains").fill("nothing like it")
    expect(page.get_by_text("No source passes these filters.")).to_be_visible()


def test_it_is_used_by_keyboard_alone(filled, enter):
    page = enter(filled)
    expect(row(page, "folder/b10.mp4")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the results
    grid = page.get_by_role("grid")
    expect(grid).to_be_focused()
    expect(page.locator("#selected-name")).to_have_text("folder/b10.mp4")
    active = page.locator(f"#{grid.get_attribute('aria-activedescendant')}")
    expect(active).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(page.locator("#selected-name")).to_have_text("folder/broken.mp4")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    expect(page.locator("#selected-name")).to_have_text("folder/b10.mp4")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Unsure")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Unsure")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("n")
    expect(page.get_by_role("textbox", name="Note")).to_be_focused()
    page.keyboard.type("?fru")
    page.keyboard.press("Escape")
    expect(page.get_by_role("textbox", name="Note")).to_have_value("")
    expect(grid).to_be_focused()
    page.keyboard.press("Enter")
    expect(report_frame(page).locator("h1")).to_have_text("b10.mp4")
    page.keyboard.press("Escape")
    expect(page.locator("#evidence")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("f")  # no mark is set behind the list of keys
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#export")).to_be_empty()
    assert filled.marks() == {}


def test_where_the_evidence_covers_the_table_the_focus_goes_into_it_and_back(filled, enter):
    page = enter(filled, width=800)
    focus_table(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    expect(report_frame(page).locator("h1")).to_have_text("b10.mp4")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("f")
    expect(report_frame(page).locator("h1")).to_have_text("b9.mp4")
    page.keyboard.press("Escape")
    expect(page.locator("#grid")).to_be_focused()
    expect(row(page, "folder/b9.mp4").locator(".c-mark")).to_have_text("fake")


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


def test_what_is_marked_leaves_a_filter_and_the_next_is_selected(filled, enter):
    page = enter(filled)
    page.get_by_text("More filters").click()
    page.locator("#filter-mark").select_option("not marked")
    focus_table(page)
    page.keyboard.press("f")
    expect(page.locator("#selected-name")).to_have_text("folder/b9.mp4")
    page.keyboard.press("r")
    expect(page.locator("#selected-name")).to_have_text("folder/still.jpg")
    shown(page, "folder/still.jpg", "folder/nobody.mp4", "folder/broken.mp4")
    page.wait_for_function("document.querySelector('#export').textContent.startsWith('Export the 2 marked')")


def test_two_windows_tell_each_other(filled, enter):
    here, there = enter(filled), enter(filled)
    expect(row(there, "folder/b9.mp4")).to_be_visible()
    row(here, "folder/b9.mp4").click()
    here.get_by_role("button", name="Real").click()
    expect(row(there, "folder/b9.mp4").locator(".c-mark")).to_have_text("real")


def test_after_a_break_the_page_catches_up(filled, enter, visit):
    page = enter(filled)
    expect(row(page, "folder/b9.mp4")).to_be_visible()
    page.evaluate("window.stayed = true")
    page.context.set_offline(True)
    filled.service.events._loop.call_soon_threadsafe(filled.service.events.close)
    expect(page.locator("#connection")).to_have_text("Not connected, trying again …")
    filled.add(clip_with_faces("folder/late.mp4"))
    page.context.set_offline(False)
    expect(row(page, "folder/late.mp4")).to_be_visible()
    expect(page.locator("#connection")).to_be_empty()
    assert page.evaluate("window.stayed")
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


def made_rows(count: int) -> str:
    """An answer of the server with so many results, made up by seed."""
    chance = random.Random(7)
    spans = {"FAKE": (0.8, 1), "UNCERTAIN": (0.2, 0.8), "REAL": (0, 0.2), "NO_FACE": None, "FAILED": None}
    rows = []
    for number in range(count):
        label = chance.choice(list(spans))
        told = {
            "id": number,
            "name": f"footage/{chance.randrange(10**9)}/interview {number}.mp4",
            "kind": "video",
            "label": label,
            "fake_probability": round(chance.uniform(*spans[label]), 4) if spans[label] else None,
            "fake_kind": chance.choice(["swap", "synthetic", None]),
            "declares_ai": chance.choice([True, False, None]),
            "remarks": chance.sample(["length", "cover", "streams"], chance.randrange(3)),
            "mark": chance.choice(["fake", "real", "unsure", None]),
            "note": chance.choice(["", "", f"note {number}"]),
            "duration_s": chance.uniform(1, 5000),
            "error": "no video" if label == "FAILED" else None,
        }
        rows.append([told.get(name) for name in COLUMNS])
    return json.dumps({"columns": COLUMNS, "rows": rows})


def with_rows(count: int) -> Callable[[object], None]:
    body = made_rows(count)
    return lambda page: page.route(
        re.compile("/api/v1/results$"),
        lambda route: route.fulfill(body=body, content_type="application/json"),
    )


TIMED = """() => {
  const took = {};
  // The best of several: another process may have the core meanwhile.
  const time = (what, act) => {
    took[what] = Math.min(...[0, 1, 2, 3, 4, 5].map((number) => {
      const start = performance.now();
      act(number);
      document.body.getBoundingClientRect();
      return performance.now() - start;
    }));
  };
  for (const head of document.querySelectorAll("#grid .head button")) time(`sort by ${head.textContent}`, () => head.click());
  const name = document.getElementById("filter-name");
  const input = (element) => element.dispatchEvent(new Event("input", { bubbles: true }));
  time("filter by name", (number) => { name.value = `view ${number}`; input(name); });
  name.value = "";
  input(name);
  time("filter by verdict", () => document.querySelector("[name=label]").click());
  for (const select of document.querySelectorAll(".selects select:not(#sort)")) {
    time(`filter by ${select.id}`, (number) => { select.selectedIndex = (number % 2) + 1; input(select); });
    select.selectedIndex = 0;
    input(select);
  }
  return took;
}"""


def test_ten_thousand_rows_sort_and_filter_at_once(served, enter):
    page = enter(served, before=with_rows(10_000))
    expect(page.locator("#shown")).to_have_text("10,000 of 10,000 sources shown")
    took = page.evaluate(TIMED)
    assert len(took) == 9 + 2 + 4
    slow = {what: milliseconds for what, milliseconds in took.items() if milliseconds > 200}
    assert not slow
    assert page.locator("#grid .body .row").count() < 60, "only what is in sight is drawn"
    focus_table(page)
    page.keyboard.press("End")
    expect(page.get_by_role("row", selected=True)).to_have_attribute("aria-rowindex", "10001")
    assert page.locator("#grid").get_attribute("aria-rowcount") == "10001"


def faults(page) -> list[tuple[str, list[str]]]:
    from axe_playwright_python.sync_playwright import Axe

    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (800, "light"), (1440, "light"), (1440, "dark")]
)
def test_it_is_accessible_and_fits_the_window(filled, enter, bright_clip, width, scheme):
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    filled.engine.may_look.clear()
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
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page = enter(served, width=390)
    expect(page.locator("#store")).to_have_text("case.vidscan")
    assert faults(page) == []


def test_its_colours_are_those_of_the_report():
    def colours(text: str) -> list[tuple[str, str]]:
        return re.findall(r"--(ground|card|ink|soft|line|link|fake|real|unsure|none): (#\w+);", text)

    report = (PAGE.parents[1] / "report" / "html" / "page.css").read_text("utf-8")
    own = colours((PAGE / "app.css").read_text("utf-8"))
    assert len(own) == 20 and own == colours(report)
