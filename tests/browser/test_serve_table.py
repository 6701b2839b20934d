"""The table of ``vidscan serve``'s page, in a browser: order, filters, keys, and how quick it is."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

import pytest
from looking import expect, focus_table, names, report_frame, row, shown

pytest.importorskip("starlette", reason="the server is not installed: pip install 'vidscan[serve]'")
pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'vidscan[serve]'")

from vidscan.serve.service import COLUMNS

pytestmark = pytest.mark.slow


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
    points = page.get_by_role("button", name="P(fake)")
    points.click()
    points.click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    ascending = [
        "still.jpg",
        "b9.mp4",
        "b10.mp4",
        "nobody.mp4",
        "broken.mp4",
    ]  # without a score: last both ways
    shown(page, *(f"folder/{name}" for name in ascending))


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
    expect(page.locator("#export")).to_contain_text("Export the 2 marked")


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
  for (const head of document.querySelectorAll("#grid .head button")) {
    time(`sort by ${head.textContent}`, () => head.click());
  }
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


def test_what_comes_meanwhile_moves_nothing_under_the_eyes(served, enter):
    page = enter(served, before=with_rows(500))
    expect(page.locator("#shown")).to_have_text("500 of 500 sources shown")
    focus_table(page)
    for _ in range(4):
        page.keyboard.press("PageDown")
    selected = page.get_by_role("row", selected=True)
    name, place = selected.locator(".c-name").text_content(), selected.bounding_box()
    columns, (first, *_) = json.loads(made_rows(1)).values()
    told = dict(zip(columns, first, strict=True))
    for number in range(501, 511):
        suspicious = told | {"id": number, "label": "FAKE", "fake_probability": 0.99999, "error": None}
        served.service.events.publish("result", list(suspicious.values()))
    expect(page.locator("#shown")).to_have_text("510 of 510 sources shown")
    assert selected.locator(".c-name").text_content() == name
    assert selected.bounding_box() == place
