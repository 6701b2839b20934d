"""What a store holds of the sources of one scan."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from vidscan.media.sources import state_of
from vidscan.records import Report, Source
from vidscan.report.document import Document, declares_ai, result_document
from vidscan.results.rows import FAILED, label_of
from vidscan.results.store import Store


class Held:
    """A scan's sources, and which of them a store has.

    ``labels`` and ``declared_ai`` count what was recalled and added, by outcome.
    """

    def __init__(self, store: Store, *, pictures: bool = False, retry_failed: bool = False) -> None:
        """``pictures``: faces are put into the store. ``retry_failed``: what failed is not recalled."""
        self.store, self._pictures, self._retry_failed = store, pictures, retry_failed
        self.sources: Sequence[Source] = ()
        self.labels: Counter[str] = Counter()
        self.declared_ai = 0
        self._places: dict[str, int] = {}
        self._occurrences: dict[str, int] = {}
        self._ids = array("q")
        self._first = 0
        self._begun: dict[str, str | None] = {}

    def recall(self, sources: Sequence[Source]) -> int:
        """Takes in what the store has of unchanged sources; returns how many of its results it left out."""
        self.sources = sources
        self._places = {source.id: place for place, source in enumerate(sources)}
        self._ids = array("q", bytes(8 * len(sources)))
        met, there = Counter[str](), 0
        for place, source in enumerate(sources):
            if met[source.name]:
                self._occurrences[source.id] = met[source.name]
            met[source.name] += 1
            known = self.store.find(source.name, met[source.name] - 1)
            there += known is not None
            if known is None or has_changed(source, known.state):
                continue
            result = self.store.result(known.id)  # what is damaged is said before the work, not after it
            if not (self._retry_failed and label_of(result) == FAILED):
                self._ids[place] = known.id
                self._count(result)
        held = self.store.count()
        # Sources of other folders, which a store may hold too, stay before these.
        self._first = 0 if held == there else self.store.end()
        self.store.arrange((self._first + place, number) for place, number in enumerate(self._ids) if number)
        return held - self.labels.total()

    def left(self) -> list[Source]:
        """The sources of which the store has no result that holds."""
        return [source for source, number in zip(self.sources, self._ids, strict=True) if not number]

    def stamping(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes the sources on, and notes the state of each one's file before it is read."""
        for source in sources:
            self._begun[source.id] = state_of(source)
            yield source

    def add(self, report: Report) -> None:
        """Puts a finished source on the disk, with its state at :meth:`stamping`."""
        source, result = report.source, result_document(report)
        place = self._places[source.id]
        self._ids[place] = self.store.add(
            source,
            self._begun.pop(source.id),
            result,
            report.evidence if self._pictures else (),
            at=(self._first + place, self._occurrences.get(source.id, 0)),
        )
        self._count(result)

    def ids(self) -> array[int]:
        """The ids of the results that the store has, in the order of the sources."""
        return array("q", filter(None, self._ids))

    def _count(self, result: Document) -> None:
        self.labels[label_of(result)] += 1
        self.declared_ai += declares_ai(result)

    def known_sources(self) -> dict[int, Source]:
        """The sources by these ids."""
        return {number: source for source, number in zip(self.sources, self._ids, strict=True) if number}


def has_changed(source: Source, before: str | None) -> bool:
    """Whether a source's file is known to be another than it was; a listed URL may be of no known state."""
    now = state_of(source)
    return now != before and not (source.remote is not None and now is None)
