"""Fits untrusted text into a terminal's columns."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from vidscan.report.escape import visible
from vidscan.report.wording import clock

_TIMES_APART = 24  # columns of a strip


def shorten(text: str, width: int) -> str:
    """Returns :func:`visible` ``text`` in at most ``width`` columns, its middle left out if necessary."""
    whole = visible(text)
    if cell_len(whole) <= width:
        return whole
    head = max(0, width - 1) // 2
    tail = max(0, width - 1 - head)
    return set_cell_size(whole, head) + "…"[:width] + set_cell_size(whole[::-1], tail)[::-1]


def times_below(end_s: float, columns: int) -> str:
    """Returns the times below a strip: of its ends, and of evenly spaced moments if there is room."""
    end = clock(end_s)
    stretches = max(1, columns // _TIMES_APART)
    line = ""
    for number in range(stretches):
        line = line.ljust(number * columns // stretches) + clock(number * end_s / stretches)
    gap = columns - len(line) - len(end)
    return line + (" – " if gap < 3 else " " * gap) + end
