"""Writes the document as JSON: UTF-8, indented down to the single entry of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from vidscan.report.document import NO_EVIDENCE, Document, Evidence

_ONE_LINE_DEPTH = 4  # results > result > timeline > point: one moment of a clip is one line


def write(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes ``document`` as JSON and a line feed; ``evidence`` is left out.

    Raises:
        ValueError: it holds NaN or an infinity, which JSON cannot express.
    """
    stream.writelines(_pieces(document, 0))
    stream.write("\n")


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """Yields ``value`` in writing order, so that a large report is never held as one text."""
    keyed = isinstance(value, dict)
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    if depth >= _ONE_LINE_DEPTH or not value or not (keyed or listed):
        yield _line(list(value) if listed else value)
        return
    yield "{" if keyed else "["
    for position, entry in enumerate(value):
        yield ("," if position else "") + "\n" + "  " * (depth + 1)
        if keyed:
            yield _line(entry) + ": "
        yield from _pieces(value[entry] if keyed else entry, depth + 1)
    yield "\n" + "  " * depth + ("}" if keyed else "]")


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
