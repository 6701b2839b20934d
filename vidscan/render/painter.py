"""Draws one frame of an annotated video: boxes on the picture, the strip of scores below it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vidscan.records import Image, Label, Report
from vidscan.render.interpolation import DrawnFace, DrawnFaces
from vidscan.report.wording import clock

Colour = tuple[int, int, int]
"""RGB, 0-255."""

_COLOURS = {
    Label.FAKE: (229, 72, 66),
    Label.REAL: (63, 185, 105),
    Label.UNCERTAIN: (232, 179, 57),
    Label.NO_FACE: (150, 155, 162),
}
_PANEL, _PLOT, _DARK = (22, 24, 28), (33, 36, 42), (12, 12, 12)
_FAINT, _TEXT = (110, 116, 126), (232, 234, 237)
_UNJUDGED = _COLOURS[Label.NO_FACE]
_LINES = ((214, 219, 226), (120, 170, 255), (214, 150, 255), (120, 220, 220))
"""Colours of the tracks' curves; the dots on them have the colour of the score."""

_MIN_TEXT, _MAX_TEXT = 9, 40
_TICKS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_SEMIBOLD, _REGULAR = 600, 450
_SMALL = 0.7


def text_size(width: int, height: int) -> int:
    """Returns the height of the letters in pixels for a frame of this size."""
    return max(_MIN_TEXT, min(_MAX_TEXT, round(min(width, height) / 22)))


def strip_height(width: int, height: int) -> int:
    """Returns the rows of the strip; with those of the frame an even number, as video encoders require."""
    rows = 8 * text_size(width, height)
    return rows + (rows + height) % 2


