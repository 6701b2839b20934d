"""The commands in the documents are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from vidscan.cli.arguments import parse
from vidscan_training.cli.main import build_parser, fit_options
from vidscan_training.recipes.vit import __main__ as vit

ROOT = Path(__file__).parents[1]


def commands(program: str) -> list[list[str]]:
    """The arguments of each command in the documents' blocks, with the block's shell variables put in."""
    found = []
    for document in (ROOT / "README.md", *sorted(ROOT.glob("*/*.md"))):
        blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        text = "\n".join(blocks).replace("\\\n", " ")
        for name, value in re.findall(r'^(\w+)="([^"]*)"', text, re.MULTILINE):
            text = text.replace(f"${name}", value.replace("\n", " "))
        lines = re.findall(rf"^{re.escape(program)} (.*)$", text, re.MULTILINE)
        found += [[word for word in shlex.split(line, comments=True) if word != "…"] for line in lines]
    return found


SCANS = commands("vidscan")
TRAINING = commands("vidscan-train")
VIT = commands("python -m vidscan_training.recipes.vit")


def test_there_are_documented_commands() -> None:
    assert {words[0] for words in SCANS} >= {"run", "dir", "image", "report", "serve", "export"}
    assert {words[0] for words in TRAINING} == {"crops", "fit", "average", "calibrate", "evaluate"}
    assert {words[0] for words in VIT} == {"port", "faces", "features", "folds", "export", "cards"}


@pytest.mark.parametrize("words", SCANS, ids=" ".join)
def test_commands_are_understood(words: list[str]) -> None:
    parse(words[: words.index("|")] if "|" in words else words)


@pytest.mark.parametrize("words", TRAINING, ids=" ".join)
def test_training_commands_are_understood(words: list[str]) -> None:
    flags = build_parser().parse_args([each.strip("[]") for each in words])
    if words[0] == "fit":
        options = fit_options(flags)
        read = (options.initial, options.weights, options.teacher)
        assert not any(Path(str(each)).name == "last.keras" for each in read), "only --resume reads it"


@pytest.mark.parametrize("words", VIT, ids=" ".join)
def test_steps_of_the_second_network_are_understood(words: list[str]) -> None:
    vit.build_parser().parse_args(words)
