"""A scan that was asked for: its files, and how far it got."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from vidscan.protocols import Engine, Observer
from vidscan.records import ErrorInfo, Report, Source
from vidscan.report.document import Document


class StoppableEngine(Engine, Protocol):
    """An engine whose scan can be broken off."""

    def scan(
        self, sources: Iterable[Source], observer: Observer | None = None
    ) -> Generator[Report, None, None]:
        """As of any engine; closing the stream ends all that it started."""

    def stop(self) -> None:
        """Breaks the scan under way off at once, from any thread; it ends without what it had in hand."""


class State(StrEnum):
    """How far a scan got."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a scan: what the engine reads, and the name under which its result is kept.

    ``ready`` is asked right before it is read, and says why it may not be; then ``state`` gives what tells
    the file from a later state of it, None for one that does not stay. ``discard`` is called when it is of
    no more use.
    """

    path: Path
    recorded: Source
    ready: Callable[[], str | None] = lambda: None
    state: Callable[[], str | None] = lambda: None
    discard: Callable[[], None] = lambda: None


@dataclass(slots=True, eq=False)
class Scan:
    """A scan that was asked for. ``note`` says what was left out of it."""

    id: int
    name: str
    left: deque[Item]
    sources: int
    note: str = ""
    state: State = State.QUEUED
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    finished: int = 0
    results: list[int] = field(default_factory=list)
    error: str | None = None
    progress: dict[str, Any] | None = None

    def told(self) -> Document:
        """The scan as plain JSON values."""
        names = ("id", "name", "state", "created", "sources", "finished", "error", "note", "progress")
        return {name: getattr(self, name) for name in names} | {"results": list(self.results)}

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state not in (State.QUEUED, State.RUNNING)


def named(report: Report, item: Item) -> Report:
    """The report under the name that is kept, also where a message names the file that was read."""
    error, path, name = report.error, str(item.path), item.recorded.name
    if error is not None and path != name:
        error = ErrorInfo(error.type, error.message.replace(path, name))
    return replace(report, source=item.recorded, error=error)
