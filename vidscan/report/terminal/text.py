"""Prints verdicts, timelines and tables in the terminal, with rich.

Every text that comes from a file or its name goes through :func:`vidscan.report.escape.visible`, and none of
it is markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vidscan.records import Label, Report, SourceKind, Status, Verdict
from vidscan.report.declaration import contradiction, declaration, declared_in_a_word
from vidscan.report.escape import visible
from vidscan.report.summary import (
    common_folder,
    joined,
    most_suspicious_first,
    of_streams,
    people_among,
    people_of,
    summarise,
)
from vidscan.report.terminal.strip import cuts_below, strip, times_below
from vidscan.report.terminal.tables import (
    GAP,
    MAX_TRACKS,
    STAGES,
    coloured,
    face_table,
    member_table,
    named_table,
    shorten,
    track_table,
)
from vidscan.report.wording import certainty, clock, counted, score

_LABELS = {
    Label.FAKE: "bold white on #c93c37",
    Label.REAL: "bold white on #2b7d3c",
    Label.UNCERTAIN: "bold black on #d9a421",
    Label.NO_FACE: "bold white on #6e7681",
}
_FAILED = "bold #d73a33"
_MAX_STRIP, _MIN_STRIP = 120, 12
_ROOM_FOR_STRIP = 78
"""A folder's table shows timelines from this many columns on."""
_MAX_SEGMENTS = 12
_MAX_REMARKS = 12
_INDENT = 2


def print_report(console: Console, report: Report) -> None:
    """Prints everything about one clip or still; a failed source takes one line."""
    verdict = _verdict_of(report)
    if verdict is None:
        _print_failure(console, report.source.name, report)
        if line := declaration(report.provenance):
            console.print(_indented(Text(visible(line))))
    else:
        console.print(Group(*_about(report, verdict, console.width)))


