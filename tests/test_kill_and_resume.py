"""A folder's scan, killed where it stands and resumed, gives the report of one left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[1]
STILLS = 24
TOLERANCE = 2e-6
"""A crop's place in its batch may move the last digit of its score, of six."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    media.mkdir()
    for number in range(STILLS):
        name = ("no-face.jpg", "astronaut.jpg", "astronaut-self-blended.jpg")[number % 3]
        shutil.copy(ROOT / "samples" / name, media / f"{number:02}.jpg")
    return media


def start(folder: Path, report: Path, checkpoint: Path) -> subprocess.Popen[bytes]:
    options = ["--resume", "--quiet", "--batch-size", "4", "--model", str(checkpoint)]
    command = [sys.executable, "-m", "vidscan", "dir", str(folder), "--report", str(report), *options]
    return subprocess.Popen(command, cwd=ROOT)


def finished(report: Path) -> int:
    """Files that the journal holds beneath its head."""
    journal = report.with_name(f"{report.name}.journal")
    return max(journal.read_bytes().count(b"\n") - 1, 0) if journal.exists() else 0


def results(report: Path) -> list[dict[str, Any]]:
    """Without what took how long, and how full its batches were."""
    found = json.loads(report.read_text("utf-8"))["results"]
    for result in found:
        del result["stats"]["seconds"], result["stats"]["batch_slots"]
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two documents are equal; numbers up to the tolerance."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE
    return type(one) is type(other) and one == other


def test_killed_and_resumed_it_is_as_if_it_had_not_been(
    folder: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    whole, report = tmp_path / "whole.json", tmp_path / "out.json"
    assert start(folder, whole, tiny_checkpoint).wait() == 0
    for _ in range(2):
        held = finished(report)
        with start(folder, report, tiny_checkpoint) as scan:
            while finished(report) <= held + 2 and scan.poll() is None:
                time.sleep(0.002)
            scan.kill()
        assert not report.exists(), "it came to its end before it was killed"
        assert held < finished(report) < STILLS, "nothing was kept, or all was done"
    assert start(folder, report, tiny_checkpoint).wait() == 0
    assert finished(report) == 0, "a journal was left behind"
    assert len(results(report)) == STILLS
    assert same(results(report), results(whole))
