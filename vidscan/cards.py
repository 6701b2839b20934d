"""The card beside a checkpoint, what a network's output means by it, and the card of an ensemble.

A card is a JSON object in ``NAME.json`` next to ``NAME.keras``, with the fields of
:class:`vidscan.records.ModelCard`. It is read strictly: a misspelt field or a threshold out of range
would quietly change verdicts, so anything unexpected is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import CardError, ScoringError
from vidscan.evidence import average
from vidscan.records import Calibration, ModelCard

LOGIT_LIMIT = 16.0
"""Logits are clipped to +-16: beyond it a float32 sigmoid cannot be told from 0 or 1."""

_MAX_CARD_BYTES = 1 << 20
_MAX_DEPTH = 16
_NAME_SHOWN = 80
_SHA256 = re.compile(r"[0-9a-f]{64}")


def card_path(checkpoint: Path) -> Path:
    """Where the card of ``NAME.keras`` lies: ``NAME.json`` in the same folder."""
    return checkpoint.with_suffix(".json")


def read_card(path: Path) -> ModelCard:
    """Reads and checks a card.

    Args:
        path: the JSON file itself; see :func:`card_path`.

    Raises:
        CardError: the file is missing or unreadable, or a field is missing, unknown or wrong.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_CARD_BYTES + 1)
    except OSError as error:
        raise CardError(f"{path}: the card cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_CARD_BYTES:
        raise CardError(f"{path}: over 1 MiB is too long for a model card; {_REMEDY}")
    try:
        document = json.loads(raw, object_pairs_hook=_unique_fields, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: not readable as JSON ({error}); {_REMEDY}") from error
    if not isinstance(document, dict):
        raise CardError(f"{path}: a model card is a JSON object; {_REMEDY}")
    try:
        return _card_from_json(document)
    except _FieldError as error:
        raise CardError(f"{path}: {error}; {_REMEDY}") from error


def write_card(card: ModelCard, path: Path) -> None:
    """Writes ``card`` as JSON to ``path``, which then holds either all of it or what it held before.

    Raises:
        CardError: the card would be refused when read back, or the file cannot be written.
    """
    try:
        document = asdict(card)
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        _card_from_json(json.loads(text))
    except (_FieldError, TypeError, ValueError, RecursionError) as error:
        raise CardError(f"{path}: this card would be refused when read back: {error}") from error
    try:
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CardError(f"{path}: the card cannot be written: {error.strerror}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder that becomes ``path`` when the block succeeds.

    A crash leaves the previous file, never half of a new one. The suffix is kept, as Keras looks at it.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def checkpoint_sha256(card: ModelCard, path: Path) -> str:
    """The SHA-256 of a checkpoint: its card's, which loading has checked, or else its file's."""
    return card.sha256 or sha256_of(path)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as cards have it: 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def member_names(cards: Sequence[ModelCard]) -> tuple[str, ...]:
    """The cards' names; where two are alike, with the first digits of the file's SHA-256."""
    count = Counter(card.name for card in cards)
    return tuple(
        f"{card.name} ({card.sha256[:8]})" if card.sha256 and count[card.name] > 1 else card.name
        for card in cards
    )


def ensemble_card(cards: Sequence[ModelCard]) -> ModelCard:
    """What holds for the combined score of several members (see ``evidence.combine``).

    Each threshold is the weighted mean of the members' thresholds, taken of their logits as that of the
    scores is: a face that every member finds beyond its own threshold is then beyond this one too. The
    ensemble is uncalibrated if any member is; nobody has fitted or measured the combination itself.

    Args:
        cards: the members', one or more; a single one is given back as it is.

    Returns:
        A card without a hash. Its ``input_size``, ``margin`` and ``least_face`` are the largest of the
        members', and it is ``level`` where all of them are.
    """
    if len(cards) == 1:
        return cards[0]
    weights, names = [card.ensemble_weight for card in cards], member_names(cards)
    own = Calibration(1.0, 0.0, "each member by its own card; the combination itself was not fitted")

    def told(field: str) -> str:
        said = {name: getattr(card, field) for name, card in zip(names, cards, strict=True)}
        return "; ".join(f"{name}: {text}" for name, text in said.items() if text)

    return ModelCard(
        name=" + ".join(names),
        backbone="ensemble",
        input_size=max(card.input_size for card in cards),
        margin=max(card.margin for card in cards),
        level=all(card.level for card in cards),
        least_face=max(card.least_face for card in cards),
        positive_class="fake",
        fake_threshold=_average_threshold([card.fake_threshold for card in cards], weights),
        real_threshold=_average_threshold([card.real_threshold for card in cards], weights),
        calibration=None if any(card.calibration is None for card in cards) else own,
        terms=told("terms"),
        data=told("data"),
        limits=f"{_COMBINED} {told('limits')}".rstrip(),
    )


_COMBINED = (
    "Scores and thresholds are the weighted means of the members', taken of their logits; "
    "how well the members do together was not measured."
)


def _average_threshold(thresholds: Sequence[float], weights: Sequence[float]) -> float:
    """A threshold of 0 or 1, which no score reaches, has no logit; that of ``LOGIT_LIMIT`` does as well."""
    least = 1.0 / (1.0 + math.exp(LOGIT_LIMIT))
    return average([min(max(threshold, least), 1.0 - least) for threshold in thresholds], weights)


def fake_probability(output: npt.ArrayLike, card: ModelCard) -> npt.NDArray[np.float32]:
    """What the network's output says about forgery.

    Args:
        output: the sigmoid's values 0-1, ``[n]`` or ``[n, 1]``: P(``card.positive_class``).
        card: names the positive class and holds the calibration, if anyone fitted one.

    Returns:
        P(fake), ``float32[n]``, calibrated where the card allows it.

    Raises:
        ScoringError: a value is not a probability; a broken runtime shows itself so.
    """
    values = np.asarray(output, dtype=np.float64)
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise ScoringError(f"the network put out shape {list(values.shape)} where [n, 1] was due")
    values = values.reshape(-1)
    # Written so that NaN fails as well.
    if not np.all((values >= 0) & (values <= 1)):
        raise ScoringError(
            "the network put out values that are no probabilities (NaN or outside 0-1): "
            "it must end in a sigmoid and run on sound hardware; try the CPU or another checkpoint"
        )
    fake = values if card.positive_class == "fake" else 1.0 - values
    return calibrate(fake, card.calibration)


def calibrate(fake: npt.ArrayLike, calibration: Calibration | None) -> npt.NDArray[np.float32]:
    """Platt scaling: ``sigmoid(slope * logit(p) + intercept)``; without a calibration, ``p`` itself.

    Args:
        fake: uncalibrated P(fake), 0-1, any shape.
        calibration: slope and intercept; see :class:`vidscan.records.Calibration` for the source.

    Returns:
        The same shape in float32.
    """
    p = np.asarray(fake, dtype=np.float64)
    if calibration is None:
        return p.astype(np.float32)
    with np.errstate(divide="ignore"):  # log(0) is -inf, which the clip brings back
        logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_LIMIT, LOGIT_LIMIT)
    # tanh, unlike exp, cannot overflow.
    scaled = 0.5 * (1.0 + np.tanh(0.5 * (calibration.slope * logit + calibration.intercept)))
    return np.asarray(scaled, dtype=np.float32)


_REMEDY = "correct it, or move it away if it is no vidscan card (the checkpoint also works without one)"


class _FieldError(ValueError):
    """Names the field of a card that is wrong, and what it should be."""


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field is given twice")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _card_from_json(document: Mapping[str, Any]) -> ModelCard:
    """The card with these fields, every one of them checked; raises ``_FieldError``."""
    _check_names(document, ModelCard, "")
    text = ("name", "backbone", "terms", "data", "limits")
    for name in text:
        if name in document and not isinstance(document[name], str):
            raise _FieldError(f'"{name}" must be a text')
    for name in ("split", "metrics"):
        if not isinstance(document.get(name, {}), dict):
            raise _FieldError(f'"{name}" must be an object')
        if _nested_deeper_than(_MAX_DEPTH, document.get(name, {})):
            raise _FieldError(f'"{name}" is nested more than {_MAX_DEPTH} deep')
    size = document["input_size"]
    if isinstance(size, bool) or not isinstance(size, int) or not 32 <= size <= 4096:
        raise _FieldError('"input_size" must be a whole number of pixels from 32 to 4096')
    least = document.get("least_face", 0)
    if isinstance(least, bool) or not isinstance(least, int) or not 0 <= least <= 4096:
        raise _FieldError('"least_face" must be a whole number of pixels from 0 to 4096')
    if not isinstance(document.get("level", False), bool):
        raise _FieldError('"level" must be true or false')
    if document.get("positive_class", "real") not in ("real", "fake"):
        raise _FieldError('"positive_class" must be "real" or "fake"')
    sha256 = document.get("sha256")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise _FieldError('"sha256" must be 64 lower-case hexadecimal digits or null')
    _check_number(document, "margin", 1, 4)
    _check_number(document, "fake_threshold", 0, 1)
    _check_number(document, "real_threshold", 0, 1)
    # Bounded so that no sum of weights overflows; a weight of 0 would be a member without a say.
    _check_number(document, "ensemble_weight", 1e-6, 1e6)
    calibration = _calibration_from_json(document.get("calibration"))
    card = ModelCard(**{**document, "calibration": calibration})
    if card.real_threshold > card.fake_threshold:
        raise _FieldError('"real_threshold" must not lie above "fake_threshold"')
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
        raise _FieldError('"calibration" must be an object or null')
    _check_names(document, Calibration, "calibration.")
    # A slope of 0 or less would forget or turn round what the network says.
    _check_number(document, "slope", 1e-6, 1e6, "calibration.")
    _check_number(document, "intercept", -1e6, 1e6, "calibration.")
    _check_number(document, "spread", 1e-3, 1e3, "calibration.")
    if not isinstance(document["fitted_on"], str):
        raise _FieldError('"calibration.fitted_on" must be a text')
    return Calibration(**document)


def _check_names(document: Mapping[str, Any], record: Any, where: str) -> None:
    known = {field.name: field for field in fields(record)}
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise _FieldError(f'"{where}{unknown[0][:_NAME_SHOWN]}" is not a field of a card')
    for name, field in known.items():
        if name not in document and field.default is MISSING and field.default_factory is MISSING:
            raise _FieldError(f'"{where}{name}" is missing')


def _check_number(document: Mapping[str, Any], name: str, low: float, high: float, where: str = "") -> None:
    if name not in document:
        return
    value = document[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Compared before anything else: a whole number may be too long to become a float. NaN fails here too.
    if not number or not low <= value <= high:
        raise _FieldError(f'"{where}{name}" must be a number from {low:g} to {high:g}')
