"""The paper that a case file is written on: pages with their edges, text, facts, tables and badges.

All texts of a report are untrusted: they are put out as :func:`Sheet.legible` makes them, and none is markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, WrapMode, XPos, YPos
from fpdf.fonts import TTFFont
from fpdf.prefs import ViewerPreferences

from vidscan.report.content.facts import Fact
from vidscan.report.escape import visible

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0-255."""

INK: Colour = (26, 29, 33)
SOFT: Colour = (86, 93, 102)
LINE: Colour = (213, 217, 222)
WHITE: Colour = (255, 255, 255)
OF_LABEL: dict[str, Colour] = {
    "FAKE": (179, 38, 30),
    "UNCERTAIN": (138, 90, 0),
    "REAL": (31, 111, 53),
    "NO_FACE": (86, 93, 102),
    "FAILED": (86, 93, 102),
}
"""The badges' colours, which white text stands out from."""

TEXT, SMALL = 9.0, 7.8
"""Sizes of type in points."""

_FONTS = Path(__file__).parent / "fonts"
_MARGIN, _FOOT = 18.0, 20.0  # mm
_TERM = 32.0  # mm, for the terms beside facts
_LEADING = 1.35
_PAGES = "\ue000\ue000\ue000"
"""Stands for the number of pages, as wide as it may be. In a report's texts such characters are escaped."""


