from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from report_samples import (
    CARD,
    ENSEMBLE_REPORTS,
    HOSTILE,
    MEMBERS,
    REPORTS,
    by_members,
    clip,
    document_of,
    evidence_of,
    face_crops,
    failed,
    interview,
    no_face,
    schema,
    signed,
    still,
    to_document,
    too_small,
)

from vidscan.errors import ReportError
from vidscan.options import ScanOptions
from vidscan.records import (
    Box,
    Calibration,
    Label,
    ModelCard,
    Report,
    SourceFacts,
    SourceKind,
    Status,
    StillRule,
    Verdict,
)
from vidscan.report.codec import valid_text
from vidscan.report.document import Document, Result
from vidscan.system.typed_json import Form, json_schema

VALIDATOR = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_schema_is_itself_valid_and_fresh_each_time() -> None:
    Draft202012Validator.check_schema(schema())
    schema().clear()
    assert schema()["$id"] == "urn:vidscan:report:1"


def shape(part: Any, whole: Document) -> Any:
    """A schema's part without words and conditions, its references resolved, each ``null`` an alternative."""
    if isinstance(part, list):
        return [shape(each, whole) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return shape(whole["$defs"][part["$ref"].removeprefix("#/$defs/")], whole)
    if isinstance(part.get("type"), list):
        kind, _ = part["type"]
        return {"anyOf": [shape({**part, "type": kind}, whole), {"type": "null"}]}
    made = {}
    for name, each in part.items():
        if name == "properties":
            made[name] = {key: shape(value, whole) for key, value in each.items()}
        elif name in ("enum", "required"):
            made[name] = sorted(each)
        elif name not in ("title", "description", "if", "then", "else"):
            made[name] = shape(each, whole)
    return made


def test_the_schema_is_that_of_the_types() -> None:
    published = schema()
    derived = json_schema(Result, Form.REPORT)
    there, here = shape(published["$defs"]["result"], published), shape(derived, derived)
    # Published later than the rest, so that a report of before still fits.
    stats = here["properties"]["stats"]
    stats["required"].remove("crops_scored")
    here["required"].remove("provenance")
    # A member speaks of faces that were judged.
    (verdict, _) = here["properties"]["verdict"]["anyOf"]
    verdict["properties"]["members"]["items"]["properties"]["label"]["enum"].remove("NO_FACE")
    assert there == here


def test_the_schema_has_every_field_of_a_card() -> None:
    published, derived = schema()["$defs"], json_schema(ModelCard, Form.CARD)["$defs"]
    fields = set(derived["ModelCard"]["properties"])
    assert set(published["card"]["properties"]) == fields - {"ensemble_weight"} | {"detector"}
    assert set(published["member"]["properties"]) == fields - {"members", "stills"}
    calibration = published["card"]["properties"]["calibration"]["properties"]
    assert set(calibration) == set(derived["Calibration"]["properties"])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(REPORTS, max_size=4))
def test_every_document_fits_the_schema_and_survives_json(reports: list[Report]) -> None:
    document = to_document(reports, options=ScanOptions().to_report(), card=CARD)
    VALIDATOR.validate(document)
    written = json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert json.loads(written) == document
    assert len(document["results"]) == len(reports)


def test_a_rule_for_stills_is_told_with_the_card() -> None:
    rule = StillRule((0.1, 0.9), Calibration(1.1, 0.2, "stills"))
    report = replace(clip(), model_card=replace(CARD, stills=rule))
    document = document_of(report)
    assert document["model"]["stills"]["weights"] == [0.1, 0.9]
    VALIDATOR.validate(document)
    assert "stills" not in document_of(clip())["model"]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(ENSEMBLE_REPORTS, min_size=1, max_size=3))
def test_every_document_of_an_ensemble_fits_the_schema_too(reports: list[Report]) -> None:
    document = document_of(*reports)
    VALIDATOR.validate(document)
    assert len(document["model"]["members"]) == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(REPORTS, max_size=4))
def test_the_summary_counts_each_source_once(reports: list[Report]) -> None:
    found = dict(document_of(*reports)["summary"])
    declared = [report.provenance is not None and report.provenance.declares_ai for report in reports]
    assert found.pop("declared_ai") == declared.count(True)
    assert found.pop("total") == len(reports) == sum(found.values())


