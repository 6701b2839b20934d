"""The case file, read back: what it says, and that nothing leaves the page or lies on something else."""

from __future__ import annotations

import io
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_samples import (
    HOSTILE,
    by_members,
    clip,
    document_of,
    evidence_of,
    face_crops,
    failed,
    interview,
    no_face,
    signed,
    still,
    too_small,
)

from vidscan.errors import ReportError
from vidscan.records import Label, Remark, Report, Source, SourceFacts, SourceKind
from vidscan.report import pdf
from vidscan.report.content.file_view import file_views
from vidscan.report.destination import Destination
from vidscan.report.legend import not_meant

pdfium = pytest.importorskip("pypdfium2")
pytest.importorskip("fpdf")

MM = 72 / 25.4
SCORES = (0.98, 0.9, 0.7, 0.5, 0.2, 0.1)
FACTS = SourceFacts(bytes=123_456, sha256="ab" * 32, codec="h264", width=640, height=360)


def written(*reports: Report, **changes: Any) -> bytes:
    whole = io.BytesIO()
    pdf.write(document_of(*reports) | changes, whole, evidence_of(reports))
    return whole.getvalue()


def texts(content: bytes) -> list[str]:
    """The words of each page, on one line each."""
    found = pdfium.PdfDocument(content)
    return [" ".join(page.get_textpage().get_text_range().split()) for page in found]


def with_faces(report: Report) -> Report:
    return replace(report, evidence=face_crops(1, SCORES, heat=True), facts=FACTS)


