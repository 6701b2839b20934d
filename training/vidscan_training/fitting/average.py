"""Averages the weights of checkpoints that came one from the other, so that one network keeps what each knew.

After Mitchell Wortsman et al., "Model soups", ICML 2022, and "Robust fine-tuning of zero-shot models", CVPR
2022: fine-tuning gains on what it trains and loses a little elsewhere, and between two such networks the
mean of the weights often keeps most of both. Networks that were not trained one from the other have nothing
in common that a mean would keep: measure the result on validation before use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidscan.errors import UsageError
from vidscan.records import ModelCard


def average_checkpoints(checkpoints: Sequence[Path], out: Path) -> ModelCard:
    """Writes the mean of the checkpoints' weights, batch normalisation's statistics included.

    The card returned is the first checkpoint's, without its calibration, thresholds and figures, which are
    not true of the mean.

    Raises:
        UsageError: there are fewer than two, or they differ in architecture, geometry or split.
        ModelError: a checkpoint is refused, or ``out`` cannot be written.
        CardError: a card is malformed or belongs to another file.
    """
    from vidscan.models.checkpoint import load_model, save_checkpoint

    if len(checkpoints) < 2:
        raise UsageError("name at least two checkpoints to average")
    models = [load_model(path) for path in checkpoints]
    first = models[0]
    weights = [model.network.get_weights() for model in models]
    for model, others in zip(models[1:], weights[1:], strict=True):
        if [array.shape for array in others] != [array.shape for array in weights[0]]:
            raise UsageError(f"{model.path}: its layers are not those of {first.path}; no mean can be taken")
        for name in ("geometry", "positive_class", "split"):
            if getattr(model.card, name) != getattr(first.card, name):
                raise UsageError(f"{model.path}: its card's {name} is not that of {first.path}")
    first.network.set_weights([np.mean(arrays, axis=0) for arrays in zip(*weights, strict=True)])
    fresh = ModelCard(first.card.name, first.card.backbone, first.card.input_size)
    card = replace(
        first.card,
        name=out.stem,
        calibration=None,
        fake_threshold=fresh.fake_threshold,
        real_threshold=fresh.real_threshold,
        sha256=None,
        metrics={},
        limits="",
    )
    return save_checkpoint(first.network, out, card)
