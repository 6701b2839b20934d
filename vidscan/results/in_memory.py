"""What a scan has brought so far, with or without a journal of it, in the order of its sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.models.card_file import checkpoint_sha256
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.records import Report, Source, Status
from vidscan.report.document import Document, assemble, model_document, report_from, result_document
from vidscan.report.summary import summarise
from vidscan.results.journal import Journal, terms_of

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


class Harvest:
    """The finished sources of one scan.

    ``left`` are the sources still to be scanned; ``remembered`` is how many the journal answers for, and
    ``outdated`` how many it knew otherwise (their file has changed or is gone, or failures are retried).
    """

    def __init__(
        self,
        sources: Sequence[Source],
        options: ScanOptions,
        models: Sequence[LoadedModel],
        journal: Journal | None = None,
        *,
        retry_failed: bool = False,
    ) -> None:
        """Takes over what the journal holds of ``sources``; see :func:`open_journal`.

        Raises:
            ReportError: an entry of the journal is damaged.
        """
        self._sources, self._options = sources, options
        ensemble = Ensemble.of(models)
        self._card, self._members = ensemble.card, ensemble.member_cards
        self._journal = journal
        self._reports: dict[str, Report] = {}
        if journal is not None:
            journal.recall(sources, retry_failed=retry_failed)
            self._reports = {
                source.id: self._restored(source, journal.results[source.id])
                for source in sources
                if source.id in journal.results
            }
        self.left = [source for source in sources if source.id not in self._reports]
        self.remembered = len(self._reports)
        self.outdated = journal.known - self.remembered if journal is not None else 0

    def to_scan(self) -> Iterator[Source]:
        """What is left, for the engine to read."""
        return iter(self.left) if self._journal is None else self._journal.stamping(self.left)

    def take(self, report: Report) -> None:
        """Adds a finished source; with a journal, it is on the disk when this returns.

        Raises:
            JournalError: the journal cannot be written.
        """
        if self._journal is not None:
            self._journal.add(report.source, result_document(report))
        self._reports[report.source.id] = report

    @property
    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome."""
        return summarise(self._reports.values())

    @property
    def reports(self) -> list[Report]:
        """The finished sources' reports, in the order of the sources."""
        return [self._reports[source.id] for source in self._sources if source.id in self._reports]

    @property
    def complete(self) -> bool:
        """Whether no source is missing."""
        return len(self._reports) == len(self._sources)

    def document(self, created: datetime) -> Document:
        """The report document of what was finished, made ``created``."""
        held = self._journal.results if self._journal is not None else {}
        return assemble(
            [held.get(report.source.id) or result_document(report) for report in self.reports],
            options=self._options.echo(),
            card=self._card,
            members=self._members,
            created=created,
        )

    def reported(self) -> Path | None:
        """To be called once the report is on the disk. Removes a journal that nobody needs any more.

        Returns:
            The journal, where it is kept: something is missing, or has failed and could be retried.
        """
        if self._journal is None:
            return None
        failed = any(report.status is Status.FAILED for report in self._reports.values())
        if self.complete:
            self._journal.complete(keep=failed)
        return self._journal.path if failed or not self.complete else None

    def _restored(self, source: Source, result: Document) -> Report:
        return report_from(
            result, source, options=self._options.echo(), card=self._card, members=self._members
        )


def open_journal(path: Path, options: ScanOptions, models: Sequence[LoadedModel], *, resume: bool) -> Journal:
    """The journal at ``path`` of a scan with these options and models, begun or gone on with.

    Raises:
        JournalError: it holds an unfinished scan and ``resume`` is False, or belongs to a scan on other
            terms, or cannot be used.
    """
    terms = scan_terms(options, models)
    return Journal.resume(path, terms) if resume else Journal.begin(path, terms)


def scan_terms(options: ScanOptions, models: Sequence[LoadedModel]) -> Document:
    """What the results of a scan with these options and models rest on."""
    ensemble = Ensemble.of(models)
    hashes = [checkpoint_sha256(model.card, model.path) for model in models]
    return terms_of(options.echo(), model_document(ensemble.card, ensemble.member_cards), hashes)
