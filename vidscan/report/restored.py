"""The way back: an entry of a document's ``results`` becomes a report again, to be shown and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidscan.errors import ReportError
from vidscan.records import (
    Box,
    ErrorInfo,
    Interval,
    Label,
    MemberVerdict,
    ModelCard,
    Report,
    Segment,
    Source,
    SourceFacts,
    StageSeconds,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.report.document import Document


def report_from(
    result: Document,
    source: Source,
    *,
    options: Mapping[str, Any],
    card: ModelCard,
    members: Sequence[ModelCard] = (),
) -> Report:
    """The report that :func:`vidscan.report.document.result_document` made ``result`` of.

    Args:
        result: the entry; its numbers are rounded, and those of the report are then too.
        source: what the entry is about.
        options: what the scan was asked to do.
        card: of the model that scored, or of the ensemble.
        members: the cards of the ensemble's members; empty for one model.

    Raises:
        ReportError: ``result`` is no such entry.
    """
    try:
        return Report(
            source=source,
            status=Status(result["status"]),
            verdict=None if result["verdict"] is None else _verdict(result["verdict"]),
            tracks=tuple(Track(**each | _scores(each)) for each in result["tracks"]),
            timeline=tuple(_point(point) for point in result["timeline"]),
            segments=tuple(Segment(**segment) for segment in result["segments"]),
            stats=_stats(result["stats"]),
            options=options,
            model_card=card,
            error=None if result["error"] is None else ErrorInfo(**result["error"]),
            members=tuple(members),
            facts=None if result["facts"] is None else SourceFacts(**result["facts"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{source.name!r}: its entry in the journal is damaged ({error!r}): delete it and start anew"
        ) from error


def _verdict(document: Document) -> Verdict:
    alone = tuple(
        MemberVerdict(each["name"], Label(each["label"]), each["fake_probability"])
        for each in document.get("members", ())
    )
    interval = document.get("interval")
    whole = {
        "label": Label(document["label"]),
        "members": alone,
        "tracks": tuple(document["tracks"]),
        "interval": None if interval is None else Interval(*interval),
    }
    return Verdict(**document | whole)


def _point(document: Document) -> TimelinePoint:
    faces = tuple(
        TimelineFace(
            **face | {"box": Box(*face["box"]), "views": tuple(face.get("views", ()))} | _scores(face)
        )
        for face in document["faces"]
    )
    return TimelinePoint(**document | {"faces": faces})


def _stats(document: Document) -> Stats:
    known = {name: value for name, value in document.items() if name != "faces_reused"}
    times = {"seconds": StageSeconds(**document["seconds"]), "cuts_s": tuple(document["cuts_s"])}
    return Stats(**known | times)


def _scores(document: Document) -> Document:
    return {"members": tuple(document.get("members", ()))}
