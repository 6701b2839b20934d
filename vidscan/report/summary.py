"""Results at a glance: how many there are of each outcome, who is in them, and what comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vidscan.records import Label, Report, Status, Track

_ORDER = (Label.FAKE, Label.UNCERTAIN, Label.REAL, Label.NO_FACE, None)


def summarise(reports: Iterable[Report]) -> dict[str, int]:
    """How many sources there are in ``total``, how many have each verdict, and how many failed."""
    return tally(map(_label, reports))


def tally(labels: Iterable[str | None]) -> dict[str, int]:
    """The same by the labels of the verdicts; a source without one has failed."""
    counted = Counter((label or "failed").lower() for label in labels)
    outcomes = ("fake", "real", "uncertain", "no_face", "failed")
    return {"total": counted.total(), **{name: counted[name] for name in outcomes}}


def most_suspicious_first(reports: Iterable[Report]) -> list[Report]:
    """The reports in the order in which a person should look at them: by verdict, then by falling score."""

    def rank(report: Report) -> tuple[int, float]:
        score = report.verdict.fake_probability if report.verdict else None
        return _ORDER.index(_label(report)), -suspicion(score)

    return sorted(reports, key=rank)


def suspicion(fake_probability: float | None) -> float:
    """A score to sort by, in which what was not judged comes below all that was."""
    return -1.0 if fake_probability is None else fake_probability


def people_among(report: Report) -> int:
    """How many people have a part in the verdict; one whom several tracks show is one."""
    return len({track.person or track.id for track in report.tracks if track.counted})


def ranked_tracks(report: Report) -> list[Track]:
    """The tracks that count, the most suspicious first, then the others."""
    return sorted(
        report.tracks, key=lambda track: (not track.counted, -suspicion(track.fake_probability), track.id)
    )


def people_of(report: Report) -> dict[int, set[int]]:
    """The ids of each person's tracks, by the person's number; those who matter most first."""
    people: dict[int, set[int]] = {}
    for track in ranked_tracks(report):
        people.setdefault(track.person or track.id, set()).add(track.id)
    return people


def joined(report: Report) -> bool:
    """Whether several tracks show the same person."""
    return len(people_of(report)) < len(report.tracks)


def _label(report: Report) -> Label | None:
    """The verdict's label; None for a source that failed."""
    return None if report.status is Status.FAILED or report.verdict is None else report.verdict.label
