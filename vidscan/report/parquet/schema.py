"""The two tables of a Parquet dataset: what each column holds, and how a result becomes rows.

pyarrow is imported when it is used: it is an extra.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vidscan.report.document import Document
from vidscan.system.frameworks import import_pyarrow

SOURCES, TIMELINE = "sources", "timeline"


class Column(NamedTuple):
    """``type`` is Arrow's, with ``struct<…>`` and ``list<…>`` for what is nested."""

    name: str
    type: str
    meaning: str


_ERROR = "struct<type: string, message: string>"
_FACTS = "struct<bytes: int64, sha256: string, codec: string, width: int32, height: int32>"
_INTERVAL = "struct<low: double, high: double>"
_MEMBER = "struct<name: string, label: string, fake_probability: double>"
_VERDICT = (
    "struct<fake_probability: double, confidence: double, reason: string, tracks: list<int32>, "
    f"interval: {_INTERVAL}, members: list<{_MEMBER}>>"
)
_SEGMENT = "struct<start_s: double, end_s: double, fake_probability: double, track: int32>"
_TRACK = (
    "struct<id: int32, person: int32, start_s: double, end_s: double, faces: int32, "
    "fake_probability: double, quality: double, counted: bool, weight: double, note: string, "
    "members: list<double>>"
)
_SECONDS = "struct<decode: double, detect: double, wait: double, score: double, total: double>"
_STATS = (
    "struct<duration_s: double, frames_sampled: int32, faces_scored: int32, faces_reused: int32, "
    "faces_unjudged: int32, cuts_s: list<double>, crops_scored: int32, batch_slots: double, "
    f"seconds: {_SECONDS}>"
)
_MODEL = "struct<name: string, sha256: string, members: list<struct<name: string, sha256: string>>>"
_BOX = "struct<x: double, y: double, w: double, h: double>"
_FACE = (
    f"struct<track: int32, box: {_BOX}, detection_confidence: double, quality: double, "
    "fake_probability: double, members: list<double>, views: list<double>>"
)

COLUMNS: Mapping[str, Sequence[Column]] = {
    SOURCES: (
        Column("source", "string", "the path or URL, as in the JSON report"),
        Column("source_bytes", "string", "the path's bytes in hexadecimal where not UTF-8, else null"),
        Column("kind", "string", "video or image"),
        Column("status", "string", "ok or failed"),
        Column("error", _ERROR, "why it failed, else null"),
        Column("facts", _FACTS, "what tells the file from others; null where it could not be read"),
        Column("verdict", _VERDICT, "without its label, which is the partition; null where it failed"),
        Column("segments", f"list<{_SEGMENT}>", "suspicious stretches"),
        Column("tracks", f"list<{_TRACK}>", "everybody who was followed"),
        Column("stats", _STATS, "counts, and seconds by stage"),
        Column("stamp", "string", "what tells the file from a later state of it; null where unknown"),
        Column("scanned", "timestamp[us, UTC]", "when the row was written"),
        Column("vidscan", "string", "the version that scanned"),
        Column("model", _MODEL, "what scored; of several networks, members has each, and sha256 is null"),
    ),
    TIMELINE: (
        Column("source", "string", "as in sources"),
        Column("source_bytes", "string", "as in sources"),
        Column("time_s", "double", "the sampled moment, in seconds"),
        Column("fake_probability", "double", "of its most suspicious face; null where none was judged"),
        Column("faces", f"list<{_FACE}>", "all faces of the moment; boxes in pixels of the upright frame"),
    ),
}
"""Nested types, and meanings as in the JSON report's schema. ``label`` is the folder: FAKE, REAL, UNCERTAIN,
NO_FACE or FAILED."""


def arrow_schema(table: str) -> Any:
    """The table's ``pyarrow.Schema``; the meanings are in the fields' metadata."""
    arrow = import_pyarrow()
    fields = [
        arrow.field(each.name, _arrow(arrow, each.type), metadata={"meaning": each.meaning})
        for each in COLUMNS[table]
    ]
    return arrow.schema(fields)


def _arrow(arrow: Any, text: str) -> Any:
    """The Arrow type that a column's text names."""
    if text.startswith("list<"):
        return arrow.list_(_arrow(arrow, text[len("list<") : -1]))
    if text.startswith("struct<"):
        fields = (part.split(": ", 1) for part in _parts(text[len("struct<") : -1]))
        return arrow.struct([arrow.field(name, _arrow(arrow, kind)) for name, kind in fields])
    if text.startswith("timestamp"):
        return arrow.timestamp("us", tz="UTC")
    return {"string": arrow.string(), "double": arrow.float64(), "bool": arrow.bool_()}.get(
        text
    ) or arrow.type_for_alias(text)


def _parts(text: str) -> Iterator[str]:
    """A struct's fields, parted at the commas that are in none of its own types."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            yield text[start:place]
            start = place + 2
    yield text[start:]


def label_of(result: Document) -> str:
    """The partition of a result: its verdict's label, or FAILED."""
    return "FAILED" if result["verdict"] is None else str(result["verdict"]["label"])


def source_row(result: Document, more: Document) -> Document:
    """A result as a row of sources; ``more`` holds the columns that are not the result's."""
    verdict = result["verdict"]
    if verdict is not None:
        low, high = verdict["interval"] or (None, None)
        interval = None if low is None else {"low": low, "high": high}
        verdict = {**verdict, "interval": interval}
    return {**result, "verdict": verdict, **more}


def timeline_rows(result: Document) -> Iterator[Document]:
    """A result's timeline, a row a moment."""
    named = {"source": result["source"], "source_bytes": result.get("source_bytes")}
    for point in result["timeline"]:
        faces = [{**face, "box": dict(zip("xywh", face["box"], strict=True))} for face in point["faces"]]
        yield {**named, **point, "faces": faces}
