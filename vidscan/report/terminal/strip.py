"""Draws the timeline of a clip as a row of blocks.

A block's height and colour both show the score (low and green to high and red), so that it reads without
colour; a dot stands for no face, a question mark for a face without a score.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from rich.text import Text

from vidscan.records import Report
from vidscan.report.wording import clock

LEVELS = "▁▂▃▄▅▆▇█"
"""The blocks of a strip by rising score, each for an eighth of 0-1."""

UNSEEN = "·"
"""Stands for a moment at which the face was not seen."""

UNJUDGED = "?"
"""Stands for a moment at which the face was seen and has no score."""

CUT = "╵"
"""Points, in the line below a strip, to the block in which a new shot begins."""

_COLOURS = ("#2ea043", "#5fa83a", "#90ad30", "#c2b127", "#d9a421", "#dd7c28", "#da552e", "#d73a33")
_COLUMNS_A_CUT = 6  # fewer for each cut, and the marks would be a fence
_COLUMNS_A_TIME = 24
_MAX_STRETCH = 4  # a short clip's blocks are drawn up to this many columns wide


def colour(score: float) -> str:
    """Returns the rich style for ``score`` (0-1): green over yellow to red."""
    return _COLOURS[level(score)]


def strip(report: Report, columns: int, tracks: Collection[int] | None = None) -> Text:
    """Draws the timeline of one clip, which has at least one moment, in at most ``columns`` characters.

    A block shows the highest score of its moments: of the faces of ``tracks``, or of all faces if it is None.
    """
    scale = _scale(report, columns)
    highest = scale.highest(
        (point.time_s, face.fake_probability)
        for point in report.timeline
        for face in point.faces
        if tracks is None or face.track in tracks
    )
    drawn = Text(no_wrap=True)
    for at in range(scale.cells):
        score = highest.get(at)
        if score is not None:
            block, style = LEVELS[level(score)], colour(score)
        else:
            block, style = UNJUDGED if at in highest else UNSEEN, "dim"
        drawn.append(block * scale.stretch, style)
    return drawn


def cuts_below(report: Report, columns: int) -> str:
    """Returns the marks of a clip's cuts, to stand below its strip; "" if there are none or too many."""
    scale = _scale(report, columns)
    cells = {scale.cell(cut) for cut in report.stats.cuts_s}
    if not cells or len(report.stats.cuts_s) > max(1, scale.cells * scale.stretch // _COLUMNS_A_CUT):
        return ""
    return "".join((CUT if at in cells else " ").ljust(scale.stretch) for at in range(scale.cells)).rstrip()


def times_below(end_s: float, columns: int) -> str:
    """Returns the times below a strip: of its ends, and of evenly spaced moments if there is room."""
    end = clock(end_s)
    stretches = max(1, columns // _COLUMNS_A_TIME)
    line = ""
    for number in range(stretches):
        line = line.ljust(number * columns // stretches) + clock(number * end_s / stretches)
    gap = columns - len(line) - len(end)
    return line + (" – " if gap < 3 else " " * gap) + end


def _scale(report: Report, columns: int) -> Scale:
    times = [point.time_s for point in report.timeline]
    return Scale.of(times, report.stats.duration_s, report.stats.frames_sampled, columns)


def level(score: float) -> int:
    """Returns the index in ``LEVELS`` for ``score`` (0-1)."""
    return min(len(LEVELS) - 1, int(score * len(LEVELS)))


_MIN_STEP_S = 1e-6
"""No frame rate reaches this: a smaller step is a damaged time, and would make infinitely many blocks."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How time falls on blocks: ``cells`` blocks of ``cell_s`` seconds, ``stretch`` columns each.

    A block spans a whole number of sampling steps and is centred on its samples: narrower or shifted blocks
    would miss samples and show gaps in a face that was there all the time.
    """

    cell_s: float
    step_s: float
    cells: int
    stretch: int

    @classmethod
    def of(cls, seen: Iterable[float], duration: float | None, frames_sampled: int, columns: int) -> Scale:
        """Makes the scale of a clip with faces at the times ``seen``, one or more, in seconds.

        ``duration`` is the clip's, None if unknown; ``frames_sampled`` counts all sampled moments.
        """
        times = sorted(seen)
        last = times[-1]
        frames = max(frames_sampled, len(times))
        mean_s = duration / frames if duration else last / max(1, frames - 1)
        steps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
        if frames > len(times):  # steps over moments without a face are 2, 3, … times the sampling step
            steps = [step for step in steps if step < 1.7 * mean_s]
        step_s = fmean(steps) if steps else mean_s
        if step_s < _MIN_STEP_S:
            step_s = 1.0
        end_s = max(duration or 0.0, last + step_s)
        cell_s = step_s * max(1, math.ceil(end_s / step_s / columns - 1e-6))
        # 0.4: a rest of less than 0.6 blocks gets none. Of two samples the step is known no better than that.
        needed = max(int(end_s / cell_s + 0.4), int((last + step_s / 2) / cell_s) + 1)
        cells = min(columns, needed)
        return cls(cell_s, step_s, cells, max(1, min(_MAX_STRETCH, columns // cells)))

    def cell(self, time_s: float) -> int:
        """Returns the index of the block that a moment falls on."""
        return min(self.cells - 1, int((time_s + self.step_s / 2) / self.cell_s))

    def highest(self, seen: Iterable[tuple[float, float | None]]) -> dict[int, float | None]:
        """Returns the highest score on each block, of times and scores of faces; None if none has a score."""
        found: dict[int, float | None] = {}
        for time_s, score in seen:
            at = self.cell(time_s)
            known = found.get(at)
            found[at] = score if known is None else known if score is None else max(known, score)
        return found
