"""The results of a scan in a store, on the disk or in memory; in the end they become reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vidscan.errors import VidscanError
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.records import Report, Source
from vidscan.report.destination import Destination
from vidscan.report.document import report_from
from vidscan.report.escape import visible
from vidscan.report.summary import tally
from vidscan.results.held import Held
from vidscan.results.rows import FAILED
from vidscan.results.views import Lazy

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


class ResultsInStore:
    """Keeps the results of a scan in a store; see :class:`vidscan.protocols.Results`."""

    def __init__(
        self,
        options: ScanOptions,
        models: Sequence[LoadedModel],
        held: Held,
        destinations: Sequence[Destination] = (),
        *,
        kept: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Touches nothing yet.

        :meth:`finish` writes the report to each of the ``destinations``. A store that is not ``kept`` is
        deleted by :meth:`close` once they lack nothing. ``say`` tells a person what is left to do.
        """
        ensemble = Ensemble.of(models)
        self._restore = partial(
            report_from, options=options.to_report(), card=ensemble.card, members=ensemble.member_cards
        )
        self._held, self._store = held, held.store
        self._destinations, self._kept, self._say = destinations, kept, say
        self._needed = True
        self.outdated = 0

    def left(self, sources: Sequence[Source]) -> list[Source]:
        """The sources of which the store has no result that still holds."""
        self.outdated = self._held.recall(sources)
        self._store.set_complete(False)
        return self._held.left()

    def begin(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes sources on to be scanned, and notes the state of each one's file."""
        return self._held.stamping(sources)

    def take(self, report: Report) -> None:
        """Adds a finished source; in a file, it is on the disk when this returns."""
        self._held.add(report)

    def reports(self) -> Sequence[Report]:
        """The finished sources' reports, in the order of the sources; read as they are asked for."""
        sources, ids = self._held.known_sources(), self._held.ids()
        return Lazy(ids, lambda number: self._restore(self._store.result(number), sources[number]))

    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome."""
        return tally(self._held.labels.elements(), self._held.declared_ai)

    def finish(self) -> None:
        """Writes the reports, and tells where they are, and what is left to do.

        Raises ReportError where one cannot be written; the store keeps the results then.
        """
        if self._destinations:
            self._write()
        complete = self._held.labels.total() == len(self._held.sources)
        self._needed = self._kept or not complete or bool(self._held.labels[FAILED])
        if complete and self._needed:
            self._store.set_complete(True)
        if places := [place for each in self._destinations for place in each.places]:
            self._say(f"report written to {' and '.join(map(visible, places))}")
        if self._store.path is not None and self._needed:
            self._say(f"results kept in {visible(self._store.shown)}{self._remedy(complete)}")

    def _write(self) -> None:
        document, evidence = self._store.document(ids=self._held.ids()), self._store.evidence_by_source()
        failed = []
        for each in self._destinations:
            try:
                each.write(document, evidence)
            except VidscanError as error:  # what keeps one from being written may spare the others
                failed.append(error)
        if failed:
            raise failed[0]

    def _remedy(self, complete: bool) -> str:
        if not complete:
            return ": --resume goes on"
        return ": --resume --retry-failed takes up what failed" if self._held.labels[FAILED] else ""

    def close(self) -> None:
        """Closes the store; deletes it where nothing is left to do with it."""
        if self._needed:
            self._store.leave()
        else:
            self._store.delete()
