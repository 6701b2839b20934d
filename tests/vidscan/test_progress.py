"""What is drawn while a scan runs, and that nothing is where nobody can see it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console

from vidscan.progress import ScanProgress
from vidscan.records import Source, SourceKind

HOSTILE = Source("0", Path("folder/[bold]odd\x1b]0;title\x07.mp4"), SourceKind.VIDEO)
REPORT = SimpleNamespace()


def drawn(sources: int, *, terminal: bool = True, shown: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=110, color_system=None)
    with ScanProgress(console, sources, shown=shown) as progress:
        progress.frame_sampled(HOSTILE, 1.0, 4.0)
        progress._progress.refresh()
        progress.reported(REPORT)
        progress._progress.refresh()
    return stream.getvalue()


def test_one_clip_shows_how_far_it_is():
    text = drawn(1)
    assert "25%" in text
    assert "ETA" in text


def test_several_files_are_counted():
    text = drawn(3)
    assert "0/3" in text and "1/3" in text
    assert "%" not in text


def test_name_cannot_act_on_the_terminal():
    text = drawn(1)
    assert "[bold]odd" in text
    assert "\x1b]0;" not in text and "\x07" not in text


def test_nothing_is_drawn_where_there_is_no_terminal():
    assert drawn(1, terminal=False).strip() == ""


def test_nothing_is_drawn_when_told_so():
    assert drawn(1, shown=False) == ""


def test_clip_of_unknown_length_and_time_past_the_end_do_no_harm():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=110, color_system=None)
    with ScanProgress(console, 1, shown=True) as progress:
        progress.frame_sampled(HOSTILE, 1.0, None)
        progress._progress.refresh()
        assert "0%" in stream.getvalue()
        progress.frame_sampled(HOSTILE, 5.0, 4.0)
        progress._progress.refresh()
    assert "100%" in stream.getvalue()
