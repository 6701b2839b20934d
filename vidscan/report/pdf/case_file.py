"""A case file: a cover where there are several sources, some pages on each, and how they were judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from vidscan.options import ScanOptions
from vidscan.report.codec import plain
from vidscan.report.content.facts import Fact, card_facts, card_limits, flat
from vidscan.report.content.file_view import FileView, file_views, folder_and_names, thresholds
from vidscan.report.document import Document, Evidence
from vidscan.report.legend import HEAT_MAPS, meanings, not_meant, scale
from vidscan.report.pdf.sheet import SMALL, SOFT, TEXT, Sheet
from vidscan.report.pdf.source import source_pages
from vidscan.report.summary import LABELS
from vidscan.report.wording import clock, counted, score


def render(document: Document, evidence: Evidence) -> bytes:
    """The whole case file. The same document and pictures give the same bytes."""
    folder, names = folder_and_names([result["source"] for result in document["results"]])
    views = file_views(document, names, evidence)
    title = names[0] if len(names) == 1 else folder or f"{len(names)} files"
    created = datetime.fromisoformat(document["created"])
    sheet = Sheet(f"{title} – vidscan case file", document["vidscan"], created)
    if len(views) != 1:
        _cover(sheet, title, views, document)
    for number, view in enumerate(views, start=1):
        source_pages(sheet, document, view, f"{number}. {view.name}" if len(views) > 1 else view.name)
    _method(sheet, document)
    return bytes(sheet.output())


def _cover(sheet: Sheet, title: str, views: Sequence[FileView], document: Document) -> None:
    sheet.new_page("All files")
    sheet.heading(title, 0)
    labels = Counter(view.label for view in views)
    told = ", ".join(f"{labels[label]:,} {label.replace('_', ' ')}" for label in LABELS if labels[label])
    sheet.paragraph(f"{counted(len(views), 'file')}: {told or 'nothing was finished'}.", gap=0.8)
    if declared := document["summary"]["declared_ai"]:
        sheet.paragraph(
            f"{counted(declared, 'file')} of these say of themselves that AI made or edited them."
        )
    told = "The most suspicious first. How a verdict is read, and how it was made, stands on the last pages."
    sheet.paragraph(told, size=SMALL, colour=SOFT)
    heads = ("", "P(fake)", "range", "verdict", "file", "people", "length")
    widths = (9.0, 14.0, 25.0, 22.0, sheet.epw - 102, 14.0, 18.0)
    sheet.rows(heads, widths, (_line(number, view) for number, view in enumerate(views, start=1)), right=3)
    sheet.heading("What a verdict does not mean", 1)
    sheet.paragraph(not_meant(document["model"]))


def _line(number: int, view: FileView) -> tuple[str, ...]:
    low_high = f"{score(view.interval[0])} to {score(view.interval[1])}" if view.interval else ""
    length = view.result["stats"]["duration_s"]
    return (
        str(number),
        view.score,
        low_high,
        view.label.replace("_", " "),
        view.name,
        str(view.people) if view.result["tracks"] else "",
        "" if length is None else clock(length),
    )


def _method(sheet: Sheet, document: Document) -> None:
    model = document["model"]
    fake, real = thresholds(document)
    sheet.new_page("How it was judged")
    sheet.heading("How it was judged", 0)
    sheet.heading("How to read this", 1)
    sheet.facts(Fact(label.replace("_", " "), words) for label, words in meanings(model, fake, real))
    sheet.ln(1)
    for words in (*scale(model), HEAT_MAPS):
        sheet.paragraph(words)
    sheet.heading("What it does not mean", 1)
    sheet.paragraph(not_meant(model))
    sheet.heading("The scan", 1)
    created = datetime.fromisoformat(document["created"])
    sheet.facts(
        [
            Fact("Made with", f"vidscan {document['vidscan']}"),
            Fact("Date", f"{created.day} {created:%B %Y, %H:%M} UTC"),
            Fact("Thresholds", f"FAKE from {fake:.2f}, REAL up to {real:.2f}"),
            *_differing(document["options"]),
        ]
    )
    sheet.heading("The networks, together and each" if model.get("members") else "The network", 1)
    for card in (model, *model.get("members", ())):
        sheet.heading(card["name"], 2, room=40.0)
        sheet.facts([Fact("Limits", card_limits(card)), *card_facts(card)], size=TEXT - 0.6)


def _differing(options: Mapping[str, Any]) -> Iterator[Fact]:
    """The options that are not the defaults, or that all of them are."""
    usual = {fact.term: fact.words for fact in flat(plain(ScanOptions().to_report()))}
    unusual = [fact for fact in flat(options) if usual.get(fact.term) != fact.words]
    if not unusual:
        yield Fact("Options", "all at their defaults")
    for fact in unusual:
        yield Fact("Option", f"{fact.term}: {fact.words} (default: {usual.get(fact.term, 'none')})")