SAMPLES = {
    "clip": clip(),
    "faces": with_faces(clip()),
    "still": still(),
    "people": replace(with_faces(interview()), remarks=(Remark("streams", "It holds 2 video streams."),)),
    "declares": replace(clip(label=Label.REAL), provenance=signed()),
    "members": by_members(clip()),
    "small": too_small(),
    "none": no_face(),
    "failed": failed(),
    "crowd": clip(scores=[[0.1 * (n % 9), 0.5, None, 0.9] for n in range(20)], segments=()),
    "hostile": clip(HOSTILE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_a_case_file_says_what_the_page_says(name: str) -> None:
    report = SAMPLES[name]
    document = document_of(report)
    whole = " ".join(texts(written(report)))
    (view,) = file_views(document, [report.source.path.name], evidence_of([report]))
    said = report.verdict.reason if report.verdict else report.error.message
    assert view.label.replace("_", " ") in whole and said in whole
    for fact in (*view.basis, *view.declared):
        assert fact.term in whole and fact.words in whole
    for sentence in (view.declaration, view.contradiction, *(each.text for each in report.remarks)):
        assert sentence in whole
    if report.facts is not None:
        assert report.facts.sha256 in whole and "123,456 bytes" in whole
    assert not_meant(document["model"]) in whole
    assert "1 March 2025, 12:30 UTC" in whole


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_leaves_the_page_or_lies_on_something_else(name: str) -> None:
    content = written(SAMPLES[name], clip("b.mp4"), clip("very-" * 60 + "long.mp4"))
    for number, page in enumerate(pdfium.PdfDocument(content), start=1):
        text, width = page.get_textpage(), page.get_width()
        boxes = [text.get_rect(place) for place in range(text.count_rects())]
        assert boxes, number
        for left, bottom, right, top in boxes:
            assert left > 17 * MM and right < width - 16 * MM, (name, number, text.get_text_range())
            assert 5 * MM < bottom < top < page.get_height() - 5 * MM
        for place, one in enumerate(boxes):
            for other in boxes[place + 1 :]:
                wide = min(one[2], other[2]) - max(one[0], other[0])
                high = min(one[3], other[3]) - max(one[1], other[1])
                assert wide < 1 or high < 1.5, (
                    number,
                    text.get_text_bounded(*one),
                    text.get_text_bounded(*other),
                )


@pytest.mark.slow
def test_one_to_three_pages_a_source_then_how_it_was_judged() -> None:
    for report in SAMPLES.values():
        pages = texts(written(report))
        judged = next(at for at, words in enumerate(pages) if "How it was judged" in words)
        assert 1 <= judged <= 3 and len(pages) <= judged + 3
        assert pages[-1].endswith(f"page {len(pages)} of {len(pages)}")


def test_several_sources_have_a_cover_that_lists_the_most_suspicious_first() -> None:
    calm = replace(clip("b/calm.mp4", ((0.1, 0.1, 0.2),), label=Label.REAL, segments=()))
    content = written(calm, clip("b/odd.mp4"), failed("b/broken.mp4"))
    cover = texts(content)[0]
    assert "3 files: 1 FAKE, 1 REAL, 1 FAILED." in cover
    assert cover.index("odd.mp4") < cover.index("calm.mp4") < cover.index("broken.mp4")
    outline = [each.get_title() for each in pdfium.PdfDocument(content).get_toc() if each.level == 0]
    assert outline == ["b", "1. odd.mp4", "2. calm.mp4", "3. broken.mp4", "How it was judged"]


def test_the_same_input_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = (SAMPLES["people"], SAMPLES["still"])
    first = written(*reports)
    import fpdf.output

    class Later(fpdf.output.datetime):  # type: ignore[misc, name-defined]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz).replace(year=2099)

    monkeypatch.setattr(fpdf.output, "datetime", Later)
    assert written(*reports) == first


def test_it_has_a_title_a_language_and_says_that_it_is_to_be_kept() -> None:
    content = written(clip())
    title = "interview.mp4 – vidscan case file"
    assert f'<rdf:li xml:lang="x-default">{title}</rdf:li>'.encode() in content
    assert b"/DisplayDocTitle true" in content
    assert b"/Lang (en)" in content
    assert b'pdfaid:part="2"' in content


@pytest.mark.parametrize("heat", [True, False])
def test_faces_and_heat_maps_are_pictures_with_words(heat: bool) -> None:
    crops = face_crops(1, SCORES, heat=heat)
    content = written(replace(clip(), evidence=crops))
    kinds = [each.type for page in pdfium.PdfDocument(content) for each in page.get_objects()]
    assert kinds.count(pdfium.raw.FPDF_PAGEOBJ_IMAGE) == len(SCORES) * (1 + 2 * heat)
    assert b"Track 1 at" in content and (b"heat map" in content) == heat


NAMES = {
    "中文": "新闻联播" * 30 + ".mp4",
    "עברית": "ראיון עם השר.mp4",
    "한국어": "뉴스 인터뷰.mp4",
    "Русский": "Интервью.mp4",
    "العربية": "مقابلة الصباح 2026.mp4",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", NAMES)
def test_names_in_many_scripts_are_readable_to_the_last_letter(script: str) -> None:
    name = NAMES[script]
    page = texts(written(clip(name)))[0]
    wanted = [each for each in name if each.isalnum()]
    letters = unicodedata.normalize("NFKC", page)
    for letter in set(wanted):
        assert letters.count(letter) >= 2 * wanted.count(letter), letter  # in the heading, and as the path


def test_what_hides_reorders_or_has_no_letter_is_escaped() -> None:
    page = texts(written(clip("clip\u202egpj.अ\u200b{nb}\udcff.mp4")))[0]
    assert re.search(r"clip\\u202egpj\.\\u0905\\u200b\{nb\}\\xff\.mp4", page)
    assert not set("\u202e\u200b") & set(page)


MARKUP = "**b** <a href='x'>x<b> [y](javascript:1).mp4"


def test_words_of_a_file_are_never_markup_nor_links() -> None:
    hostile = replace(clip(MARKUP), provenance=signed())
    content = written(hostile)
    assert MARKUP in texts(content)[0]
    assert b"/URI" not in content and b"/JavaScript" not in content


def test_a_file_that_could_not_be_read_is_said_to_have_no_known_hash() -> None:
    assert "SHA-256 not known: the file could not be read" in texts(written(failed()))[0]


def test_options_that_differ_are_named_and_only_those() -> None:
    from vidscan.options import SamplingOptions, ScanOptions

    given = ScanOptions(sampling=SamplingOptions(fps=5.0)).to_report()
    whole = " ".join(texts(written(clip(), options=given)))
    assert "sampling › fps: 5 (default: 2)" in whole
    assert "tracking" not in whole
    assert "all at their defaults" in " ".join(texts(written(clip(), options=ScanOptions().to_report())))


def test_too_many_sources_are_refused_with_the_remedy() -> None:
    document = document_of(clip())
    document["results"] = document["results"] * (pdf.MAX_SOURCES + 1)
    with pytest.raises(ReportError, match=r"501 sources are too many for one case file.*--only"):
        pdf.write(document, io.BytesIO())


def test_a_missing_library_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    with pytest.raises(ReportError, match=r"fpdf and uharfbuzz: pip install 'vidscan\[pdf\]'"):
        Destination.parse("out.pdf")


def test_a_destination_takes_it_whole(tmp_path: Path) -> None:
    place = tmp_path / "out.PDF"
    where = Destination.parse(str(place))
    where.check()
    where.write(document_of(clip()))
    assert texts(place.read_bytes()) == texts(written(clip()))


def test_an_empty_document_is_a_case_file_too() -> None:
    content = io.BytesIO()
    pdf.write(document_of() | {"results": []}, content)
    assert "nothing was finished" in texts(content.getvalue())[0]


def test_a_still_of_no_moment_gives_none() -> None:
    source = Source("1", Path("a.jpg"), SourceKind.IMAGE)
    report = replace(still(), source=source, evidence=face_crops(1, (0.93,)))
    assert "at 0:00" not in texts(written(report))[0]