def print_summary(console: Console, reports: Sequence[Report]) -> None:
    """Prints many sources as a table, the most suspicious first; then why sources failed, and the counts."""
    if console.quiet:  # which would draw it all the same, seconds for a large folder
        return
    reports = most_suspicious_first(reports)
    folder, names = _folder_and_names(reports)
    parts: list[RenderableType] = [Text(shorten(folder, console.width), "bold")] if folder else []
    said = _said_by_members(reports, console.width)
    parts.append(_summary_table(reports, names, said, console.width))
    if said:
        members = next(each.members for each in map(_verdict_of, reports) if each and each.members)
        who = ", ".join(shorten(member.name, console.width // 2) for member in members)
        parts.append(Text(f"members, in this order: {who}", "dim"))
    console.print(Group(*parts))
    for name, report in zip(names, reports, strict=True):
        if _verdict_of(report) is None:
            _print_failure(console, name, report)
    said_of = [
        (name, each.text) for name, report in zip(names, reports, strict=True) for each in report.remarks
    ]
    for name, remark in said_of[:_MAX_REMARKS]:
        console.print(Text(f"{visible(name)}: {visible(remark)}", "dim"), soft_wrap=True)
    console.print(Group(*_left_out(len(said_of) - _MAX_REMARKS), Text(), _totals(summarise(reports))))


def print_totals(console: Console, found: Mapping[str, int]) -> None:
    """Prints the number of sources of each outcome, if there are too many to be listed."""
    console.print(_totals(found))


def print_timings(console: Console, reports: Sequence[Report]) -> None:
    """Prints the seconds that each stage took, by source and in total."""
    spent = [[getattr(report.stats.seconds, stage) for stage in STAGES] for report in reports]
    names = _folder_and_names(reports)[1]
    if len(reports) > 1:
        names.append("together")
        spent.append([sum(column) for column in zip(*spent, strict=True)])
    rows = [[f"{seconds:.2f}" for seconds in row] for row in spent]
    note = Text("Seconds; stages run side by side, so they may add up to more than the total.", "dim")
    if slots := sum(report.stats.batch_slots for report in reports):
        filled = sum(report.stats.crops_scored for report in reports) / slots
        note.append(f"\nWait is the network's for a full batch. Batch slots filled: {filled:.0%}.")
    console.print(Group(named_table(names, STAGES, rows, console.width), note))


def _about(report: Report, verdict: Verdict, width: int) -> Iterator[RenderableType]:
    yield Text(shorten(report.source.name, width), "bold")
    yield _indented(_verdict_line(verdict, report.model_card.calibration is not None))
    yield _indented(Text(visible(verdict.reason)))
    for each in report.remarks:
        yield _indented(Text(f"Note: {visible(each.text)}", "dim"))
    for line, style in (
        (declaration(report.provenance), ""),
        (contradiction(report.provenance, verdict.label), "yellow"),
    ):
        if line:
            yield _indented(Text(visible(line), style))
    if report.timeline and report.source.kind is SourceKind.VIDEO:
        yield from _timeline(report, width - _INDENT)
        yield from _segments(report)
        if len(report.tracks) > 1 or of_streams(report):
            yield from (Text(), _indented(track_table(report)))
            yield from _left_out(len(report.tracks) - MAX_TRACKS)
    elif sum(len(point.faces) for point in report.timeline) > 1:
        yield from (Text(), _indented(face_table(report)))
    if verdict.members:
        yield from (Text(), _indented(member_table(report, verdict)))
        mean, card = "the weighted mean of their logits", report.model_card
        together = f"together ({visible(card.name)}): {mean}, calibrated as one"
        yield _indented(Text(together if card.members else f"together: {mean}; thresholds alike", "dim"))
    yield Text()
    yield _indented(_effort(report, width - _INDENT))


def _verdict_line(verdict: Verdict, calibrated: bool) -> Text:
    line = Text.assemble(_badge(verdict))  # a text of its own: the badge's colours must not run on
    if verdict.fake_probability is None:
        return line
    line.append(f"  P(fake) {score(verdict.fake_probability)}", "bold")
    if verdict.interval is not None:
        line.append(f" ({score(verdict.interval.low)} to {score(verdict.interval.high)})", "dim")
    probability, confidence = verdict.fake_probability, verdict.confidence
    return line.append(f"  {certainty(verdict.label, probability, confidence, calibrated=calibrated)}")


def _timeline(report: Report, width: int) -> Iterator[RenderableType]:
    people = people_of(report)
    shown = {who: people[who] for who in sorted(list(people)[:MAX_TRACKS])}
    word = "person" if joined(report) else "track"
    labels = [f"{word} {who}  " for who in shown] if len(shown) > 1 else [""]
    room = max(map(len, [*labels, "cuts  " if report.stats.cuts_s else ""]))
    columns = max(1, min(_MAX_STRIP, width - room))
    strips = [strip(report, columns, tracks) for tracks in shown.values()] or [strip(report, columns)]
    yield Text()
    for label, drawn in zip(labels, strips, strict=True):
        yield _indented(Text.assemble((label.rjust(room), "dim"), drawn))
    if marks := cuts_below(report, columns):
        yield _indented(Text("cuts  ".rjust(room) + marks, "dim", no_wrap=True))
    end_s = report.stats.duration_s or report.timeline[-1].time_s
    yield _indented(Text(" " * room + times_below(end_s, len(strips[0])), "dim"))


def _segments(report: Report) -> Iterator[RenderableType]:
    if not report.segments:
        return
    grid = Table.grid(padding=(0, 3))
    for segment in report.segments[:_MAX_SEGMENTS]:
        span = f"{clock(segment.start_s)} – {clock(segment.end_s)}"
        grid.add_row(span, f"track {segment.track}", coloured(segment.fake_probability))
    yield from (Text(), _indented(Text("Suspicious", "bold")), _indented(grid))
    yield from _left_out(len(report.segments) - _MAX_SEGMENTS)


def _effort(report: Report, width: int) -> Text:
    """Returns what was sampled, and how long it took; broken between its parts if the terminal is narrow."""
    stats = report.stats
    said = [counted(stats.frames_sampled, "frame"), counted(stats.faces_scored, "face")]
    if stats.faces_unjudged:
        said.append(f"{stats.faces_unjudged:,} too small to judge")
    if report.source.kind is SourceKind.IMAGE:
        said = said[1:]
    elif stats.duration_s is not None:
        said.append(f"{clock(stats.duration_s)} long")
    if stats.cuts_s:
        said.append(counted(len(stats.cuts_s), "cut"))
    said.append(f"took {stats.seconds.total:.1f} s")
    lines: list[str] = []
    for part in said:
        if lines and len(lines[-1]) + len(" · ") + len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return Text("\n".join(lines), "dim")


def _summary_table(
    reports: Sequence[Report], names: Sequence[str], said: Sequence[Text], width: int
) -> Table:
    declared = [declared_in_a_word(report.provenance) for report in reports]
    spare = width - max((len(text) + GAP for text in said if text), default=0) - (12 if any(declared) else 0)
    columns = 20 if spare >= 90 else _MIN_STRIP if spare >= _ROOM_FOR_STRIP else 0
    heads = [" verdict", "P(fake)", "people", "faces", "length", "timeline"]
    rows = [_summary_row(report, columns) for report in reports]
    if said:
        heads.insert(2, "members")
        rows = [[*row[:2], text, *row[2:]] for row, text in zip(rows, said, strict=True)]
    if any(declared):
        heads.insert(-1, "declares")
        rows = [[*row[:-1], word, row[-1]] for row, word in zip(rows, declared, strict=True)]
    if not columns:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return named_table(names, heads, rows, width)


def _summary_row(report: Report, columns: int) -> list[str | Text]:
    verdict = _verdict_of(report)
    if verdict is None:
        return [_badge(None), "", "", "", "", ""]
    duration = report.stats.duration_s
    drawn = columns and report.timeline and report.source.kind is SourceKind.VIDEO
    return [
        _badge(verdict),
        "" if verdict.label is Label.NO_FACE else coloured(verdict.fake_probability),
        str(people_among(report)),
        str(report.stats.faces_scored),
        "" if duration is None else clock(duration),
        strip(report, columns) if drawn else "",
    ]


def _said_by_members(reports: Sequence[Report], width: int) -> list[Text]:
    """Returns what each member of an ensemble alone gives each source; nothing for one network.

    If the members are one detector with a card of its own, the timeline is worth more than their scores, and
    gets the room if there is too little for both.
    """
    said = [
        Text(" ").join([coloured(member.fake_probability) for member in verdict.members] if verdict else [])
        for verdict in map(_verdict_of, reports)
    ]
    widest = max(map(len, said), default=0)
    fitted = any(report.model_card.members for report in reports)
    if not widest or (fitted and width - widest - GAP < _ROOM_FOR_STRIP):
        return []
    return said


def _totals(found: Mapping[str, int]) -> Text:
    named = {"no_face": "without a face"}
    outcomes = (key for key in found if key not in ("total", "declared_ai") and found[key])
    said = ", ".join(f"{found[key]} {named.get(key, key)}" for key in outcomes) or "nothing to show"
    declaring = found["declared_ai"]
    declared = f"; {declaring} {'declares' if declaring == 1 else 'declare'} AI" if declaring else ""
    return Text(f"{counted(found['total'], 'file')}: {said}{declared}", "bold")


def _folder_and_names(reports: Sequence[Report]) -> tuple[str, list[str]]:
    """Returns the folder that holds several local sources, or "", and their paths in it."""
    names = [report.source.name for report in reports]
    if len(names) == 1 or any(report.source.remote for report in reports):
        return "", names
    return common_folder(names)


def _print_failure(console: Console, name: str, report: Report) -> None:
    """Prints one line, however long, so that programs can search it; the name only if it lacks it."""
    message = visible(report.error.message) if report.error else "no reason was given"
    line = Text.assemble(_badge(None), " ")
    if visible(report.source.name) not in message:
        line.append(f"{visible(name)}: ", "bold")
    console.print(line.append(message), soft_wrap=True)


def _verdict_of(report: Report) -> Verdict | None:
    return None if report.status is Status.FAILED else report.verdict


def _badge(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text(" FAILED ", _FAILED)
    return Text(f" {verdict.label.value.replace('_', ' ')} ", _LABELS[verdict.label])


def _left_out(count: int) -> Iterator[RenderableType]:
    if count > 0:
        yield _indented(Text(f"… and {count} more: see --report", "dim"))


def _indented(inner: RenderableType) -> Padding:
    return Padding(inner, (0, 0, 0, _INDENT), expand=False)
