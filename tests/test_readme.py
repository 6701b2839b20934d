"""The README keeps its word: its Python example runs, its files exist, nothing was left to fill in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = fences("python")
    monkeypatch.chdir(ROOT)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"(REAL|UNCERTAIN) 0\.\d+", printed[0])
    assert re.fullmatch(r"track 1: \d+ faces, P\(fake\) 0\.\d\d", printed[1])
    assert printed[2:4] == ["samples/astronaut-self-blended.jpg FAKE", "samples/no-face.mp4 NO_FACE"]


@pytest.mark.parametrize("document", ["README.md", "training/README.md", "samples/README.md"])
def test_links_lead_to_files(document: str) -> None:
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    assert "@@" not in text
    for target in re.findall(r"""(?:\]\(|<img src=")(?!https?:)([^)"#]+)""", text):
        assert (path.parent / target).exists(), f"{document} links to {target}"


def test_first_two_commands_set_everything_up() -> None:
    install_and_scan, install_and_test = fences("")[:2]
    assert "pip install ." in install_and_scan and "vidscan dir samples" in install_and_scan
    assert "[dev]" in install_and_test and "pytest" in install_and_test
    assert len(install_and_scan.splitlines()) == len(install_and_test.splitlines()) == 1
