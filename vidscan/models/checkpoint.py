"""Loads and saves checkpoints with their cards.

Conventions: crops are RGB, 0-255, ``[n, size, size, 3]``, and the network does its own rescaling; its
output is a sigmoid's ``float32[n, 1]``, the probability of the class that the card names. Keras is
imported when something here is used, never before, under the backend that ``KERAS_BACKEND`` names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import CardError, ModelError, ScoringError
from vidscan.flags import require_choice
from vidscan.models.bundled import FAST, checkpoint_path, ships
from vidscan.models.calibration import fake_probability
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.guards.archive import check_file
from vidscan.models.guards.network import check_network
from vidscan.models.runtimes.keras import KerasRuntime
from vidscan.models.runtimes.protocol import Runtime, first_line
from vidscan.options import RUNTIMES
from vidscan.records import ModelCard, Quantisation
from vidscan.system.files import raising, replacing, sha256_of


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A checkpoint ready to score: its card, the file it came from, and the runtime that computes it.

    ``checkpoint`` builds the Keras network when :attr:`network` is asked for; None for exported files.
    """

    card: ModelCard
    path: Path
    runtime: Runtime
    checkpoint: KerasRuntime | None = None

    @property
    def network(self) -> Any:
        """The Keras network, built at the first use where another runtime does the scoring.

        Raises:
            ModelError: an exported file has none, or Keras cannot build it.
        """
        if self.checkpoint is None:
            raise ModelError(
                f"{self.path}: is an exported file and no Keras network; name the .keras checkpoint instead"
            )
        return self.checkpoint.network

    def score(
        self, crops: npt.NDArray[np.uint8], mouths: npt.NDArray[np.uint8] | None = None
    ) -> npt.NDArray[np.float32]:
        """P(fake) of each crop, ``float32[n]``, calibrated where the card holds a calibration.

        ``crops`` are RGB ``uint8[n, size, size, 3]``, 0-255, of the card's ``input_size``; ``n`` may be 0.
        ``mouths``, where the card asks for them, are the mouths of the same faces in the same form, all zeros
        where none is seen; None leaves all of them out.

        Raises:
            ScoringError: ``crops`` or ``mouths`` is of another type or shape, or the network failed on it.
        """
        given = [crops] if mouths is None else [crops, mouths]
        for each in given:
            self._check(each, len(crops))
        if mouths is not None and not self.card.mouth:
            raise ScoringError(f"{self.path}: looks at no mouths: give it crops of faces alone")
        try:
            outputs = self.runtime.outputs(*given) if len(crops) else np.empty((0, 1), np.float32)
        except Exception as error:  # each backend raises its own
            raise ScoringError(f"{self.path}: the network failed: {first_line(error)}") from error
        return fake_probability(outputs, self.card)

    def _check(self, crops: Any, count: int) -> None:
        size, is_array = self.card.input_size, isinstance(crops, np.ndarray)
        if is_array and crops.dtype == np.uint8 and crops.shape == (count, size, size, 3):
            return
        given = f"{crops.dtype} {list(crops.shape)}" if is_array else f"a {type(crops).__name__}"
        raise ScoringError(f"crops must be a uint8 array [n, {size}, {size}, 3] (RGB, 0-255), not {given}")


