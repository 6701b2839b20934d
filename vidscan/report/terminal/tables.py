"""Tables as the terminal shows them: numbers to the right, names shortened to the room there is."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from vidscan.report.terminal.escape import shorten

STAGES = ("decode", "detect", "wait", "score", "total")
"""What the time of a scan is told by."""

GAP = 2  # columns between those of a table: one of padding and rich's own
_NUMERIC = ("person", "P(fake)", "people", "faces", "length", "detected", *STAGES)


def named_table(
    names: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str | Text]], width: int
) -> Table:
    """A table with a column of files, which gets the width that the other columns leave."""
    cells = [[len(cell) for cell in column] for column in zip(heads, *rows, strict=True)]
    room = max(12, width - sum(max(column) + GAP for column in cells))
    table = plain_table("file", *heads)
    for name, row in zip(names, rows, strict=True):
        table.add_row(Text(shorten(name, room)), *row)
    return table


def plain_table(*heads: str) -> Table:
    """A table with these heads and no rows yet."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for head in heads:
        table.add_column(head, justify="right" if head in _NUMERIC else "left", no_wrap=True)
    return table
