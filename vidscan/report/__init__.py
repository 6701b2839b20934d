"""Writes reports in the formats that people and programs read.

``FORMATS`` names the file formats by suffix. To add one, write a module with a ``write`` function and add an
entry here; it gets the document of :func:`vidscan.report.document.assemble`, whose numbers and texts are
ready to be written and whose results may be read only as they are asked for, and the faces kept, which a page
and a case file show. Terminal output is in :mod:`vidscan.report.terminal`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import BinaryIO, TextIO, TypeAlias

from vidscan.report import html, pdf
from vidscan.report.document import Document, Evidence
from vidscan.report.formats import csv, json, jsonl

TextWriter: TypeAlias = Callable[[Document, TextIO, Evidence], None]
"""Writes a whole document, with face crops, to a text stream opened with ``newline=""``."""

Writer: TypeAlias = Callable[[Document, BinaryIO, Evidence], None]
"""Writes a whole document, with face crops, as a file's bytes."""


def in_utf8(write: TextWriter) -> Writer:
    """The same writer, of bytes."""

    def writing(document: Document, stream: BinaryIO, evidence: Evidence) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        write(document, text, evidence)
        text.detach()

    return writing


WRITERS: Mapping[str, TextWriter] = {
    ".json": json.write,
    ".jsonl": jsonl.write,
    ".csv": csv.write,
    ".html": html.write,
}
"""The formats of ``--report`` that are text, by lower-case suffix."""

FORMATS: Mapping[str, Writer] = {
    **{suffix: in_utf8(write) for suffix, write in WRITERS.items()},
    ".pdf": pdf.write,
}
"""All formats of ``--report`` that are one file, by lower-case suffix."""

BESIDE: Mapping[str, Mapping[str, Writer]] = {".csv": {".files.csv": in_utf8(csv.write_files)}}
"""Further files that a format writes, by the ending that replaces the suffix of the named file."""

NEEDS: Mapping[str, Callable[[], None]] = {".pdf": pdf.require_libraries}
"""What raises ReportError, before any work, where a format cannot be written."""
