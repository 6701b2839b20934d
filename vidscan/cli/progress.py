"""Progress displays on stderr while work is under way; none where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vidscan.records import Report, Source, Status
from vidscan.report.escape import visible
from vidscan.report.terminal.tables import shorten

NAME_WIDTH = 36
"""Limit on the characters of a file's name shown beside the bar."""

RATE_WINDOW_S = 300.0
"""Seconds over which the pace for the ETA is taken: a file may need minutes, a cluster's come in bursts."""


_PERCENTAGE = "{task.percentage:>3.0f}%"


class CountsColumn(ProgressColumn):
    """The rate of files once one is finished, and how many have failed once one has."""

    def render(self, task: Task) -> Text:
        """The two, as far as there is something to tell."""
        if not task.completed or not task.elapsed:
            return Text()
        failed = task.fields["failed"]
        told = Text(rate(task.completed / task.elapsed), "dim")
        return told.append(f" {failed:,} failed", "bold red") if failed else told


def rate(per_second: float) -> str:
    """A rate of files as a person reads it, such as ``14 files/min``."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if per_second * seconds >= 1 or unit == "h":
            number = per_second * seconds
            break
    return f"{number:.1f} files/{unit}" if number < 10 else f"{number:,.0f} files/{unit}"


class Bar(Progress):
    """A spinner, words, a bar, ``columns`` and the time left; drawn on a terminal where it is ``shown``."""

    def __init__(self, console: Console, *columns: ProgressColumn, shown: bool, pace_s: float = 30.0) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *columns,
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            speed_estimate_period=pace_s,
            disable=not (shown and console.is_terminal),
        )

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Takes the bar off the terminal while other words are printed, which it would garble."""
        if self.disable:
            yield
            return
        self.stop()
        try:
            yield
        finally:
            self.start()


class FileProgress(Bar):
    """A bar over a clip's time while one file is written; ``duration_s`` None is unknown."""

    def __init__(self, console: Console, words: str, duration_s: float | None) -> None:
        super().__init__(console, TextColumn(_PERCENTAGE), shown=not console.quiet)
        self._duration_s = duration_s
        self._task = self.add_task(shorten(visible(words), 2 * NAME_WIDTH), total=duration_s)

    def reached(self, time_s: float) -> None:
        """Shows how far the work got."""
        if self._duration_s:
            self.update(self._task, completed=min(time_s, self._duration_s))


class ScanProgress(Bar):
    """A bar over one source's time, or over files with their rate and failures; for use from any thread."""

    def __init__(self, console: Console, sources: int, *, shown: bool) -> None:
        self._by_files = sources > 1
        counts = (MofNCompleteColumn(), CountsColumn()) if self._by_files else (TextColumn(_PERCENTAGE),)
        super().__init__(console, *counts, TextColumn("[dim]ETA"), shown=shown, pace_s=RATE_WINDOW_S)
        self._task = self.add_task("starting", total=float(sources) if self._by_files else None, failed=0)
        self._failed = 0
        self._current: str | None = None

    def part_fetched(self, source: Source) -> None:
        """Shows which source is fetched, as long as none is read."""
        if self._current is None:
            self._name(source, "fetching ")

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """Shows which source is read, and for a single one how far."""
        if source.id != self._current:
            self._current = source.id
            self._name(source)
        if not self._by_files and duration_s:
            self.update(self._task, total=duration_s, completed=min(time_s, duration_s))

    def count(self, report: Report) -> None:
        """Counts a finished source; on a cluster, this is the first sign of it."""
        self._failed += report.status is Status.FAILED
        if self._by_files:
            self.update(self._task, advance=1, failed=self._failed)
            if self._current is None:
                self._name(report.source)

    def _name(self, source: Source, before: str = "") -> None:
        self.update(self._task, description=before + shorten(visible(source.path.name), NAME_WIDTH))
