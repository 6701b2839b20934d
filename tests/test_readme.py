"""The documents keep their word: the README's Python example runs, links lead somewhere, modules exist."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_LINES = 90
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks", ROOT / "training", ROOT / "samples")
    for path in folder.glob("*.md")
)


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The names by which a document's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.slow
def test_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = fences("python")
    monkeypatch.chdir(ROOT)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"(REAL|UNCERTAIN) 0\.\d+", printed[0])
    assert re.fullmatch(r"track 1: \d+ faces, P\(fake\) 0\.\d\d", printed[1])
    assert printed[2:4] == ["samples/astronaut-self-blended.jpg FAKE", "samples/no-face.mp4 NO_FACE"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_and_headings(document: str) -> None:
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    assert "@@" not in text, "something was left to fill in"
    for target in re.findall(r"""(?:\]\(|<img src=")(?!https?:)([^)"]+)""", text):
        name, _, heading = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), f"{document} links to {target}"
        assert not heading or heading in anchors(linked), f"{document} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_that_are_run_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for name in re.findall(r"python -m (vidscan[\w.]*\w)", text):
        assert find_spec(name) is not None, f"{document} runs {name}"
    for script in re.findall(r"python (benchmarks/\w+\.py)", text):
        assert (ROOT / script).is_file(), f"{document} runs {script}"


def test_first_two_commands_set_everything_up() -> None:
    install_and_scan, install_and_test = fences("")[:2]
    assert "pip install ." in install_and_scan and "vidscan dir samples" in install_and_scan
    assert "[dev]" in install_and_test and "pytest" in install_and_test
    assert len(install_and_scan.splitlines()) == len(install_and_test.splitlines()) == 1


def test_the_readme_is_read_to_its_end() -> None:
    assert len(README.splitlines()) <= MAX_LINES
