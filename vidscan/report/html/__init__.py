"""The document as one page for people: no network, no other file, and nothing runs but what is in it."""

from __future__ import annotations

from typing import TextIO

from vidscan.report.document import NO_EVIDENCE, Document, Evidence


def write(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Write ``document`` as a self-contained HTML page.

    Args:
        document: the results of a scan.
        stream: takes the page, to be encoded as UTF-8.
        evidence: the faces to show, by the ``source`` of their result; the page says where there are none.

    Raises:
        OSError: the stream cannot take it.
    """
    from vidscan.report.html.page import render

    stream.write(render(document, evidence))
