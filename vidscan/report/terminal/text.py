"""Prints what there is to say of one source in the terminal, with rich: verdict, timeline, tables.

Every text that comes from a file or its name goes through :func:`vidscan.report.escape.visible`, and none of
it is markup.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vidscan.records import Label, Report, SourceKind, Status, Verdict
from vidscan.report.declaration import contradiction, declaration
from vidscan.report.escape import visible
from vidscan.report.summary import joined, of_streams, people_of
from vidscan.report.terminal.strip import cuts_below, strip, times_below
from vidscan.report.terminal.tables import (
    MAX_TRACKS,
    coloured,
    face_table,
    member_table,
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
_MAX_STRIP = 120
_MAX_SEGMENTS = 12
_INDENT = 2


def print_report(console: Console, report: Report) -> None:
    """Prints everything about one clip or still; a failed source takes one line."""
    verdict = verdict_of(report)
    if verdict is None:
        print_failure(console, report.source.name, report)
        if line := declaration(report.provenance):
            console.print(_indented(Text(visible(line))))
    else:
        console.print(Group(*_about(report, verdict, console.width)))


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
            yield from left_out(len(report.tracks) - MAX_TRACKS)
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
    line = Text.assemble(badge(verdict))  # a text of its own: the badge's colours must not run on
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
    yield from left_out(len(report.segments) - _MAX_SEGMENTS)


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


def print_failure(console: Console, name: str, report: Report) -> None:
    """Prints one line, however long, so that programs can search it; the name only if it lacks it."""
    message = visible(report.error.message) if report.error else "no reason was given"
    line = Text.assemble(badge(None), " ")
    if visible(report.source.name) not in message:
        line.append(f"{visible(name)}: ", "bold")
    console.print(line.append(message), soft_wrap=True)


def verdict_of(report: Report) -> Verdict | None:
    """The verdict of a source; None where it failed."""
    return None if report.status is Status.FAILED else report.verdict


def badge(verdict: Verdict | None) -> Text:
    """A verdict's label in its colours; that of a failure where there is none."""
    if verdict is None:
        return Text(" FAILED ", _FAILED)
    return Text(f" {verdict.label.value.replace('_', ' ')} ", _LABELS[verdict.label])


def left_out(count: int) -> Iterator[RenderableType]:
    """Says how many more there are, if any."""
    if count > 0:
        yield _indented(Text(f"… and {count} more: see --report", "dim"))


def _indented(inner: RenderableType) -> Padding:
    return Padding(inner, (0, 0, 0, _INDENT), expand=False)
