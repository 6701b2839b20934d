"""Records come back from JSON as they were; what was changed on the way is refused or told as it is."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import (
    CARD,
    ENSEMBLE_REPORTS,
    REPORTS,
    by_members,
    clip,
    face_crops,
    interview,
    still,
)

from vidscan.engines.isolated.codec import Finished, WireError, from_plain, pack, unpack
from vidscan.records import (
    Calibration,
    EvidenceCrop,
    HeatKind,
    HeatSource,
    Member,
    ModelCard,
    Report,
    SourceFacts,
    Stats,
    Track,
    Verdict,
)
from vidscan.report.codec import writer
from vidscan.report.document import Result, result_document
from vidscan.system import typed_json
from vidscan.system.typed_json import Form, MismatchError, field_types, to_plain

TOLD = ("status", "verdict", "tracks", "timeline", "segments", "stats", "error", "evidence", "facts")
CHANGES: list[Any] = [None, True, -1, 7, 0.5, 1e300, math.inf, math.nan, "", "FAKE", [], {}, [0.5, 0.5]]


def sent(value: Any) -> Any:
    """JSON values as they arrive."""
    return json.loads(json.dumps(to_plain(value)))


def told(report: Report) -> dict[str, Any]:
    """What a worker tells of a report."""
    return {name: sent(getattr(report, name)) for name in TOLD}


def believed(fields: dict[str, Any]) -> dict[str, Any]:
    kinds = field_types(Report)
    return {name: from_plain(kinds[name], fields[name]) for name in TOLD}


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Each dict or list in a tree, with each of its keys."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


@st.composite
def mutations(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one value replaced, taken out, doubled or moved to another name."""
    changed = copy.deepcopy(tree)
    holder, key = draw(st.sampled_from(list(places(changed))))
    what = draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "replace":
        holder[key] = draw(st.sampled_from(CHANGES))
    elif what == "remove":
        del holder[key]
    elif isinstance(holder, dict):
        holder[f"{key}x"] = holder[key]
    else:
        holder.append(copy.deepcopy(holder[key]))
    return changed


@settings(max_examples=60, deadline=None)
@given(REPORTS | ENSEMBLE_REPORTS)
def test_any_report_comes_back_from_a_worker(report: Report) -> None:
    back = believed(told(report))
    assert replace(report, **back) == report


def test_pictures_and_heat_maps_come_back_as_arrays() -> None:
    shares = HeatSource(HeatKind.SHARES, "vit")
    crops = tuple(replace(each, heat_source=shares) for each in face_crops(2, [0.9, 0.1], heat=True))
    back = believed(told(replace(clip(), evidence=crops)))["evidence"]
    for then, now in zip(crops, back, strict=True):
        assert now.image.dtype == np.uint8 and np.array_equal(now.image, then.image)
        assert now.heat.dtype == np.float32 and np.array_equal(now.heat, then.heat)
        assert now.heat_source == then.heat_source


WIRED = told(replace(by_members(interview()), facts=SourceFacts(7, "ab" * 32, "h264", 64, 36)))
WIRED["evidence"] = sent(face_crops(1, [0.5]))
WIRED["evidence"][0]["image"] = {"shape": [1, 1, 3], "data": "AAAA"}


@settings(max_examples=400, deadline=None)
@given(mutations(WIRED))
def test_a_changed_message_is_refused_or_told_as_it_is(changed: Any) -> None:
    try:
        back = believed(changed)
    except (WireError, KeyError):
        return
    assert {name: sent(value) for name, value in back.items()} == {name: changed[name] for name in TOLD}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"next": 1},
        {"next": True, "part": "0"},
        {"hello": "0"},
        {"frame": ["0", 1.0]},
        {"frame": ["0", True, None]},
        {"frame": ["0", "1.0", None]},
        {"failed": ["VidscanError"]},
        {"report": ["0", []]},
        {"report": ["0", {}, 1]},
        ["next"],
    ],
)
def test_what_is_no_message_is_refused(message: Any) -> None:
    with pytest.raises(WireError):
        unpack(pack(message)[4:])


def test_the_refusal_of_a_message_repeats_little_of_it() -> None:
    with pytest.raises(WireError) as refused:
        from_plain(Stats, {**to_plain(Stats()), "\x1b]0;owned\n" * 9999: 1})
    assert len(str(refused.value)) < 400 and str(refused.value).isprintable()


