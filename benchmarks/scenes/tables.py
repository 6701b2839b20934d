"""Figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scenes.detection import Counted
from scenes.identities import Kept
from scenes.pasted import BELOW_MIN_FACE, SIZES
from scenes.verdicts import Said, ranked, wilson
from vidscan.records import Label


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table, row by row as they come."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def percent(share: float | None) -> str:
    """A share as it is printed; a dash for none."""
    return "—" if share is None else f"{share:.1%}"


def part(some: int, every: int) -> str:
    """A share with its counts."""
    return f"{percent(some / every if every else None)} ({some} of {every})"


def size_rows(simple: Counted, whole: Counted | None) -> Iterable[Sequence[str]]:
    """One row a size, and one of all; what is below ``--min-face`` has no recall."""
    for size in (*SIZES, None):
        faces = simple.there.total() if size is None else simple.there[size]
        figures = [
            percent(counted and figure(counted))
            for figure in (
                lambda each, size=size: each.recall(size),
                lambda each, size=size: each.precision(size),
            )
            for counted in (simple, whole)
        ]
        if size == BELOW_MIN_FACE:
            figures = ["—"] * 4
        yield ("all" if size is None else f"{size} px", str(faces), *figures)


IDENTITY = ("frames", "faces found", "others", "switches a frame", "of persons", "pure", "people", "tracks")


def identity_row(name: str, one: Kept) -> Sequence[str]:
    """Whether people are found and stay themselves."""
    return (
        name,
        str(one.frames),
        part(one.found, one.there),
        str(one.wrong),
        part(one.switches, one.frames),
        part(one.changes, one.frames),
        percent(one.own / one.followed if one.followed else None),
        str(one.people),
        str(one.tracks),
    )


def verdict_row(people: str, rows: Sequence[Said]) -> Sequence[str]:
    """Scenes of one number of people, or of several. What a kind of scene is missing for is left out."""
    fakes, reals = [row for row in rows if row.fake], [row for row in rows if not row.fake]
    alarms, ranking = sum(row.label is Label.FAKE for row in reals), ranked(rows)
    low, high = wilson(alarms, len(reals))
    return (
        people,
        str(len(fakes)),
        str(len(reals)),
        f"{ranking[0]:.3f}" if ranking else "—",
        f"{ranking[1][0]:.3f} to {ranking[1][1]:.3f}" if ranking else "—",
        part(sum(row.label is Label.FAKE for row in fakes), len(fakes)),
        part(sum(row.named for row in fakes), len(fakes)),
        part(alarms, len(reals)),
        f"{low:.1%} to {high:.1%}" if reals else "—",
    )
