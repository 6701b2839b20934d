"""The page as text: what it says, what it lets in, and how large it becomes. A browser opens it elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
    CARD,
    CREATED,
    ENSEMBLE_REPORTS,
    HOSTILE,
    REPORTS,
    by_members,
    clip,
    document_of,
    face_crops,
    failed,
    interview,
    no_face,
    still,
    to_document,
    too_small,
)

from vidscan.options import VerdictOptions
from vidscan.records import (
    HeatKind,
    HeatSource,
    Label,
    ModelCard,
    Remark,
    Report,
    Segment,
    SourceFacts,
    SourceKind,
)
from vidscan.report import html
from vidscan.report.document import evidence_of
from vidscan.report.html import pictures
from vidscan.report.html.chart import UNJUDGED, chart_of, strip_of
from vidscan.report.html.view import MAX_MOMENTS, file_views, folder_and_names, moments_of_each, thresholds
from vidscan.verdict.judge import thresholds as thresholds_of_the_verdict

VENDOR = Path(html.__file__).parent / "vendor" / "uplot"


class Page(HTMLParser):
    """Elements with their attributes, texts outside scripts, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.code:
            self.code[self._inside].append(data)
        else:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def written(*reports: Report) -> str:
    stream = io.StringIO(newline="")
    html.write(document_of(*reports), stream, evidence_of(reports))
    return stream.getvalue()


def page_of(*reports: Report) -> Page:
    return Page(written(*reports))


def test_a_clip_says_its_verdict_what_it_rests_on_and_what_file_it_was() -> None:
    facts = SourceFacts(1_234_567, "ab" * 32, "h264", 640, 360)
    said = page_of(replace(clip(), facts=facts)).text
    for words in (
        "FAKE P(fake) 0.98 (0.93 to >0.99) very sure (98%)",
        "would have scored between 0.93 and >0.99, 19 times in 20",
        "5 of 10 faces look made",
        "9 faces scored; somebody was seen in 9 of 10 frames looked at.",
        "1 person followed.",
        "Of 9 sightings of track 1, 4 point to fake, 4 to real and 1 to neither.",
        "Fitted on held-out people: a score is meant as a probability.",
        "FAKE from 0.60, REAL up to 0.40, from the checkpoint’s card.",
        "h264",
        "640 × 360 pixels",
        "1.2 MB (1,234,567 bytes)",
        "0:05.0 (5 s)",
        "ab" * 32,
        "No pictures of the faces were kept in this scan.",
        "sampling › fps 2",
    ):
        assert words in said, words


def test_an_uncalibrated_score_is_not_called_a_probability() -> None:
    said = page_of(clip(card=ModelCard("mine", "unknown", 380))).text
    assert "an uncalibrated score, not a probability" in said and "very sure" not in said
    assert "None: nobody compared this checkpoint’s scores with known clips." in said
    assert "Its card names none. That is no sign that there are none." in said


def test_thresholds_that_were_asked_for_are_said_to_be() -> None:
    options = {"verdict": {"fake_threshold": 0.7, "real_threshold": None}}
    document = to_document([clip()], options=options, card=CARD, created=CREATED)
    stream = io.StringIO()
    html.write(document, stream)
    assert "FAKE from 0.70, REAL up to 0.40, set for this scan." in Page(stream.getvalue()).text


