"""Renders the page: one template, its styles and scripts, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from vidscan.report.document import Document, Evidence
from vidscan.report.escape import visible
from vidscan.report.html.facts import amount, figures, flat
from vidscan.report.html.pictures import colour_scale
from vidscan.report.html.view import FileView, file_views, folder_and_names, thresholds
from vidscan.report.wording import clock, counted, remark, score

_HERE = Path(__file__).parent
_STYLES = ("vendor/uplot/uPlot.min.css", "page.css", "file.css")
_SCRIPTS = ("vendor/uplot/uPlot.iife.min.js", "chart.js", "table.js")
LABELS = ("FAKE", "UNCERTAIN", "REAL", "NO_FACE", "FAILED")
"""Outcomes of a file, the most suspicious first."""


def render(document: Document, evidence: Evidence) -> str:
    """Renders the whole page. The same document and pictures give the same bytes."""
    folder, names = folder_and_names([result["source"] for result in document["results"]])
    files = file_views(document, names, evidence)
    charts = [file.chart for file in files if file.chart is not None]
    fake, real = thresholds(document)
    created = datetime.fromisoformat(document["created"])
    styles, scripts = [_asset(name) for name in _STYLES], [_asset(name) for name in _SCRIPTS]
    return (
        _environment()
        .get_template("page.html")
        .render(
            policy=_policy(styles, scripts),
            styles=styles,
            scripts=scripts,
            title=names[0] if len(names) == 1 else folder or f"{len(names)} files",
            document=document,
            created=f"{created.day} {created:%B %Y, %H:%M} UTC",
            counts=_counts(files),
            files=files,
            charts=charts,
            fake=fake,
            real=real,
            model=document["model"],
            options=document["options"],
            heat_scale=colour_scale() if any(file.pictures.has_heat for file in files) else None,
        )
    )


def _counts(files: Sequence[FileView]) -> list[tuple[str, int]]:
    found = [(label, sum(file.label == label for file in files)) for label in LABELS]
    return [(label, count) for label, count in found if count]


@cache
def _environment() -> jinja2.Environment:
    """Makes the template environment: output is escaped, and hidden characters are shown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": score, "clock": clock, "percent": "{:.0%}".format, "amount": amount}
    environment.globals |= {"remark": remark, "counted": counted, "figures": figures, "flat": flat}
    return environment


def _finalize(value: Any) -> Any:
    if value is None:
        raise TypeError("a template of the page puts out None: a fault in vidscan")
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _asset(name: str) -> Markup:
    """Reads a style sheet or script of this package, to be embedded unescaped."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Returns a policy by which nothing is loaded and only these styles and scripts hold."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hashes(styles)}",
            f"script-src {_hashes(scripts)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