def load_model(path: Path | str | None = None, runtime: str = "keras") -> LoadedModel:
    """Loads a checkpoint for scoring, in float32 whatever it was trained in.

    The card ``NAME.json`` beside ``NAME.keras`` is read where there is one, and its hash, input size and
    quantisation are held against the file. Without one, the input size is the network's, the output is taken
    for P(real), and nothing is calibrated.

    ``path`` is a Keras 3 ``.keras`` file, one that ``vidscan export`` made of it, or the name of a bundled
    checkpoint (``bundled.CHECKPOINTS``); None takes the fast one of those. ``runtime`` is one of
    ``options.RUNTIMES``; an exported file runs on what it was made for.

    Raises:
        ModelError: the file is missing, incomplete, unsafe, or no network of the right shape; or the
            runtime cannot be had for it.
        CardError: the card is malformed or belongs to another file.
        UsageError: there is no such runtime.
    """
    from vidscan.models.runtimes.choice import open_runtime
    from vidscan.models.runtimes.exported import SUFFIX, open_exported

    require_choice("--runtime", runtime, RUNTIMES)
    path = checkpoint_path(FAST if path is None else path)
    if path.suffix == SUFFIX:
        card = _card_of(path)
        opened, quantisation = open_exported(path, card, ours=_is_ours(path, card))
        return LoadedModel(*_with_card(path, opened, quantisation, card))
    check_file(path)
    checkpoint = KerasRuntime(path)
    card = _card_of(path)
    if card is not None and card.quantisation != "none":
        raise CardError(
            f'{card_path(path)}: "quantisation" is "{card.quantisation}", but a .keras file computes in '
            'floating point; correct it to "none"'
        )
    opened = open_runtime(runtime, checkpoint, path, wait=not _is_ours(path, card))
    return LoadedModel(*_with_card(path, opened, "none", card), checkpoint)


def _is_ours(path: Path, card: ModelCard | None) -> bool:
    """Whether a file ships with vidscan, and is the one that its card describes."""
    return card is not None and card.sha256 is not None and ships(path)


def _card_of(path: Path) -> ModelCard | None:
    """The card beside ``path``, if there is one; raises CardError where it belongs to another file."""
    card = read_card(card_path(path)) if card_path(path).is_file() else None
    if card is not None and card.members:
        raise CardError(
            f"{card_path(path)}: speaks of several networks together, not of {path.name} alone; move it "
            "away, or give the file another name"
        )
    if card is not None and card.sha256 is not None and card.sha256 != sha256_of(path):
        raise CardError(
            f"{path}: is not the file that its card {card_path(path).name} describes (their SHA-256 differ); "
            "fetch both again, or move the card away to use the file uncalibrated"
        )
    return card


def _with_card(
    path: Path, runtime: Runtime, quantisation: Quantisation, card: ModelCard | None
) -> tuple[ModelCard, Path, Runtime]:
    if card is not None and _is_ours(path, card):  # a file that is known need not be open yet
        return card, path, runtime
    size = runtime.input_size
    mouth = getattr(runtime, "takes_mouths", False)
    if card is None:
        card = ModelCard(
            path.stem, backbone="unknown", input_size=size, quantisation=quantisation, mouth=mouth
        )
    elif card.input_size != size:
        raise CardError(
            f'{card_path(path)}: "input_size" is {card.input_size}, but the network takes {size} pixels; '
            f"correct it to {size}, or fetch the card that belongs to {path.name}"
        )
    elif card.mouth != mouth:
        raise CardError(
            f'{card_path(path)}: "mouth" is {str(card.mouth).lower()}, but the network '
            f"{'takes' if mouth else 'takes no'} mouths; fetch the card that belongs to {path.name}"
        )
    return card, path, runtime


def save_checkpoint(network: Any, path: Path, card: ModelCard) -> ModelCard:
    """Saves ``network`` as ``path`` and its card beside it, returned with the file's SHA-256.

    Each file appears whole or not at all; if the process dies between the two, the hash in the older card no
    longer fits and :func:`load_model` says so. A compiled network keeps its optimizer's state and training
    configuration, so that training can go on from the file.

    Raises:
        ModelError: the name does not end in ``.keras``, the file cannot be written, or the network
            would be refused when loaded.
        CardError: the card is malformed or contradicts the network.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ModelError(f"{path}: a checkpoint's name must end in .keras")
    size = check_network(path, network)
    if card.input_size != size:
        raise CardError(f"{path}: the card's input size {card.input_size} is not the network's, {size}")
    with raising(lambda why: ModelError(f"{path}: cannot be written: {why}")), replacing(path) as temporary:
        network.save(temporary)
        card = replace(card, sha256=sha256_of(temporary))
    write_card(card, card_path(path))
    return card