@given(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_thresholds_are_those_of_the_verdict(
    fake: float | None, real: float | None, card_fake: float, card_real: float
) -> None:
    if fake is not None and real is not None and real > fake:
        fake, real = real, fake
    card = replace(CARD, fake_threshold=max(card_fake, card_real), real_threshold=min(card_fake, card_real))
    options = VerdictOptions(fake, real)
    echoed = {"verdict": {"fake_threshold": fake, "real_threshold": real}}
    document = to_document([], options=echoed, card=card, created=CREATED)
    assert thresholds(document) == thresholds_of_the_verdict(card, options)


def test_members_of_an_ensemble_are_told_apart() -> None:
    said = page_of(by_members(clip())).text
    assert "Each alone would say: lite2 0.96 (FAKE), b4 0.11 (REAL)." in said
    assert "Weight in the ensemble 2" in said


def test_a_folder_is_a_table_with_the_most_suspicious_first_and_a_section_each() -> None:
    mild = clip("clips/b.mp4", [[0.2, 0.3]], label=Label.REAL, segments=())
    page = page_of(
        no_face("clips/n.mp4"), failed("clips/x.mp4"), mild, clip("clips/a.mp4"), still("clips/s.jpg")
    )
    rows = [each for each in page.named("tr") if "data-name" in each]
    assert [row["data-name"] for row in rows] == ["a.mp4", "s.jpg", "b.mp4", "n.mp4", "x.mp4"]
    assert [row["data-label"] for row in rows] == ["FAKE", "FAKE", "REAL", "NO_FACE", "FAILED"]
    links = [each["href"] for each in page.named("a") if each["href"] != "#main"]
    assert links == [f"#{each['id']}" for each in page.named("details") if "id" in each]
    assert "5 files" in page.text and "no video stream: is it a clip?" in page.text


def test_a_folder_without_results_says_so() -> None:
    assert "Nothing was finished" in page_of().text


def table_rows(text: str, caption: str) -> list[list[str]]:
    """The cells of a table's lines below its heads, as texts."""
    (table,) = (part for part in re.findall(r"<table.*?</table>", text, re.S) if caption in part)
    lines = re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
    return [
        [Page(cell).text for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)] for line in lines
    ]


def test_tracks_name_their_person_share_quality_and_note() -> None:
    assert [cells[:7] for cells in table_rows(written(interview()), "Tracks: people")] == [
        ["1", "1", "0.80", "75%", "4", "0.80", "0:00.0 – 0:01.5"],
        ["2", "2", "0.14", "25%", "4", "0.20", "0:02.0 – 0:03.5 poor quality"],
        ["3", "3", "—", "—", "4", "0.05", "0:02.0 – 0:03.5 too small to judge"],
        ["4", "1", "0.88", "75%", "4", "0.80", "0:04.0 – 0:05.5"],
        ["5", "5", "0.40", "—", "1", "0.80", "0:05.5 – 0:05.5 seen too briefly"],
    ]
    assert "bear the same number under “person”" in page_of(interview()).text
    assert "person”" not in page_of(clip()).text
    assert len(table_rows(written(clip()), "Tracks: people")[0]) == 7, "without a person"


def test_remarks_and_streams_are_told() -> None:
    first, *others = interview().tracks
    said = (Remark("streams", "It holds 2 video streams."), Remark("cover", "<b>A cover"))
    tracks = (first, *(replace(each, stream=1) for each in others))
    text = page_of(replace(interview(), tracks=tracks, remarks=said)).text
    assert "It holds 2 video streams." in text and "<b>A cover" in text
    assert "stream 0" in text and "stream 1, too small to judge" in text
    assert "stream" not in page_of(interview()).text.lower()


def test_what_a_joined_person_rests_on() -> None:
    said = page_of(interview()).text
    for words in (
        "13 faces scored, 4 too small to judge; somebody was seen in 12 of 13 frames looked at.",
        "2 people followed in 3 tracks; the verdict rests on person 1; "
        "1 track too small to judge; 1 track seen too briefly.",
        "Of 8 sightings of person 1, 7 point to fake, 1 to real and none to neither.",
        "13 frames, 13 faces and 4 too small to judge, in 2.9 s",
        "Shots 3",
        "thin vertical lines are cuts; hollow squares at the foot are faces too small to judge",
    ):
        assert words in said, words
    plain = page_of(clip()).text
    assert "cuts" not in plain and "hollow squares" not in plain and "Shots" not in plain


def test_the_person_is_named_whom_the_verdict_rests_on() -> None:
    report = interview()
    said = page_of(replace(report, verdict=replace(report.verdict, tracks=(2,)))).text
    assert "2 people followed in 3 tracks; the verdict rests on track 2;" in said
    assert "4 sightings of track 2 point to real" in said


def test_a_clip_of_faces_too_small_to_judge_says_so_and_shows_no_score() -> None:
    page = page_of(too_small())
    for words in (
        "UNCERTAIN Every face is too small to judge.",
        "0 faces scored, 4 too small to judge; somebody was seen in every one of 4 frames looked at.",
        "Nobody has a part in the verdict; 1 track too small to judge.",
    ):
        assert words in page.text, words
    assert not [each for each in page.named("svg") if each.get("class") == "gauge"]
    assert "point to" not in page.text.replace("to point to", "")
    assert [each["aria-label"] for each in page.named("svg")] == ["Faces were seen, and none was judged"] * 2
    assert "too small to judge" in page_of(too_small("s.jpg", SourceKind.IMAGE)).text


