"""The two tables of a Parquet dataset: what each column holds, and how a result becomes rows.

The columns' types are derived from those of the document's entries. pyarrow, which is an extra, is imported
when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, get_args, get_origin

from vidscan.records import TimelinePoint, Verdict
from vidscan.report.codec import document_fields
from vidscan.report.document import Document, Result
from vidscan.system.frameworks import import_pyarrow
from vidscan.system.typed_json import optional, parted

SOURCES, TIMELINE = "sources", "timeline"


class Network(NamedTuple):
    """A network, by its name and its file's SHA-256."""

    name: str
    sha256: str | None


class Model(NamedTuple):
    """What scored: a network, or an ensemble, which has no file of its own."""

    name: str
    sha256: str | None
    members: tuple[Network, ...]


_TYPES: Mapping[str, Mapping[str, Any]] = {
    SOURCES: {**document_fields(Result), "stamp": str, "scanned": datetime, "vidscan": str, "model": Model},
    TIMELINE: {**document_fields(Result), **document_fields(TimelinePoint)},
}

COLUMNS: Mapping[str, Mapping[str, str]] = {
    SOURCES: {
        "source": "the path or URL, as in the JSON report",
        "source_bytes": "the path's bytes in hexadecimal where not UTF-8, else null",
        "kind": "video or image",
        "status": "ok or failed",
        "error": "why it failed, else null",
        "facts": "what tells the file from others; null where it could not be read",
        "verdict": "without its label, which is the partition; null where it failed",
        "provenance": "what the file says of itself; null where it could not be read",
        "segments": "suspicious stretches",
        "tracks": "everybody who was followed",
        "stats": "counts, and seconds by stage",
        "remarks": "what was done to the source before it was judged, and what was not looked at; or null",
        "stamp": "what tells the file from a later state of it; null where unknown",
        "scanned": "when the row was written",
        "vidscan": "the version that scanned",
        "model": "what scored; of several networks, members has each, and sha256 is null",
    },
    TIMELINE: {
        "source": "as in sources",
        "source_bytes": "as in sources",
        "time_s": "the sampled moment, in seconds",
        "fake_probability": "of its most suspicious face; null where none was judged",
        "faces": "all faces of the moment; boxes in pixels of the upright frame",
    },
}
"""What each column holds. ``label`` is the folder: FAKE, REAL, UNCERTAIN, NO_FACE or FAILED."""


def arrow_schema(table: str) -> Any:
    """The table's ``pyarrow.Schema``; the meanings are in the fields' metadata."""
    arrow = import_pyarrow()
    return arrow.schema(
        [
            arrow.field(name, _arrow_type(arrow, _TYPES[table][name]), metadata={"meaning": meaning})
            for name, meaning in COLUMNS[table].items()
        ]
    )


def _arrow_type(arrow: Any, kind: Any) -> Any:
    """The Arrow type of a document's values of a declared type; texts of any kind are strings."""
    inner = optional(kind)
    if inner is not None:
        return _arrow_type(arrow, inner)
    base, limits = parted(kind)
    if get_origin(base) is tuple:
        return arrow.list_(_arrow_type(arrow, get_args(base)[0]))
    if parts := document_fields(base):
        names = [name for name in parts if (base, name) != (Verdict, "label")]
        return arrow.struct([(name, _arrow_type(arrow, parts[name])) for name in names])
    if base is int:
        return arrow.int64() if limits.wide else arrow.int32()
    plain = {float: arrow.float64(), bool: arrow.bool_(), datetime: arrow.timestamp("us", tz="UTC")}
    return plain.get(base, arrow.string())


def label_of(result: Document) -> str:
    """The partition of a result: its verdict's label, or FAILED."""
    return "FAILED" if result["verdict"] is None else str(result["verdict"]["label"])


def source_row(result: Document, more: Document) -> Document:
    """A result as a row of sources; ``more`` holds the columns that are not the result's."""
    verdict = result["verdict"]
    if verdict is not None and verdict["interval"] is not None:
        verdict = {**verdict, "interval": dict(zip(("low", "high"), verdict["interval"], strict=True))}
    return {**result, "verdict": verdict, **more}


def timeline_rows(result: Document) -> Iterator[Document]:
    """A result's timeline, a row a moment."""
    named = {"source": result["source"], "source_bytes": result.get("source_bytes")}
    for point in result["timeline"]:
        faces = [{**face, "box": dict(zip("xywh", face["box"], strict=True))} for face in point["faces"]]
        yield {**named, **point, "faces": faces}
