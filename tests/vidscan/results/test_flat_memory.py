"""Memory does not grow with the results: what is written and shown is read a few at a time."""

from __future__ import annotations

import gc
import io
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from report_samples import CARD, clip
from rich.console import Console

from vidscan.options import ScanOptions
from vidscan.records import Report, Source, SourceKind
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
    """The most that Python holds at once during an act, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def alone() -> Iterator[Executor]:
    """A process in which nothing else is at work: threads that other tests leave count in this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def grown(act: Callable[[ResultsInStore], object], folder: Path) -> int:
    """How many bytes more an act takes on many results than on few."""
    few, many = results_of(FEW, folder), results_of(MANY, folder)
    act(few)  # what is loaded once
    grown = highest(lambda: act(many)) - highest(lambda: act(few))
    for results in (few, many):
        results.close()
    return grown


def write(ending: str, folder: Path, results: ResultsInStore) -> None:
    Destination.parse(str(folder / f"out.{ending}")).write(results._store.document())


def show(printed: Callable[[Console, Sequence[Report]], None], results: ResultsInStore) -> None:
    printed(Console(file=io.StringIO(), width=120), results.reports())


def test_six_times_the_results_take_no_more_memory(tmp_path: Path, alone: Executor) -> None:
    acts = [partial(write, ending, tmp_path) for ending in ("csv", "json")]
    acts += [partial(show, printed) for printed in (print_summary, print_timings)]
    for number, act in enumerate(acts):
        (folder := tmp_path / str(number)).mkdir()
        assert alone.submit(grown, act, folder).result() < GROWTH


def scanned(sources: int, folder: Path) -> int:
    folder.mkdir()
    return highest(lambda: results_of(sources, folder).close())


def test_a_scan_holds_no_results(tmp_path: Path, alone: Executor) -> None:
    few, many = (alone.submit(scanned, n, tmp_path / str(n)).result() for n in (FEW, MANY))
    assert many - few < GROWTH
