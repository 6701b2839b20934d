"""The card of an ensemble, and how its members are told apart. Reading and writing: test_model.py."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vidscan.errors import CardError
from vidscan.models.card_file import read_card, write_card
from vidscan.models.ensemble import ensemble_card
from vidscan.records import Calibration, Geometry, Member, ModelCard, member_names

CALIBRATED = ModelCard(
    "lite2",
    "lite2",
    260,
    fake_threshold=0.8,
    real_threshold=0.3,
    calibration=Calibration(0.7, -0.2, "462 clips"),
    sha256="a1b2c3d4" * 8,
    terms="research only",
    limits="old swaps",
)
OTHER = replace(
    CALIBRATED, name="b4", input_size=380, margin=1.3, fake_threshold=0.6, sha256="f" * 64, limits=""
)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_one_card_is_its_own_ensemble():
    assert ensemble_card([CALIBRATED]) is CALIBRATED


def test_the_whole_speaks_of_its_members():
    card = ensemble_card([CALIBRATED, OTHER])
    assert card.name == "lite2 + b4"
    assert (card.backbone, card.sha256, card.positive_class) == ("ensemble", None, "fake")
    assert card.geometry == Geometry(380, 1.4)
    assert card.terms == "lite2: research only; b4: research only"
    assert card.limits.endswith("was not measured. lite2: old swaps")
    assert "thresholds are the weighted means" in card.limits


def test_thresholds_are_weighted_means_of_logits():
    card = ensemble_card([replace(CALIBRATED, ensemble_weight=3.0), OTHER])
    assert logit(card.fake_threshold) == pytest.approx((3 * logit(0.8) + logit(0.6)) / 4, abs=1e-6)
    assert card.real_threshold == 0.3


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_no_score_reaches_stays_so(threshold: float):
    given = replace(OTHER, fake_threshold=threshold, real_threshold=threshold)
    card = ensemble_card([given, given])
    assert card.fake_threshold == card.real_threshold == pytest.approx(threshold, abs=1e-6)


def test_one_uncalibrated_member_makes_the_whole_uncalibrated():
    assert ensemble_card([CALIBRATED, OTHER]).calibration == Calibration(
        1.0, 0.0, "each member by its own card; the combination itself was not fitted"
    )
    assert ensemble_card([CALIBRATED, replace(OTHER, calibration=None)]).calibration is None


def test_members_of_one_name_are_told_apart_by_their_files():
    assert member_names([CALIBRATED, OTHER]) == ("lite2", "b4")
    twin = replace(OTHER, name="lite2")
    assert member_names([CALIBRATED, twin, replace(OTHER, sha256=None)]) == (
        "lite2 (a1b2c3d4)",
        "lite2 (ffffffff)",
        "b4",
    )


def test_the_weight_is_kept_in_the_card(tmp_path):
    write_card(replace(OTHER, ensemble_weight=2.5), tmp_path / "b4.json")
    assert read_card(tmp_path / "b4.json").ensemble_weight == 2.5


@pytest.mark.parametrize("weight", ["0", "-1", "1e400", "1e-9", "true", "null", '"2"', "[1]"])
def test_a_weight_that_cannot_be_is_refused_by_name(tmp_path, weight: str):
    path = tmp_path / "bad.json"
    path.write_text(f'{{"name": "x", "backbone": "x", "input_size": 32, "ensemble_weight": {weight}}}')
    with pytest.raises(CardError, match=r'bad\.json: "ensemble_weight" must be a number from .*; correct it'):
        read_card(path)


# Detector cards

MEMBERS = [{"name": "a", "sha256": "a" * 64, "weight": 0.4}, {"name": "b", "sha256": "b" * 64, "weight": 2}]
DETECTOR = {
    "members": MEMBERS,
    "positive_class": "fake",
    "calibration": {"slope": 1, "intercept": 0, "fitted_on": "x"},
}


def test_a_detector_card_is_read_and_written_like_any_other(tmp_path: Path):
    card = read_card(stranger(tmp_path, **DETECTOR))
    assert card.members == (Member("a", "a" * 64, 0.4), Member("b", "b" * 64, 2))
    write_card(card, tmp_path / "again.json")
    assert read_card(tmp_path / "again.json") == card


def test_a_detector_card_may_have_a_rule_for_stills(tmp_path: Path):
    rule = {"weights": [0.1, 0.9], "calibration": DETECTOR["calibration"]}
    card = read_card(stranger(tmp_path, **DETECTOR, stills=rule))
    assert card.stills is not None and card.stills.weights == (0.1, 0.9)
    assert card.calibration_of(still=True) == card.stills.calibration
    write_card(card, tmp_path / "x.json")
    assert read_card(tmp_path / "x.json") == card
    for wrong in ([0.1], [0.1, 0.2, 0.7], [0.1, 0]):
        with pytest.raises(CardError, match=r"stills\.weights"):
            read_card(stranger(tmp_path, **DETECTOR, stills=rule | {"weights": wrong}))
    with pytest.raises(CardError, match=r'"stills\.weights" must be one for each of the "members"'):
        read_card(stranger(tmp_path, stills=rule))


def test_a_card_of_one_network_has_no_members(tmp_path: Path):
    write_card(OTHER, tmp_path / "one.json")
    card = read_card(tmp_path / "one.json")
    assert (card.members, card.quantisation) == ((), "none")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"members": MEMBERS[:1]}, '"members" must be a list of 2 to 16 networks'),
        ({"members": {}}, '"members" must be a list'),
        ({"members": [MEMBERS[0], 3]}, '"members.2" must be an object'),
        (
            {"members": [MEMBERS[0], {**MEMBERS[1], "weight": 0}]},
            r'"members\.2\.weight" must be a number from',
        ),
        (
            {"members": [MEMBERS[0], {**MEMBERS[1], "weight": -1}]},
            r'"members\.2\.weight" must be a number from',
        ),
        ({"members": [MEMBERS[0], {**MEMBERS[1], "colour": 1}]}, r'"members\.2\.colour" is not a field'),
        ({"members": [{"name": "a", "weight": 1}, MEMBERS[1]]}, r'"members\.1\.sha256" is missing'),
        ({"members": [{**MEMBERS[0], "sha256": "A" * 64}, MEMBERS[1]]}, r'"members\.1\.sha256" must be 64'),
        ({"members": [{**MEMBERS[0], "name": 1}, MEMBERS[1]]}, r'"members\.1\.name" must be a text'),
        ({"members": [MEMBERS[0], MEMBERS[0]]}, '"members" names the same file twice'),
        ({"calibration": None}, '"calibration" must be given where there are "members"'),
        ({"positive_class": "real"}, '"positive_class" must be "fake" where'),
        ({"sha256": "a" * 64}, '"sha256" must be null where'),
        ({"quantisation": "int4"}, '"quantisation" must be "none" or "int8"'),
    ],
)
def test_a_detector_card_that_cannot_be_is_refused_by_name(changed: dict, said: str, tmp_path: Path):
    refused(stranger(tmp_path, **{**DETECTOR, **changed}), said)


# Cards from strangers


def stranger(tmp_path: Path, **fields: object) -> Path:
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"name": "a", "backbone": "b", "input_size": 32, **fields}))
    return path


def refused(path: Path, said: str) -> None:
    with pytest.raises(CardError, match=said) as caught:
        read_card(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < len(str(path)) + 400


def test_a_card_of_a_gigabyte_is_not_read(tmp_path):
    path = stranger(tmp_path)
    with path.open("r+b") as file:
        file.truncate(1 << 30)  # a hole, which takes no room
    refused(path, "over 1 MiB is too long")


@pytest.mark.parametrize("field", ["split", "metrics"])
def test_what_is_nested_deeper_than_a_report_can_hold_is_refused(tmp_path, field):
    deep: object = 1
    for _ in range(400):
        deep = {"a": [deep]}
    refused(stranger(tmp_path, **{field: deep}), f'"{field}" is nested more than 16 deep')
    shallow = {"a": [{"b": [1, {"c": {}}]}]}
    assert getattr(read_card(stranger(tmp_path, **{field: shallow})), field) == shallow


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300])
@pytest.mark.parametrize("field", ["margin", "fake_threshold", "ensemble_weight"])
def test_numbers_out_of_all_measure_are_refused(tmp_path, field, number):
    refused(stranger(tmp_path, **{field: number}), f'"{field}" must be a number from')


def test_long_hostile_names_are_cut_short(tmp_path):
    refused(stranger(tmp_path, **{"\x1b[31m" * 5000: 1}), "is not a field of a card")


def test_a_card_is_on_the_disk_before_it_takes_the_others_place(tmp_path, monkeypatch):
    path, order = tmp_path / "card.json", []
    write_card(OTHER, path)
    fsync, replace_file = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (order.append("replace"), replace_file(*names)))
    write_card(CALIBRATED, path)
    assert order == ["fsync", "replace", "fsync"] and read_card(path) == CALIBRATED
    assert [each.name for each in tmp_path.iterdir()] == ["card.json"]
