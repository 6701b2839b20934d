"""What a case file draws: where a score lies, how it ran over time, and the faces. Sizes are in mm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any
from xml.sax.saxutils import quoteattr

from vidscan.report.content.chart import Strip
from vidscan.report.content.file_view import FileView
from vidscan.report.content.pictures import FacePictures, Filmstrip, Picture
from vidscan.report.pdf.sheet import INK, LINE, OF_LABEL, SMALL, SOFT, Colour, Sheet
from vidscan.report.wording import clock, score

_ZONES = {"REAL": (181, 220, 191), "UNCERTAIN": (243, 220, 166), "FAKE": (242, 184, 179)}
_LINES: tuple[Colour, ...] = (
    (11, 98, 176),
    (184, 72, 15),
    (7, 120, 91),
    (161, 48, 127),
    (106, 83, 0),
    (91, 69, 194),
    (0, 112, 124),
    (122, 59, 46),
)
"""Of tracks, in turn, as on a page."""

_DASHES = ("", "2.4,0.8", "0.8,0.8", "2.4,0.8,0.6,0.8")
"""Of the lines of tracks, in turn: they are told apart in grey too."""

_CHART = 36.0
_AXIS = 9.0  # room for the numbers at the left
_FACE, _GAP = 24.0, 4.0
_IN_A_ROW = 6
MAX_STRIPS = 3
"""Upper limit on the tracks whose faces are shown."""


def gauge(sheet: Sheet, view: FileView, fake: float, real: float) -> None:
    """Where P(fake) and its range lie between the thresholds, with the scale below."""
    width, said = sheet.epw, f"P(fake) {view.score} on a scale from 0 to 1"
    zones = (("REAL", 0.0, real), ("UNCERTAIN", real, fake), ("FAKE", fake, 1.0))
    shapes = [_rect(low * width, 1, (high - low) * width, 3.6, _ZONES[name]) for name, low, high in zones]
    if view.interval is not None:
        low, high = view.interval
        shapes.append(_rect(low * width, 2.2, max(high - low, 0.002) * width, 1.2, SOFT))
    at = min(max((view.probability or 0.0) * width - 0.6, 0.0), width - 1.2)
    shapes.append(_rect(at, 0, 1.2, 5.6, INK))
    _place(sheet, shapes, width, 5.6, said)
    scale = f"REAL up to {real:.2f}, FAKE from {fake:.2f}"
    for words, align in (("0 real", "L"), (scale, "C"), ("fake 1", "R")):
        sheet.set_xy(sheet.l_margin, sheet.y)
        _small(sheet)
        sheet.cell(width, 4, words, align=align)
    sheet.set_xy(sheet.l_margin, sheet.y + 5)


def timeline(sheet: Sheet, chart: dict[str, Any], strip: Strip | None) -> None:
    """The scores of every track over time, with thresholds, suspicious stretches, cuts and a legend."""
    width, length = sheet.epw - _AXIS, max(chart["duration"], 1e-9)
    sheet.require(_CHART + 12)
    shapes = list(_shapes(chart, width, length))
    said = strip.words if strip else "Scores over time"
    sheet.set_x(sheet.l_margin + _AXIS)
    top = sheet.y
    _place(sheet, shapes, width, _CHART, said)
    _small(sheet)
    for level in (0.0, 0.5, 1.0):
        sheet.set_xy(sheet.l_margin, top + _CHART * (1 - level) - 2)
        sheet.cell(_AXIS - 1.5, 4, f"{level:g}", align="R")
    for part, align in ((0.0, "L"), (0.5, "C"), (1.0, "R")):
        sheet.set_xy(sheet.l_margin + _AXIS, top + _CHART + 0.6)
        sheet.cell(width, 4, clock(part * chart["duration"]), align=align)
    sheet.set_xy(sheet.l_margin, top + _CHART + 5.2)
    _legend(sheet, chart["tracks"])


def _shapes(chart: dict[str, Any], width: float, length: float) -> Iterator[str]:
    for start_s, end_s, _ in chart["segments"]:
        wide = max((end_s - start_s) / length * width, 0.6)
        yield _rect(start_s / length * width, 0, wide, _CHART, (250, 222, 219))
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield _line(0, _down(level), width, _down(level), LINE, 0.15)
    for time_s in chart["cuts"][: 2 * int(width) // 5]:
        yield _line(time_s / length * width, 0, time_s / length * width, _CHART, (150, 157, 166), 0.15)
    for name, level in (("FAKE", chart["fake"]), ("REAL", chart["real"])):
        yield _line(0, _down(level), width, _down(level), OF_LABEL[name], 0.3, "1.4,1")
    places = [time_s / length * width for time_s in chart["times"]]
    for number, track in enumerate(chart["tracks"]):
        colour, dash = _LINES[number % len(_LINES)], _DASHES[number // len(_LINES) % len(_DASHES)]
        yield from _course(places, track["scores"], colour, dash)
        for row in track["unjudged"]:
            yield _rect(places[row] - 0.5, _CHART - 1.2, 1.0, 1.0, None, colour)


def _course(
    places: Sequence[float], scores: Sequence[float | None], colour: Colour, dash: str
) -> Iterator[str]:
    """A track's line, interrupted where it was not seen, and a dot for each sighting where there is room."""
    dots = len(places) <= 150
    for seen, run in groupby(zip(places, scores, strict=True), key=lambda pair: pair[1] is not None):
        points = [(x, _down(level)) for x, level in run if level is not None]
        if seen and len(points) > 1:
            told = " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
            drawn = f'stroke="{_rgb(colour)}" stroke-width="0.45"{_dashed(dash)}'
            yield f'<polyline points="{told}" fill="none" {drawn}/>'
        if dots or len(points) == 1:
            yield from (
                f'<circle cx="{x:.3f}" cy="{y:.3f}" r="0.6" fill="{_rgb(colour)}"/>' for x, y in points
            )


