from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE
from rich.cells import cell_len

from vidscan.report.escape import visible
from vidscan.report.terminal.tables import shorten
from vidscan.report.wording import clock

ANY_TEXT = st.text(st.characters(codec=None))


def test_what_acts_on_a_terminal_is_shown_as_an_escape() -> None:
    assert visible(HOSTILE) == r"[red]bad[/red]\n=\x1b[31m\x1b]0;owned\x07\u202egpj.\xff\x80.mp4"
    assert visible("é 日本 😀\u3000x") == "é 日本 😀\u3000x"


@given(ANY_TEXT)
def test_visible_text_is_one_printable_line_of_utf8(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert all(letter.isprintable() or letter.isspace() for letter in shown)
    assert not any(letter in shown for letter in "\x1b\x9b\n\r\t\x07\u202e\u2066")


@given(ANY_TEXT, st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    shown = shorten(text, width)
    assert cell_len(shown) <= width
    if cell_len(visible(text)) <= width:
        assert shown == visible(text)


def test_the_middle_is_left_out() -> None:
    assert shorten("clips/interview-long.mp4", 13) == "clips/…ng.mp4"
    assert shorten("日本語日本語.mp4", 12) == "日本 …語.mp4"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00.0"),
        (3.5, "0:03.5"),
        (59.96, "1:00.0"),
        (61.04, "1:01.0"),
        (3599.99, "1:00:00.0"),
        (3725.5, "1:02:05.5"),
    ],
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
