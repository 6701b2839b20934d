"""One result of the document as the page shows it: every number is already words, and every part in order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from typing import Any

from vidscan.records import thresholds_in_force
from vidscan.report.document import NO_EVIDENCE, Document, Evidence
from vidscan.report.html.basis import basis
from vidscan.report.html.chart import Strip, chart_of, strip_of
from vidscan.report.html.facts import Fact, about_file
from vidscan.report.html.pictures import Gallery, budget_of_each, gallery, poor_faces
from vidscan.report.summary import suspicion
from vidscan.report.wording import NOT_JUDGED, certainty, clock, remark, score

_OVERVIEW_COLUMNS = 24
_TRACK_COLUMNS = 60
MOMENTS_SHOWN = 400
"""Rows of a file's table of all scores; the JSON and CSV reports hold every one."""

_MOMENTS_OF_A_PAGE = 20_000
_FEWEST_MOMENTS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackRow:
    """A track in words; ``share`` is its person's in the verdict, ``note`` why there is none."""

    id: str
    person: str
    score: str
    share: str
    faces: str
    quality: str
    seen: str
    note: str
    strip: Strip | None


@dataclass(frozen=True, slots=True)
class FileView:
    """All that the page says of one source. ``label`` is FAILED where there is no verdict.

    ``probability`` is P(fake) and ``interval`` its range, None where there is no score; ``persons`` is
    whom each track shows, where any person is shown by several; ``unjudged`` whether any face has no score;
    ``chart`` is as ``chart_of`` gives it.
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
    tracks: tuple[TrackRow, ...]
    persons: Mapping[int, int]
    unjudged: bool
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

    def rank(view: FileView) -> tuple[bool, float, bool]:
        return view.label == "FAILED", -suspicion(view.probability), view.label == "NO_FACE"

    return tuple(sorted(views, key=rank))


def moments_of_each(files: int) -> int:
    """How many scores each of so many files may list in one page, so that it opens at once."""
    return min(MOMENTS_SHOWN, max(_FEWEST_MOMENTS, _MOMENTS_OF_A_PAGE // max(1, files)))


def _gallery(result: Document, evidence: Evidence, number: int, budget: int) -> Gallery:
    crops = evidence.get(result["source"], ())
    return gallery(crops, result["tracks"], f"face-{number}", budget, poor_faces(result["timeline"]))


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
    """The fake and the real threshold in force, by the document's card and options."""
    given, card = document["options"].get("verdict", {}), document["model"]
    return thresholds_in_force(
        (card["fake_threshold"], card["real_threshold"]),
        (given.get("fake_threshold"), given.get("real_threshold")),
    )


def _file_view(
    document: Document, result: Document, name: str, number: int, shown: Gallery, moments: int
) -> FileView:
    fake, real = thresholds(document)
    anchor = f"file-{number}"
    verdict = result["verdict"] or {"label": "FAILED", "fake_probability": None, "confidence": None}
    probability, duration = verdict["fake_probability"], result["stats"]["duration_s"]
    interval = verdict.get("interval")
    persons = {track["id"]: track["person"] or track["id"] for track in result["tracks"]}
    shown = replace(shown, strips=tuple(sorted(shown.strips, key=lambda strip: strip.track)))
    return FileView(
        anchor=anchor,
        name=name,
        kind=result["kind"],
        label=verdict["label"],
        probability=probability,
        score="" if verdict["label"] in ("NO_FACE", "FAILED") else score(probability),
        interval=(interval[0], interval[1]) if interval else None,
        range=f"{score(interval[0])} to {score(interval[1])}" if interval else "",
        certainty=_certainty(document, verdict),
        reason=verdict["reason"] if result["verdict"] else result["error"]["message"],
        people=len({persons[track["id"]] for track in result["tracks"] if track["counted"]}),
        faces=result["stats"]["faces_scored"],
        duration_s=duration,
        duration="" if duration is None else clock(duration),
        strip=strip_of(result, _OVERVIEW_COLUMNS),
        basis=basis(document, result, fake, real),
        facts=about_file(result),
        tracks=tuple(_track(result, track) for track in result["tracks"]),
        persons=persons if len(set(persons.values())) < len(persons) else {},
        unjudged=result["stats"]["faces_unjudged"] > 0,
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


def _track(result: Document, track: Document) -> TrackRow:
    return TrackRow(
        id=str(track["id"]),
        person=str(track["person"] or track["id"]),
        score=score(track["fake_probability"]),
        share=f"{track['weight']:.0%}" if track["counted"] else NOT_JUDGED,
        faces=str(track["faces"]),
        quality=f"{track['quality']:.2f}",
        seen=f"{clock(track['start_s'])} – {clock(track['end_s'])}",
        note=remark(track["note"], track["quality"]),
        strip=strip_of(result, _TRACK_COLUMNS, track["id"]),
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
    """Time, track, score, the face's place and size, the detector's confidence and the quality."""
    faces = ((point["time_s"], face) for point in result["timeline"] for face in point["faces"])
    return tuple(Row(_moment(time_s, face)) for time_s, face in islice(faces, count))


def _moment(time_s: float, face: Document) -> tuple[str, ...]:
    x, y, width, height = face["box"]
    judged = "not judged" if face["fake_probability"] is None else score(face["fake_probability"])
    place, size = f"{x:.0f}, {y:.0f}", f"{width:.0f} × {height:.0f}"
    detected, quality = score(face["detection_confidence"]), f"{face['quality']:.2f}"
    return (clock(time_s), str(face["track"]), judged, place, size, detected, quality)
