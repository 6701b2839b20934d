"""Text that any terminal can show: nothing in it acts on the terminal, hides or overflows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from vidscan.report.escape import visible
from vidscan.report.terminal.strip import CUT, LEVELS, UNSEEN
from vidscan.report.wording import NOT_JUDGED, clock

# For terminals that are not Unicode.
_PLAIN = str.maketrans(LEVELS + UNSEEN + CUT + NOT_JUDGED + "–…×", ".:-=+*#@ |--~x")

_TIMES_APART = 24  # columns of a strip


def shorten(text: str, width: int) -> str:
    """:func:`visible` ``text`` in at most ``width`` terminal columns, its middle left out if need be."""
    whole = visible(text)
    if cell_len(whole) <= width:
        return whole
    head = max(0, width - 1) // 2
    tail = max(0, width - 1 - head)
    return set_cell_size(whole, head) + "…"[:width] + set_cell_size(whole[::-1], tail)[::-1]


def times_below(end_s: float, columns: int) -> str:
    """The times below a strip: of its ends, and of evenly spaced moments between where there is room."""
    end = clock(end_s)
    stretches = max(1, columns // _TIMES_APART)
    line = ""
    for number in range(stretches):
        line = line.ljust(number * columns // stretches) + clock(number * end_s / stretches)
    gap = columns - len(line) - len(end)
    return line + (" – " if gap < 3 else " " * gap) + end


@dataclass(frozen=True, slots=True)
class Legible:
    """Draws ``inner`` in ASCII where the terminal or the file behind it takes no Unicode."""

    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.inner, options):
            if options.ascii_only and not segment.control:
                text = segment.text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")
                segment = Segment(text, segment.style)
            yield segment
