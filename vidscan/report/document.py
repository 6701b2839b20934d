"""Reports as one plain document, the ``vidscan.report/1`` that every file format is written from.

The shape is described by ``schema/vidscan.report-1.schema.json`` (JSON Schema, draft 2020-12), which
:func:`schema` loads.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib import metadata, resources
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np

from vidscan.errors import ReportError
from vidscan.records import (
    EvidenceCrop,
    ModelCard,
    Report,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.report.summary import tally

Document = dict[str, Any]
"""A report document of plain JSON values: ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, None."""

Evidence = Mapping[str, Sequence[EvidenceCrop]]
"""Faces to look at, by the ``source`` of the result that they belong to. They are no part of the document."""

NO_EVIDENCE: Evidence = MappingProxyType({})

SCHEMA = "vidscan.report/1"

_PROBABILITY_DIGITS = 6
_TIME_DIGITS = 3
_BOX_DIGITS = 1
_SLOT_DIGITS = 3
_SHARE_DIGITS = 3
_UNDECODED_BYTE = re.compile("[\udc80-\udcff]")


def schema() -> Document:
    """The JSON Schema of the document, as it ships with the package."""
    text = (
        resources.files("vidscan.report")
        .joinpath("schema", "vidscan.report-1.schema.json")
        .read_text("utf-8")
    )
    loaded: Document = json.loads(text)
    return loaded


def to_document(
    reports: Iterable[Report],
    *,
    options: Mapping[str, Any],
    card: ModelCard,
    created: datetime,
    members: Sequence[ModelCard] = (),
) -> Document:
    """The reports of one scan as one document; see :func:`assemble` for the arguments.

    Raises:
        ReportError: a report contradicts itself or holds a number that cannot be; nothing is guessed.
    """
    results = [result_document(report) for report in reports]
    return assemble(results, options=options, card=card, created=created, members=members)


def result_document(report: Report) -> Document:
    r"""What the document says of one source: an entry of its ``results``.

    Probabilities are rounded to 6 decimals, times (seconds), qualities and weights to 3, boxes (pixels) to 1.
    Bytes of a path that are not UTF-8 appear as ``\xNN``; the whole path is then in ``source_bytes`` too,
    since a name may also hold such an escape as it stands.

    Raises:
        ReportError: the report contradicts itself or holds a number that cannot be.
    """
    entry: Document = plain(_result(report))
    return entry


def assemble(
    results: Sequence[Document],
    *,
    options: Mapping[str, Any],
    card: ModelCard,
    created: datetime,
    members: Sequence[ModelCard] = (),
) -> Document:
    """The results of one scan as one document.

    In ``options`` and the card, a number that is not finite becomes null.

    Args:
        results: made by :func:`result_document`, in the order in which they shall appear.
        options: what the scan was asked to do; any nesting of plain values, paths and dataclasses.
        card: of the model that scored, or of the ensemble as a whole.
        created: when the scan was made; written in UTC (a naive time is taken as local).
        members: the cards of the ensemble's members; fewer than two are no ensemble and not listed.
    """
    return {
        "schema": SCHEMA,
        "created": created.astimezone(UTC).isoformat(timespec="seconds"),
        "vidscan": version(),
        "model": model_document(card, members),
        "options": plain(options),
        "summary": tally((result["verdict"] or {}).get("label") for result in results),
        "results": list(results),
    }


def evidence_of(reports: Iterable[Report]) -> Evidence:
    """The faces that the scans kept, for writers that show pictures; sources without any are left out."""
    return {valid_text(report.source.name): report.evidence for report in reports if report.evidence}


def version() -> str:
    """The installed version of vidscan; ``"unknown"`` when it runs without having been installed."""
    try:
        return metadata.version("vidscan")
    except metadata.PackageNotFoundError:
        return "unknown"


def valid_text(text: str) -> str:
    r"""``text`` so that UTF-8 can hold it: bytes that a path could not decode become ``\xNN``."""
    named = _UNDECODED_BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return named.encode("utf-8", "backslashreplace").decode("utf-8")


def model_document(card: ModelCard, members: Sequence[ModelCard]) -> Document:
    """One model's card, whose weight weighs nothing, or the ensemble's with its members' whole cards.

    ``detector`` is there, and true, where a card was fitted for the members together.
    """
    model = _card(card)
    del model["ensemble_weight"]
    if len(members) > 1:
        model["members"] = [_card(member) for member in members]
    if card.members:
        model["detector"] = True
    return model


def _card(card: ModelCard) -> Document:
    """A card without the names and hashes of members: they stand in the members' own cards."""
    whole: Document = plain(card)
    del whole["members"]
    return whole


