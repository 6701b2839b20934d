"""Memory does not grow with the results: what is written and shown is read a few at a time."""

from __future__ import annotations

import gc
import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from report_samples import CARD, clip
from rich.console import Console

from vidscan.options import ScanOptions
from vidscan.records import Source, SourceKind
from vidscan.report.destination import Destination
from vidscan.report.terminal.folder import print_summary, print_timings
from vidscan.results.held import Held
from vidscan.results.in_store import ResultsInStore
from vidscan.results.opening import open_store
from vidscan.results.terms import heading_of

pytestmark = pytest.mark.slow

FEW, MANY = 40, 200
GROWTH = 1 << 20
"""Bytes: of names, places and the like. The results alone, as Python has them, are 6 MB more."""


class OneModel:
    card = replace(CARD, sha256="ab" * 32)
    path = Path("toy.keras")


def results_of(number: int, folder: Path) -> ResultsInStore:
    sources = [Source(str(n), folder / f"{n}.mp4", SourceKind.VIDEO) for n in range(number)]
    store = open_store(
        folder / f"{number}.vidscan", heading_of(ScanOptions(), [OneModel()]), resume=False, kept=True
    )
    results = ResultsInStore(ScanOptions(), [OneModel()], Held(store))
    results.left(sources)
    report = clip(scores=[[n / 40 for n in range(40)]])
    for source in results.begin(sources):
        results.take(replace(report, source=source))
    return results


def highest(act: Callable[[], object]) -> int:
    """The least of three peaks: another test's thread may still be at work beside one of them."""
    peaks = []
    for _ in range(3):
        gc.collect()
        tracemalloc.start()
        try:
            act()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


def test_six_times_the_results_take_no_more_memory(tmp_path: Path) -> None:
    few, many = results_of(FEW, tmp_path), results_of(MANY, tmp_path)

    def grown(act: Callable[[ResultsInStore], object]) -> int:
        act(few)  # what is loaded once
        return highest(lambda: act(many)) - highest(lambda: act(few))

    def written(results: ResultsInStore, ending: str) -> None:
        Destination.parse(str(tmp_path / f"out.{ending}")).write(results._store.document())

    console = Console(file=io.StringIO(), width=120)
    for ending in ("csv", "json"):
        assert grown(lambda results, ending=ending: written(results, ending)) < GROWTH
    for show in (print_summary, print_timings):
        assert grown(lambda results, show=show: show(console, results.reports())) < GROWTH
    for results in (few, many):
        results.close()


def test_a_scan_holds_no_results(tmp_path: Path) -> None:
    folders = (tmp_path / str(number) for number in count())

    def scanned(sources: int) -> int:
        def act() -> None:
            folder = next(folders)
            folder.mkdir()
            results_of(sources, folder).close()

        return highest(act)

    few = scanned(FEW)
    assert scanned(MANY) - few < GROWTH
