"""Writes the document as one self-contained page: no network, no other file, no scripts but its own."""

from __future__ import annotations

from typing import TextIO

from vidscan.report.document import NO_EVIDENCE, Document, Evidence


def write(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes ``document`` as an HTML page, to be encoded as UTF-8, with the faces of ``evidence``."""
    from vidscan.report.html.page import render

    stream.write(render(document, evidence))