def test_messages_come_in_their_forms() -> None:
    assert unpack(pack({"part": "a\udcff.mp4"})[4:]) == {"part": "a\udcff.mp4"}
    assert unpack(pack({"frame": ["0", 1, None]})[4:]) == {"frame": ("0", 1.0, None)}
    assert unpack(pack({"report": ["0", {"status": 3}]})[4:]) == {"report": Finished("0", {"status": 3})}


@pytest.mark.parametrize(
    ("kind", "record", "change"),
    [
        (Verdict, clip().verdict, {"fake_probability": 1.01}),
        (Verdict, clip().verdict, {"interval": [0.1]}),
        (Verdict, clip().verdict, {"interval": [0.1, 0.2, 0.3]}),
        (Stats, clip().stats, {"duration_s": -1.0}),
        (Stats, clip().stats, {"frames_sampled": -1}),
        (Stats, clip().stats, {"frames_sampled": 1.5}),
        (SourceFacts, SourceFacts(1, "ab" * 32), {"sha256": "ab" * 32 + "\n"}),
        (Track, clip().tracks[0], {"faces": 0}),
    ],
)
def test_values_out_of_bounds_are_refused_in_any_form(kind: Any, record: Any, change: Any) -> None:
    whole = {**to_plain(record), **change}
    for form in (Form.CARD, Form.WIRE):
        with pytest.raises(MismatchError):
            typed_json.from_plain(kind, whole, form)


def test_what_rounding_takes_away_is_no_lie_of_a_worker() -> None:
    hair = replace(clip().tracks[0], fake_probability=float(np.float32(1.0000001)), start_s=-1e-7)
    assert typed_json.from_plain(Track, to_plain(hair), Form.WIRE) == hair
    for form in (Form.CARD, Form.REPORT):
        with pytest.raises(MismatchError, match=r"fake_probability|start_s|members"):
            typed_json.from_plain(Track, to_plain(hair), form)


@pytest.mark.parametrize(
    "picture",
    [
        {"shape": [64, 64], "data": "AAAA"},
        {"shape": [1 << 20, 1 << 20, 3], "data": "AAAA"},
        {"shape": [-1, -3], "data": "AAAA"},
        {"shape": [1, 1, 1, 1, 3], "data": "AAAA"},
        {"shape": [3], "data": "AA*A"},
        {"shape": [3], "data": [0, 0, 0]},
        {"shape": [3]},
        {"shape": [3], "data": "AAAA", "dtype": "object"},
    ],
)
def test_a_picture_of_another_size_than_it_says_is_refused(picture: Any) -> None:
    (crop,) = told(replace(clip(), evidence=face_crops(1, [0.5])))["evidence"]
    with pytest.raises(WireError):
        from_plain(tuple[EvidenceCrop, ...], [{**crop, "image": picture}])


def test_a_number_that_is_none_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"frame": to_plain(("0", math.nan, None))})
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_plain([object()])


ENTRY = result_document(replace(by_members(still()), facts=SourceFacts(7, "ab" * 32)))


@settings(max_examples=400, deadline=None)
@given(mutations(ENTRY))
def test_a_changed_entry_is_refused_or_read_as_it_is(changed: Any) -> None:
    try:
        result = typed_json.from_plain(Result, changed, Form.REPORT)
    except MismatchError:
        return
    assert writer(Result)(result) == changed


CARDED = asdict(
    replace(
        CARD,
        positive_class="fake",
        calibration=Calibration(1.0, 0.0, "x"),
        members=(Member("a", "a" * 64, 1.0), Member("b", "b" * 64, 2.0)),
    )
)


@settings(max_examples=400, deadline=None)
@given(mutations(sent(CARDED)))
def test_a_changed_card_is_refused_or_read_as_it_is(changed: Any) -> None:
    try:
        card = typed_json.from_plain(ModelCard, changed, Form.CARD)
    except MismatchError as error:
        assert error.path or not isinstance(changed, dict)
        return
    assert holds(sent(asdict(card)), changed)


def holds(whole: Any, part: Any) -> bool:
    """Whether ``whole`` is ``part``, but for fields that the latter leaves to their defaults."""
    if isinstance(part, dict):
        return all(name in whole and holds(whole[name], each) for name, each in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)
