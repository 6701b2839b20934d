"""What ``vidscan report`` does: writes what a store holds, or a part of it. Composition only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console

from vidscan.cli.arguments import EXIT_OK
from vidscan.cli.requests import ReportRequest, is_dataset
from vidscan.errors import StoreError
from vidscan.report.destination import Destination
from vidscan.report.escape import visible
from vidscan.report.wording import counted
from vidscan.results.store import Store


def prepare_report(request: ReportRequest, opened: ExitStack) -> Callable[[], int]:
    """Finds out all that can be wrong with a request, and returns the work, which gives the exit code.

    Raises VidscanError where something cannot work; nothing was written then.
    """
    store = Store.open(request.store, write=False)
    opened.callback(store.close)
    files, datasets = [], []
    for place in dict.fromkeys(request.to):
        if is_dataset(place):
            datasets.append(place)
        else:
            files.append(Destination.parse(place, "--to"))
    for each in files:
        each.check()
    console = Console(stderr=any(each.to_stdout for each in files), quiet=request.quiet, highlight=False)

    def work() -> int:
        with opened.pop_all():
            _write(request, store, files, datasets, console)
        return EXIT_OK

    return work


def _write(
    request: ReportRequest, store: Store, files: list[Destination], datasets: list[str], console: Console
) -> None:
    ids = store.ids(request.only, request.source)
    if not ids:
        raise StoreError(f"{request.store}: {_nothing(request, store.count())}: nothing was written")
    if not store.complete:
        _say(console, f"{request.store}: a scan into it is under way or was broken off: {_so_far(store)}")
    document, evidence = store.document(ids=ids), store.evidence_by_source()
    for place in datasets:
        from vidscan.results.in_dataset import write_dataset

        _say(console, f"{counted(len(ids), 'result')} written to {write_dataset(place, store, ids)}")
    for each in files:
        each.write(document, evidence)
        if each.places:
            _say(console, f"{counted(len(ids), 'result')} written to {' and '.join(each.places)}")


def _nothing(request: ReportRequest, held: int) -> str:
    if not held:
        return "no source is finished in it"
    asked = [f"is {' or '.join(request.only)}"] if request.only else []
    asked += [] if request.source is None else [f"fits {request.source!r}"]
    return f"none of its {held:,} sources {' and '.join(asked)}"


def _so_far(store: Store) -> str:
    count, expected = store.count(), store.expected
    of_all = "" if expected is None or expected <= count else f" of {expected:,}"  # more may have arrived
    return f"{count:,}{of_all} finished so far"


def _say(console: Console, line: str) -> None:
    console.print(visible(line), style="dim", markup=False, soft_wrap=True)
