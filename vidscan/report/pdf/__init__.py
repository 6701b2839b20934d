"""Writes the document as a case file to print and to keep: PDF/A-2u, a few pages a source."""

from __future__ import annotations

from importlib.util import find_spec
from typing import BinaryIO

from vidscan.errors import ReportError
from vidscan.report.document import NO_EVIDENCE, Document, Evidence

MAX_SOURCES = 500
"""Upper limit on the sources of a case file, which is made in memory as a whole."""


def require_libraries() -> None:
    """Raises ReportError where what writes PDFs is not installed."""
    missing = [name for name in ("fpdf", "uharfbuzz") if find_spec(name) is None]
    if missing:
        raise ReportError(f"a PDF needs {' and '.join(missing)}: pip install 'vidscan[pdf]'")


def write(document: Document, stream: BinaryIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes ``document`` as a PDF with the faces of ``evidence``; the same input gives the same bytes.

    Raises ReportError where a library is missing, or there are too many sources for one case file.
    """
    require_libraries()
    sources = len(document["results"])
    if sources > MAX_SOURCES:
        raise ReportError(
            f"{sources:,} sources are too many for one case file (limit {MAX_SOURCES}): "
            "write one of a part with vidscan report STORE --only fake, or --source 'interview*'"
        )
    from vidscan.report.pdf.case_file import render

    stream.write(render(document, evidence))
