"""Takes the README's pictures of the HTML report anew, from the samples alone.

    python docs/images/make_images.py [FLAG…]

The flags go to ``vidscan run`` (``--explain``, say, for heat maps). Needs the extra ``dev`` and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "samples" / "self-blended.mp4"
VIEWS = (
    ("report-clip.png", {"width": 1120, "height": 1000}, "light"),
    ("report-phone.png", {"width": 390, "height": 960}, "dark"),
)


def main(flags: list[str]) -> None:
    """Scans the sample and photographs its page at a desktop's and at a phone's width."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no browser here: install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_path = Path(folder) / "report.html"
        command = [sys.executable, "-m", "vidscan", "run", SAMPLE.name, "--quiet", "--report", str(page_path)]
        subprocess.run([*command, *flags], check=True, cwd=SAMPLE.parent)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for name, size, scheme in VIEWS:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(page_path.as_uri())
            page.wait_for_selector(".readout .when")
            page.screenshot(path=HERE / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
