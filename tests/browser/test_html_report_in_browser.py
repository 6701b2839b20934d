"""The HTML report in a real browser: it draws, answers pointer and keyboard, and lets nothing in or out."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from made_reports import HOSTILE_NAME, clip_with_cuts, clip_with_faces, folder, too_small
from report_samples import document_of, evidence_of

from vidscan.records import Report
from vidscan.report import html

pytestmark = pytest.mark.slow


def written(*reports: Report) -> str:
    stream = io.StringIO(newline="")
    html.write(document_of(*reports), stream, evidence_of(reports))
    return stream.getvalue()


def painted(page) -> int:
    """How many colours the chart's canvas shows."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector('.plot canvas');
          const copy = document.createElement('canvas');
          Object.assign(copy, { width: canvas.width, height: canvas.height });
          const context = copy.getContext('2d', { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
          return new Set(new Uint32Array(pixels.buffer)).size;
        }"""
    )


def read_out(page) -> str:
    return " ".join(page.locator(".readout").inner_text().split())


def test_the_chart_is_drawn_and_starts_at_the_most_suspicious_moment(show):
    page = show(written(clip_with_faces())).page
    assert page.locator(".plot canvas").count() == 1
    assert painted(page) > 20
    assert read_out(page).startswith("0:02.5 track 1 0.98 points to fake")


def test_pointing_at_the_chart_shows_time_score_and_face(show):
    page = show(written(clip_with_faces())).page
    area = page.locator(".u-over").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.5 / 5, area["y"] + 20)
    assert read_out(page).startswith("0:00.5 track 2 0.33 points to real track 1 0.10 points to real")
    page.mouse.move(area["x"] + area["width"] * 2 / 5, area["y"] + 20)
    assert read_out(page).startswith("0:02.0 track 1 0.95")
    face = page.locator(".readout img")
    assert face.get_attribute("alt") == "Face of track 1 at 0:02.0, score 0.95"
    assert face.evaluate("image => image.naturalWidth") == 64


def test_the_keyboard_walks_through_the_moments_and_says_them(show):
    page = show(written(clip_with_faces())).page
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    assert read_out(page).startswith("0:00.0")
    page.keyboard.press("ArrowRight")
    assert read_out(page).startswith("0:00.5")
    spoken = slider.get_attribute("aria-valuetext")
    assert spoken == "0:00.5; track 2: 0.33, points to real; track 1: 0.10, points to real"
    assert page.locator(".u-cursor-x").bounding_box()["x"] > page.locator(".u-over").bounding_box()["x"]


def test_a_face_that_was_not_judged_is_read_out_without_a_score(show):
    page = show(written(clip_with_cuts())).page
    assert read_out(page).startswith("0:04.5 track 4 (person 1) 0.97 points to fake")
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert read_out(page).startswith(
        "0:02.0 track 2 (person 2) 0.10 points to real track 3 (person 3) — too small to judge"
    )
    assert slider.get_attribute("aria-valuetext") == (
        "0:02.0; track 2 (person 2): 0.10, points to real; track 3 (person 3): too small to judge"
    )


def test_a_clip_without_any_score_has_a_chart_all_the_same(show):
    page = show(written(too_small())).page
    assert read_out(page) == "0:00.0 track 1 — too small to judge"
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert read_out(page).startswith("0:01.5")


def pixels(page, x: float) -> list[list[int]]:
    """The colours of the chart's canvas from top to bottom at a time in seconds."""
    return page.evaluate(
        """(time) => {
          const canvas = document.querySelector('.plot canvas');
          const plot = document.querySelector('.u-over').getBoundingClientRect();
          const whole = canvas.getBoundingClientRect();
          const ratio = canvas.width / whole.width;
          const left = Math.round((plot.left - whole.left + (plot.width * time) / 6) * ratio);
          const top = Math.round((plot.top - whole.top) * ratio);
          const height = Math.round(plot.height * ratio);
          const copy = document.createElement('canvas');
          Object.assign(copy, { width: canvas.width, height: canvas.height });
          const context = copy.getContext('2d', { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          const found = context.getImageData(left - 1, top, 3, height).data;
          return Array.from({ length: height }, (_, row) => Array.from(found.slice(12 * row, 12 * row + 12)));
        }""",
        x,
    )


def soft_rows(page, time_s: float) -> float:
    """The share of the chart's rows in which a cut's colour stands at a time."""
    rows = pixels(page, time_s)
    soft = [0x56, 0x5D, 0x66]
    return sum(any(row[at : at + 3] == soft for at in (0, 4, 8)) for row in rows) / len(rows)


def test_cuts_are_thin_lines_from_top_to_bottom_as_long_as_there_is_room(show):
    page = show(written(clip_with_cuts())).page
    assert soft_rows(page, 2.0) > 0.8 and soft_rows(page, 4.0) > 0.8
    assert soft_rows(page, 3.2) == 0
    report = clip_with_cuts()
    crowded = replace(report, stats=replace(report.stats, cuts_s=tuple(at / 100 for at in range(600))))
    assert soft_rows(show(written(crowded)).page, 2.0) == 0


def test_a_person_joined_over_cuts_is_hidden_as_one(show):
    page = show(written(clip_with_cuts())).page
    assert page.locator(".choice", has_text="person").count() == 3
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    before = painted(page)
    page.get_by_role("checkbox", name="person 1").uncheck()
    assert read_out(page) == "0:00.0"
    assert painted(page) < before
    page.keyboard.press("Control+Home")
    page.get_by_role("checkbox", name="person 1").check()
    assert read_out(page).startswith("0:00.0 track 1 (person 1)")


def test_a_track_can_be_hidden(show):
    page = show(written(clip_with_faces())).page
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    before = painted(page)
    page.get_by_role("checkbox", name="track 2").uncheck()
    assert read_out(page).startswith("0:00.0 track 1")
    assert "track 2" not in read_out(page)
    assert painted(page) < before


def test_a_stretch_can_be_looked_at_closer_and_left_again(show):
    page = show(written(clip_with_faces())).page
    whole = page.get_by_role("button", name="Show the whole clip")
    assert not whole.is_visible()
    area = page.locator(".u-over").bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.7, middle, steps=4)
    page.mouse.up()
    whole.click()
    assert not whole.is_visible()


