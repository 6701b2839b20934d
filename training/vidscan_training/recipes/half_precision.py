"""Stores a checkpoint's kernels in float16, which halves its file; the network still computes in float32.

Keras casts what it reads to the type of its variables, so no reader has to know. Vectors stay as they are:
they take a hundredth of the file, and a variance can be too large or too small for float16.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.guards.archive import WEIGHTS
from vidscan.records import Image
from vidscan.system.files import sha256_of
from vidscan_training.evaluation.scores import uncalibrated

MAX_CHANGE = 1e-3
"""By how much a score may change."""


def store_in_half(checkpoint: Path, crops: Image, largest: float = MAX_CHANGE) -> float:
    """Rewrites a checkpoint and its card's hash if no uncalibrated P(fake) changes by more than ``largest``.

    ``crops`` are RGB ``uint8[n, s, s, 3]``, 0-255, one or more. Returns the largest change found; where it is
    above ``largest``, the files were left alone. Raises ModelError where the checkpoint is refused, CardError
    where it has no card.
    """
    from vidscan.models.checkpoint import load_model

    card = read_card(card_path(checkpoint))
    before = uncalibrated(load_model(checkpoint)).score(crops)
    # Beside the checkpoint, so that moving the files there is one step.
    with tempfile.TemporaryDirectory(dir=checkpoint.parent, prefix=".half-") as folder:
        smaller = Path(folder) / checkpoint.name
        _copy(checkpoint, smaller)
        write_card(replace(card, sha256=sha256_of(smaller)), card_path(smaller))
        change = float(np.abs(uncalibrated(load_model(smaller)).score(crops) - before).max())
        if change <= largest:
            smaller.replace(checkpoint)
            card_path(smaller).replace(card_path(checkpoint))
    return change


def _copy(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            new.writestr(member.filename, _halved(content) if member.filename == WEIGHTS else content)


def _halved(weights: bytes) -> bytes:
    """The same HDF5 file with its kernels in float16."""
    import h5py

    written = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as old, h5py.File(written, "w") as new:

        def copy(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                made = new.create_dataset(name, data=_half_kernel(node[()]))
            else:
                made = new.require_group(name)
            made.attrs.update(node.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return written.getvalue()


def _half_kernel(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype != np.float32 or array.ndim < 2 or np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        return array
    return array.astype(np.float16)