def test_a_clip_in_full() -> None:
    document = document_of(clip(scores=[[0.25, 0.75]], segments=()))
    assert document["schema"] == "vidscan.report/1"
    assert document["created"] == "2025-03-01T12:30:15+00:00"
    calibration = {"slope": 1.1, "intercept": -0.2, "fitted_on": "held-out people", "spread": 1.0}
    assert document["model"]["calibration"] == calibration
    others = dict.fromkeys(("real", "uncertain", "no_face", "failed", "declared_ai"), 0)
    assert document["summary"] == {"total": 1, "fake": 1} | others
    face = {"track": 1, "box": [10.0, 20.0, 64.0, 80.0], "detection_confidence": 0.9, "quality": 1.0}
    assert document["results"] == [
        {
            "source": "clips/interview.mp4",
            "kind": "video",
            "facts": None,
            "status": "ok",
            "error": None,
            "verdict": {
                "label": "FAKE",
                "fake_probability": 0.75,
                "confidence": 0.75,
                "reason": "5 of 10 faces look made",
                "tracks": [1],
                "interval": [0.7, 0.79],
            },
            "provenance": None,
            "timeline": [
                {"time_s": 0.0, "fake_probability": 0.25, "faces": [face | {"fake_probability": 0.25}]},
                {"time_s": 0.5, "fake_probability": 0.75, "faces": [face | {"fake_probability": 0.75}]},
            ],
            "segments": [],
            "tracks": [
                {
                    "id": 1,
                    "person": 0,
                    "start_s": 0.0,
                    "end_s": 0.5,
                    "faces": 2,
                    "fake_probability": 0.75,
                    "quality": 1.0,
                    "counted": True,
                    "weight": 1.0,
                    "note": "",
                }
            ],
            "stats": {
                "duration_s": 1.0,
                "frames_sampled": 2,
                "faces_scored": 2,
                "faces_reused": 0,
                "faces_unjudged": 0,
                "cuts_s": [],
                "crops_scored": 0,
                "batch_slots": 0.0,
                "seconds": {"decode": 0.4, "detect": 1.25, "wait": 0.0, "score": 3.0, "total": 3.6},
            },
        }
    ]


def test_people_cuts_and_faces_that_were_not_judged_are_in_their_places() -> None:
    document = document_of(interview(), too_small(), too_small("s.jpg", SourceKind.IMAGE))
    VALIDATOR.validate(document)
    result, small, still_result = document["results"]
    told = ("id", "person", "fake_probability", "counted", "weight", "quality", "note")
    assert [tuple(track[name] for name in told) for track in result["tracks"][:3]] == [
        (1, 1, 0.8, True, 0.75, 0.8, ""),
        (2, 2, 0.14, True, 0.25, 0.2, ""),
        (3, 3, None, False, 0.0, 0.05, "too small to judge"),
    ]
    assert result["tracks"][3]["person"] == 1
    (moment,) = (point for point in result["timeline"] if point["time_s"] == 2.0)
    assert [(face["fake_probability"], face["quality"]) for face in moment["faces"]] == [
        (0.1, 0.2),
        (None, 0.05),
    ]
    assert (result["stats"]["faces_unjudged"], result["stats"]["cuts_s"]) == (4, [2.0, 4.0])
    assert small["timeline"][0]["fake_probability"] is None
    for each in (small, still_result):
        verdict = each["verdict"]
        assert verdict["label"] == "UNCERTAIN"
        assert verdict["fake_probability"] is verdict["confidence"] is verdict["interval"] is None


def test_an_ensemble_says_nothing_of_faces_that_were_not_judged() -> None:
    document = document_of(by_members(interview()), by_members(too_small()))
    VALIDATOR.validate(document)
    tracks = document["results"][0]["tracks"]
    assert [track["id"] for track in tracks if "members" not in track] == [3]
    assert "members" not in json.dumps(document["results"][1])


