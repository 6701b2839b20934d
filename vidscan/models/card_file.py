"""The card beside a checkpoint: ``NAME.json`` next to ``NAME.keras``, one JSON object.

It has the fields of :class:`vidscan.records.ModelCard` and is read strictly: a misspelt field or a threshold
out of range would change verdicts unnoticed, so anything unexpected is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from vidscan.errors import CardError
from vidscan.records import ModelCard
from vidscan.system.files import raising, replacing, sha256_of
from vidscan.system.typed_json import Form, MismatchError, field_types, from_plain, optional, parted

_MAX_CARD_BYTES = 1 << 20
MAX_DEPTH = 16
_MAX_NAME_SHOWN = 80


def card_path(checkpoint: Path) -> Path:
    """Where the card of ``NAME.keras`` lies: ``NAME.json`` in the same folder."""
    return checkpoint.with_suffix(".json")


def read_card(path: Path) -> ModelCard:
    """The checked card in a JSON file; see :func:`card_path`.

    Raises:
        CardError: the file is missing or unreadable, or a field is missing, unknown or wrong.
    """
    with raising(lambda why: CardError(f"{path}: the card cannot be read: {why}")), path.open("rb") as file:
        raw = file.read(_MAX_CARD_BYTES + 1)
    if len(raw) > _MAX_CARD_BYTES:
        raise CardError(f"{path}: over 1 MiB is too long for a model card; {_REMEDY}")
    try:
        document = json.loads(raw, object_pairs_hook=_unique_fields, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: not readable as JSON ({error}); {_REMEDY}") from error
    try:
        return card_from_json(document)
    except ValueError as error:
        raise CardError(f"{path}: {error}; {_REMEDY}") from error


def write_card(card: ModelCard, path: Path) -> None:
    """Writes ``card`` as JSON to ``path``, which then holds either all of it or what it held before.

    Raises:
        CardError: the card would be refused when read back, or the file cannot be written.
    """
    try:
        text = json.dumps(asdict(card), indent=2, ensure_ascii=False, allow_nan=False)
        card_from_json(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise CardError(f"{path}: this card would be refused when read back: {error}") from error
    refused = f"{path}: the card cannot be written"
    with raising(lambda why: CardError(f"{refused}: {why}")), replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def checkpoint_sha256(card: ModelCard, path: Path) -> str:
    """The SHA-256 of a checkpoint: its card's, which loading has checked, or else its file's."""
    return card.sha256 or sha256_of(path)


def card_from_json(document: Any) -> ModelCard:
    """The card with these fields, each of them checked; raises ValueError."""
    try:
        card = from_plain(ModelCard, document, Form.CARD)
    except MismatchError as error:
        raise ValueError(_sentence(error)) from error
    for name in ("split", "metrics"):
        if nested_deeper_than(MAX_DEPTH, getattr(card, name)):
            raise ValueError(f'"{name}" is nested more than {MAX_DEPTH} deep')
    if card.members:
        _check_detector(card)
    if card.stills is not None and len(card.stills.weights) != len(card.members):
        raise ValueError('"stills.weights" must be one for each of the "members"')
    if card.real_threshold > card.fake_threshold:
        raise ValueError('"real_threshold" must not lie above "fake_threshold"')
    return card


def _check_detector(card: ModelCard) -> None:
    """Refuses a detector card that leaves open what it is there to say."""
    if len(card.members) == 1:
        raise ValueError(f'"members" must be {_expected(field_types(ModelCard)["members"])}')
    if len({member.sha256 for member in card.members}) < len(card.members):
        raise ValueError('"members" names the same file twice (their "sha256" agree)')
    if card.calibration is None:
        raise ValueError('"calibration" must be given where there are "members": it is theirs together')
    if card.positive_class != "fake":
        raise ValueError('"positive_class" must be "fake" where there are "members": scores are P(fake)')
    if card.sha256 is not None:
        raise ValueError('"sha256" must be null where there are "members": each has its own')


def nested_deeper_than(levels: int, tree: Any) -> bool:
    """Whether a tree is so deep: what writes reports, which hold it, calls itself for each level."""
    nodes = list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else None
    return nodes is not None and (not levels or any(nested_deeper_than(levels - 1, node) for node in nodes))


def _sentence(error: MismatchError) -> str:
    """What is wrong with which field, and what it should be."""
    if not error.path:
        return "a model card is a JSON object"
    shown = ".".join(name[:_MAX_NAME_SHOWN] for name in error.path)
    if error.problem != "wrong":
        return f'"{shown}" is {"missing" if error.problem == "missing" else "not a field of a card"}'
    kind: Any = ModelCard
    for name in error.path:
        kind = _inside(kind, name)
    return f'"{shown}" must be {_expected(kind)}'


def _inside(kind: Any, name: str) -> Any:
    """The declared type of a record's field, or of a tuple's items."""
    base = parted(kind)[0]
    base = optional(base) or base
    return get_args(base)[0] if get_origin(base) is tuple else field_types(base)[name]


def _expected(kind: Any) -> str:
    """What a field of this type may hold, in words."""
    base, limits = parted(kind)
    inner = optional(base)
    if limits.words:
        return limits.words
    if inner is not None:
        return f"{_expected(inner)} or null"
    if get_origin(base) is Literal:
        return " or ".join(f'"{each}"' for each in get_args(base))
    if base is float:
        return f"a number from {limits.low:g} to {limits.high:g}"
    return {str: "a text", bool: "true or false"}.get(base, "an object")


_REMEDY = "correct it, or move it away if it is no vidscan card (the checkpoint also works without one)"


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field is given twice")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
