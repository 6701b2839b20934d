"""The one file from which a killed training goes on: network, optimiser, average and progress together.

``last.keras`` is an ordinary Keras file with two more members in its zip archive. Being one file, moved
into place in one step, it can never hold the weights of one epoch and the progress of another.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidscan.errors import ModelError
from vidscan.models.guards.archive import TRAINING
from vidscan.system.files import replacing
from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.network import compile_network, restore_optimizer
from vidscan_training.fitting.schedule import Plateau, WeightAverage

LAST_NAME = "last.keras"
_STATE_MEMBER = f"{TRAINING}state.json"
_AVERAGE_MEMBER = f"{TRAINING}average.npz"


@dataclass
class Progress:
    """Where a training stands after whole epochs.

    ``step`` counts batches, ``seconds`` is time spent on training steps alone, ``best`` holds the figures
    of the best epoch so far, ``history`` one record an epoch, ``fingerprint`` what must not change
    between a training and its continuation.
    """

    plateau: Plateau
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    fingerprint: dict[str, Any] = field(default_factory=dict)


def save_progress(folder: Path, network: Any, average: WeightAverage, progress: Progress) -> None:
    """Writes ``last.keras`` in one step."""
    arrays = io.BytesIO()
    np.savez(arrays, *average.weights)
    with replacing(folder / LAST_NAME) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(_STATE_MEMBER, json.dumps(asdict(progress), indent=2))
            archive.writestr(_AVERAGE_MEMBER, arrays.getvalue())


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Writes one line an epoch, the whole file each time.

    A training that is resumed must not leave lines behind of epochs that it does again.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def load_progress(
    folder: Path, phase: str, *, decay: float, **compilation: float
) -> tuple[Any, WeightAverage, Progress]:
    """Reads ``last.keras`` back: the compiled network with its optimiser's state, the average, the progress.

    ``compilation`` are keyword arguments of :func:`vidscan_training.fitting.network.compile_network`. Raises
    ModelError where the file is missing, damaged, or no training's.
    """
    path = folder / LAST_NAME
    try:
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read(_STATE_MEMBER))
            saved = np.load(io.BytesIO(archive.read(_AVERAGE_MEMBER)), allow_pickle=False)
            weights = [saved[f"arr_{i}"] for i in range(len(saved.files))]
        network = import_keras().saving.load_model(path)
        progress = Progress(plateau=Plateau(**state.pop("plateau")), **state)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; start without --resume") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be resumed from: {error}; start without --resume") from error
    values = [np.array(variable) for variable in network.optimizer.variables]
    compile_network(network, phase, **compilation)
    restore_optimizer(network, values)
    return network, WeightAverage(weights, decay), progress
