"""What a scan has brought so far, kept in a Parquet dataset: for archives that no memory holds.

Results go into the journal one by one, and from there into the dataset in parts. So a driver that is killed
loses nothing that was finished, and one that goes on elsewhere, without the journal, a part at most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from vidscan.media import storage
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.records import Report, Source
from vidscan.report.document import result_document, version
from vidscan.report.parquet.dataset import ParquetDataset, Scan, Stamped
from vidscan.report.parquet.schema import label_of
from vidscan.report.summary import tally
from vidscan.results.in_memory import scan_terms
from vidscan.results.journal import Journal, compare_terms, has_changed
from vidscan.system.frameworks import import_pyarrow

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

PART_RESULTS = 1000
"""Results that a part of the dataset holds: 4 MB for clips of a minute (``benchmarks/archive_cost.py``)."""

PART_S = 300.0
"""A part is written after so long, however little there is."""

FAILED = "FAILED"


class Archive:
    """The finished sources of one scan, as :class:`vidscan.results.in_memory.Harvest` has them.

    ``left``, ``remembered`` and ``outdated`` mean the same. What the dataset holds of sources that are not
    among those found now stays there.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        models: Sequence[LoadedModel],
        dataset: ParquetDataset,
        journal: Journal,
        *,
        retry_failed: bool = False,
    ) -> None:
        """Takes over what dataset and journal hold of ``sources``.

        Raises:
            ReportError: the dataset cannot be read or written.
        """
        ensemble = Ensemble.of(models)
        networks = tuple((each.name, each.sha256) for each in ensemble.member_cards)
        self._scan = Scan(version(), ensemble.card.name, ensemble.card.sha256, networks)
        self._dataset, self._journal = dataset, journal
        self._wanted = len(sources)
        self._labels: Counter[str] = Counter()
        self._written_at = time.monotonic()
        done, outdated = self._recall(sources, retry_failed=retry_failed)
        dataset.forget(outdated)
        journal.recall((source for source in sources if source.name not in done), retry_failed=retry_failed)
        self._labels.update(label_of(result) for result in journal.results.values())
        self.left = [
            source for source in sources if source.name not in done and source.id not in journal.results
        ]
        self.remembered = len(sources) - len(self.left)
        self.outdated = len(outdated)

    def _recall(self, sources: Sequence[Source], *, retry_failed: bool) -> tuple[set[str], set[str]]:
        """The names of what the dataset answers for, and of what it knows otherwise."""
        found = {source.name: source for source in sources}
        done, outdated = set(), set()
        for known in self._dataset.finished():
            source = found.get(known.name)
            if source is None:
                continue
            if has_changed(source, known.stamp) or (retry_failed and known.label == FAILED):
                outdated.add(known.name)
            else:
                done.add(known.name)
                self._labels[known.label] += 1
        return done, outdated

    def to_scan(self) -> Iterator[Source]:
        """What is left, for the engine to read."""
        return self._journal.stamping(self.left)

    def take(self, report: Report) -> None:
        """Adds a finished source; it is on the disk when this returns.

        Raises:
            ReportError: the journal or the dataset cannot be written.
        """
        result = result_document(report)
        self._journal.add(report.source, result)
        self._labels[label_of(result)] += 1
        if len(self._journal.results) >= PART_RESULTS or time.monotonic() - self._written_at > PART_S:
            self.write_part()

    @property
    def complete(self) -> bool:
        """Whether no source is missing."""
        return self._labels.total() == self._wanted

    @property
    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome."""
        return tally(None if label == FAILED else label for label in self._labels.elements())

    def write_part(self) -> None:
        """Moves what the journal holds into the dataset.

        Raises:
            ReportError: the dataset cannot be written; the journal keeps the results then.
        """
        held = self._journal.results
        if held:
            part = [Stamped(result, self._journal.states[name]) for name, result in held.items()]
            self._dataset.append(part, self._scan, datetime.now(UTC))
            self._journal.empty()
        self._written_at = time.monotonic()

    def finish(self) -> None:
        """Writes the last part; after that nobody needs the journal.

        Raises:
            ReportError: the dataset cannot be written.
        """
        self.write_part()
        self._journal.complete(keep=False)


def open_dataset(
    place: str, options: ScanOptions, models: Sequence[LoadedModel], *, resume: bool
) -> ParquetDataset:
    """The dataset at a path or URL, begun or gone on with.

    Raises:
        ReportError: it is there and ``resume`` is False, or belongs to a scan on other terms, or cannot be
            used.
        SourceError: a URL's place cannot be reached.
    """
    shown = storage.remote(place).shown
    terms = scan_terms(options, models)
    filesystem, folder = _arrow_filesystem(place)
    if resume:
        compare = partial(compare_terms, shown)
        return ParquetDataset.resume(filesystem, folder, terms, shown=shown, compare=compare)
    return ParquetDataset.begin(filesystem, folder, terms, shown=shown)


def _arrow_filesystem(place: str) -> tuple[Any, str]:
    """The ``pyarrow.fs.FileSystem`` that a path or URL lies in, and the path there."""
    fs = import_pyarrow().fs
    if not storage.is_remote(place):
        return fs.LocalFileSystem(), str(storage.local_path(place).absolute())
    filesystem, path = storage.open_filesystem(place)
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path
