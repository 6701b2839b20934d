"""What the tests of the page do with it and see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the browser's driver is not installed")
expect = playwright.expect
expect.set_options(timeout=30_000)  # a machine may be busy


def drop(page, *paths: Path) -> None:
    """Drops files and folders, as a hand would from a file manager."""
    # Browsers take nothing from a hand before they have drawn something.
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    page.evaluate(
        "window.dropped = 0; addEventListener('drop', () => { window.dropped += 1; }, { once: true })"
    )
    # On a busy machine a browser may lose what a hand drops; a hand tries again.
    for _ in range(5):
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 200, "data": data})
        for _ in range(50):  # asked from here: the page's policy forbids what wait_for_function does in it
            if page.evaluate("window.dropped"):
                return
            page.wait_for_timeout(100)
    raise AssertionError("the browser lost five drops")


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


def faults(page) -> list[tuple[str, list[str]]]:
    """What axe finds that is serious or critical."""
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    from axe_playwright_python.sync_playwright import Axe

    return [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
