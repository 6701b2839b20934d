"""A folder that files arrive in: which of its clips and stills have stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from vidscan.media.sources import state_of
from vidscan.records import Source

STEADY_S = 3.0
"""A file whose size and time stay the same for this long has arrived."""


class Arrivals:
    """Gives each source of a folder once it has arrived, and again once it has changed since."""

    def __init__(
        self,
        look: Callable[[], Sequence[Source]],
        found: Iterable[Source] = (),
        done: Iterable[Source] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``look`` lists the folder; a source keeps the id that it has in ``found``, others get new ones.

        Those ``done`` are given only once they have changed. ``clock`` tells seconds.
        """
        self._look, self._clock = look, clock
        self._ids = {source.name: source.id for source in found}
        self._given = {source.name: state_of(source) for source in done}
        self._growing: dict[str, tuple[str | None, float]] = {}

    def poll(self, busy: Collection[str] = ()) -> list[Source]:
        """Looks at the folder; returns what has arrived since, without the sources whose names are ``busy``.

        An empty file has not arrived: many programs make it before they write. Raises SourceError where the
        folder cannot be read.
        """
        arrived, growing, now = [], {}, self._clock()
        for source in self._look():
            name, state = source.name, state_of(source)
            if name in self._given and self._given[name] == state:
                continue
            before, since = self._growing.get(name, ("", now))
            since = since if before == state else now
            empty = state is not None and state.startswith("0-")
            if now - since >= STEADY_S and not empty and name not in busy:
                self._given[name] = state
                arrived.append(replace(source, id=self._ids.setdefault(name, str(len(self._ids)))))
            else:
                growing[name] = (state, since)
        self._growing = growing
        return arrived

    @property
    def growing(self) -> list[str]:
        """The names of the files that had not arrived at the last look, or changed and not yet again."""
        return sorted(self._growing)
