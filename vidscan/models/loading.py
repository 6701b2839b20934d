"""Loads what a scan scores with: one checkpoint, or several that score together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from vidscan.errors import ModelError, UsageError
from vidscan.models.bundled import CHECKPOINTS, detector_card, ships
from vidscan.models.card_file import checkpoint_sha256
from vidscan.models.checkpoint import LoadedModel, load_model
from vidscan.models.ensemble import Ensemble
from vidscan.models.input_range import check_input_range
from vidscan.options import ScanOptions


def together(models: Sequence[LoadedModel]) -> Ensemble[LoadedModel]:
    """The models, one or more, as one ensemble: by the detector card that was fitted for them, if any.

    Under a detector card their order means nothing: it is the card's.

    Raises:
        ModelError: two are the same checkpoint, or all that ship are given and their detector card is
            missing or made for others.
    """
    if len(models) == 1:
        return Ensemble(tuple(models))
    members = distinct_members(models)
    by_hash = {checkpoint_sha256(model.card, model.path): model for model in members}
    detector = detector_card({sha256: model.path for sha256, model in by_hash.items()})
    if detector is None:
        return Ensemble(members)
    weighted = [
        replace(by_hash[each.sha256], card=replace(by_hash[each.sha256].card, ensemble_weight=each.weight))
        for each in detector.members
    ]
    return Ensemble(tuple(weighted), detector)


def distinct_members(models: Sequence[LoadedModel]) -> tuple[LoadedModel, ...]:
    """The members of an ensemble, in order, each with its file's SHA-256 in its card.

    Raises:
        ModelError: two are the same checkpoint.
    """
    known: dict[str, LoadedModel] = {}
    for model in models:
        sha256 = checkpoint_sha256(model.card, model.path)
        if sha256 in known:
            raise ModelError(
                f"{model.path}: is the same checkpoint as {known[sha256].path} (their SHA-256 agree) and "
                'would count twice; name it once, or raise "ensemble_weight" in its card to give it more say'
            )
        hashed = model.card.sha256 is not None
        known[sha256] = model if hashed else replace(model, card=replace(model.card, sha256=sha256))
    return tuple(known.values())


PathLike = str | os.PathLike[str]

Models: TypeAlias = "PathLike | LoadedModel | Sequence[PathLike | LoadedModel] | None"
"""What a scan may be told to score with: bundled checkpoints by name, others by path, loaded models."""


def load_models(models: Models = None, *, runtime: str = "auto") -> Ensemble[LoadedModel]:
    """Loads what a scan scores with: one checkpoint, or several whose scores are combined.

    None takes all that ship. ``runtime`` is of those that are given by name or path; see
    :func:`vidscan.load_model`. Of several models, each has its file's SHA-256 in its card.

    Raises:
        UsageError: the list is empty.
        ModelError: a checkpoint is missing or refused, or expects other numbers than 0-255, or two are the
            same, or all that ship are asked for and their detector card is missing.
    """
    given = listed_models([Path(name) for name in CHECKPOINTS] if models is None else models)
    if not given:
        raise UsageError("the list of models is empty: name one, or give no list for those that ship")
    return together(
        tuple(_loaded(each, runtime) if isinstance(each, str | os.PathLike) else each for each in given)
    )


def _loaded(path: PathLike, runtime: str) -> LoadedModel:
    """A checkpoint, which is tried on a few crops where it is no bundled one."""
    model = load_model(Path(path), runtime)
    if not ships(model.path):
        check_input_range(model.path, model.runtime.outputs, model.card.input_size)
    return model


def listed_models(models: Models) -> tuple[PathLike | LoadedModel, ...]:
    """What was given as a list of none, one or several."""
    if models is None:
        return ()
    return tuple(models) if isinstance(models, Sequence) and not isinstance(models, str) else (models,)


def with_runtimes(options: ScanOptions, models: Sequence[LoadedModel]) -> ScanOptions:
    """The options with what computes each model, for the report; a scorer of another make has no name."""
    used = tuple(model.runtime.name for model in models if hasattr(model, "runtime"))
    return replace(options, model=replace(options.model, runtimes_used=used))
