"""What a scan holds does not grow with the number of files."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer, toy_picture

from vidscan.options import ScanOptions
from vidscan.records import Source, SourceKind
from vidscan.scan.pipeline import scan

STILLS = 200
EVERY = STILLS // 10

OPEN_FILES = Path("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd")


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
def test_open_files_and_memory_stay_flat_over_many_stills(tmp_path: Path, traced: None):
    """One picture kept of each still, 230 KB, would be 40 MB in the end; one open file each, 180."""
    path = tmp_path / "still.png"
    Pillow.fromarray(toy_picture(90, 240, 320)).save(path)
    sources = [Source(str(number), path, SourceKind.IMAGE) for number in range(STILLS)]
    opened, held, faces = [], [], 0
    with ToyDetector() as detector:
        reports = scan(sources, ScanOptions(), scorers=[ToyScorer()], detector=detector)
        for number, report in enumerate(reports, start=1):
            faces += report.stats.faces_scored
            if number % EVERY == 0:
                gc.collect()
                opened.append(len(os.listdir(OPEN_FILES)))  # noqa: PTH208 - names alone, opened once
                held.append(tracemalloc.get_traced_memory()[0])
    assert faces == STILLS
    # What is in flight comes and goes (up to two batches of crops, and a few pictures in the hands
    # of the reading threads), so the least of each half is compared: what is never let go stays in it.
    half = len(held) // 2
    assert min(opened[half:]) - min(opened[:half]) <= 8, opened
    assert min(held[half:]) - min(held[:half]) < 2_000_000, held
