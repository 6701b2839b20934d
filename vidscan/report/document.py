"""Reports as one plain document, the ``vidscan.report/1`` that every file format is written from, and back.

The shape is described by ``schema/vidscan.report-1.schema.json`` (JSON Schema, draft 2020-12), which a test
compares with the types here and in :mod:`vidscan.records`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from vidscan.errors import ReportError, quoted
from vidscan.records import (
    ErrorInfo,
    EvidenceCrop,
    ModelCard,
    Provenance,
    Remark,
    Report,
    Segment,
    Source,
    SourceFacts,
    SourceKind,
    Stats,
    Status,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.records.limits import Limits
from vidscan.report.codec import UNDECODED_BYTE, plain, writer
from vidscan.system.typed_json import Form, MismatchError, from_plain
from vidscan.version import __version__

Document = dict[str, Any]
"""A report document of plain JSON values: ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, None."""

Evidence = Mapping[str, Sequence[EvidenceCrop]]
"""Faces to look at, by the ``source`` of the result that they belong to. They are no part of the document."""

NO_EVIDENCE: Evidence = MappingProxyType({})

SCHEMA = "vidscan.report/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a document says of one source: an entry of its ``results``.

    ``source_bytes`` is the path in hexadecimal where it is not UTF-8.
    """

    source: Annotated[str, Limits(1)]
    source_bytes: Annotated[str, Limits(pattern="([0-9a-f]{2})+", absent=True)] = ""
    kind: SourceKind
    facts: SourceFacts | None
    status: Status
    error: ErrorInfo | None
    verdict: Verdict | None
    provenance: Provenance | None
    timeline: tuple[TimelinePoint, ...]
    segments: tuple[Segment, ...]
    tracks: tuple[Track, ...]
    stats: Stats
    remarks: Annotated[tuple[Remark, ...], Limits(1, absent=True)] = ()


def result_document(report: Report) -> Document:
    r"""An entry of the document's ``results``.

    Probabilities are rounded to 6 decimals, times (seconds), qualities and weights to 3, boxes (pixels) to 1.
    Bytes of a path that are not UTF-8 appear as ``\xNN``; the whole path is then in ``source_bytes`` too,
    since a name may also hold such an escape as it stands.

    Raises:
        ReportError: the report contradicts itself or holds a number that cannot be.
    """
    failed = report.status is Status.FAILED
    path = report.source.name
    if (report.error is None) == failed or (report.verdict is None and not failed):
        raise ReportError(f"{path!r}: its result is {report.status} and says otherwise: a fault in vidscan")
    result = Result(
        source=path,
        source_bytes=os.fsencode(path).hex() if UNDECODED_BYTE.search(path) else "",
        kind=report.source.kind,
        facts=report.facts,
        status=report.status,
        error=report.error,
        verdict=None if failed else report.verdict,
        provenance=report.provenance,
        timeline=report.timeline,
        segments=report.segments,
        tracks=report.tracks,
        stats=report.stats,
        remarks=report.remarks,
    )
    try:
        entry: Document = writer(Result)(result)
    except ValueError as error:
        raise ReportError(f"{path!r}: its result holds {error}: a fault in vidscan") from error
    return entry


def require_result(entry: Any, members: int) -> None:
    """Raises ValueError where a value is no entry of ``results`` by a model of so many members, or none."""
    result = from_plain(Result, entry, Form.REPORT)
    failed = result.status is Status.FAILED
    if (result.error is None) == failed or (result.verdict is None) != failed:
        raise ValueError("it is failed and not failed")
    if not set(result.verdict.tracks if result.verdict else ()) <= {track.id for track in result.tracks}:
        raise ValueError("a verdict on a track that is not there")
    faces = (face.members for point in result.timeline for face in point.faces)
    alone = () if result.verdict is None else result.verdict.members
    for scores in (alone, *(track.members for track in result.tracks), *faces):
        if scores and len(scores) != members:
            raise ValueError("scores of other networks")


def report_from(
    entry: Document,
    source: Source,
    *,
    options: Mapping[str, Any],
    card: ModelCard,
    members: Sequence[ModelCard] = (),
) -> Report:
    """The report of which :func:`result_document` made ``entry``, with rounded numbers and no evidence.

    Raises:
        ReportError: it is no such entry.
    """
    try:
        result = from_plain(Result, entry, Form.REPORT)
    except MismatchError as error:
        raise ReportError(
            f"{source.name!r}: its entry among the results is damaged ({quoted(str(error))}): "
            "delete it and start anew"
        ) from error
    return Report(
        source=source,
        status=result.status,
        verdict=result.verdict,
        tracks=result.tracks,
        timeline=result.timeline,
        segments=result.segments,
        stats=result.stats,
        options=options,
        model_card=card,
        error=result.error,
        members=tuple(members),
        facts=result.facts,
        remarks=result.remarks,
        provenance=result.provenance,
    )


def assemble(
    results: Sequence[Document],
    *,
    options: Document,
    model: Document,
    summary: Mapping[str, int],
    created: str,
    vidscan: str = __version__,
) -> Document:
    """The results of one scan as one document; ``results`` may read them as they are asked for.

    ``options`` are plain values, ``model`` is as :func:`model_document` makes it, ``summary`` as
    :func:`vidscan.report.summary.tally` does, ``created`` ISO 8601 in UTC.
    """
    return {
        "schema": SCHEMA,
        "created": created,
        "vidscan": vidscan,
        "model": model,
        "options": options,
        "summary": summary,
        "results": results,
    }


def declares_ai(result: Document) -> bool:
    """Whether a result's file says of itself that AI made or edited it."""
    return bool((result["provenance"] or {}).get("declares_ai"))


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
    """A card without the names and hashes of members: they stand in the members' own cards.

    ``stills`` is there only where stills have a rule of their own.
    """
    whole: Document = plain(card)
    del whole["members"]
    if card.stills is None:
        del whole["stills"]
    return whole
