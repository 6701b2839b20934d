"""A folder's scan, killed where it stands and resumed, gives the report of one left alone."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from stored import finished
from toys import toy_picture

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


def beside(report: Path) -> Path:
    return report.with_name(f"{report.name}.vidscan")


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
    store = beside(report)
    for _ in range(2):
        held = finished(store)
        with start(folder, report, tiny_checkpoint) as scan:
            while finished(store) <= held + 2 and scan.poll() is None:
                time.sleep(0.002)
            scan.kill()
        assert not report.exists(), "it came to its end before it was killed"
        assert held < finished(store) < STILLS, "nothing was kept, or all was done"
    assert start(folder, report, tiny_checkpoint).wait() == 0
    assert not store.exists(), "the store was left behind"
    assert len(results(report)) == STILLS
    assert same(results(report), results(whole))


def start_toy(folder: Path, report: Path) -> subprocess.Popen[bytes]:
    program = [sys.executable, str(ROOT / "tests" / "vidscan" / "toy_scan.py")]
    command = [*program, "dir", str(folder), "--report", str(report), "--resume", "-q", "--batch-size", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_killed_fifty_times_at_random_nothing_is_lost_and_nothing_is_another(tmp_path: Path) -> None:
    """Some kills come while the program starts or makes or reads the store, some before the first result."""
    folder, sources, kills = tmp_path / "media", 60, 50
    folder.mkdir()
    for number in range(sources):
        picture = cv2.imencode(".png", toy_picture(40 + 3 * number, 80, 120))[1]
        (folder / f"{number:02}.png").write_bytes(picture.tobytes())
    whole, report = tmp_path / "whole.json", tmp_path / "out.json"
    with start_toy(folder, whole) as scan:
        scan.communicate()
    chance, held = random.Random(24), 0
    for number in range(kills):
        with start_toy(folder, report) as scan:
            assert scan.stdout is not None
            if number % 5 == 0:
                time.sleep(chance.uniform(0, 0.5))
            elif scan.stdout.readline() == b"begun\n" and held < 0.7 * sources * number / kills:
                while finished(beside(report)) == held and scan.poll() is None:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
            else:
                time.sleep(chance.uniform(0, 0.08))
            scan.kill()
        before, held = held, finished(beside(report))
        assert before <= held < sources, "what was finished is lost, or all was done before the last kill"
        assert not report.exists()
    assert sources / 2 < held
    with start_toy(folder, report) as scan:
        scan.communicate()
    assert scan.returncode == 0 and sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "out.json",
        "whole.json",
    ]
    assert len(results(report)) == sources
    assert results(report) == results(whole)
    assert {each["verdict"]["label"] for each in results(whole)} == {"FAKE", "REAL", "UNCERTAIN", "NO_FACE"}