def test_moments_tell_faces_that_were_not_judged() -> None:
    rows = table_rows(written(interview()), "Every face and its score")
    assert rows[4] == ["0:02.0", "2", "0.10", "200, 40", "96 × 110", "0.90", "0.20"]
    assert rows[5] == ["0:02.0", "3", "not judged", "400, 60", "22 × 26", "0.90", "0.05"]


def test_a_file_without_a_score_stands_behind_those_that_have_one() -> None:
    mild = clip("clips/b.mp4", [[0.0]], label=Label.UNCERTAIN, segments=())
    page = page_of(failed(), no_face(), too_small(), mild)
    names = [each["data-name"] for each in page.named("tr") if "data-name" in each]
    assert names == ["b.mp4", "crowd.mp4", "landscape.mp4", "broken.mp4"]
    (row,) = (
        row for row in re.findall(r"<tr.*?</tr>", written(no_face(), too_small()), re.S) if "crowd" in row
    )
    assert re.findall(r'data-key="([^"]*)">([^<]*)<', row)[2:6] == [
        ("-1", "—"),
        ("0", "0"),
        ("0", "0"),
        ("2.0", "0:02.0"),
    ]


def test_pictures_of_poor_quality_and_of_joined_people_say_so() -> None:
    crops = (*face_crops(1, [0.3, 0.7]), *(replace(each, time_s=2.0) for each in face_crops(2, [0.1])))
    text = written(replace(interview(), evidence=crops))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert [Page(each).text for each in captions] == [
        "0.70 0:00.5",
        "0.30 0:00.0",
        "0.10 0:02.0 poor quality",
    ]
    assert "Track 1 (person 1)" in text and "Track 2 (person 2)" in text
    assert "(person" not in page_of(replace(clip(), evidence=face_crops(1, [0.5]))).text


def test_a_card_says_how_faces_are_cut_out_and_from_what_size_on() -> None:
    said = page_of(interview(card=replace(CARD, level=True, least_face=48))).text
    assert "crops 1.4 × the face, turned so that the eyes lie level" in said
    assert "Smallest face 48 pixels; smaller ones are not judged" in said
    plain = page_of(interview(card=replace(CARD, level=False, least_face=0))).text
    assert "Smallest face" not in plain and "eyes" not in plain


def test_faces_are_shown_from_the_highest_to_the_lowest_score() -> None:
    report = replace(clip(), evidence=face_crops(1, [0.1, 0.9, 0.5, 0.7]))
    page = page_of(report)
    alts = [each["alt"] for each in page.named("img") if each.get("id")]
    assert alts == [
        f"Face of track 1 at 0:0{at}, score {score}"
        for at, score in (("0.5", "0.90"), ("1.5", "0.70"), ("1.0", "0.50"), ("0.0", "0.10"))
    ]
    assert "Track 1, highest scores" in page.text and "Track 1, lowest scores" in page.text
    assert "No heat maps were made in this scan" in page.text


