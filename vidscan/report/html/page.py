"""Renders the page: one template, its styles and scripts, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from vidscan.report.content.facts import amount, card_facts, card_limits, figures, file_facts, flat
from vidscan.report.content.file_view import file_views, folder_and_names, thresholds
from vidscan.report.content.pictures import colour_scale, data_uri
from vidscan.report.declaration import NOT_TAKEN_OVER
from vidscan.report.document import Document, Evidence
from vidscan.report.escape import visible
from vidscan.report.legend import HEAT_MAPS, NOT_COMPARABLE, SHARE_AND_QUALITY, meanings, not_meant, scale
from vidscan.report.summary import LABELS
from vidscan.report.wording import clock, counted, remark, score

_HERE = Path(__file__).parent
_STYLES = ("vendor/uplot/uPlot.min.css", "page.css", "file.css")
_SCRIPTS = ("vendor/uplot/uPlot.iife.min.js", "chart.js", "table.js")


def render(document: Document, evidence: Evidence) -> str:
    """Renders the whole page. The same document and pictures give the same bytes."""
    folder, names = folder_and_names([result["source"] for result in document["results"]])
    files = file_views(document, names, evidence)
    labels = Counter(file.label for file in files)
    charts = [file.chart for file in files if file.chart is not None]
    fake, real = thresholds(document)
    created = datetime.fromisoformat(document["created"])
    styles, scripts = [asset(name) for name in _STYLES], [asset(name) for name in _SCRIPTS]
    return (
        environment(_HERE / "templates")
        .get_template("page.html")
        .render(
            policy=policy(styles, scripts),
            styles=styles,
            scripts=scripts,
            title=names[0] if len(names) == 1 else folder or f"{len(names)} files",
            document=document,
            created=f"{created.day} {created:%B %Y, %H:%M} UTC",
            counts=[(label, labels[label]) for label in LABELS if labels[label]],
            files=files,
            charts=charts,
            fake=fake,
            real=real,
            model=document["model"],
            options=document["options"],
            not_taken_over=NOT_TAKEN_OVER,
            heat_scale=data_uri("png", colour_scale())
            if any(file.pictures.has_heat for file in files)
            else None,
        )
    )


@cache
def environment(templates: Path) -> jinja2.Environment:
    """A folder's templates, whose output is escaped, and shows what a browser would hide or reorder."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"score": score, "clock": clock, "percent": "{:.0%}".format, "amount": amount}
    functions = (remark, counted, figures, flat, file_facts, card_facts, card_limits)
    made.globals |= {each.__name__: each for each in (*functions, meanings, not_meant, scale)}
    made.globals |= {
        "heat_maps": HEAT_MAPS,
        "not_comparable": NOT_COMPARABLE,
        "share_and_quality": SHARE_AND_QUALITY,
    }
    return made


def _finalize(value: Any) -> Any:
    if value is None:
        raise TypeError("a template of the page puts out None: a fault in vidscan")
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def asset(name: str, folder: Path = _HERE) -> Markup:
    """A style sheet or script of a package, which may stand in the page as it is."""
    return Markup((folder / name).read_text(encoding="utf-8"))


def policy(styles: Sequence[str], scripts: Sequence[str] = ()) -> str:
    """Nothing is loaded from anywhere; of styles and scripts, these alone hold."""
    allowed = _hashes(scripts) if scripts else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {_hashes(styles)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