def _result(report: Report) -> Document:
    failed = report.status is Status.FAILED
    path = report.source.name
    if (report.error is None) == failed or (report.verdict is None and not failed):
        raise ReportError(f"{path!r}: its result is {report.status} and says otherwise: a fault in vidscan")
    try:
        return {
            "source": path,
            **({"source_bytes": os.fsencode(path).hex()} if _UNDECODED_BYTE.search(path) else {}),
            "kind": report.source.kind,
            "facts": report.facts,
            "status": report.status,
            "error": report.error,
            "verdict": None if failed or report.verdict is None else _verdict(report.verdict),
            "timeline": [_point(point) for point in report.timeline],
            "segments": [
                {
                    "start_s": _seconds(segment.start_s),
                    "end_s": _seconds(segment.end_s),
                    "fake_probability": _probability(segment.fake_probability),
                    "track": segment.track,
                }
                for segment in report.segments
            ],
            "tracks": [_track(track) for track in report.tracks],
            "stats": _stats(report.stats),
        }
    except ValueError as error:
        raise ReportError(f"{path!r}: its result holds {error}: a fault in vidscan") from error


def _verdict(verdict: Verdict) -> Document:
    document = {
        "label": verdict.label,
        "fake_probability": _optional_probability(verdict.fake_probability),
        "confidence": _optional_probability(verdict.confidence),
        "reason": verdict.reason,
        "tracks": verdict.tracks,
        "interval": None if verdict.interval is None else [_probability(end) for end in verdict.interval],
    }
    members = [
        {"name": each.name, "label": each.label, "fake_probability": _probability(each.fake_probability)}
        for each in verdict.members
    ]
    return document | ({"members": members} if members else {})


def _track(track: Track) -> Document:
    return {
        "id": track.id,
        "person": track.person,
        "start_s": _seconds(track.start_s),
        "end_s": _seconds(track.end_s),
        "faces": track.faces,
        "fake_probability": _optional_probability(track.fake_probability),
        "quality": _share(track.quality),
        "counted": track.counted,
        "weight": _share(track.weight),
        "note": track.note,
        **_members(track.members),
    }


def _members(probabilities: Sequence[float]) -> Document:
    """What an ensemble's members say, or no entry at all for one model."""
    return {"members": [_probability(each) for each in probabilities]} if probabilities else {}


def _point(point: TimelinePoint) -> Document:
    return {
        "time_s": _seconds(point.time_s),
        "fake_probability": _optional_probability(point.fake_probability),
        "faces": [_face(face) for face in point.faces],
    }


def _face(face: TimelineFace) -> Document:
    return {
        "track": face.track,
        "box": [_rounded(side, _BOX_DIGITS) for side in face.box],
        "detection_confidence": _probability(face.detection_confidence),
        "quality": _share(face.quality),
        "fake_probability": _optional_probability(face.fake_probability),
        **_members(face.members),
        **({"views": [_probability(each) for each in face.views]} if face.views else {}),
    }


def _stats(stats: Stats) -> Document:
    spent = stats.seconds
    return {
        "duration_s": None if stats.duration_s is None else _seconds(stats.duration_s),
        "frames_sampled": stats.frames_sampled,
        "faces_scored": stats.faces_scored,
        "faces_reused": 0,  # a published field; every face is scored
        "faces_unjudged": stats.faces_unjudged,
        "cuts_s": [_seconds(cut) for cut in stats.cuts_s],
        "crops_scored": stats.crops_scored,
        "batch_slots": _rounded(stats.batch_slots, _SLOT_DIGITS),
        "seconds": {
            "decode": _seconds(spent.decode),
            "detect": _seconds(spent.detect),
            "wait": _seconds(spent.wait),
            "score": _seconds(spent.score),
            "total": _seconds(spent.total),
        },
    }


def _rounded(value: float, digits: int) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"the number {number}")
    return round(number, digits) + 0.0  # + 0.0 turns -0.0, which rounding can leave, into 0.0


def _seconds(value: float) -> float:
    seconds = _rounded(value, _TIME_DIGITS)
    if seconds < 0:
        raise ValueError(f"the time {seconds} s")
    return seconds


def _probability(value: float) -> float:
    return _within_one("probability", value, _PROBABILITY_DIGITS)


def _share(value: float) -> float:
    return _within_one("share", value, _SHARE_DIGITS)


def _within_one(what: str, value: float, digits: int) -> float:
    # float32 arithmetic can end a hair outside 0-1; rounding takes that away and nothing larger.
    rounded = _rounded(value, digits)
    if not 0 <= rounded <= 1:
        raise ValueError(f"the {what} {rounded}")
    return rounded


def _optional_probability(value: float | None) -> float | None:
    return None if value is None else _probability(value)


def plain(value: Any) -> Any:
    """``value`` as JSON values only. Raises TypeError for what has no JSON form."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | PurePath):
        return valid_text(str(value))
    if isinstance(value, Mapping):
        return {valid_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a report")