class Sheet(FPDF):
    """A4 pages, measured in mm. ``running`` is the name at the head of each page after a source's first."""

    def __init__(self, title: str, version: str, created: datetime) -> None:
        super().__init__(enforce_compliance="PDF/A-2u")
        self._made = f"vidscan {version}, {created.day} {created:%B %Y, %H:%M} UTC"
        self.running = ""
        for style, file in (("", "DejaVuSansCondensed.ttf"), ("B", "DejaVuSansCondensed-Bold.ttf")):
            self.add_font("sans", style, _FONTS / file)
        self.add_font("east", "", _FONTS / "DroidSansFallback.ttf")
        self.set_fallback_fonts(["east"], exact_match=False)
        cmaps = {key: frozenset(font.cmap) for key, font in self.fonts.items() if isinstance(font, TTFFont)}
        self._western = cmaps["sans"] & cmaps["sansB"]
        self._covered = self._western | cmaps["east"]
        title, producer = self.legible(title), f"vidscan {version}"
        self.set_title(title)
        self.set_lang("en")
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.set_producer(producer)
        self.set_creation_date(created)
        self.set_xmp_metadata(_metadata(title, producer, created))
        self.alias_nb_pages(_PAGES)
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(True, _FOOT)
        self.c_margin = 0.0
        self._type(TEXT)

    def header(self) -> None:
        """Names what the page is about, on its further pages."""
        if self.running:
            self.set_y(9)
            self._type(SMALL, SOFT)
            told = self.shortened(self.running, self.epw)
            self._begin(told)
            self.cell(self.epw, 4, told)
            self.set_y(_MARGIN)

    def footer(self) -> None:
        """Tells what made the page, when, and its number."""
        self.set_y(-13)
        self._type(SMALL, SOFT)
        self.set_draw_color(*LINE)
        self.line(self.l_margin, self.y - 1.5, self.w - self.r_margin, self.y - 1.5)
        self.cell(self.epw - 30, 4, f"Case file by {self._made}")
        self.cell(30, 4, f"page {self.page_no()} of {_PAGES}", align="R")

    def legible(self, text: str) -> str:
        r"""``text`` on one line; what is hidden, reorders or is in no font is escaped (``\u202e``)."""
        return "".join(
            each if ord(each) in self._covered else each.encode("unicode_escape").decode("ascii")
            for each in visible(text)
        )

    def shortened(self, text: str, width: float) -> str:
        """``text`` in one line of ``width`` mm, with its middle left out where it has to be."""
        whole = self.legible(text)
        kept, text = len(whole), whole
        while kept > 8 and self.get_string_width(text) > width:
            kept = min(kept - 1, int(kept * width / self.get_string_width(text)) + 1)
            text = f"{whole[: kept * 2 // 3]}…{whole[len(whole) - kept // 3 :]}"
        return text

    def new_page(self, running: str) -> None:
        """Begins a page without a head; those that it runs over to are headed ``running``."""
        self.running = ""
        self.add_page()
        self.running = running

    def require(self, height: float) -> None:
        """Goes on to the next page where less than ``height`` mm of this one are left."""
        if self.y + height > self.page_break_trigger:
            self.add_page()

    def heading(self, text: str, level: int, *, room: float = 22.0) -> None:
        """A heading, also in the outline, with at least ``room`` mm of what follows on its page."""
        size = (15.0, 11.5, 9.5)[level]
        self.require(room)
        if level:
            self.ln((0.0, 4.0, 2.5)[level])
        self.start_section(self.legible(text), level)
        self._type(size, INK, "B")
        self._block(text, self.epw)
        self.ln((2.5, 1.5, 0.8)[level])

    def paragraph(
        self, text: str, *, size: float = TEXT, colour: Colour = INK, bold: bool = False, gap: float = 1.5
    ) -> None:
        """A paragraph over the whole width, and ``gap`` mm below it."""
        self._type(size, colour, "B" if bold else "")
        self.set_x(self.l_margin)
        self._block(text, self.epw)
        self.ln(gap)

    def facts(self, facts: Iterable[Fact], *, size: float = TEXT) -> None:
        """Terms with their words beside them; a fact stays on one page."""
        width = self.epw - _TERM
        for fact in facts:
            self._type(size)
            self.require(min(self._height(fact.words, width), self.eph - 1))
            top = self.y
            self._type(size, SOFT)
            self._block(fact.term, _TERM - 3)
            below, page = self.y, self.page
            self.set_xy(self.l_margin + _TERM, top)
            self._type(size)
            self._block(fact.words, width)
            self.set_xy(self.l_margin, max(self.y, below) if page == self.page else self.y)
            self.ln(1.1)

    def rows(
        self, heads: Sequence[str], widths: Sequence[float], rows: Iterable[Sequence[str]], right: int = 0
    ) -> None:
        """A table of cells of one line; the first ``right`` columns' numbers are set to the right.

        ``widths`` are in mm; a text too long for its cell loses its middle.
        """
        self._row(heads, widths, right, SOFT)
        for row in rows:
            if self.y + 5 > self.page_break_trigger:
                self.add_page()
                self._row(heads, widths, right, SOFT)
            self._row(row, widths, right, INK)
        self.ln(1.5)

    def badge(self, label: str, size: float = TEXT) -> None:
        """A label in white on its colour, at the present place."""
        self._type(size, WHITE, "B")
        words = label.replace("_", " ")
        height, width = size * 0.52, self.get_string_width(words) + size * 0.5
        self.set_fill_color(*OF_LABEL[label])
        self.rect(self.x, self.y, width, height, style="F", round_corners=True, corner_radius=0.9)
        self.cell(width, height, words, align="C")

    def words(
        self, text: str, size: float, colour: Colour = INK, *, bold: bool = False, height: float
    ) -> None:
        """Words after what stands at the present place, on its line of ``height`` mm."""
        self._type(size, colour, "B" if bold else "")
        self.cell(self.get_string_width(text), height, text)

    def _type(self, size: float, colour: Colour = INK, style: str = "") -> None:
        self.set_font("sans", style, size)
        self.set_text_color(*colour)

    def _row(self, cells: Sequence[str], widths: Sequence[float], right: int, colour: Colour) -> None:
        self.set_x(self.l_margin)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            self._type(SMALL, colour)
            text = self.shortened(cell, width - 2)
            self._begin(text)
            self.cell(width - 2, 4.4, text, align="R" if place < right else "L")
            self.set_x(self.x + 2)
        self.set_draw_color(*LINE)
        self.line(self.l_margin, self.y + 4.5, self.l_margin + sum(widths), self.y + 4.5)
        self.ln(4.9)

    def _block(self, text: str, width: float) -> None:
        """A paragraph at the present place, on one page unless it is as long as one."""
        height, text = self._height(text, width), self.legible(text)
        if self.y + height > self.page_break_trigger and height < self.eph:
            left = self.x
            self.add_page()
            self.set_x(left)
        self._begin(text)
        self.multi_cell(
            width,
            self.font_size * _LEADING,
            text,
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
            wrapmode=_wrap(text),
        )

    def _height(self, text: str, width: float) -> float:
        text = self.legible(text)
        self._shape(text)
        found = self.multi_cell(
            width,
            self.font_size * _LEADING,
            text,
            align="L",
            dry_run=True,
            wrapmode=_wrap(text),
            output=MethodReturnValue.HEIGHT,
        )
        assert isinstance(found, float)
        return found

    def _begin(self, text: str) -> None:
        """Gets ready for a text that ``legible`` made.

        fpdf2 2.8.9 loses the font behind a line that begins in another one, so the first one is set before.
        """
        self._shape(text)
        if text and ord(text[0]) not in self._western:
            self.set_text_shaping(False)
            left = self.x
            self.cell(0.01, 0.01, " ")
            self.set_x(left)
            self._shape(text)

    def _shape(self, text: str) -> None:
        """Has letters joined and put in order where a script runs from the right: for others it is slow."""
        self.set_text_shaping(any(unicodedata.bidirectional(each) in ("R", "AL", "AN") for each in text))


def _wrap(text: str) -> WrapMode:
    """Where lines may end: within words where one is longer than any line."""
    return WrapMode.CHAR if max(map(len, text.split()), default=0) > 60 else WrapMode.WORD


def _metadata(title: str, producer: str, created: datetime) -> str:
    """What PDF/A asks for in XMP. fpdf2's own says when it was written: no two files would be the same."""
    date = created.isoformat(timespec="seconds")
    names = {"rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "dc": "http://purl.org/dc/elements/1.1/"}
    names |= {"xmp": "http://ns.adobe.com/xap/1.0/", "pdf": "http://ns.adobe.com/pdf/1.3/"}
    names |= {"pdfaid": "http://www.aiim.org/pdfa/ns/id/"}
    spaces = " ".join(f'xmlns:{name}="{url}"' for name, url in names.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}><rdf:Description rdf:about="" '
        f'xmp:CreateDate="{date}" xmp:ModifyDate="{date}" xmp:MetadataDate="{date}" '
        f'pdf:Producer={quoteattr(producer)} pdfaid:part="2" pdfaid:conformance="U">'
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
