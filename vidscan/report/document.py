"""Reports as one plain document, the ``vidscan.report/1`` that every file format is written from, and back.

The shape is described by ``schema/vidscan.report-1.schema.json`` (JSON Schema, draft 2020-12), which a test
compares with the types here and in :mod:`vidscan.records`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from vidscan.report.codec import UNDECODED_BYTE, plain, valid_text, writer
from vidscan.report.summary import tally
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
            f"{source.name!r}: its entry in the journal is damaged ({quoted(str(error))}): "
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
    options: Mapping[str, Any],
    card: ModelCard,
    created: datetime,
    members: Sequence[ModelCard] = (),
) -> Document:
    """The results of one scan as one document.

    In ``options``, any nesting of plain values, paths and dataclasses, and in the card, a number that is not
    finite becomes null. ``created`` is written in UTC (a naive time is taken as local). ``members`` are the
    cards of an ensemble; fewer than two are not listed.
    """
    return {
        "schema": SCHEMA,
        "created": created.astimezone(UTC).isoformat(timespec="seconds"),
        "vidscan": __version__,
        "model": model_document(card, members),
        "options": plain(options),
        "summary": tally(
            ((result["verdict"] or {}).get("label") for result in results), sum(map(declares_ai, results))
        ),
        "results": list(results),
    }


def declares_ai(result: Document) -> bool:
    """Whether a result's file says of itself that AI made or edited it."""
    return bool((result["provenance"] or {}).get("declares_ai"))


def evidence_of(reports: Iterable[Report]) -> Evidence:
    """The faces that the scans kept, for writers that show pictures; sources without any are left out."""
    return {valid_text(report.source.name): report.evidence for report in reports if report.evidence}


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
