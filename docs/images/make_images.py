"""Takes the documents' pictures of the HTML report and of vidscan serve anew, from the samples alone.

    python docs/images/make_images.py [FLAG…]

The flags go to ``vidscan run`` and ``vidscan serve`` (``--explain``, say, for heat maps). Needs the extra
``dev`` and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "samples"
SAMPLE = SAMPLES / "self-blended.mp4"
VIEWS = (
    ("report-clip.png", {"width": 1120, "height": 1000}, "light"),
    ("report-phone.png", {"width": 390, "height": 960}, "dark"),
)


MAX_SCAN_MS = 600_000


def main(flags: list[str]) -> None:
    """Scans the samples and photographs the pages that show them."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no browser here: install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        photograph_report(browser, Path(folder) / "report.html", flags)
        with served(Path(folder) / "samples.vidscan", flags) as address:
            photograph_served(browser, address)
        browser.close()


def photograph_report(browser: Browser, report: Path, flags: list[str]) -> None:
    """Takes one clip's report at a desktop's and at a phone's width."""
    command = [sys.executable, "-m", "vidscan", "run", SAMPLE.name, "--quiet", "--report", str(report)]
    subprocess.run([*command, *flags], check=True, cwd=SAMPLES)
    for name, size, scheme in VIEWS:
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.goto(report.as_uri())
        page.wait_for_selector(".readout .when")
        page.screenshot(path=HERE / name)
        page.close()


@contextmanager
def served(store: Path, flags: list[str]) -> Iterator[str]:
    """Serves an empty store until the block ends; gives the address that is printed."""
    command = [sys.executable, "-m", "vidscan", "serve", "--store", str(store), "--no-browser", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def photograph_served(browser: Browser, address: str) -> None:
    """Has the samples scanned by the page, marks two of them and takes the table with the evidence of one."""
    samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".mp4"))
    page = browser.new_page(viewport={"width": 1440, "height": 860})
    page.goto(address)
    page.locator("#choose-files").set_input_files(samples)
    done = page.get_by_text(f"{len(samples)} of {len(samples)} sources shown")
    done.wait_for(timeout=MAX_SCAN_MS)
    page.locator("#queue").wait_for(state="hidden")
    page.locator("#grid").focus()
    for key in ("f", "ArrowDown", "u", "Enter"):
        page.keyboard.press(key)
    page.frame_locator("iframe").locator(".readout .when").wait_for()
    page.screenshot(path=HERE / "serve.png")
    page.close()


if __name__ == "__main__":
    main(sys.argv[1:])
