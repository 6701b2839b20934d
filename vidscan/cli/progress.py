"""Progress displays on stderr while work is under way; none where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from vidscan.records import Report, Source, Status
from vidscan.report.escape import visible
from vidscan.report.terminal.tables import shorten

NAME_WIDTH = 36
"""Limit on the characters of a file's name shown beside the bar."""

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


class TimeLeftColumn(ProgressColumn):
    """The time left. Rich's own goes by the latest steps, which come in bursts, batch by batch."""

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds, once there is a pace to go by."""
        left = seconds_left(task)
        return Text("-:--:--" if left is None else str(timedelta(seconds=round(left))), "progress.remaining")


def seconds_left(task: Task) -> float | None:
    """How long the rest takes at the pace since the start; None where nothing is known yet."""
    if not task.total or not task.completed or task.elapsed is None:
        return None
    return task.elapsed * (task.total - task.completed) / task.completed


def rate(per_second: float) -> str:
    """A rate of files as a person reads it, such as ``14 files/min``."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if per_second * seconds >= 1 or unit == "h":
            number = per_second * seconds
            break
    return f"{number:.1f} files/{unit}" if number < 10 else f"{number:,.0f} files/{unit}"


def _one_line() -> Column:
    return Column(no_wrap=True)


class Bar(Progress):
    """A spinner, words, a bar, ``columns`` and the time left; drawn on a terminal where it is ``shown``.

    It takes one line however narrow the terminal is: where rich draws a bar anew it erases as many lines as
    the bar had before, and what is printed in between would lose the last of its own.
    """

    def __init__(self, console: Console, *columns: ProgressColumn, shown: bool) -> None:
        super().__init__(
            SpinnerColumn(table_column=_one_line()),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *columns,
            TimeLeftColumn(table_column=_one_line()),
            console=console,
            transient=True,
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
        counts: tuple[ProgressColumn, ...] = (TextColumn(_PERCENTAGE),)
        if self._by_files:
            counts = (MofNCompleteColumn(table_column=_one_line()), CountsColumn(table_column=_one_line()))
        super().__init__(console, *counts, TextColumn("[dim]ETA"), shown=shown)
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
