"""Writes the document as two CSV tables in UTF-8: one row per sampled face, and one per source.

Both begin with ``file``, which counts the sources from 1 and joins the tables even if one path was scanned
twice. ``pandas.read_csv`` takes either as it stands: numbers are numbers, and unknown values are empty.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from vidscan.report.document import NO_EVIDENCE, Document, Evidence
from vidscan.report.escape import visible

FACE_COLUMNS = tuple(
    """file source time_s track person fake_probability quality detection_confidence box_x box_y box_w
    box_h counted weight note suspicious file_label file_fake_probability""".split()  # noqa: SIM905 - a list of quotes is harder to read
)
"""The header of the faces. ``fake_probability`` is empty for a face without a score. ``person``, ``counted``,
``weight`` and ``note`` are its track's: the person, whether and how much that person counts in the verdict,
and why not. ``suspicious`` tells whether the face lies in a suspicious segment of its track; columns that
begin with ``file_`` repeat the verdict on its source. Boxes are in pixels, times in seconds. An ensemble's
table also has ``member_1``, ``member_2``, …: P(fake) by each member, in their order."""

FILE_COLUMNS = tuple(
    """file source kind status label fake_probability fake_probability_low fake_probability_high confidence
    reason people tracks faces_scored faces_unjudged frames_sampled duration_s cuts_s segments codec
    width height bytes sha256 seconds_total error declares_ai declared_generator content_credentials signer
    camera remarks""".split()  # noqa: SIM905 - a list of quotes is harder to read
)
"""The header of the sources. ``people`` counts those who count in the verdict, ``tracks`` every track; times
are in seconds. ``fake_probability_low`` and ``…_high`` are the ends of the verdict's interval. From
``declares_ai`` on, it is what the file says of itself: whether it declares AI (empty where it says neither),
who made it, the state of its Content Credentials, their signer, and its camera. An ensemble's table also has
``members``: what each member alone would have scored the source."""

_OF_FACE = ("track", "fake_probability", "quality", "detection_confidence")

# Spreadsheets run a cell that begins so as a formula; the wide forms do it in East Asian versions.
# Source: OWASP, "CSV Injection".
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes every face of ``document`` under a header line; lines end with a line feed.

    A text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    members = [f"member_{number}" for number, _ in enumerate(document["model"].get("members", ()), start=1)]
    rows = (row for number, result in _numbered(document) for row in _faces(number, result, members))
    write_table(stream, (*FACE_COLUMNS, *members), rows)


def write_files(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes every source of ``document`` as one row, also those without a face; else like :func:`write`."""
    columns = (*FILE_COLUMNS, "members") if "members" in document["model"] else FILE_COLUMNS
    write_table(stream, columns, (_file(number, result) for number, result in _numbered(document)))


def write_table(
    stream: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool = True
) -> None:
    """Writes rows as :func:`write` does, under the names of the columns unless ``header`` is False."""
    table = csv.DictWriter(stream, columns, lineterminator="\n")
    if header:
        table.writeheader()
    table.writerows({name: _harmless(row[name]) for name in columns} for row in rows)


def _numbered(document: Document) -> Iterator[tuple[int, Document]]:
    return enumerate(document["results"], start=1)


def _faces(number: int, result: Document, members: Sequence[str]) -> Iterator[dict[str, Any]]:
    verdict = result["verdict"] or {}
    tracks = {track["id"]: track for track in result["tracks"]}
    for point in result["timeline"]:
        for face in point["faces"]:
            track = tracks.get(face["track"], {})
            yield {
                "file": number,
                "source": result["source"],
                "time_s": point["time_s"],
                **{name: face[name] for name in _OF_FACE},
                **dict(zip(("box_x", "box_y", "box_w", "box_h"), face["box"], strict=True)),
                "counted": track.get("counted", False),
                **{name: track.get(name) for name in ("person", "weight", "note")},
                "suspicious": any(
                    each["track"] == face["track"] and each["start_s"] <= point["time_s"] <= each["end_s"]
                    for each in result["segments"]
                ),
                "file_label": verdict.get("label"),
                "file_fake_probability": verdict.get("fake_probability"),
                **dict(zip(members, face.get("members", [None] * len(members)), strict=True)),
            }


def _file(number: int, result: Document) -> dict[str, Any]:
    verdict = result["verdict"] or {}
    facts = result["facts"] or {}
    stats = result["stats"]
    error = result["error"]
    declared = result["provenance"] or {}
    credentials = declared.get("content_credentials") or {}
    low, high = verdict.get("interval") or (None, None)
    return {
        "file": number,
        **{name: result[name] for name in ("source", "kind", "status")},
        **{name: verdict.get(name) for name in ("label", "fake_probability", "confidence", "reason")},
        "fake_probability_low": low,
        "fake_probability_high": high,
        "people": len({track["person"] or track["id"] for track in result["tracks"] if track["counted"]}),
        "tracks": len(result["tracks"]),
        **{name: stats[name] for name in ("faces_scored", "faces_unjudged", "frames_sampled", "duration_s")},
        "cuts_s": ";".join(map(str, stats["cuts_s"])),
        "segments": ";".join(f"{each['start_s']}-{each['end_s']}" for each in result["segments"]),
        **{name: facts.get(name) for name in ("codec", "width", "height", "bytes", "sha256")},
        "seconds_total": stats["seconds"]["total"],
        "error": f"{error['type']}: {error['message']}" if error else None,
        "declares_ai": declared.get("declares_ai"),
        "declared_generator": declared.get("generator"),
        "content_credentials": credentials.get("state"),
        "signer": credentials.get("signer"),
        "camera": declared.get("camera"),
        "remarks": " ".join(each["text"] for each in result.get("remarks", ())),
        "members": ";".join(
            f"{each['name']}={each['fake_probability']}" for each in verdict.get("members", ())
        ),
    }


def _harmless(cell: Any) -> Any:
    """Returns a text on one line that no spreadsheet takes for a formula: csv leaves a lone CR unquoted."""
    if not isinstance(cell, str):
        return cell
    return "'" + visible(cell) if cell.startswith(_FORMULA_STARTS) else visible(cell)
