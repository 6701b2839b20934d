"""Writes the document as JSON Lines: UTF-8, one self-contained line per source."""

from __future__ import annotations

import json
from typing import TextIO

from vidscan.report.document import NO_EVIDENCE, Document, Evidence

# JSON takes them as they stand, but much that reads lines (str.splitlines, editors) ends one there.
_LINE_ENDS = {ord(each): f"\\u{ord(each):04x}" for each in "\x85\u2028\u2029"}


def write(document: Document, stream: TextIO, evidence: Evidence = NO_EVIDENCE) -> None:
    """Writes a line for each result: what it was made with, then the result as in the JSON report.

    ``stream`` is opened with ``newline=""``; ``evidence`` is left out.
    """
    card = document["model"]
    model = {name: card[name] for name in ("name", "sha256")}
    if "members" in card:
        model["members"] = [{name: each[name] for name in ("name", "sha256")} for each in card["members"]]
    rests_on = {name: document[name] for name in ("schema", "vidscan", "created")} | {"model": model}
    for result in document["results"]:
        line = json.dumps(rests_on | result, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        stream.write(line.translate(_LINE_ENDS) + "\n")
