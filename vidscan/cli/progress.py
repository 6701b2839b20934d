"""What a person sees while a scan is under way; nothing where stderr is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vidscan.records import Report, Source, Status
from vidscan.report.escape import visible
from vidscan.report.terminal.escape import shorten

NAME_WIDTH = 36
"""Characters of a file's name shown beside the bar."""

RATE_WINDOW_S = 300.0
"""Over so long the pace is taken for the ETA: a file may need minutes, and a cluster's come in bursts."""


class RateColumn(ProgressColumn):
    """Files finished so far per second, minute or hour, whichever gives a number above one."""

    def render(self, task: Task) -> Text:
        """What is shown; nothing before the first file is finished."""
        return Text(rate(task.completed / task.elapsed), "dim") if task.completed and task.elapsed else Text()


def rate(per_second: float) -> str:
    """A rate of files as a person reads it, such as ``14 files/min``."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if per_second * seconds >= 1 or unit == "h":
            number = per_second * seconds
            break
    return f"{number:.1f} files/{unit}" if number < 10 else f"{number:,.0f} files/{unit}"


class FailuresColumn(ProgressColumn):
    """How many files have failed; nothing while none has."""

    def render(self, task: Task) -> Text:
        """What is shown."""
        failed = task.fields["failed"]
        return Text(f"{failed:,} failed", "bold red") if failed else Text()


class FileProgress:
    """A bar over a clip's time while one file is written. Use as a context manager.

    Args:
        console: where to show it, if that is a terminal and not quiet.
        words: what is being done.
        duration_s: of the clip; None where unknown.
    """

    def __init__(self, console: Console, words: str, duration_s: float | None) -> None:
        shown = console.is_terminal and not console.quiet
        self._duration_s = duration_s
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not shown,
        )
        self._task = self._progress.add_task(shorten(visible(words), 2 * NAME_WIDTH), total=duration_s)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def reached(self, time_s: float) -> None:
        """Shows how far the work got."""
        if self._duration_s:
            self._progress.update(self._task, completed=min(time_s, self._duration_s))


class ScanProgress:
    """A bar over the clip's time for one source; over files, with their rate and failures, for several.

    Both have an ETA.
    Use as a context manager. The methods may be called from any thread.
    """

    def __init__(self, console: Console, sources: int, *, shown: bool) -> None:
        several = sources > 1
        self._by_files = several
        percentage = TextColumn("{task.percentage:>3.0f}%")
        counted = (MofNCompleteColumn(), RateColumn(), FailuresColumn()) if several else (percentage,)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *counted,
            TextColumn("[dim]ETA"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            speed_estimate_period=RATE_WINDOW_S,
            disable=not (shown and console.is_terminal),
        )
        self._task: TaskID = self._progress.add_task(
            "starting", total=float(sources) if several else None, failed=0
        )
        self._failed = 0
        self._current: str | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def part_fetched(self, source: Source) -> None:
        """Shows what is waited for where nothing is read yet."""
        if self._current is None:
            name = shorten(visible(source.path.name), NAME_WIDTH)
            self._progress.update(self._task, description=f"fetching {name}")

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """Shows which source is read, and for a single one how far."""
        if source.id != self._current:
            self._current = source.id
            self._progress.update(self._task, description=shorten(visible(source.path.name), NAME_WIDTH))
        if not self._by_files and duration_s:
            self._progress.update(self._task, total=duration_s, completed=min(time_s, duration_s))

    def count(self, report: Report) -> None:
        """Counts a finished source, which an engine elsewhere names here alone."""
        self._failed += report.status is Status.FAILED
        if self._by_files:
            self._progress.update(self._task, advance=1, failed=self._failed)
            if self._current is None:
                self._progress.update(
                    self._task, description=shorten(visible(report.source.path.name), NAME_WIDTH)
                )
