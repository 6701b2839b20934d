"""The results of a scan in a Parquet dataset: for archives that no memory holds.

Results go into a store on this machine one by one, and from there into the dataset in parts. So a driver that
is killed loses nothing that was finished, and one that goes on elsewhere, without the store, a part at most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from vidscan.media import storage
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.records import Report, Source
from vidscan.report.escape import visible
from vidscan.report.parquet.dataset import ParquetDataset, Scan, Stamped
from vidscan.report.summary import tally
from vidscan.results.held import Held, has_changed
from vidscan.results.rows import FAILED
from vidscan.results.terms import compare_terms, scan_terms
from vidscan.system.frameworks import import_pyarrow
from vidscan.version import __version__

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

PART_RESULTS = 1000
"""Limit on the results in one part: 4 MB for clips of a minute (``benchmarks/archive_cost.py``)."""

PART_S = 300.0
"""Seconds after which a part is written, however few results there are."""


class ResultsInDataset:
    """Keeps the results of a scan in a dataset; see :class:`vidscan.protocols.Results`.

    What the dataset holds of sources that are not among those found now stays there.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        dataset: ParquetDataset,
        held: Held,
        *,
        retry_failed: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Touches nothing yet; see :class:`vidscan.results.in_store.ResultsInStore`.

        The store keeps each result on the disk until its part of the dataset is written.
        """
        ensemble = Ensemble.of(models)
        networks = tuple((each.name, each.sha256) for each in ensemble.member_cards)
        self._scan = Scan(__version__, ensemble.card.name, ensemble.card.sha256, networks)
        self._dataset, self._held, self._store = dataset, held, held.store
        self._retry_failed, self._say = retry_failed, say
        self._wanted = 0
        self._labels: Counter[str] = Counter()
        self._declared_ai = 0
        self._written_at = time.monotonic()
        self.outdated = 0

    def left(self, sources: Sequence[Source]) -> list[Source]:
        """The sources of which neither dataset nor store has a result that still holds."""
        self._wanted = len(sources)
        found = {source.name: source for source in sources}
        done, outdated = set(), set()
        for known in self._dataset.finished():
            source = found.get(known.name)
            if source is None:
                continue
            if has_changed(source, known.stamp) or (self._retry_failed and known.label == FAILED):
                outdated.add(known.name)
            else:
                done.add(known.name)
                self._labels[known.label] += 1
                self._declared_ai += known.declares_ai
        self._dataset.forget(outdated)
        self.outdated = len(outdated)
        self._held.recall([source for source in sources if source.name not in done])
        self._store.keep(set(self._held.ids()))
        return self._held.left()

    def begin(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes sources on to be scanned, and notes the state of each one's file."""
        return self._held.stamping(sources)

    def take(self, report: Report) -> None:
        """Adds a finished source; it is on the disk when this returns."""
        self._held.add(report)
        if self._store.count() >= PART_RESULTS or time.monotonic() - self._written_at > PART_S:
            self.write_part()

    def reports(self) -> Sequence[Report]:
        """None: they are in the dataset."""
        return ()

    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome."""
        found = self._labels + self._held.labels
        return tally(found.elements(), self._declared_ai + self._held.declared_ai)

    def write_part(self) -> None:
        """Moves what the store holds into the dataset; keeps it there where a ReportError is raised."""
        if part := [Stamped(*each) for each in self._store.stamped()]:
            self._dataset.append(part, self._scan, datetime.now(UTC))
            self._store.keep(())
        self._written_at = time.monotonic()

    def finish(self) -> None:
        """Writes the last part."""
        self.write_part()
        left = "" if (self._labels + self._held.labels).total() == self._wanted else "; --resume goes on"
        self._say(f"results written to {visible(self._dataset.shown)}{left}")

    def close(self) -> None:
        """Closes the store; deletes it where the dataset has all that it held."""
        self._store.leave()


def open_dataset(
    place: str, options: ScanOptions, models: Sequence[LoadedModel], *, resume: bool
) -> ParquetDataset:
    """The dataset at a path or URL, begun or gone on with.

    Raises ReportError where it is there and ``resume`` is False, or was written with other options, or cannot
    be used; and SourceError where a URL's place cannot be reached.
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