@pytest.mark.parametrize("change", [{"quality": 1.2}, {"weight": -0.1}, {"quality": math.nan}])
def test_an_impossible_quality_or_weight_is_refused(change: dict[str, float]) -> None:
    report = clip()
    with pytest.raises(ReportError, match=r"interview\.mp4.*fault in vidscan"):
        document_of(replace(report, tracks=(replace(report.tracks[0], **change),)))


def test_quality_and_weight_have_three_decimals() -> None:
    report = clip(scores=[[0.5]], segments=())
    track = replace(report.tracks[0], quality=np.float32(0.12345), weight=1 / 3)
    (face,) = report.timeline[0].faces
    point = replace(report.timeline[0], faces=(replace(face, quality=np.float32(1.0000001)),))
    (result,) = document_of(replace(report, tracks=(track,), timeline=(point,)))["results"]
    assert (result["tracks"][0]["quality"], result["tracks"][0]["weight"]) == (0.123, 0.333)
    assert result["timeline"][0]["faces"][0]["quality"] == 1.0


def test_one_model_has_no_members_anywhere_and_the_card_of_old() -> None:
    document = document_of(clip(), still(), no_face(), failed())
    assert "members" not in json.dumps(document)
    assert list(document["model"]) == [
        *("name", "backbone", "input_size", "margin", "positive_class", "fake_threshold", "real_threshold"),
        *("calibration", "sha256", "terms", "data", "split", "metrics", "limits", "level", "least_face"),
        *("least_detail", "quantisation", "mouth"),
    ]


def test_an_ensemble_shows_its_members_wherever_there_is_a_score() -> None:
    document = document_of(by_members(clip()), by_members(no_face()), by_members(failed()))
    VALIDATOR.validate(document)
    assert "detector" not in document["model"]
    first, second = document["model"]["members"]
    assert (first["name"], first["sha256"], first["ensemble_weight"]) == ("lite2", "a1" * 32, 2.0)
    assert (second["input_size"], second["margin"]) == (380, 1.3)
    clip_result, no_face_result, failed_result = document["results"]
    assert clip_result["verdict"]["members"] == [
        {"name": "lite2", "label": "FAKE", "fake_probability": 0.96},
        {"name": "b4", "label": "REAL", "fake_probability": 0.11},
    ]
    faces = [face for point in clip_result["timeline"] for face in point["faces"]]
    assert all(item["members"] == [0.96, 0.11] for item in (*faces, *clip_result["tracks"]))
    assert "members" not in no_face_result["verdict"]
    assert failed_result["verdict"] is None


def test_an_impossible_score_of_a_member_is_refused() -> None:
    with pytest.raises(ReportError, match=r"interview\.mp4.*fault in vidscan"):
        document_of(by_members(clip(), (math.nan, 0.5)))


def test_a_failed_source_has_an_error_and_no_verdict() -> None:
    result = document_of(failed())["results"][0]
    assert result["verdict"] is None
    assert result["error"] == {"type": "DecodeError", "message": "no video stream: is it a clip?"}


def test_the_summary_names_every_outcome() -> None:
    reports = [clip(), clip(label=Label.REAL), clip(label=Label.UNCERTAIN), no_face(), failed(), still()]
    reports[-1] = replace(reports[-1], provenance=signed())
    expected = {"total": 6, "fake": 2, "real": 1, "uncertain": 1, "no_face": 1, "failed": 1, "declared_ai": 1}
    assert document_of(*reports)["summary"] == expected


def test_numbers_are_rounded_and_plain() -> None:
    report = clip(scores=[[np.float32(0.1234567), np.float32(1.0000001)]], step_s=1 / 3)
    point = report.timeline[1]
    moved = replace(point.faces[0], box=Box(*np.float32([-0.01, 20.06, 64.14, 80.0])))
    report = replace(report, timeline=(report.timeline[0], replace(point, faces=(moved,))))
    first, second = document_of(report)["results"][0]["timeline"]
    assert first["fake_probability"] == 0.123457
    assert second["time_s"] == 0.333
    assert second["fake_probability"] == 1.0
    assert second["faces"][0]["box"] == [0.0, 20.1, 64.1, 80.0]
    assert math.copysign(1, second["faces"][0]["box"][0]) == 1  # no "-0.0"
    assert type(second["faces"][0]["fake_probability"]) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.01, -0.01])