class Painter:
    """Draws the frames of one clip, ``width x height`` pixels.

    ``thresholds`` are P(fake) from which a score is drawn as fake, and up to which as real.
    """

    def __init__(self, report: Report, width: int, height: int, thresholds: tuple[float, float]) -> None:
        self._report = report
        self._size = (width, height)
        self._fake, self._real = thresholds
        self._faces = DrawnFaces.of(report) if report.timeline else DrawnFaces({}, 1.0, 1.0)
        self._end_s = report.stats.duration_s or self._faces.end_s
        self._text = text_size(width, height)
        self._font = cv2.FontFace("sans")
        self._strip = self._background()

    def draw(self, time_s: float, picture: Image) -> None:
        """Draws on a frame with the strip's rows beneath it, RGB ``uint8[height + strip, width, 3]``."""
        for face in self._faces.at(time_s):
            self._box(picture, face)
        height = self._size[1]
        below = picture[height:]
        below[:] = 0
        below[:, : self._size[0]] = self._strip
        left, _, top, bottom = self._plot()
        x = self._across(time_s)
        cv2.line(below, (x, top), (x, bottom), _TEXT, max(1, self._text // 8), cv2.LINE_AA)
        shown = f"{clock(time_s)} / {clock(self._end_s)}"
        edge = self._size[0] - self._text
        if self._width(shown) + self._width(self._headline()) + self._text < edge - left:
            self._say(below, shown, edge - self._width(shown), self._text * 3 // 2, _TEXT, _REGULAR)

    def colour(self, score: float | None) -> Colour:
        """Returns the colour of a score by the thresholds in force; grey for a face without one."""
        if score is None:
            return _UNJUDGED
        if score >= self._fake:
            return _COLOURS[Label.FAKE]
        return _COLOURS[Label.REAL] if score <= self._real else _COLOURS[Label.UNCERTAIN]

    def _box(self, picture: Image, face: DrawnFace) -> None:
        width, height = self._size
        frame = picture[:height, :width]
        score = face.fake_probability
        colour, thick = self.colour(score), max(1, self._text // (7 if score is not None else 14))
        x, y, w, h = face.box
        # Far outside, OpenCV's fixed-point coordinates would overflow.
        left, right = (round(min(max(value, -width), 2 * width)) for value in (x, x + w))
        top, bottom = (round(min(max(value, -height), 2 * height)) for value in (y, y + h))
        for width_of_line, shade in ((thick + 2, _DARK), (thick, colour)):
            cv2.rectangle(frame, (left, top), (right, bottom), shade, width_of_line, cv2.LINE_AA)
        many = len(self._faces.by_track) > 1
        said = "not judged" if score is None else f"{score:.2f}"
        label = f"{face.track}  {said}" if many else said
        # Of small faces there may be many, whose labels must not hide the picture.
        scale = 1.0 if score is not None else _SMALL
        text = self._text * scale
        room, rows = round(self._width(label) * scale + text), round(1.5 * text)
        # Above the box; where there is no room, inside of it.
        left = min(max(left, 0), max(0, width - room))
        foot = top if top >= rows else min(max(top, 0) + rows, height)
        cv2.rectangle(frame, (left, foot - rows), (left + room, foot), colour, cv2.FILLED)
        self._say(frame, label, left + round(text / 2), foot - round(0.42 * text), _DARK, scale=scale)

    def _plot(self) -> tuple[int, int, int, int]:
        """Returns left, right, top and bottom of the plot within the strip."""
        rows, edge = strip_height(*self._size), self._text
        labels = self._width("fake 0.00")
        room = labels if 5 * labels < self._size[0] else 0
        right = max(edge + 1, self._size[0] - edge - room)
        return edge, right, round(2.2 * edge), rows - round(1.8 * edge)

    def _across(self, time_s: float) -> int:
        left, right, _, _ = self._plot()
        return round(left + (right - left) * min(max(time_s / self._end_s, 0.0), 1.0))

    def _up(self, score: float) -> int:
        _, _, top, bottom = self._plot()
        return round(bottom - (bottom - top) * score)

    def _background(self) -> Image:
        """Draws everything of the strip that does not move."""
        strip = np.full((strip_height(*self._size), self._size[0], 3), _PANEL, np.uint8)
        left, right, top, bottom = self._plot()
        strip[top:bottom, left:right] = _PLOT
        self._shade_segments(strip)
        colour = _COLOURS[self._report.verdict.label if self._report.verdict else Label.NO_FACE]
        self._say(strip, self._headline(), left, self._text * 3 // 2, colour)
        self._ticks(strip)
        for number, track in enumerate(self._faces.by_track):
            self._curve(strip, track, _LINES[number % len(_LINES)])
        self._threshold(strip, self._fake, f"fake {self._fake:.2f}", _COLOURS[Label.FAKE])
        self._threshold(strip, self._real, f"real {self._real:.2f}", _COLOURS[Label.REAL])
        return strip

    def _headline(self) -> str:
        verdict = self._report.verdict
        if verdict is None or verdict.label is Label.NO_FACE:
            return "NO FACE"
        if verdict.fake_probability is None:
            return f"{verdict.label.value}  not judged"
        return f"{verdict.label.value}  P(fake) {min(max(verdict.fake_probability, 0.01), 0.99):.2f}"

    def _shade_segments(self, strip: Image) -> None:
        _, _, top, bottom = self._plot()
        for segment in self._report.segments:
            first, last = self._across(segment.start_s), self._across(segment.end_s)
            part = strip[top:bottom, first : max(last, first + 1)]
            part[:] = np.rint(0.75 * part + 0.25 * np.array(_COLOURS[Label.FAKE])).astype(np.uint8)

    def _ticks(self, strip: Image) -> None:
        left, right, _, bottom = self._plot()
        widest = self._width(clock(self._end_s)) + 2 * self._text
        most = max(1, (right - left) // widest)
        every = next((tick for tick in _TICKS_S if self._end_s / tick <= most), self._end_s)
        for number in range(int(self._end_s / every + 1e-6) + 1):
            x, words = self._across(number * every), clock(number * every)
            cv2.line(strip, (x, bottom), (x, bottom + self._text // 4), _FAINT, 1)
            last = self._size[0] - self._text // 2 - self._width(words)
            at = max(min(x - self._width(words) // 2, last), self._text // 2)
            self._say(strip, words, at, bottom + round(1.3 * self._text), _FAINT, _REGULAR, 0.85)

    def _curve(self, strip: Image, track: int, line: Colour) -> None:
        """Draws the scores of a track, in pieces if it was out of sight or has no scores for a while."""
        thick, dot = max(1, self._text // 8), max(1, self._text // 6)
        scored = [piece for stretch in self._faces.stretches(track) for piece in _scored(stretch)]
        for piece in scored:
            points = [(self._across(time_s), self._up(score)) for time_s, score in piece]
            cv2.polylines(strip, [np.array(points, np.int32)], False, line, thick, cv2.LINE_AA)
            for point, (_, score) in zip(points, piece, strict=True):
                cv2.circle(strip, point, dot, self.colour(score), cv2.FILLED, cv2.LINE_AA)
        if scored and len(self._faces.by_track) > 1:
            time_s, score = scored[0][0]
            place = self._across(time_s) + dot + 1, self._up(score) - dot - 1
            self._say(strip, str(track), *place, line, _SEMIBOLD, 0.85)

    def _threshold(self, strip: Image, score: float, words: str, colour: Colour) -> None:
        left, right, _, _ = self._plot()
        y, dash = self._up(score), max(2, self._text // 3)
        for x in range(left, right, 2 * dash):
            cv2.line(strip, (x, y), (min(x + dash, right), y), colour, 1)
        if right < self._size[0] - 2 * self._text:  # there is room beside the plot
            self._say(strip, words, right + self._text // 2, y + self._text // 3, colour, _REGULAR, 0.85)

    def _say(
        self,
        picture: Image,
        words: str,
        x: int,
        y: int,
        colour: Colour,
        weight: int = _SEMIBOLD,
        scale: float = 1.0,
    ) -> None:
        """Writes ``words`` with their left end of the baseline at (x, y)."""
        cv2.putText(picture, words, (x, y), colour, self._font, round(self._text * scale), weight)

    def _width(self, words: str) -> int:
        return int(cv2.getTextSize((0, 0), words, (0, 0), self._font, self._text, _SEMIBOLD)[2])


def _scored(stretch: Sequence[DrawnFace]) -> list[list[tuple[float, float]]]:
    """Returns times and scores of a stretch, split where its face has no score."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for each in stretch:
        if each.fake_probability is not None:
            pieces[-1].append((each.time_s, each.fake_probability))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