def _legend(sheet: Sheet, tracks: Sequence[dict[str, Any]]) -> None:
    if len(tracks) < 2:
        return
    sheet.set_x(sheet.l_margin + _AXIS)
    for number, track in enumerate(tracks[:10]):
        told = f"track {track['id']}"
        if track["person"] != track["id"]:
            told += f" (person {track['person']})"
        if sheet.x + 9 + sheet.get_string_width(told) > sheet.w - sheet.r_margin:
            sheet.set_xy(sheet.l_margin + _AXIS, sheet.y + 4)
        sheet.set_draw_color(*_LINES[number % len(_LINES)])
        sheet.set_line_width(0.6)
        sheet.line(sheet.x, sheet.y + 2, sheet.x + 4, sheet.y + 2)
        sheet.set_line_width(0.2)
        sheet.set_x(sheet.x + 5)
        _small(sheet)
        sheet.cell(sheet.get_string_width(told) + 4, 4, told)
    if len(tracks) > 10:
        sheet.cell(20, 4, f"and {len(tracks) - 10} more")
    sheet.set_xy(sheet.l_margin, sheet.y + 5)


def faces(sheet: Sheet, pictures: FacePictures, names: dict[int, str], *, timed: bool) -> int:
    """Rows of the faces kept, a track a row; returns how many were left out.

    ``names`` are the tracks', by rank; ``timed``: whether the moments of the faces mean something.
    """
    order = [track for track in names if any(strip.track == track for strip in pictures.strips)]
    strips = sorted(pictures.strips, key=lambda strip: order.index(strip.track))
    for strip in strips[:MAX_STRIPS]:
        _strip(sheet, strip, names[strip.track], timed)
    shown = sum(len(_shown(strip)) for strip in strips[:MAX_STRIPS])
    return len(pictures.all) + pictures.left_out - shown


def _shown(strip: Filmstrip) -> list[Picture]:
    """As many faces as fit into a row, the lowest last."""
    lowest = strip.lowest[-max(2, _IN_A_ROW - len(strip.highest)) :]
    return [*strip.highest[: _IN_A_ROW - len(lowest)], *lowest]


def _strip(sheet: Sheet, strip: Filmstrip, name: str, timed: bool) -> None:
    shown = _shown(strip)
    heated = any(each.heat_png is not None for each in shown)
    sheet.require(5 + _FACE + 5 + (_FACE + 2) * heated)
    _small(sheet)
    which = ": the highest scores, then the lowest" if strip.lowest else ""
    sheet.cell(0, 4.4, name + which)
    sheet.set_xy(sheet.l_margin, sheet.y + 4.8)
    top = sheet.y
    for place, each in enumerate(shown):
        left = sheet.l_margin + place * (_FACE + _GAP)
        when = f" at {clock(each.time_s)}" if timed else ""
        told = f"{name}{when}, score {score(each.fake_probability)}"
        sheet.image(each.jpeg, left, top, _FACE, _FACE, alt_text=told)
        sheet.set_xy(left, top + _FACE + 0.4)
        _small(sheet, INK)
        sheet.cell(_FACE, 4, f"{score(each.fake_probability)}{when}{', poor' * each.poor}")
        if each.heat_png is not None:
            below = top + _FACE + 5
            sheet.image(each.jpeg, left, below, _FACE, _FACE, alt_text=f"The same, with its heat map. {told}")
            sheet.image(each.heat_png, left, below, _FACE, _FACE, alt_text="heat map")
    sheet.set_xy(sheet.l_margin, top + _FACE + 6 + (_FACE + 1.5) * heated)


def _small(sheet: Sheet, colour: Colour = SOFT) -> None:
    sheet.set_font("sans", "", SMALL)
    sheet.set_text_color(*colour)


def _place(sheet: Sheet, shapes: Iterable[str], width: float, height: float, said: str) -> None:
    """Puts shapes at the present place; ``said`` is for readers who cannot see them."""
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-label={quoteattr(said)}>{"".join(shapes)}</svg>'
    )
    sheet.image(drawn.encode("utf-8"), sheet.x, sheet.y, width, height, alt_text=said)
    sheet.set_xy(sheet.x, sheet.y + height)


def _rect(
    x: float, y: float, width: float, height: float, fill: Colour | None, edge: Colour | None = None
) -> str:
    inside = "none" if fill is None else _rgb(fill)
    around = "" if edge is None else f' stroke="{_rgb(edge)}" stroke-width="0.2"'
    return (
        f'<rect x="{x:.3f}" y="{y:.3f}" width="{width:.3f}" height="{height:.3f}" fill="{inside}"{around}/>'
    )


def _line(x: float, y: float, x2: float, y2: float, colour: Colour, thick: float, dash: str = "") -> str:
    ends = f'x1="{x:.3f}" y1="{y:.3f}" x2="{x2:.3f}" y2="{y2:.3f}"'
    return f'<line {ends} stroke="{_rgb(colour)}" stroke-width="{thick}"{_dashed(dash)}/>'


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _down(level: float) -> float:
    return _CHART * (1 - level)


def _rgb(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
