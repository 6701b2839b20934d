"""Prints the table of a folder in the terminal, and how long each of its files took.

Reports are read as they are drawn, and none needs to be in memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group
from rich.text import Text

from vidscan.records import Label, Report, SourceKind
from vidscan.report.declaration import declared_in_a_word
from vidscan.report.escape import visible
from vidscan.report.summary import common_folder, declares_ai, people_among, rank, tally
from vidscan.report.terminal.strip import strip
from vidscan.report.terminal.tables import GAP, STAGES, coloured, print_named, shorten
from vidscan.report.terminal.text import badge, left_out, print_failure, verdict_of
from vidscan.report.wording import clock, counted

_MIN_STRIP = 12
_ROOM_FOR_STRIP = 78
"""A folder's table shows timelines from this many columns on."""
_MAX_REMARKS = 12


def print_summary(console: Console, reports: Sequence[Report]) -> None:
    """Prints many sources as a table, the most suspicious first; then why sources failed, and the counts.

    It goes through the reports twice.
    """
    if console.quiet:  # which would draw it all the same, seconds for a large folder
        return
    seen = _Seen(reports, console.width)
    if seen.folder:
        console.print(Text(shorten(seen.folder, console.width), "bold"))
    names = [seen.names[place] for place in seen.order]
    remarks: list[tuple[str, str]] = []
    print_named(console, names, seen.heads, seen.widths, _rows(reports, seen, remarks))
    if seen.members_width:
        who = ", ".join(shorten(name, console.width // 2) for name in seen.members)
        console.print(Text(f"members, in this order: {who}", "dim"))
    for place in seen.order:
        if seen.failed[place]:
            print_failure(console, seen.names[place], reports[place])
    for name, remark in remarks[:_MAX_REMARKS]:
        console.print(Text(f"{visible(name)}: {visible(remark)}", "dim"), soft_wrap=True)
    totals = _totals(tally(seen.labels.elements(), seen.declared_ai))
    console.print(Group(*left_out(len(remarks) - _MAX_REMARKS), Text(), totals))


def print_totals(console: Console, found: Mapping[str, int]) -> None:
    """Prints the number of sources of each outcome, if there are too many to be listed."""
    console.print(_totals(found))


def print_timings(console: Console, reports: Sequence[Report]) -> None:
    """Prints the seconds that each stage took, by source and in total."""
    spent = [array("d") for _ in STAGES]
    sources, slots, filled = [], 0.0, 0
    for report in reports:
        sources.append((report.source.name, report.source.remote is not None))
        for stage, seconds in zip(STAGES, spent, strict=True):
            seconds.append(getattr(report.stats.seconds, stage))
        slots += report.stats.batch_slots
        filled += report.stats.crops_scored
    names = _folder_and_names(sources)[1]
    if len(names) > 1:
        names.append("together")
        for seconds in spent:
            seconds.append(sum(seconds))
    widths = [max((len(f"{each:.2f}") for each in seconds), default=0) for seconds in spent]
    rows = ([f"{seconds:.2f}" for seconds in row] for row in zip(*spent, strict=True))
    print_named(console, names, STAGES, widths, rows)
    note = Text("Seconds; stages run side by side, so they may add up to more than the total.", "dim")
    if slots:
        note.append(f"\nWait is the network's for a full batch. Batch slots filled: {filled / slots:.0%}.")
    console.print(note)


class _Seen:
    """What a table of reports depends on: their order and names, its columns and how wide they are."""

    def __init__(self, reports: Sequence[Report], width: int) -> None:
        sources, ranks = [], []
        self.labels: Counter[str] = Counter()
        self.failed = bytearray(len(reports))
        self.declared_ai, self.members = 0, list[str]()
        said, declared, drawn, fitted = 0, 0, False, False
        widths = [0] * len(_HEADS)
        for place, report in enumerate(reports):
            sources.append((report.source.name, report.source.remote is not None))
            ranks.append(rank(report))
            verdict = verdict_of(report)
            self.failed[place] = verdict is None
            self.labels[verdict.label if verdict else "FAILED"] += 1
            self.declared_ai += declares_ai(report)
            if verdict and verdict.members and not self.members:
                self.members = [member.name for member in verdict.members]
            said = max(said, len(_said_by_members(report)))
            declared = max(declared, len(declared_in_a_word(report.provenance)))
            drawn |= _has_strip(report)
            fitted |= bool(report.model_card.members)
            widths = list(map(max, widths, map(len, _cells(report))))
        self.folder, self.names = _folder_and_names(sources)
        self.order = sorted(range(len(ranks)), key=ranks.__getitem__)
        # Of one detector with a card of its own, the timeline is worth more than the members' scores.
        self.members_width = 0 if fitted and width - said - GAP < _ROOM_FOR_STRIP else said
        spare = width - (self.members_width + GAP if self.members_width else 0) - (12 if declared else 0)
        self.strip = 20 if spare >= 90 else _MIN_STRIP if spare >= _ROOM_FOR_STRIP else 0
        self.declares = declared > 0
        columns = list(zip(_HEADS, widths, strict=True))
        if self.members_width:
            columns.insert(2, ("members", self.members_width))
        if declared:
            columns.append(("declares", declared))
        if self.strip:
            columns.append(("timeline", self.strip if drawn else 0))
        self.heads, self.widths = [head for head, _ in columns], [each for _, each in columns]


_HEADS = (" verdict", "P(fake)", "people", "faces", "length")


def _rows(
    reports: Sequence[Report], seen: _Seen, remarks: list[tuple[str, str]]
) -> Iterator[list[str | Text]]:
    """The table's rows; what is remarked on the reports is added to ``remarks`` on the way."""
    for place in seen.order:
        report = reports[place]
        remarks += [(seen.names[place], each.text) for each in report.remarks]
        cells = _cells(report)
        if seen.members_width:
            cells.insert(2, _said_by_members(report))
        if seen.declares:
            cells.append(declared_in_a_word(report.provenance))
        if seen.strip:
            cells.append(strip(report, seen.strip) if _has_strip(report) else "")
        yield cells


def _cells(report: Report) -> list[str | Text]:
    verdict = verdict_of(report)
    if verdict is None:
        return [badge(None), "", "", "", ""]
    duration = report.stats.duration_s
    return [
        badge(verdict),
        "" if verdict.label is Label.NO_FACE else coloured(verdict.fake_probability),
        str(people_among(report)),
        str(report.stats.faces_scored),
        "" if duration is None else clock(duration),
    ]


def _has_strip(report: Report) -> bool:
    return bool(verdict_of(report) and report.timeline) and report.source.kind is SourceKind.VIDEO


def _said_by_members(report: Report) -> Text:
    """Returns what each member of an ensemble alone gives a source; nothing for one network."""
    verdict = verdict_of(report)
    members = verdict.members if verdict else ()
    return Text(" ").join([coloured(member.fake_probability) for member in members])


def _folder_and_names(sources: Sequence[tuple[str, bool]]) -> tuple[str, list[str]]:
    """Returns the folder that holds several local sources, or "", and their paths in it.

    Of each source its name, and whether it is remote.
    """
    names = [name for name, _ in sources]
    if len(names) == 1 or any(remote for _, remote in sources):
        return "", names
    return common_folder(names)


def _totals(found: Mapping[str, int]) -> Text:
    named = {"no_face": "without a face"}
    outcomes = (key for key in found if key not in ("total", "declared_ai") and found[key])
    said = ", ".join(f"{found[key]} {named.get(key, key)}" for key in outcomes) or "nothing to show"
    declaring = found["declared_ai"]
    declared = f"; {declaring} {'declares' if declaring == 1 else 'declare'} AI" if declaring else ""
    return Text(f"{counted(found['total'], 'file')}: {said}{declared}", "bold")
