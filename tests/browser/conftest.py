"""A real browser, headless, that may fetch nothing; skipped where none is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from served import Served

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium: the one that ``VIDSCAN_CHROMIUM`` names, else the system's."""
    program = os.environ.get("VIDSCAN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no browser here: install chromium, or name one in VIDSCAN_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


@dataclass
class Opened:
    """A page with what it did: messages on its console, errors, dialogs and requests."""

    page: object
    said: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing went wrong, and nothing but the file itself was asked for."""
        assert self.said == []
        assert len(self.asked_for) == 1 and self.asked_for[0].startswith("file:")


@pytest.fixture
def show(browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report's text as a file; at the end nothing may have gone wrong in any of them."""
    opened: list[Opened] = []
    contexts = []

    def show_page(text: str, *, width: int = 1280, scheme: str = "light", fragment: str = "") -> Opened:
        path = tmp_path / f"report-{len(opened)}.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        seen = Opened(page)
        page.on("console", lambda message: seen.said.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.said.append(f"error: {error}"))

        def dialogue(dialog) -> None:
            seen.said.append(f"dialogue: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dialogue)
        page.on(
            "request", lambda request: request.url.startswith("data:") or seen.asked_for.append(request.url)
        )
        page.goto(path.as_uri() + fragment)
        opened.append(seen)
        return seen

    yield show_page
    for each in opened:
        each.check()
    for context in contexts:
        context.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with an empty store."""
    from served import serving

    with serving(tmp_path, store=tmp_path / "case.vidscan") as running:
        yield running


@pytest.fixture
def filled(served: Served) -> Served:
    """The same with five results: broken.mp4, nobody.mp4, b9.mp4, still.jpg, b10.mp4."""
    from made_reports import folder

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
