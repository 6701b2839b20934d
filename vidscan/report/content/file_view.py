"""One result of the document with what the page adds to it: names, charts, pictures, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any

from vidscan.records import Provenance, thresholds_in_force
from vidscan.report.content.basis import basis
from vidscan.report.content.chart import Strip, chart_of, strip_of
from vidscan.report.content.declared import declared_facts
from vidscan.report.content.facts import Fact
from vidscan.report.content.pictures import FacePictures, budget_of_each, face_pictures, poor_faces
from vidscan.report.declaration import contradiction, declaration
from vidscan.report.document import NO_EVIDENCE, Document, Evidence
from vidscan.report.summary import common_folder, suspicion
from vidscan.report.wording import certainty, score
from vidscan.system.typed_json import Form, from_plain

_OVERVIEW_COLUMNS = 24
_TRACK_COLUMNS = 60
MAX_MOMENTS = 400
"""Upper limit on the rows of a file's table of all scores; the JSON and CSV reports hold every one."""

_MAX_MOMENTS_OF_A_PAGE = 20_000
_MIN_MOMENTS = 20


@dataclass(frozen=True, slots=True)
class FileView:
    """What the page says of one source: its ``result`` in the document, and what is derived from it.

    ``label`` is FAILED without a verdict; ``probability`` is P(fake), ``interval`` its range, both None
    without a score; ``strips`` are the tracks' timelines by id; ``persons`` gives each track's person, but
    only if a person has several tracks; ``moments`` are times and faces; ``chart`` is as ``chart_of`` gives
    it. ``declared`` is what the file says of itself, ``declaration`` the same in a sentence, and
    ``contradiction`` says whether that is at odds with the verdict.
    """

    anchor: str
    name: str
    result: Document
    label: str
    probability: float | None
    interval: Sequence[float] | None
    certainty: str
    strip: Strip | None
    strips: Mapping[int, Strip | None]
    basis: tuple[Fact, ...]
    declaration: str
    contradiction: str
    declared: tuple[Fact, ...]
    persons: Mapping[int, int]
    people: int
    moments: tuple[tuple[float, Document], ...]
    moments_left_out: int
    pictures: FacePictures
    chart: dict[str, Any] | None

    @property
    def score(self) -> str:
        """P(fake) as the page shows it; empty without a face."""
        return "" if self.label in ("NO_FACE", "FAILED") else score(self.probability)


def file_views(
    document: Document, names: Sequence[str], evidence: Evidence = NO_EVIDENCE
) -> tuple[FileView, ...]:
    """Returns all results, the most suspicious first, then those without a score, then what failed."""
    budget, moments = budget_of_each(len(names)), moments_of_each(len(names))
    views = [
        _file_view(document, result, name, number, _pictures(result, evidence, number, budget), moments)
        for number, (result, name) in enumerate(zip(document["results"], names, strict=True), start=1)
    ]

    def rank(view: FileView) -> tuple[bool, float, bool]:
        return view.label == "FAILED", -suspicion(view.probability), view.label == "NO_FACE"

    return tuple(sorted(views, key=rank))


def moments_of_each(files: int) -> int:
    """Returns how many scores each of so many files may list in one page, so that it opens at once."""
    return min(MAX_MOMENTS, max(_MIN_MOMENTS, _MAX_MOMENTS_OF_A_PAGE // max(1, files)))


def _pictures(result: Document, evidence: Evidence, number: int, budget: int) -> FacePictures:
    crops = evidence.get(result["source"], ())
    return face_pictures(crops, result["tracks"], f"face-{number}", budget, poor_faces(result["timeline"]))


def folder_and_names(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the folder that holds several sources, or "", and their paths in it; one source's file name."""
    if len(paths) == 1:
        return "", [PurePath(paths[0]).name or paths[0]]
    return common_folder(paths)


def thresholds(document: Document) -> tuple[float, float]:
    """The fake and the real threshold in force, by the document's card and options."""
    given, card = document["options"].get("verdict", {}), document["model"]
    return thresholds_in_force(
        (card["fake_threshold"], card["real_threshold"]),
        (given.get("fake_threshold"), given.get("real_threshold")),
    )


def _file_view(
    document: Document, result: Document, name: str, number: int, pictures: FacePictures, moments: int
) -> FileView:
    fake, real = thresholds(document)
    verdict = result["verdict"] or {"label": "FAILED", "fake_probability": None}
    tracks = result["tracks"]
    persons = {track["id"]: track["person"] or track["id"] for track in tracks}
    faces = [(point["time_s"], face) for point in result["timeline"] for face in point["faces"]]
    told = result["provenance"]
    provenance = None if told is None else from_plain(Provenance, told, Form.REPORT)
    return FileView(
        anchor=f"file-{number}",
        name=name,
        result=result,
        label=verdict["label"],
        probability=verdict["fake_probability"],
        interval=verdict.get("interval"),
        certainty=_certainty(document, verdict),
        strip=strip_of(result, _OVERVIEW_COLUMNS),
        strips={track["id"]: strip_of(result, _TRACK_COLUMNS, track["id"]) for track in tracks},
        basis=basis(document, result, fake, real),
        declaration=declaration(provenance),
        contradiction=contradiction(provenance, verdict["label"]),
        declared=() if provenance is None else tuple(declared_facts(provenance)),
        persons=persons if len(set(persons.values())) < len(persons) else {},
        people=len({persons[track["id"]] for track in tracks if track["counted"]}),
        moments=tuple(islice(faces, moments)),
        moments_left_out=max(0, len(faces) - moments),
        pictures=pictures,
        chart=chart_of(result, f"chart-file-{number}", fake, real, pictures.all),
    )


def _certainty(document: Document, verdict: Document) -> str:
    if verdict["fake_probability"] is None:
        return ""
    calibrated = document["model"]["calibration"] is not None
    told = (verdict[name] for name in ("label", "fake_probability", "confidence"))
    return certainty(*told, calibrated=calibrated)
