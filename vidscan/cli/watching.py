"""What ``vidscan dir FOLDER --watch`` scans: what is in the folder, then what arrives, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from vidscan.cli.interrupts import Interrupts
from vidscan.engines.arrivals import Arrivals
from vidscan.errors import SourceError
from vidscan.protocols import Engine, Results
from vidscan.records import Report, Source
from vidscan.report.wording import counted

POLL_S = 1.0
"""Seconds between two looks at an idle folder; a long look, as over a network, makes a longer pause."""

_LOOK_SHARE = 5
_SLICE_S = 0.1
_MAX_NAMED = 5


def reports_of_arrivals(
    arrivals: Arrivals, engine: Engine, results: Results, interrupts: Interrupts, say: Callable[[str], None]
) -> Iterator[Report]:
    """The reports on what arrives, each as it is finished, until a signal comes.

    What arrives while others are scanned joins their stream. That ends where nothing waits, since a batch
    that is not full is scored at the end of a stream alone; the next arrivals begin another.
    """
    unread = False
    while interrupts.received is None:
        began = time.monotonic()
        try:
            ready = arrivals.poll()
        except SourceError as error:  # a share that comes and goes
            if not unread:
                say(f"{error}; looking again and again")
            ready, unread = [], True
        else:
            unread = False
        if ready:
            sources = interrupts.until_interrupted(results.begin(_joined(ready, arrivals)))
            yield from engine.scan(sources)
        else:
            _wait(max(POLL_S, _LOOK_SHARE * (time.monotonic() - began)), interrupts)
    if growing := arrivals.growing:
        more = "" if len(growing) <= _MAX_NAMED else f" and {len(growing) - _MAX_NAMED} more"
        named = ", ".join(growing[:_MAX_NAMED])
        say(f"{counted(len(growing), 'file')} had not stopped growing and not scanned: {named}{more}")


def _joined(ready: Sequence[Source], arrivals: Arrivals) -> Iterator[Source]:
    """These sources and those that arrive before all of them are read, each name once."""
    busy: set[str] = set()
    while ready:
        yield from _noted(ready, busy)
        try:
            ready = arrivals.poll(busy)
        except SourceError:  # told at the next look
            return


def _noted(sources: Iterable[Source], busy: set[str]) -> Iterator[Source]:
    for source in sources:
        busy.add(source.name)
        yield source


def _wait(seconds: float, interrupts: Interrupts) -> None:
    """Waits in slices: a signal's handler runs, but does not end a sleep."""
    end = time.monotonic() + seconds
    while interrupts.received is None and time.monotonic() < end:
        time.sleep(_SLICE_S)
