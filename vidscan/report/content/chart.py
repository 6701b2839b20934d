"""Prepares the scores of one clip for a chart or a strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vidscan.report.content.pictures import Picture
from vidscan.report.document import Document
from vidscan.report.summary import suspicion
from vidscan.report.terminal.strip import LEVELS, Scale, level
from vidscan.report.wording import clock, score

_GAP = 1.7  # faces this many sampling steps apart were not seen in between
_DIGITS = 4  # of a score: finer than a pixel


UNJUDGED = -1
"""Level of a block whose faces have no score."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A clip's scores as a row of blocks; ``words`` describe them to readers who cannot see it.

    ``levels``: 1-8 from the left, 0 for no face, or ``UNJUDGED``.
    """

    levels: tuple[int, ...]
    words: str


def strip_of(result: Document, columns: int, track: int | None = None) -> Strip | None:
    """Returns the blocks of a clip or of one of its tracks; None for a still or without a face.

    Each of at most ``columns`` blocks shows the highest score that falls on it, of ``track`` or of all
    tracks.
    """
    moments = [
        (point["time_s"], face["fake_probability"])
        for point in result["timeline"]
        for face in point["faces"]
        if track in (None, face["track"])
    ]
    if result["kind"] != "video" or not moments:
        return None
    scale = _scale(result, columns)
    scores = scale.highest(moments)
    levels = {at: UNJUDGED if each is None else level(each) + 1 for at, each in scores.items()}
    return Strip(tuple(levels.get(at, 0) for at in range(scale.cells)), _strip_words(moments))


def _strip_words(moments: Sequence[tuple[float, float | None]]) -> str:
    when, highest = max(moments, key=lambda moment: (suspicion(moment[1]), -moment[0]))
    if highest is None:
        return "Faces were seen, and none was judged"
    return f"Scores over time: highest {score(highest)}, at {clock(when)}"


def _scale(result: Document, columns: int) -> Scale:
    stats = result["stats"]
    times = [point["time_s"] for point in result["timeline"]]
    return Scale.of(times, stats["duration_s"], stats["frames_sampled"], columns)


def chart_of(
    result: Document, name: str, fake: float, real: float, pictures: Sequence[Picture]
) -> dict[str, Any] | None:
    """Returns the data of the interactive chart as JSON values; None for a still or without a face.

    ``times`` and each track's ``scores`` are columns of one table, in which a track's ``unjudged`` names the
    rows where it was seen and has no score. If no face was seen for a while, a row without scores interrupts
    the lines; ``seen`` lists the other rows. ``cuts`` are the times at which a new shot begins. ``name`` is
    that of the chart's element, ``fake`` and ``real`` are the thresholds.
    """
    if result["kind"] != "video" or not result["timeline"]:
        return None
    rows = list(_rows(result["timeline"], _scale(result, len(LEVELS)).step_s))
    return {
        "name": name,
        "duration": result["stats"]["duration_s"] or rows[-1][0],
        "fake": fake,
        "real": real,
        "times": [time_s for time_s, _ in rows],
        "seen": [place for place, (_, faces) in enumerate(rows) if faces],
        "tracks": [
            {
                "id": track["id"],
                "person": track["person"] or track["id"],
                "scores": [faces.get(track["id"]) for _, faces in rows],
                "unjudged": [
                    place
                    for place, (_, faces) in enumerate(rows)
                    if track["id"] in faces and faces[track["id"]] is None
                ],
            }
            for track in result["tracks"]
        ],
        "cuts": result["stats"]["cuts_s"],
        "segments": [[each["start_s"], each["end_s"], each["track"]] for each in result["segments"]],
        "pictures": [
            [each.name, each.track, round(each.time_s, 3), round(each.fake_probability, _DIGITS)]
            for each in pictures
        ],
    }


def _rows(timeline: Sequence[Document], step_s: float) -> Iterator[tuple[float, dict[int, float | None]]]:
    """Yields moments with the score of each track seen, and between distant ones a moment with none."""
    before = timeline[0]["time_s"]
    for point in timeline:
        time_s = point["time_s"]
        if time_s - before > _GAP * step_s:
            yield (before + time_s) / 2, {}
        yield time_s, {face["track"]: _rounded(face["fake_probability"]) for face in point["faces"]}
        before = time_s


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, _DIGITS)