def decoded(uri: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2], validate=True), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def test_pictures_keep_colours_and_heat_lies_where_it_belongs() -> None:
    page = page_of(replace(clip(), evidence=face_crops(1, [0.9], heat=True)))
    images = page.named("img")
    (face,) = [each["src"] for each in images if each.get("id")]
    (heat,) = [each["src"] for each in images if each.get("class") == "heat"]
    assert np.allclose(decoded(face)[32, 32], (0, 20, 200), atol=6)  # BGR of a red face
    opacity = decoded(heat)[..., 3]
    side = opacity.shape[0]
    assert opacity[side // 4, side // 4] > 150 and opacity[3 * side // 4, 3 * side // 4] < 5
    assert "from dark violet over orange to pale yellow" in [each.get("alt") for each in images]


def test_page_tells_what_the_views_of_a_still_gave() -> None:
    text = page_of(still()).text
    assert (
        "Of face 2, which the verdict rests on, the one score is 0.93: the mean of 4 views, as it is (0.93) "
        "and mirrored or cut out a little differently (0.93, 0.90, 0.95)."
    ) in text
    assert "Another picture of the same person would have scored between" in text
    assert "Another picture" not in page_of(clip()).text


def test_page_tells_the_kind_of_heat_maps_and_the_network_they_explain() -> None:
    for kind, words in (
        (HeatKind.SHARES, "Patch shares of net <i>: exactly what the token of each patch adds"),
        (HeatKind.GRAD_CAM, "Grad-CAM of net <i>: an estimate by the gradients"),
    ):
        crops = face_crops(1, [0.9], heat=True)
        named = tuple(replace(crop, heat_source=HeatSource(kind, "net <i>")) for crop in crops)
        assert words in page_of(replace(clip(), evidence=named)).text
    plain = page_of(replace(clip(), evidence=face_crops(1, [0.9], heat=True))).text
    assert "Patch shares" not in plain and "Grad-CAM" not in plain


def test_a_large_crop_is_made_smaller_and_a_small_one_left() -> None:
    large, small = (
        pictures.face_pictures(
            [replace(face_crops(1, [0.9])[0], image=np.zeros((side, side, 3), np.uint8))], [], "p", 10**6
        ).all[0]
        for side in (380, 64)
    )
    assert decoded(large.crop).shape == (pictures.CROP_SIDE, pictures.CROP_SIDE, 3)
    assert decoded(small.crop).shape == (64, 64, 3)


def noisy(track: int, count: int) -> list:
    rng = np.random.default_rng(track)
    return [
        replace(
            each,
            image=rng.integers(0, 256, (380, 380, 3), np.uint8),
            heat=rng.random((12, 12)).astype(np.float32),
        )
        for each in face_crops(track, np.linspace(0, 1, count).tolist())
    ]


def test_a_page_of_one_clip_stays_below_2_mb_whatever_it_is_given() -> None:
    scores = [[0.9 - number / 20] * 1800 for number in range(6)]
    report = clip(scores=scores, segments=tuple(Segment(i, i + 0.5, 0.9, 1) for i in range(300)))
    report = replace(report, evidence=tuple(crop for track in range(1, 7) for crop in noisy(track, 8)))
    text = written(report)
    assert 1_400_000 < len(text.encode()) < 2_000_000
    assert re.search(r"\d+ more faces were kept and left out here", Page(text).text)
    assert "10400 more faces follow: a JSON or CSV report lists every one." in Page(text).text


def test_where_room_is_short_every_track_shows_its_extremes_first() -> None:
    tracks = [{"id": number, "counted": True, "fake_probability": 0.5 + number / 10} for number in (1, 2)]
    crops = [*noisy(1, 5), *noisy(2, 5)]
    size = max(each.size for each in pictures.face_pictures(crops, tracks, "p", 10**9).all)
    found = pictures.face_pictures(crops, tracks, "p", size * 4 + size // 2)
    assert found.left_out == 6
    assert [strip.track for strip in found.strips] == [1, 2]
    for strip in found.strips:
        assert [each.fake_probability for each in (*strip.highest, *strip.lowest)] == [1.0, 0.0]


def test_a_folder_shares_its_room() -> None:
    assert pictures.budget_of_each(1) == pictures.budget_of_each(2) == pictures.PAGE_BUDGET
    assert pictures.budget_of_each(1000) * 1000 <= pictures.FOLDER_BUDGET
    assert moments_of_each(0) == moments_of_each(50) == MAX_MOMENTS
    assert moments_of_each(200) == 100 and moments_of_each(100_000) == 20


def test_a_charts_lines_break_where_nobody_was_seen() -> None:
    scores = [[0.1, 0.2, None, None, 0.9, 0.8], [None, 0.5, None, None, None, None]]
    (result,) = document_of(clip(scores=scores))["results"]
    chart = chart_of(result, "c", 0.6, 0.4, ())
    assert chart["times"] == [0.0, 0.5, 1.25, 2.0, 2.5]
    assert chart["tracks"][0]["scores"] == [0.1, 0.2, None, 0.9, 0.8]
    assert chart["tracks"][1]["scores"] == [None, 0.5, None, None, None]
    assert chart["seen"] == [0, 1, 3, 4]
    assert chart["segments"] == [[1.5, 3.5, 1]]


def test_a_chart_holds_no_number_for_what_was_not_judged() -> None:
    (result,) = document_of(interview())["results"]
    chart = json.loads(json.dumps(chart_of(result, "c", 0.6, 0.4, ()), allow_nan=False))
    assert chart["cuts"] == [2.0, 4.0]
    assert [track["person"] for track in chart["tracks"]] == [1, 2, 3, 1, 5]
    small = chart["tracks"][2]
    assert set(small["scores"]) == {None}
    assert [chart["times"][row] for row in small["unjudged"]] == [2.0, 2.5, 3.0, 3.5]
    assert all(track["unjudged"] == [] for track in chart["tracks"] if track["id"] != 3)
    (alone,) = document_of(too_small())["results"]
    assert chart_of(alone, "c", 0.6, 0.4, ())["seen"] == [0, 1, 2, 3]


def test_a_strip_tells_faces_not_judged_from_gaps() -> None:
    (result,) = document_of(interview())["results"]
    strip = strip_of(result, 13, 3)
    assert list(strip.levels) == [*[0] * 4, *[UNJUDGED] * 4, *[0] * 5]
    assert strip_of(result, 13).words == "Scores over time: highest 0.97, at 0:04.5"
    assert written(interview()).count('<rect class="unjudged"') == 4


def test_a_strip_is_that_of_the_terminal() -> None:
    (result,) = document_of(clip())["results"]
    strip = strip_of(result, 10)
    assert list(strip.levels) == [1, 1, 2, 5, 8, 8, 8, 5, 0, 1]
    assert strip.words == "Scores over time: highest 0.98, at 0:02.5"


def test_stills_and_clips_without_a_face_have_no_chart() -> None:
    for report in (still(), no_face(), failed()):
        (result,) = document_of(report)["results"]
        assert chart_of(result, "c", 0.6, 0.4, ()) is None
        assert strip_of(result, 10) is None


ATTACK = "a\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>\u202egpj.mp4"


@pytest.mark.parametrize("name", [ATTACK, HOSTILE])
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    reports = [
        clip(name),
        failed(name, message=name),
        replace(clip(), facts=SourceFacts(1, "ab" * 32, codec=name), model_card=replace(CARD, name=name)),
    ]
    clean = page_of(clip(), failed(), replace(clip(), facts=SourceFacts(1, "ab" * 32, codec="c")))
    page = page_of(*reports)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]
    assert page.code["style"] == clean.code["style"] and page.code["script"][1:] == clean.code["script"][1:]
    assert "\u202e" not in written(*reports) and r"\u202egpj" in page.text


@settings(max_examples=40, deadline=None)
@given(st.lists(REPORTS, max_size=3) | st.lists(ENSEMBLE_REPORTS, min_size=1, max_size=2))
def test_every_report_makes_a_page_that_its_policy_covers(reports: list[Report]) -> None:
    text = written(*reports)
    text.encode("utf-8")
    page = Page(text)
    policy = page.named("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    for code in (*page.code["style"], *page.code["script"][1:]):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    json.loads(page.code["script"][0])
    for tag, attributes in page.elements:
        assert not any(name == "style" or name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "href"} & set(attributes) or str(
            attributes.get("src") or attributes.get("href")
        ).startswith(("data:image/", "#"))


def test_identifiers_are_unique() -> None:
    report = replace(clip(), evidence=face_crops(1, [0.1, 0.9, 0.5]))
    page = page_of(report, report, still(), no_face())
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_names_are_those_below_the_common_folder() -> None:
    assert folder_and_names(["a/b/c.mp4"]) == ("", ["c.mp4"])
    assert folder_and_names(["a/b/c.mp4", "a/d.mp4"]) == ("a", ["b/c.mp4", "d.mp4"])
    assert folder_and_names(["/a/c.mp4", "d.mp4"]) == ("", ["/a/c.mp4", "d.mp4"])
    assert folder_and_names([]) == ("", [])


def test_views_keep_every_result() -> None:
    document = document_of(clip(), still(), failed())
    views = file_views(document, ["a", "b", "c"])
    assert [(view.name, view.score) for view in views] == [("a", "0.98"), ("b", "0.93"), ("c", "")]


def test_the_plotting_library_is_the_one_its_note_names() -> None:
    note = (VENDOR / "README.md").read_text(encoding="utf-8")
    for path in (VENDOR / "uPlot.iife.min.js", VENDOR / "uPlot.min.css", VENDOR / "LICENSE"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in note, path.name
    assert "v1.6.32" in (VENDOR / "uPlot.iife.min.js").read_text(encoding="utf-8")[:200]
    assert "MIT" in (VENDOR / "LICENSE").read_text(encoding="utf-8")
