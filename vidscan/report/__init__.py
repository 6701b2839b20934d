"""Writes reports in the formats that people and programs read.

``WRITERS`` names the file formats by suffix. To add one, write a module with a ``write`` function and add an
entry here; it gets the document of :func:`vidscan.report.document.assemble`, whose numbers and texts are
ready to be written and whose results may be read only as they are asked for, and the faces kept, which only a
page shows. Terminal output is in :mod:`vidscan.report.terminal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO

from vidscan.report import html
from vidscan.report.document import Document, Evidence
from vidscan.report.formats import csv, json, jsonl

Writer = Callable[[Document, TextIO, Evidence], None]
"""Writes a whole document, with face crops, to a text stream opened with ``newline=""``."""

WRITERS: Mapping[str, Writer] = {
    ".json": json.write,
    ".jsonl": jsonl.write,
    ".csv": csv.write,
    ".html": html.write,
}
"""The formats of ``--report`` by lower-case suffix."""

BESIDE: Mapping[str, Mapping[str, Writer]] = {".csv": {".files.csv": csv.write_files}}
"""Further files that a format writes, by the ending that replaces the suffix of the named file."""
