"""The writers of an evaluation: from figures to a page, a Markdown file, a JSON file and a table."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_crops import make_crop_folder
from toy_scorer import ToyScorer

from vidscan.errors import ReportError
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.evaluation.evaluate import EvaluateOptions, measure
from vidscan_training.evaluation.report import WRITERS, as_text, check_report, write_report
from vidscan_training.evaluation.report.plots import reliability_plot, roc_plot

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
    return measured(folder, robustness=True, degradations=["jpeg", "saturation"])


@pytest.fixture(scope="module")
def page(result):
    return Page(WRITERS[".html"](result))


def test_the_page_fetches_runs_and_sends_nothing(result, page):
    text = WRITERS[".html"](result)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|javascript:|data:(?!;)", text)
    assert not [page.values(name) for name in ("href", "src", "xlink:href") if page.values(name)]
    assert page.values("style") == []
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_the_policy_allows_the_pages_own_sheets_and_nothing_else(result):
    text = WRITERS[".html"](result)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1].replace("&#39;", "'")
    sheets = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode() for sheet in sheets]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert f"default-src 'none'; img-src data:; style-src {allowed}; script-src 'none'; " in policy
    assert text.index("Content-Security-Policy") < text.index("<style>")


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
    # ROC and two reliability diagrams.
    assert page.tags.count("svg") == page.values("role").count("img") == 3
    assert page.tags.count("table") == page.tags.count("caption") == page.tags.count("thead")
    assert {"col", "row"} == set(page.values("scope"))


def test_parts_that_were_not_asked_for_are_left_out(folder):
    plain = measured(folder)
    assert "Robustness" not in WRITERS[".html"](plain)


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
    return measured(changed, against={HOSTILE: ["o" + HOSTILE]}, robustness=True, degradations=["blur"])


def test_a_hostile_name_stays_a_name(hostile):
    text = WRITERS[".html"](hostile)
    page = Page(text)
    assert "script" not in page.tags
    shown = HOSTILE.replace("\x1b", "\\x1b")
    assert shown in page.text
    assert "\x1b" not in text
    assert "\x1b" not in as_text(hostile)


def test_one_class_alone_can_be_reported(folder):
    reals = replace(folder, rows=tuple(row for row in folder.rows if row.label == "real"))
    found = measured(reals, robustness=True, degradations=["blur"])
    page = Page(WRITERS[".html"](found))
    assert page.tags.count("svg") == 2, "no ROC and no AUC to draw, but two reliability diagrams"
    assert "Nothing to show." in page.text
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
        ("r.txt", r"use one of \.json, \.html"),
        ("none/r.html", "cannot be written"),
        ("folder.html", "cannot be written"),
    ):
        with pytest.raises(ReportError, match=reason):
            check_report(tmp_path / name)


def places(plot):
    yield from (point for line in plot.lines for point in line.points)
    yield from ((dot.x, dot.y) for dot in plot.dots)


def test_every_plot_lies_on_its_plane(result):
    plots = [roc_plot(result), *(reliability_plot(result, name) for name in ("clips", "crops"))]
    for plot in plots:
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in places(plot)), plot.label
    assert [bar.text for bar in plots[1].bars] == [
        str(row["count"]) for row in result["reliability"]["clips"]
    ]


def test_roc_curves_carry_the_area_and_skip_what_does_not_exist():
    confusion = [[3, 1], [1, 3]]
    result = {
        "roc": {"crops": None, "clips": [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]},
        "clips": {"auc": 0.75, "confusion": confusion},
        "crops": {"auc": None, "confusion": confusion},
    }
    plot = roc_plot(result)
    assert [key.text for key in plot.keys] == ["clips, AUC 0.750"]
    assert [(dot.x, dot.y) for dot in plot.dots] == [(0.25, 0.75)]
    result["roc"]["clips"] = None
    assert roc_plot(result) is None
