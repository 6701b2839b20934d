"""The card beside a checkpoint, what a network's output means by it, and the card of an ensemble.

A card is a JSON object in ``NAME.json`` next to ``NAME.keras``, with the fields of
:class:`vidscan.records.ModelCard`. It is read strictly: a misspelt field or a threshold out of range
would quietly change verdicts, so anything unexpected is refused by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import CardError, ScoringError
from vidscan.models.card_fields import FieldError, card_from_json
from vidscan.probability import average
from vidscan.records import Calibration, ModelCard, member_names
from vidscan.system.files import replacing, sha256_of

LOGIT_LIMIT = 16.0
"""Logits are clipped to +-16: beyond it a float32 sigmoid cannot be told from 0 or 1."""

_MAX_CARD_BYTES = 1 << 20


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
        return card_from_json(document)
    except FieldError as error:
        raise CardError(f"{path}: {error}; {_REMEDY}") from error


def write_card(card: ModelCard, path: Path) -> None:
    """Writes ``card`` as JSON to ``path``, which then holds either all of it or what it held before.

    Raises:
        CardError: the card would be refused when read back, or the file cannot be written.
    """
    try:
        document = asdict(card)
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        card_from_json(json.loads(text))
    except (FieldError, TypeError, ValueError, RecursionError) as error:
        raise CardError(f"{path}: this card would be refused when read back: {error}") from error
    try:
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CardError(f"{path}: the card cannot be written: {error.strerror}") from error


def checkpoint_sha256(card: ModelCard, path: Path) -> str:
    """The SHA-256 of a checkpoint: its card's, which loading has checked, or else its file's."""
    return card.sha256 or sha256_of(path)


def ensemble_card(cards: Sequence[ModelCard]) -> ModelCard:
    """What holds for the combined score of several members (see ``probability.combine``).

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
        quantisation="int8" if all(card.quantisation == "int8" for card in cards) else "none",
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


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field is given twice")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
