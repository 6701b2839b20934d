"""Which source a worker gets next, which is given up after workers died, and what is then reported of it.

Both engines with workers use this one rule; nothing here knows a process or a cluster.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from vidscan.errors import WorkerError, escaped
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, ModelCard, Report, Source, Status


class Worker(Protocol):
    """A process that asks for sources and reports on them in order; ``held`` are those in its hands."""

    held: deque[Source]

    def send(self, source: Source | None) -> None:
        """Answers the worker: with a source, or with the end of the stream, which finishes what is held."""


class Dispatch:
    """Hands sources out, and keeps account of those that came back without a report.

    When a worker dies, any of the sources in its hands may have killed it, so each of them is tried again
    alone. A source is given up when a worker dies that had this source alone in its hands, and at least
    ``deaths_allowed`` workers had died over it before.
    """

    def __init__(self, sources: Iterable[Source], deaths_allowed: int = 0) -> None:
        self._fresh = iter(sources)
        self._deaths_allowed = deaths_allowed
        self._next: Source | None = None
        self._suspects: deque[Source] = deque()
        self._deaths: Counter[str] = Counter()

    def answer(self, worker: Worker) -> bool:
        """Answers a worker that asks for a source; False if it must wait, as nothing is held nor left."""
        source: Source | None = None
        if self._suspects and not worker.held:
            source = self._suspects.popleft()
        elif not any(held.id in self._deaths for held in worker.held) and self._look_ahead():
            source, self._next = self._next, None
        if source is None and not worker.held:
            return False
        if source is not None:
            worker.held.append(source)
        worker.send(source)
        return True

    def exhausted(self) -> bool:
        """Whether no source is left to hand out."""
        return not self._suspects and not self._look_ahead()

    def _look_ahead(self) -> bool:
        if self._next is None:
            self._next = next(self._fresh, None)
        return self._next is not None

    def finish(self, worker: Worker) -> Source:
        """Takes the oldest source off a worker's hands, as its report came; it is suspected no longer."""
        source = worker.held.popleft()
        self._deaths.pop(source.id, None)
        return source

    def take_back(self, worker: Worker) -> Source | None:
        """Takes back what a worker had in hand when it died; returns the source that is given up, if any."""
        self._deaths.update(source.id for source in worker.held)
        if len(worker.held) == 1 and self._deaths[worker.held[0].id] > self._deaths_allowed:
            return worker.held[0]
        self._suspects.extend(worker.held)
        return None


def worker_died_report(
    source: Source, cause: str, options: ScanOptions, card: ModelCard, members: Sequence[ModelCard]
) -> Report:
    """The FAILED report on a source whose worker died; ``cause`` says how."""
    message = f"{escaped(source.name)}: {cause} while it was analysed: leave the file out"
    return failed_report(source, ErrorInfo(WorkerError.__name__, message), options, card, members)


def failed_report(
    source: Source,
    error: ErrorInfo | None,
    options: ScanOptions,
    card: ModelCard,
    members: Sequence[ModelCard],
) -> Report:
    """A FAILED report of which nothing is known but the error."""
    return Report(
        source=source,
        status=Status.FAILED,
        error=error,
        options=options.to_report(),
        model_card=card,
        members=tuple(members),
    )