def test_heat_maps_can_be_taken_off(show):
    page = show(written(clip_with_faces(heat=True))).page
    heat = page.locator(".heat").first
    assert heat.is_visible()
    page.get_by_label("Heat maps").uncheck()
    assert not heat.is_visible()


def names(page) -> list[str]:
    return page.locator("#files tbody tr:visible th").all_inner_texts()


def test_the_heads_of_the_table_sort_it(show):
    page = show(written(*folder())).page
    assert names(page) == ["b10.mp4", "b9.mp4", "still.jpg", "nobody.mp4", "broken.mp4"]
    head = page.get_by_role("button", name="File")
    head.click()
    assert names(page) == ["b9.mp4", "b10.mp4", "broken.mp4", "nobody.mp4", "still.jpg"]
    head.press("Enter")
    assert names(page)[0] == "still.jpg"
    assert page.locator("th", has=head).get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Length").click()
    assert names(page)[:2] == ["nobody.mp4", "b10.mp4"]
    page.get_by_role("button", name="Verdict").click()
    assert names(page)[-1] == "broken.mp4"
    assert page.locator("th[aria-sort]").count() == 1


def test_the_table_can_be_filtered_by_name_and_verdict(show):
    page = show(written(*folder())).page
    page.get_by_label("Name contains").fill("MP4")
    assert names(page) == ["b10.mp4", "b9.mp4", "nobody.mp4", "broken.mp4"]
    assert page.get_by_role("status").inner_text() == "4 of 5 files shown"
    page.get_by_role("checkbox", name="FAKE").uncheck()
    page.get_by_role("checkbox", name="NO FACE").uncheck()
    assert names(page) == ["b9.mp4", "broken.mp4"]
    page.get_by_label("Name contains").fill("")
    page.get_by_role("checkbox", name="FAKE").check()
    assert len(names(page)) == 4


