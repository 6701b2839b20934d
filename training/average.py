"""Averages the weights of checkpoints of one line of training.

Checkpoints that were fine-tuned one from the other often lie in one basin, and their mean generalises
better than each (Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", ICML 2022). Whether it does must be measured on validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidscan.cards import card_path, read_card
from vidscan.errors import ModelError, UsageError
from vidscan.records import ModelCard
from vidscan.startup import import_keras


def average_checkpoints(paths: Sequence[Path], card_from: Path, output: Path) -> ModelCard:
    """Writes a checkpoint whose every weight is the mean of the given ones', batch statistics included.

    Args:
        paths: two or more ``.keras`` files of one architecture.
        card_from: a checkpoint whose card the result takes over, without its calibration and figures,
            which were another network's.
        output: the ``.keras`` file to write.

    Raises:
        UsageError: there are fewer than two files.
        ModelError: a file is refused, or the architectures differ.
    """
    from vidscan.checkpoint_guard import inspect_archive
    from vidscan.model import save_checkpoint

    if len(paths) < 2:
        raise UsageError("averaging needs two checkpoints or more")
    keras = import_keras()
    networks = []
    for path in paths:
        inspect_archive(path)
        networks.append(keras.saving.load_model(path, compile=False))
    weights = [network.get_weights() for network in networks]
    shapes = [[array.shape for array in arrays] for arrays in weights]
    for path, other in zip(paths[1:], shapes[1:], strict=True):
        if other != shapes[0]:
            raise ModelError(
                f"{path}: its weights have other shapes than those of {paths[0]}: average one kind"
            )
    networks[0].set_weights([np.mean(arrays, axis=0) for arrays in zip(*weights, strict=True)])
    card = read_card(card_path(card_from))
    card = replace(card, name=output.stem, calibration=None, sha256=None, metrics={})
    return save_checkpoint(networks[0], output, card)
