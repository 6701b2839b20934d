"""What a card's JSON may hold, field by field; see :class:`vidscan.records.ModelCard` for what each means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from vidscan.records import Calibration, Member, ModelCard

_MAX_DEPTH = 16
_MAX_MEMBERS = 16
_WEIGHTS = (1e-6, 1e6)
"""Bounded so that no sum of weights overflows; a weight of 0 would be a member without a say."""
_NAME_SHOWN = 80
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FieldError(ValueError):
    """Names the field of a card that is wrong, and what it should be."""


def card_from_json(document: Mapping[str, Any]) -> ModelCard:
    """The card with these fields, every one of them checked; raises FieldError."""
    _check_names(document, ModelCard, "")
    text = ("name", "backbone", "terms", "data", "limits")
    for name in text:
        if name in document and not isinstance(document[name], str):
            raise FieldError(f'"{name}" must be a text')
    for name in ("split", "metrics"):
        if not isinstance(document.get(name, {}), dict):
            raise FieldError(f'"{name}" must be an object')
        if _nested_deeper_than(_MAX_DEPTH, document.get(name, {})):
            raise FieldError(f'"{name}" is nested more than {_MAX_DEPTH} deep')
    size = document["input_size"]
    if isinstance(size, bool) or not isinstance(size, int) or not 32 <= size <= 4096:
        raise FieldError('"input_size" must be a whole number of pixels from 32 to 4096')
    least = document.get("least_face", 0)
    if isinstance(least, bool) or not isinstance(least, int) or not 0 <= least <= 4096:
        raise FieldError('"least_face" must be a whole number of pixels from 0 to 4096')
    if not isinstance(document.get("level", False), bool):
        raise FieldError('"level" must be true or false')
    if document.get("positive_class", "real") not in ("real", "fake"):
        raise FieldError('"positive_class" must be "real" or "fake"')
    sha256 = document.get("sha256")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise FieldError('"sha256" must be 64 lower-case hexadecimal digits or null')
    _check_number(document, "margin", 1, 4)
    _check_number(document, "fake_threshold", 0, 1)
    _check_number(document, "real_threshold", 0, 1)
    _check_number(document, "ensemble_weight", *_WEIGHTS)
    if document.get("quantisation", "none") not in ("none", "int8"):
        raise FieldError('"quantisation" must be "none" or "int8"')
    calibration = _calibration_from_json(document.get("calibration"))
    members = _members_from_json(document.get("members", []))
    card = ModelCard(**{**document, "calibration": calibration, "members": members})
    if members:
        _check_detector(card)
    if card.real_threshold > card.fake_threshold:
        raise FieldError('"real_threshold" must not lie above "fake_threshold"')
    return card


def _nested_deeper_than(levels: int, tree: Any) -> bool:
    """Reports hold the whole card, and what writes them calls itself for each level."""
    nodes = [tree]
    for _ in range(levels):
        nodes = [
            child
            for node in nodes
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return any(isinstance(node, (dict, list)) for node in nodes)


def _calibration_from_json(document: Any) -> Calibration | None:
    if document is None:
        return None
    if not isinstance(document, dict):
        raise FieldError('"calibration" must be an object or null')
    _check_names(document, Calibration, "calibration.")
    # A slope of 0 or less would forget or turn round what the network says.
    _check_number(document, "slope", 1e-6, 1e6, "calibration.")
    _check_number(document, "intercept", -1e6, 1e6, "calibration.")
    _check_number(document, "spread", 1e-3, 1e3, "calibration.")
    if not isinstance(document["fitted_on"], str):
        raise FieldError('"calibration.fitted_on" must be a text')
    return Calibration(**document)


def _members_from_json(document: Any) -> tuple[Member, ...]:
    """The networks that a detector card speaks of; none on the card of a single one."""
    if not isinstance(document, list) or len(document) == 1 or len(document) > _MAX_MEMBERS:
        raise FieldError(f'"members" must be a list of 2 to {_MAX_MEMBERS} networks, or empty')
    for place, each in enumerate(document, start=1):
        where = f"members.{place}."
        if not isinstance(each, dict):
            raise FieldError(f'"{where[:-1]}" must be an object')
        _check_names(each, Member, where)
        if not isinstance(each["name"], str):
            raise FieldError(f'"{where}name" must be a text')
        if not (isinstance(each["sha256"], str) and _SHA256.fullmatch(each["sha256"])):
            raise FieldError(f'"{where}sha256" must be 64 lower-case hexadecimal digits')
        _check_number(each, "weight", *_WEIGHTS, where)
    members = tuple(Member(**each) for each in document)
    if len({member.sha256 for member in members}) < len(members):
        raise FieldError('"members" names the same file twice (their "sha256" agree)')
    return members


def _check_detector(card: ModelCard) -> None:
    """Refuses a detector card that leaves open what it is there to say."""
    if card.calibration is None:
        raise FieldError('"calibration" must be given where there are "members": it is theirs together')
    if card.positive_class != "fake":
        raise FieldError('"positive_class" must be "fake" where there are "members": scores are P(fake)')
    if card.sha256 is not None:
        raise FieldError('"sha256" must be null where there are "members": each has its own')


def _check_names(document: Mapping[str, Any], record: Any, where: str) -> None:
    known = {field.name: field for field in fields(record)}
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise FieldError(f'"{where}{unknown[0][:_NAME_SHOWN]}" is not a field of a card')
    for name, field in known.items():
        if name not in document and field.default is MISSING and field.default_factory is MISSING:
            raise FieldError(f'"{where}{name}" is missing')


def _check_number(document: Mapping[str, Any], name: str, low: float, high: float, where: str = "") -> None:
    if name not in document:
        return
    value = document[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Compared before anything else: a whole number may be too long to become a float. NaN fails here too.
    if not number or not low <= value <= high:
        raise FieldError(f'"{where}{name}" must be a number from {low:g} to {high:g}')
