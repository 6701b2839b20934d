"""What is drawn while a scan runs, and that nothing is where nobody can see it."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Task, TaskID

from vidscan.cli.progress import ScanProgress, TimeLeftColumn, rate, seconds_left
from vidscan.records import Source, SourceKind, Status

HOSTILE = Source("0", Path("folder/[bold]odd\x1b]0;title\x07.mp4"), SourceKind.VIDEO)
REPORT = SimpleNamespace(source=HOSTILE, status=Status.OK)


def drawn(sources: int, *, terminal: bool = True, shown: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=110, color_system=None)
    with ScanProgress(console, sources, shown=shown) as progress:
        progress.frame_sampled(HOSTILE, 1.0, 4.0)
        progress.refresh()
        progress.count(REPORT)
        progress.refresh()
    return stream.getvalue()


def test_one_clip_shows_how_far_it_is():
    text = drawn(1)
    assert "25%" in text
    assert "ETA" in text


def test_several_files_are_counted():
    text = drawn(3)
    assert "0/3" in text and "1/3" in text
    assert "%" not in text


def test_failures_and_the_rate_are_shown():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with ScanProgress(console, 5000, shown=True) as progress:
        for number in range(3):
            time.sleep(0.01)
            progress.count(SimpleNamespace(source=HOSTILE, status=Status.FAILED if number else Status.OK))
        progress.refresh()
    assert "3/5000" in stream.getvalue() and "2 failed" in stream.getvalue()
    assert "files/s" in stream.getvalue()
    assert "[bold]odd" in stream.getvalue(), "an engine that tells of no frame is shown by its reports"


def test_time_left_goes_by_the_pace_since_the_start():
    """Files are finished in bursts, a batch at a time; by the latest steps alone, all is done at once."""
    now = [0.0]
    task = Task(TaskID(0), "files", total=100, completed=0, _get_time=lambda: now[0])
    task.start_time = 0.0
    assert seconds_left(task) is None
    now[0], task.completed = 10.0, 20
    assert seconds_left(task) == 40.0
    task.completed = 100
    assert seconds_left(task) == 0.0
    assert seconds_left(Task(TaskID(0), "a clip of unknown length", None, 0, lambda: 1.0)) is None
    assert str(TimeLeftColumn().render(task)) == "0:00:00"


def test_rate_is_given_in_a_unit_that_suits_it():
    assert rate(250.0) == "250 files/s"
    assert rate(1.25) == "1.2 files/s"
    assert rate(0.25) == "15 files/min"
    assert rate(0.001) == "3.6 files/h"
    assert rate(0.0001) == "0.4 files/h"


def test_name_cannot_act_on_the_terminal():
    text = drawn(1)
    assert "[bold]odd" in text
    assert "\x1b]0;" not in text and "\x07" not in text


def test_nothing_is_drawn_where_there_is_no_terminal():
    assert drawn(1, terminal=False).strip() == ""


def test_nothing_is_drawn_when_told_so():
    assert drawn(1, shown=False) == ""


def test_what_is_fetched_is_named_until_something_is_read():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=110, color_system=None)
    with ScanProgress(console, 2, shown=True) as progress:
        progress.part_fetched(HOSTILE)
        progress.refresh()
        assert "fetching [bold]odd" in stream.getvalue() and "\x07" not in stream.getvalue()
        progress.frame_sampled(HOSTILE, 1.0, 4.0)
        progress.refresh()
        stream.truncate(0)
        progress.part_fetched(HOSTILE)
        progress.refresh()
        assert "odd" in stream.getvalue() and "fetching" not in stream.getvalue()


def test_clip_of_unknown_length_and_time_past_the_end_do_no_harm():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=110, color_system=None)
    with ScanProgress(console, 1, shown=True) as progress:
        progress.frame_sampled(HOSTILE, 1.0, None)
        progress.refresh()
        assert "0%" in stream.getvalue()
        progress.frame_sampled(HOSTILE, 5.0, 4.0)
        progress.refresh()
    assert "100%" in stream.getvalue()


def test_the_bar_is_off_the_terminal_while_other_words_are_printed():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=110, color_system=None)
    with ScanProgress(console, 3, shown=True) as progress:
        progress.refresh()
        with progress.aside():
            erased = stream.tell()
            time.sleep(0.3)  # a bar that is alive is drawn ten times a second
            assert stream.tell() == erased
            assert stream.getvalue().endswith("\x1b[2K")  # the line that the bar stood on
        progress.refresh()
        assert stream.tell() > erased


@pytest.mark.parametrize("width", [30, 50, 80])
def test_a_bar_that_comes_back_erases_nothing_of_what_was_printed(width):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None)
    source = Source("0", Path("a name of thirty characters.mp4"), SourceKind.VIDEO)
    with ScanProgress(console, 5000, shown=True) as progress:
        progress.frame_sampled(source, 1.0, 4.0)
        progress.count(SimpleNamespace(source=source, status=Status.FAILED))
        progress.refresh()
        with progress.aside():
            printed = stream.tell()
        progress.refresh()
        assert "\x1b[1A" not in stream.getvalue()[printed:], "the cursor goes up into what was printed"
        assert "a name" in stream.getvalue()[printed:]
