"""The results of a scan in memory, with or without a journal of them; in the end they become a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.errors import VidscanError
from vidscan.models.card_file import checkpoint_sha256
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.records import Report, Source, Status
from vidscan.report.destination import Destination
from vidscan.report.document import (
    Document,
    assemble,
    evidence_of,
    model_document,
    report_from,
    result_document,
)
from vidscan.report.escape import visible
from vidscan.report.summary import summarise
from vidscan.results.journal import Journal, terms_of

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


class ResultsInMemory:
    """Keeps the reports of a scan, in the order of its sources; see :class:`vidscan.protocols.Results`."""

    def __init__(
        self,
        options: ScanOptions,
        models: Sequence[LoadedModel],
        destinations: Sequence[Destination] = (),
        journal: Journal | None = None,
        *,
        retry_failed: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Touches nothing yet.

        :meth:`finish` writes the report to each of the ``destinations``; until then the journal keeps each
        result on the disk. ``retry_failed`` has failed sources scanned again. ``say`` tells a person what is
        left to do.
        """
        ensemble = Ensemble.of(models)
        told, card, members = options.to_report(), ensemble.card, ensemble.member_cards
        self._restore = partial(report_from, options=told, card=card, members=members)
        self._assemble = partial(assemble, options=told, card=card, members=members)
        self._destinations, self._journal = destinations, journal
        self._retry_failed, self._say = retry_failed, say
        self._sources: Sequence[Source] = ()
        self._reports: dict[str, Report] = {}
        self.outdated = 0

    def left(self, sources: Sequence[Source]) -> list[Source]:
        """The sources of which the journal has no result that still holds."""
        self._sources = sources
        if self._journal is not None:
            self._journal.recall(sources, retry_failed=self._retry_failed)
            recalled = self._journal.results
            self._reports = {
                source.id: self._restore(recalled[source.id], source)
                for source in sources
                if source.id in recalled
            }
            self.outdated = self._journal.known - len(self._reports)
        return [source for source in sources if source.id not in self._reports]

    def begin(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes sources on to be scanned; the journal notes the state of each one's file."""
        return iter(sources) if self._journal is None else self._journal.stamping(sources)

    def take(self, report: Report) -> None:
        """Adds a finished source; with a journal, it is on the disk when this returns."""
        if self._journal is not None:
            self._journal.add(report.source, result_document(report))
        self._reports[report.source.id] = report

    def reports(self) -> list[Report]:
        """The finished sources' reports, in the order of the sources."""
        return [self._reports[source.id] for source in self._sources if source.id in self._reports]

    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome."""
        return summarise(self._reports.values())

    def finish(self) -> None:
        """Writes the report, then deletes the journal unless a source is missing or could be retried.

        Raises ReportError where the report cannot be written; the journal keeps the results then.
        """
        if not self._destinations:
            return
        document, evidence = self._document(datetime.now(UTC)), evidence_of(self.reports())
        failed = []
        for each in self._destinations:
            try:
                each.write(document, evidence)
            except VidscanError as error:  # what keeps one from being written may spare the others
                failed.append(error)
        if failed:
            raise failed[0]
        complete = len(self._reports) == len(self._sources)
        kept = self._journal is not None and not (complete and self._retire(self._journal))
        places = [place for each in self._destinations for place in each.places]
        if places:
            self._say(f"report written to {' and '.join(map(visible, places))}")
        if self._journal is not None and kept:
            remedy = "--resume --retry-failed takes up what failed" if complete else "--resume goes on"
            self._say(f"journal kept in {visible(str(self._journal.path))}: {remedy}")

    def _document(self, created: datetime) -> Document:
        held = self._journal.results if self._journal is not None else {}
        results = [held.get(report.source.id) or result_document(report) for report in self.reports()]
        return self._assemble(results, created=created)

    def _retire(self, journal: Journal) -> bool:
        """Deletes the journal of a complete scan, unless a failed source could be retried; whether it did."""
        if any(report.status is Status.FAILED for report in self._reports.values()):
            journal.mark_complete()
            return False
        journal.delete()
        return True


def open_journal(path: Path, options: ScanOptions, models: Sequence[LoadedModel], *, resume: bool) -> Journal:
    """A new journal, or with ``resume`` that of an interrupted scan; see :meth:`Journal.begin` for errors."""
    terms = scan_terms(options, models)
    return Journal.resume(path, terms) if resume else Journal.begin(path, terms)


def scan_terms(options: ScanOptions, models: Sequence[LoadedModel]) -> Document:
    """What the results of a scan with these options and models depend on."""
    ensemble = Ensemble.of(models)
    hashes = [checkpoint_sha256(model.card, model.path) for model in models]
    return terms_of(options.to_report(), model_document(ensemble.card, ensemble.member_cards), hashes)