def test_a_link_opens_the_files_section_and_draws_its_chart(show):
    page = show(written(*folder())).page
    section = page.locator("details.file", has_text="b10.mp4")
    opened = section.and_(page.locator("[open]"))
    assert section.locator("canvas").count() == 0
    page.get_by_role("link", name="b10.mp4").click()
    opened.wait_for()  # the page hears of its new address a moment after the click
    section.locator("canvas").wait_for()
    assert painted(page) > 20
    page.get_by_role("button", name="Close all").click()
    assert section.get_attribute("open") is None
    page.get_by_role("link", name="b10.mp4").click()
    opened.wait_for()


def test_a_hostile_name_runs_nothing(show):
    hostile = [replace(report, source=replace(report.source, path=HOSTILE_NAME)) for report in folder()]
    page = show(written(*hostile)).page
    page.get_by_role("button", name="Open all").click()
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("img:not([src^='data:image/'])").count() == 0
    shown = page.locator("body").inner_text()
    assert shown.count("<img src=x onerror=window.hacked=1></script><script>window.hacked=2") > 5
    assert r"\u202egpj.mp4" in shown and "\u202e" not in shown
    page = show(written(hostile[-1])).page
    assert page.title() == r"script>\u202egpj.mp4 – vidscan report"
    assert page.evaluate("typeof window.hacked") == "undefined"


def test_the_policy_stops_what_would_slip_in(show):
    """A foil: were something to get into the page, it could neither run nor fetch."""
    opened = show(written(clip_with_faces()))
    opened.page.evaluate(
        """() => {
          const picture = '<img src="https://example.invalid/x.png" onerror="window.hacked=1">';
          document.body.insertAdjacentHTML('beforeend', picture);
          const script = document.createElement('script');
          script.textContent = 'window.hacked = 2';
          document.body.append(script);
        }"""
    )
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("typeof window.hacked") == "undefined"
    assert len(opened.said) >= 3 and all("Content Security Policy" in said for said in opened.said)
    opened.said.clear()
    opened.asked_for[1:] = []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_accessible_and_fits_the_window(show, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    for reports in ([clip_with_faces(heat=True)], [clip_with_cuts()], [*folder(), too_small()]):
        page = show(written(*reports), width=width, scheme=scheme).page
        if len(reports) > 1:
            page.get_by_role("button", name="Open all").click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(page).response["violations"]
        grave = [
            (each["id"], [node["target"] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert grave == []


def test_axe_would_notice(show):
    from axe_playwright_python.sync_playwright import Axe

    page = show(written(clip_with_faces())).page
    page.evaluate("document.documentElement.removeAttribute('lang')")
    page.evaluate("document.querySelectorAll('img').forEach(image => image.removeAttribute('alt'))")
    assert {"html-has-lang", "image-alt"} <= {each["id"] for each in Axe().run(page).response["violations"]}


def test_in_print_the_chart_is_there_and_the_controls_are_not(show):
    page = show(written(clip_with_faces()), scheme="dark").page
    assert page.get_by_role("slider").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_role("slider").is_visible()
    assert page.locator(".plot canvas").is_visible()
    assert (
        page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()")
        == "#1a1d21"
    )
    assert len(page.pdf()) > 20_000


def test_without_scripts_everything_but_the_chart_is_there(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(written(*folder()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert len(names(page)) == 5
    assert not page.get_by_label("Name contains").is_visible()
    page.locator("details.file", has_text="b10.mp4").locator("summary").first.click()
    assert page.locator("noscript .strip").first.is_visible()
    context.close()
