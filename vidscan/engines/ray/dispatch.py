"""Which source a worker gets next, and what becomes of those in hand when a worker dies. Knows no cluster."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable

from vidscan.records import Report, Source

DEATHS_ALLOWED = 2
"""A source over which one worker more dies is given up: one death may be its node's, two ill luck."""

FIRST_GUESS = 32.0
"""Faces in a clip, before any was scanned."""

FACES_AHEAD = 128
"""Faces that a worker should have in hand, so that its batches fill across files: four batches of 32."""

LEAST_AHEAD, MOST_AHEAD = 2, 64
"""Sources in a worker's hands: a second one is read while the first is scored, and what a death costs
stays small."""


class Dispatch:
    """Deals sources out, and keeps account of those that came back without a report.

    When a worker dies, any of the sources in its hands may have killed it. So each of them is tried again
    alone; one that meets a death :data:`DEATHS_ALLOWED` times more is given up.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._fresh = iter(sources)
        self._next: Source | None = None
        self._suspects: deque[Source] = deque()
        self._deaths: Counter[str] = Counter()
        self._reports = 0
        self._faces = 0

    def ahead(self) -> int:
        """How many sources a worker should have in hand, by the faces that sources have had so far."""
        mean = (self._faces + FIRST_GUESS) / (self._reports + 1)
        return min(MOST_AHEAD, max(LEAST_AHEAD, math.ceil(FACES_AHEAD / max(mean, 1.0))))

    def next_for(self, held: Collection[Source]) -> Source | None:
        """What a worker that has ``held`` in hand gets; None where nothing, for now or at all."""
        if not held and self._suspects:
            return self._suspects.popleft()
        if len(held) >= self.ahead() or any(source.id in self._deaths for source in held):
            return None
        return self._take() if self._more() else None

    def exhausted(self) -> bool:
        """Whether there is nothing left to be given to anybody."""
        return not self._suspects and not self._more()

    def _more(self) -> bool:
        if self._next is None:
            self._next = next(self._fresh, None)
        return self._next is not None

    def _take(self) -> Source | None:
        taken, self._next = self._next, None
        return taken

    def reported(self, report: Report) -> None:
        """Takes note of a source that is finished."""
        self._reports += 1
        self._faces += report.stats.crops_scored  # each view of a face of a still fills a row
        self._deaths.pop(report.source.id, None)

    def lost(self, held: Iterable[Source]) -> list[Source]:
        """Takes back what a worker had in hand when it died.

        Returns:
            The sources that are given up.
        """
        given_up = []
        for source in held:
            self._deaths[source.id] += 1
            if self._deaths[source.id] > DEATHS_ALLOWED:
                given_up.append(source)
            else:
                self._suspects.append(source)
        return given_up
