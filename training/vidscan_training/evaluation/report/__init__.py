"""Writers of an evaluation's figures, one a format, behind a map by suffix.

Each is a pure function of what ``vidscan_training.evaluation.evaluate.figures`` returns: a report can be
written again from its JSON without scoring anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vidscan.errors import ReportError
from vidscan.system.files import replacing
from vidscan_training.evaluation.report.html import as_html
from vidscan_training.evaluation.report.text import as_text

__all__ = ["WRITERS", "as_json", "as_text", "check_report", "write_report"]


def as_json(result: Mapping[str, Any]) -> str:
    """The figures as a JSON object and a line end; figures that do not exist are null, never NaN."""
    return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {".json": as_json, ".html": as_html}


def check_report(path: Path) -> None:
    """Finds out, before any work, whether a report can be written to ``path``.

    Raises ReportError where the suffix (in either case) names no format, or no such folder takes a file.
    """
    if path.suffix.lower() not in WRITERS:
        known = ", ".join(WRITERS)
        raise ReportError(f"--report {path}: its ending names no format: use one of {known}, or - for JSON")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ReportError(f"--report {path} cannot be written: name a file in a folder that takes one")


def write_report(path: Path, result: Mapping[str, Any]) -> None:
    """Writes the figures in the format that the suffix names; the file is then the old or the whole new one.

    Raises ReportError where the system refused.
    """
    text = WRITERS[path.suffix.lower()](result)
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"--report {path} cannot be written: {error.strerror}") from error
