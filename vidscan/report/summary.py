"""Summarises results: how many there are of each outcome, their people, and their order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from vidscan.records import Label, Report, Status, Track

LABELS = ("FAKE", "UNCERTAIN", "REAL", "NO_FACE", "FAILED")
"""Outcomes of a file, the most suspicious first."""

_ORDER = (Label.FAKE, Label.UNCERTAIN, Label.REAL, Label.NO_FACE, None)


def declares_ai(report: Report) -> bool:
    """Tells whether a source's file says of itself that AI made or edited it."""
    return report.provenance is not None and report.provenance.declares_ai is True


def tally(labels: Iterable[str | None], declared_ai: int) -> dict[str, int]:
    """Counts outcomes by the labels of the verdicts; a source without one, or labelled FAILED, has failed.

    ``declared_ai``, of those that declare AI, is passed on: they are counted among the outcomes already.
    """
    counted = Counter((label or "failed").lower() for label in labels)
    outcomes = ("fake", "real", "uncertain", "no_face", "failed")
    found = {"total": counted.total(), **{name: counted[name] for name in outcomes}}
    return found | {"declared_ai": declared_ai}


def rank(report: Report) -> tuple[int, float]:
    """Returns what reports are sorted by for the reader: the verdict, then the falling score."""
    score = report.verdict.fake_probability if report.verdict else None
    return _ORDER.index(_label(report)), -suspicion(score)


def suspicion(fake_probability: float | None) -> float:
    """Returns a score to sort by; a face without a score comes below all others."""
    return -1.0 if fake_probability is None else fake_probability


def people_among(report: Report) -> int:
    """Counts the people who count in the verdict; several tracks of one person count once."""
    return len({track.person or track.id for track in report.tracks if track.counted})


def ranked_tracks(report: Report) -> list[Track]:
    """Sorts the tracks: those that count first, each part by falling score."""
    return sorted(
        report.tracks, key=lambda track: (not track.counted, -suspicion(track.fake_probability), track.id)
    )


def people_of(report: Report) -> dict[int, set[int]]:
    """Returns the ids of each person's tracks, by the person's number, in the order of the tracks' rank."""
    people: dict[int, set[int]] = {}
    for track in ranked_tracks(report):
        people.setdefault(track.person or track.id, set()).add(track.id)
    return people


def of_streams(report: Report) -> bool:
    """Tells whether several video streams of the file were looked at."""
    return any(remark.code == "streams" for remark in report.remarks)


def joined(report: Report) -> bool:
    """Tells whether several tracks show the same person."""
    return len(people_of(report)) < len(report.tracks)


def common_folder(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the folder that holds several sources, "" if there is none, and their paths in it."""
    try:
        folder = os.path.commonpath([PurePath(path).parent for path in paths])
    except ValueError:  # no sources, or absolute and relative ones
        folder = ""
    return folder, [str(PurePath(path).relative_to(folder)) if folder else path for path in paths]


def _label(report: Report) -> Label | None:
    return None if report.status is Status.FAILED or report.verdict is None else report.verdict.label
