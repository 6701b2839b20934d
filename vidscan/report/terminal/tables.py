"""Lays out tables for the terminal: numbers to the right, names shortened to fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidscan.records import Report, SourceKind, Verdict
from vidscan.report.escape import visible
from vidscan.report.summary import joined, of_streams, ranked_tracks
from vidscan.report.terminal.strip import colour
from vidscan.report.wording import clock, remark, score

STAGES = ("decode", "detect", "wait", "score", "total")
"""Columns of the table of timings."""

MAX_TRACKS = 8
"""Upper limit on the tracks of a clip that are shown."""

_ROWS_AT_ONCE = 40
GAP = 2  # columns between those of a table: one of padding and rich's own
_NUMERIC = ("person", "P(fake)", "people", "faces", "length", "detected", *STAGES)


def shorten(text: str, width: int) -> str:
    """Returns :func:`visible` ``text`` in at most ``width`` columns, its middle left out if necessary."""
    whole = visible(text)
    if cell_len(whole) <= width:
        return whole
    head = max(0, width - 1) // 2
    tail = max(0, width - 1 - head)
    return set_cell_size(whole, head) + "…"[:width] + set_cell_size(whole[::-1], tail)[::-1]


def print_named(
    console: Console,
    names: Sequence[str],
    heads: Sequence[str],
    widths: Sequence[int],
    rows: Iterable[Sequence[str | Text]],
) -> None:
    """Prints a table with a column of files, which gets the width that the other columns leave.

    ``widths``: of the longest cell of each other column. Some rows at a time are in memory.
    """
    widths = [max(len(head), width) for head, width in zip(heads, widths, strict=True)]
    room = max(12, console.width - sum(width + GAP for width in widths))
    longest = max((cell_len(shorten(name, room)) for name in names), default=0)
    cells, headed = zip(names, rows, strict=True), False
    while (some := list(islice(cells, _ROWS_AT_ONCE))) or not headed:
        table = plain_table("file", *heads)
        table.show_header, headed = not headed, True
        for column, width in zip(table.columns, (max(longest, len("file")), *widths), strict=True):
            column.width = width
        for name, row in some:
            table.add_row(Text(shorten(name, room)), *row)
        console.print(table)


def plain_table(*heads: str) -> Table:
    """Makes a table with these heads and no rows."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for head in heads:
        table.add_column(head, justify="right" if head in _NUMERIC else "left", no_wrap=True)
    return table


def track_table(report: Report) -> Table:
    """Lists the tracks, each with its person if several tracks show the same one."""
    several = joined(report)
    table = plain_table("track", *(["person"] if several else []), "P(fake)", "faces", "seen", "")
    for track in sorted(ranked_tracks(report)[:MAX_TRACKS], key=lambda track: track.id):
        seen = f"{clock(track.start_s)} – {clock(track.end_s)}"
        note = remark(track.note, track.quality)
        which = [f"stream {track.stream}"] if of_streams(report) else []
        said = Text(visible(", ".join([*which, *([note] if note else [])])), "dim")
        who = [str(track.person or track.id)] if several else []
        table.add_row(str(track.id), *who, coloured(track.fake_probability), str(track.faces), seen, said)
    return table


def member_table(report: Report, verdict: Verdict) -> Table:
    """Lists the members of an ensemble with what each alone says."""
    table = plain_table("member", "P(fake)", "alone says", "weight", "crop")
    rule = report.model_card.stills if report.source.kind is SourceKind.IMAGE else None
    weights = [card.ensemble_weight for card in report.members] if rule is None else rule.weights
    for card, say, said in zip(report.members, weights, verdict.members, strict=True):
        probability, weight = coloured(said.fake_probability), f"{say:g}"
        crop = f"{card.input_size} px, margin {card.margin:g}"
        table.add_row(Text(shorten(said.name, 32)), probability, said.label.value, weight, crop)
    return table


def face_table(report: Report) -> Table:
    """Lists the faces of a still, each where it was first seen."""
    table = plain_table("face", "P(fake)", "at (pixels)", "size", "detected", "")
    tracks = {track.id: track for track in report.tracks}
    first = {face.track: face for point in reversed(report.timeline) for face in point.faces}
    for number, face in sorted(first.items()):
        place = f"{face.box.x:.0f}, {face.box.y:.0f}"
        size = f"{face.box.w:.0f}×{face.box.h:.0f}"
        detected, probability, said = score(face.detection_confidence), face.fake_probability, []
        if track := tracks.get(number):
            probability = track.fake_probability if track.faces > 1 else probability
            said += [f"picture {track.stream + 1}"] if track.stream else []
            said += [f"{track.faces} frames"] if track.faces > 1 else []
        if note := remark(track.note if track else "", face.quality):
            said.append(note)
        shown = Text(visible(", ".join(said)), "dim")
        table.add_row(str(number), coloured(probability), place, size, detected, shown)
    return table


def coloured(probability: float | None) -> Text:
    """Formats a score in its colour."""
    style = "dim" if probability is None else colour(probability)
    return Text(score(probability), style, justify="right")
