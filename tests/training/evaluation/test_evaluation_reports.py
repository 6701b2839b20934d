"""The writers of an evaluation: from figures to a page, a Markdown file, a JSON file and a table."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_crops import make_crop_folder
from toy_scorer import ToyScorer
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.evaluation.evaluate import EvaluateOptions, measure
from vidscan_training.evaluation.report import WRITERS, as_text, check_report, write_report
from vidscan_training.evaluation.report.markdown import escaped
from vidscan_training.evaluation.report.svg import StyleSheet, inline_svg

from vidscan.errors import ReportError

HOSTILE = "<script>alert(1)</script>|`x`&\"'\x1b[31m"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page as a browser would: that every element ends where it should, and what stands in it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "elements that never end"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_crop_folder(make_crop_folder(tmp_path_factory.mktemp("made") / "crops", groups=6))


def measured(folder, **changed):
    options = EvaluateOptions(folder.path / "none.keras", folder.path, split="all")
    return measure(ToyScorer(), folder, replace(options, **changed))[0]


@pytest.fixture(scope="module")
def result(folder):
    return measured(folder, robustness=["jpeg", "saturation"])


@pytest.fixture(scope="module")
def page(result):
    return Page(WRITERS[".html"](result))


def test_the_page_fetches_runs_and_sends_nothing(result, page):
    text = WRITERS[".html"](result)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|javascript:|data:", text)
    assert all(value.startswith("#") for name in ("href", "src", "xlink:href") for value in page.values(name))
    assert page.values("style") == []
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_the_policy_allows_the_pages_own_sheet_and_nothing_else(result):
    text = WRITERS[".html"](result)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1].replace("&#x27;", "'")
    sheet = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_ids_are_unique_and_what_is_referred_to_exists(result, page):
    ids = page.values("id")
    assert len(ids) == len(set(ids)) > 0
    referred = {value[1:] for value in page.values("href")}
    referred |= {value[5:-1] for value in page.values("clip-path")}
    assert referred <= set(ids)


def test_the_page_shows_all_that_was_measured(result, page):
    text = " ".join(page.text)
    for expected in (
        f"{result['clips']['auc']:.3f}",
        "{:.3f} to {:.3f}".format(*result["clips"]["calibration_error_interval"]),
        "deepfakes",
        "faceswap",
        "ffhq512",
        "UNCERTAIN",
        "JPEG quality",
        "Saturation, times",
        "pair0, pair1",
        "--robustness --degradations jpeg,saturation",
        "not known",
    ):
        assert expected in text, expected
    # ROC, two reliability diagrams, and a panel a degradation.
    assert page.tags.count("svg") == page.values("role").count("img") == 5
    assert page.tags.count("table") == page.tags.count("caption") == page.tags.count("thead")
    assert {"col", "row"} == set(page.values("scope"))


def test_parts_that_were_not_asked_for_are_left_out(folder):
    plain = measured(folder)
    for suffix in (".html", ".md"):
        text = WRITERS[suffix](plain)
        assert "Robustness" not in text


def test_the_same_figures_give_the_same_bytes(result):
    for write in WRITERS.values():
        assert write(result) == write(json.loads(WRITERS[".json"](result)))


@pytest.fixture(scope="module")
def hostile(folder):
    names = {"deepfakes": HOSTILE, "original": "o" + HOSTILE}
    rows = tuple(
        replace(row, method=names.get(row.method, row.method), group=HOSTILE + row.group)
        for row in folder.rows
    )
    changed = replace(folder, rows=rows)
    return measured(changed, against={HOSTILE: ["o" + HOSTILE]}, robustness=["blur"])


def test_a_hostile_name_stays_a_name(hostile):
    text = WRITERS[".html"](hostile)
    page = Page(text)
    assert "script" not in page.tags
    shown = HOSTILE.replace("\x1b", "\\x1b")
    assert shown in page.text
    assert "\x1b" not in text
    assert "\x1b" not in as_text(hostile)


def test_a_hostile_name_breaks_no_table(hostile):
    text = WRITERS[".md"](hostile)
    assert "<script>" not in text.split("```")[0]
    table = text[text.index("## By manipulation") :].split("\n\n")[1].splitlines()
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
    assert cells == {9}


def test_markdown_escapes_what_would_format():
    assert escaped("a_b*c|d`e`[f](g)<h>$i$") == r"a\_b\*c\|d\`e\`\[f\](g)&lt;h&gt;\$i\$"


def test_a_command_cannot_end_its_code_block(folder):
    fences = measured(folder, against={"a```b": ["original"]})
    text = WRITERS[".md"](fences)
    assert "\n````\nvidscan-train" in text
    assert text.endswith("\n````\n")


def test_one_class_alone_can_be_reported(folder):
    reals = replace(folder, rows=tuple(row for row in folder.rows if row.label == "real"))
    found = measured(reals, robustness=["blur"])
    page = Page(WRITERS[".html"](found))
    assert page.tags.count("svg") == 2, "no ROC and no AUC to draw, but two reliability diagrams"
    assert "Nothing to show." in page.text
    assert "Nothing to show." in WRITERS[".md"](found)
    assert json.loads(WRITERS[".json"](found))["clips"]["auc"] is None


def test_terminal_lines_fit(result):
    assert max(map(len, as_text(result).splitlines())) <= 100


def test_reports_are_written_whole_or_not_at_all(result, tmp_path, monkeypatch):
    path = tmp_path / "r.HTML"
    path.write_text("before")
    check_report(path)
    assert path.read_text() == "before"
    write_report(path, result)
    assert path.read_text().startswith("<!DOCTYPE html>")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ReportError, match="No space left"):
        write_report(path, result)
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.iterdir()] == ["r.HTML"]


def test_a_place_that_takes_no_report_is_refused(tmp_path):
    (tmp_path / "folder.html").mkdir()
    for name, reason in (
        ("r.txt", r"use one of \.json, \.md, \.html"),
        ("none/r.md", "cannot be written"),
        ("folder.html", "cannot be written"),
    ):
        with pytest.raises(ReportError, match=reason):
            check_report(tmp_path / name)


def test_drawings_take_the_pages_colours_and_no_style_of_their_own():
    svg = """<?xml version="1.0"?>
    <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
      width="3pt" viewBox="0 0 3 3">
     <metadata><x/></metadata><defs><style>*{fill: red}</style><path id="m1" d="M 0 0"/></defs>
     <g id="axes_1"><use xlink:href="#m1" clip-path="url(#m1)"/>
     <text style="font-family: 'X'; fill: #1c2127">&lt;b&gt;</text></g></svg>"""
    styles = StyleSheet()
    drawn = inline_svg(svg, "roc", 'a "label"', styles)
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == 'a "label"'
    assert root.get("viewBox") == "0 0 3 3"
    assert root.get("width") is None
    assert [each.tag for each in root.iter()] == ["svg", "defs", "path", "g", "use", "text"]
    use = root.find(".//use")
    assert (use.get("href"), use.get("clip-path")) == ("#roc-m1", "url(#roc-m1)")
    assert [each.get("id") for each in root.iter() if each.get("id")] == ["roc-m1"]
    assert root.find(".//text").get("class") == "d0"
    assert styles.css() == ".d0 { fill: var(--ink) }\n"