def test_an_impossible_probability_is_refused_by_name(value: float) -> None:
    report = clip()
    track = replace(report.tracks[0], fake_probability=value)
    with pytest.raises(ReportError, match=r"interview\.mp4.*fault in vidscan"):
        document_of(replace(report, tracks=(track,)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_an_impossible_time_is_refused(value: float) -> None:
    report = clip()
    with pytest.raises(ReportError, match="fault in vidscan"):
        document_of(replace(report, stats=replace(report.stats, duration_s=value)))


@pytest.mark.parametrize(
    "report",
    [
        replace(clip(), verdict=None),
        replace(clip(), error=failed().error),
        replace(failed(), error=None),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(report: Report) -> None:
    with pytest.raises(ReportError, match="says otherwise"):
        document_of(report)


def test_a_failed_report_keeps_no_verdict_even_if_one_was_begun() -> None:
    begun = replace(failed(), verdict=Verdict(Label.FAKE, 0.9, 0.9, "so far"))
    document = document_of(begun)
    assert document["results"][0]["verdict"] is None
    assert document["summary"]["failed"] == 1
    VALIDATOR.validate(document)


def test_options_and_card_become_plain_values() -> None:
    card = replace(
        CARD, metrics=MappingProxyType({"auc": np.float32(0.5), "eer": math.nan, "n": np.int64(3)})
    )
    options = {
        "path": Path("x"),
        "kinds": (SourceKind.VIDEO,),
        "sizes": np.array([1, 2]),
        3: None,
        "on": True,
    }
    document = to_document([], options=options, card=card)
    assert document["model"]["metrics"] == {"auc": 0.5, "eer": None, "n": 3}
    assert document["options"] == {"path": "x", "kinds": ["video"], "sizes": [1, 2], "3": None, "on": True}
    with pytest.raises(TypeError, match="object has no place"):
        to_document([], options={"what": object()}, card=card)


def test_a_hostile_path_stays_whole_but_valid() -> None:
    source = document_of(clip(HOSTILE))["results"][0]["source"]
    assert source.endswith(r"gpj.\xff\x80.mp4")
    assert source.startswith("[red]bad[/red]\n=\x1b")
    assert valid_text("\ud800 \udc80 é") == r"\ud800 \x80 é"


def test_pictures_go_beside_the_document_and_not_into_it() -> None:
    seen = replace(clip(HOSTILE), evidence=face_crops(1, [0.9, 0.1]))
    document, evidence = document_of(seen, clip()), evidence_of([seen, clip()])
    VALIDATOR.validate(document)
    assert list(evidence) == [document["results"][0]["source"]]
    assert evidence[document["results"][0]["source"]] is seen.evidence


def test_facts_of_a_file_are_in_its_result() -> None:
    facts = SourceFacts(1234, "ab" * 32, "h264", 640, 360)
    known, unknown = document_of(replace(clip(), facts=facts), clip())["results"]
    assert known["facts"] == {
        "bytes": 1234,
        "sha256": "ab" * 32,
        "codec": "h264",
        "width": 640,
        "height": 360,
    }
    assert unknown["facts"] is None


def test_names_that_look_alike_are_told_apart_by_their_bytes() -> None:
    escaped, raw = document_of(clip("a\\xff.mp4"), clip("a\udcff.mp4"))["results"]
    assert escaped["source"] == raw["source"] == r"a\xff.mp4"
    assert "source_bytes" not in escaped
    assert bytes.fromhex(raw["source_bytes"]) == b"a\xff.mp4"


def _result(change: Callable[[Document], Any]) -> Callable[[Document], Any]:
    return lambda document: change(document["results"][0])


BREAKS: dict[str, Callable[[Document], Any]] = {
    "unknown top key": lambda d: d.update(extra=1),
    "missing top key": lambda d: d.pop("summary"),
    "other version": lambda d: d.update(schema="vidscan.report/2"),
    "date without time": lambda d: d.update(created="2025-03-01"),
    "negative count": lambda d: d["summary"].update(fake=-1),
    "count as text": lambda d: d["summary"].update(total="1"),
    "unknown card key": lambda d: d["model"].update(colour="red"),
    "input size 0": lambda d: d["model"].update(input_size=0),
    "short hash": lambda d: d["model"].update(sha256="abc"),
    "class unknown": lambda d: d["model"].update(positive_class="maybe"),
    "unknown result key": _result(lambda r: r.update(evidence=[])),
    "empty source": _result(lambda r: r.update(source="")),
    "facts without a hash": _result(lambda r: r.update(facts={"bytes": 1})),
    "facts of no bytes": _result(lambda r: r["facts"].update(bytes=-1)),
    "facts left out": _result(lambda r: r.pop("facts")),
    "bytes in no hexadecimal": _result(lambda r: r.update(source_bytes="0g")),
    "unknown kind": _result(lambda r: r.update(kind="audio")),
    "unknown status": _result(lambda r: r.update(status="skipped")),
    "ok with an error": _result(lambda r: r.update(error={"type": "E", "message": "m"})),
    "ok without verdict": _result(lambda r: r.update(verdict=None)),
    "failed with verdict": _result(lambda r: r.update(status="failed", error={"type": "E", "message": "m"})),
    "failed without error": _result(lambda r: r.update(status="failed", verdict=None)),
    "lower-case label": _result(lambda r: r["verdict"].update(label="fake")),
    "probability above 1": _result(lambda r: r["verdict"].update(fake_probability=1.1)),
    "probability below 0": _result(lambda r: r["verdict"].update(confidence=-0.1)),
    "FAKE without a score": _result(lambda r: r["verdict"].update(fake_probability=None)),
    "REAL without a score": _result(
        lambda r: r["verdict"].update(label="REAL", fake_probability=None, confidence=None, interval=None)
    ),
    "UNCERTAIN with confidence in no score": _result(
        lambda r: r["verdict"].update(label="UNCERTAIN", fake_probability=None, interval=None)
    ),
    "UNCERTAIN with a score of no confidence": _result(
        lambda r: r["verdict"].update(label="UNCERTAIN", confidence=None)
    ),
    "NO_FACE with a score": _result(lambda r: r["verdict"].update(label="NO_FACE")),
    "moment without faces": _result(lambda r: r["timeline"][0].update(faces=[])),
    "time before the start": _result(lambda r: r["timeline"][0].update(time_s=-1)),
    "box of three": _result(lambda r: r["timeline"][0]["faces"][0]["box"].pop()),
    "box of five": _result(lambda r: r["timeline"][0]["faces"][0]["box"].append(1)),
    "negative width": _result(lambda r: r["timeline"][0]["faces"][0].update(box=[0, 0, -1, 1])),
    "unknown face key": _result(lambda r: r["timeline"][0]["faces"][0].update(name="Ann")),
    "segment without track": _result(lambda r: r["segments"][0].pop("track")),
    "track of no faces": _result(lambda r: r["tracks"][0].update(faces=0)),
    "face without quality": _result(lambda r: r["timeline"][0]["faces"][0].pop("quality")),
    "face of too good a quality": _result(lambda r: r["timeline"][0]["faces"][0].update(quality=1.1)),
    "face scored in words": _result(lambda r: r["timeline"][0]["faces"][0].update(fake_probability="-")),
    "moment scored above 1": _result(lambda r: r["timeline"][0].update(fake_probability=1.1)),
    "segment without a score": _result(lambda r: r["segments"][0].update(fake_probability=None)),
    "track without a person": _result(lambda r: r["tracks"][0].pop("person")),
    "person below 0": _result(lambda r: r["tracks"][0].update(person=-1)),
    "track that weighs too much": _result(lambda r: r["tracks"][0].update(weight=1.1)),
    "track without quality": _result(lambda r: r["tracks"][0].pop("quality")),
    "note that is none": _result(lambda r: r["tracks"][0].update(note=None)),
    "cut before the start": _result(lambda r: r["stats"].update(cuts_s=[-1.0])),
    "cuts as a number": _result(lambda r: r["stats"].update(cuts_s=1)),
    "faces unjudged left out": _result(lambda r: r["stats"].pop("faces_unjudged")),
    "card that is level by half": lambda d: d["model"].update(level=0.5),
    "card of less than no face": lambda d: d["model"].update(least_face=-1),
    "card without its least face": lambda d: d["model"].pop("least_face"),
    "track without counted": _result(lambda r: r["tracks"][0].pop("counted")),
    "half a frame": _result(lambda r: r["stats"].update(frames_sampled=1.5)),
    "unknown stage": _result(lambda r: r["stats"]["seconds"].update(explain=1)),
}


def _members(change: Callable[[list[Any]], Any], *path: str | int) -> Callable[[Document], Any]:
    def change_at_path(document: Document) -> None:
        node = document
        for step in path:
            node = node[step]
        change(node["members"])

    return change_at_path


ENSEMBLE_BREAKS: dict[str, Callable[[Document], Any]] = {
    "one member alone": _members(list.pop, "model"),
    "member without a weight": _members(lambda m: m[0].pop("ensemble_weight"), "model"),
    "member of weight 0": _members(lambda m: m[0].update(ensemble_weight=0), "model"),
    "member with a short hash": _members(lambda m: m[0].update(sha256="abc"), "model"),
    "member without level": _members(lambda m: m[0].pop("level"), "model"),
    "unknown member key": _members(lambda m: m[0].update(colour="red"), "model"),
    "member that sees no face": _members(lambda m: m[0].update(label="NO_FACE"), "results", 0, "verdict"),
    "score of one member": _members(list.pop, "results", 0, "tracks", 0),
    "score above 1": _members(lambda m: m.append(1.1), "results", 0, "timeline", 0, "faces", 0),
}


@pytest.mark.parametrize("name", ENSEMBLE_BREAKS)
def test_broken_members_do_not_fit_the_schema(name: str) -> None:
    document = document_of(by_members(clip()))
    VALIDATOR.validate(document)
    ENSEMBLE_BREAKS[name](document)
    assert not VALIDATOR.is_valid(document)


def test_a_members_card_in_the_schema_is_that_of_a_model_with_a_weight() -> None:
    card, member = schema()["$defs"]["card"], schema()["$defs"]["member"]
    assert set(member["properties"]) == set(card["properties"]) - {"members", "stills", "detector"} | {
        "ensemble_weight"
    }
    assert set(member["properties"]) == {each.name for each in fields(MEMBERS[0])} - {"members", "stills"}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_document_does_not_fit_the_schema(name: str) -> None:
    document = document_of(replace(clip(), facts=SourceFacts(1, "ab" * 32)))
    VALIDATOR.validate(document)
    broken = copy.deepcopy(document)
    BREAKS[name](broken)
    assert broken != document
    assert not VALIDATOR.is_valid(broken)


def test_every_object_that_vidscan_owns_is_closed() -> None:
    open_objects = []

    def walk(node: Any, place: str) -> None:
        if isinstance(node, dict):
            if "properties" in node and not place.endswith(("if", "then", "else")):
                closed = node.get("additionalProperties") is False
                # An ensemble's report alone has members, a name that is no UTF-8 its bytes, a still's face
                # views; reports of earlier versions have no quantisation, least_detail, crops_scored and
                # provenance. Most files need no remark, and have one stream. Few cards tell stills apart.
                sometimes = {"members", "detector", "source_bytes", "quantisation", "views", "crops_scored"}
                sometimes |= {
                    "least_detail",
                    "mouth",
                    "provenance",
                    "declared_ai",
                    "remarks",
                    "stream",
                    "stills",
                }
                complete = set(node.get("required", ())) == set(node["properties"]) - sometimes
                if not (closed and complete):
                    open_objects.append(place)
            for key, child in node.items():
                walk(child, f"{place}/{key}")

    walk(schema(), "#")
    assert open_objects == []


def test_status_values_are_those_of_the_records() -> None:
    result = schema()["$defs"]["result"]["properties"]
    assert result["status"]["enum"] == [status.value for status in Status]
    assert result["kind"]["enum"] == [kind.value for kind in SourceKind]
    assert schema()["$defs"]["verdict"]["properties"]["label"]["enum"] == [label.value for label in Label]
