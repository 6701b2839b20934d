"""One result of the document as the page shows it: every number is already words, and every part in order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from typing import Any

from vidscan.report.document import NO_EVIDENCE, Document, Evidence
from vidscan.report.html.basis import basis
from vidscan.report.html.chart import Strip, chart_of, strip_of
from vidscan.report.html.facts import Fact, about_file
from vidscan.report.html.pictures import Gallery, budget_of_each, gallery
from vidscan.report.legible import clock
from vidscan.report.wording import certainty, score

_OVERVIEW_COLUMNS = 24
_TRACK_COLUMNS = 60
MOMENTS_SHOWN = 400
"""Rows of a file's table of all scores; the JSON and CSV reports hold every one."""

_MOMENTS_OF_A_PAGE = 20_000
_FEWEST_MOMENTS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table; ``counted`` False where it has no part in the verdict."""

    cells: tuple[str, ...]
    counted: bool = True
    strip: Strip | None = None


@dataclass(frozen=True, slots=True)
class FileView:
    """All that the page says of one source. ``label`` is FAILED where there is no verdict.

    ``probability`` is P(fake) and ``interval`` its range, None where there is no score; ``chart`` is as
    ``chart_of`` gives it.
    """

    anchor: str
    name: str
    kind: str
    label: str
    probability: float | None
    score: str
    interval: tuple[float, float] | None
    range: str
    certainty: str
    reason: str
    people: int
    faces: int
    duration_s: float | None
    duration: str
    strip: Strip | None
    basis: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    tracks: tuple[Row, ...]
    segments: tuple[Row, ...]
    moments: tuple[Row, ...]
    moments_left_out: int
    gallery: Gallery
    chart: dict[str, Any] | None

    @property
    def has_heat(self) -> bool:
        """Whether any picture of it has a heat map."""
        return self.gallery.has_heat


def file_views(
    document: Document, names: Sequence[str], evidence: Evidence = NO_EVIDENCE
) -> tuple[FileView, ...]:
    """All results, the most suspicious first, then those without a score, then what failed."""
    budget, moments = budget_of_each(len(names)), moments_of_each(len(names))
    views = [
        _file_view(document, result, name, number, _gallery(result, evidence, number, budget), moments)
        for number, (result, name) in enumerate(zip(document["results"], names, strict=True), start=1)
    ]
    return tuple(sorted(views, key=lambda view: (view.label == "FAILED", -_rank(view.probability))))


def moments_of_each(files: int) -> int:
    """How many scores each of so many files may list in one page, so that it opens at once."""
    return min(MOMENTS_SHOWN, max(_FEWEST_MOMENTS, _MOMENTS_OF_A_PAGE // max(1, files)))


def _rank(probability: float | None) -> float:
    return -1.0 if probability is None else probability


def _gallery(result: Document, evidence: Evidence, number: int, budget: int) -> Gallery:
    return gallery(evidence.get(result["source"], ()), result["tracks"], f"face-{number}", budget)


def folder_and_names(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The folder that holds several sources ("" if there is none to name), and their paths in it.

    A single source is called by its file's name.
    """
    if len(paths) == 1:
        return "", [PurePath(paths[0]).name or paths[0]]
    try:
        folder = os.path.commonpath([PurePath(path).parent for path in paths])
    except ValueError:  # no sources, or absolute and relative ones
        folder = ""
    return folder, [str(PurePath(path).relative_to(folder)) if folder else path for path in paths]


def thresholds(document: Document) -> tuple[float, float]:
    """The fake and the real threshold in force, by the same rule as :func:`vidscan.verdict.thresholds`."""
    given, card = document["options"].get("verdict", {}), document["model"]
    fake, real = given.get("fake_threshold"), given.get("real_threshold")
    if fake is None and real is not None:
        return max(card["fake_threshold"], real), real
    fake = card["fake_threshold"] if fake is None else fake
    return fake, min(fake, card["real_threshold"] if real is None else real)


def _file_view(
    document: Document, result: Document, name: str, number: int, shown: Gallery, moments: int
) -> FileView:
    fake, real = thresholds(document)
    anchor = f"file-{number}"
    verdict = result["verdict"] or {"label": "FAILED", "fake_probability": None, "confidence": None}
    probability, duration = verdict["fake_probability"], result["stats"]["duration_s"]
    interval = verdict.get("interval")
    shown = replace(shown, strips=tuple(sorted(shown.strips, key=lambda strip: strip.track)))
    return FileView(
        anchor=anchor,
        name=name,
        kind=result["kind"],
        label=verdict["label"],
        probability=probability,
        score="" if probability is None else score(probability),
        interval=(interval[0], interval[1]) if interval else None,
        range=f"{score(interval[0])} to {score(interval[1])}" if interval else "",
        certainty=_certainty(document, verdict),
        reason=verdict["reason"] if result["verdict"] else result["error"]["message"],
        people=sum(track["counted"] for track in result["tracks"]),
        faces=result["stats"]["faces_scored"],
        duration_s=duration,
        duration="" if duration is None else clock(duration),
        strip=strip_of(result, _OVERVIEW_COLUMNS),
        basis=basis(document, result, fake, real),
        facts=about_file(result),
        tracks=_tracks(result),
        segments=_segments(result),
        moments=_moments(result, moments),
        moments_left_out=max(0, sum(len(point["faces"]) for point in result["timeline"]) - moments),
        gallery=shown,
        chart=chart_of(result, f"chart-{anchor}", fake, real, shown.pictures),
    )


def _certainty(document: Document, verdict: Document) -> str:
    if verdict["fake_probability"] is None:
        return ""
    if document["model"]["calibration"] is None:
        return "an uncalibrated score, not a probability"
    return certainty(verdict["label"], verdict["fake_probability"], verdict["confidence"])


def _tracks(result: Document) -> tuple[Row, ...]:
    """Track, score, faces, and when it was seen."""
    return tuple(
        Row(
            (
                str(track["id"]),
                score(track["fake_probability"]),
                str(track["faces"]),
                f"{clock(track['start_s'])} – {clock(track['end_s'])}",
            ),
            track["counted"],
            strip_of(result, _TRACK_COLUMNS, track["id"]),
        )
        for track in result["tracks"]
    )


def _segments(result: Document) -> tuple[Row, ...]:
    """From, to, track and score."""
    return tuple(
        Row(
            (
                clock(each["start_s"]),
                clock(each["end_s"]),
                str(each["track"]),
                score(each["fake_probability"]),
            )
        )
        for each in result["segments"]
    )


def _moments(result: Document, count: int) -> tuple[Row, ...]:
    """Time, track, score, the face's place and size, and the detector's confidence."""
    faces = ((point["time_s"], face) for point in result["timeline"] for face in point["faces"])
    return tuple(Row(_moment(time_s, face)) for time_s, face in islice(faces, count))


def _moment(time_s: float, face: Document) -> tuple[str, ...]:
    x, y, width, height = face["box"]
    place, size = f"{x:.0f}, {y:.0f}", f"{width:.0f} × {height:.0f}"
    detected = score(face["detection_confidence"])
    return (clock(time_s), str(face["track"]), score(face["fake_probability"]), place, size, detected)
