"""What ships with vidscan: the checkpoints by their names, and the detector card of them together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vidscan.errors import ModelError
from vidscan.models.card_file import card_path, read_card
from vidscan.records import ModelCard
from vidscan.system.files import sha256_of

CHECKPOINTS: Mapping[str, str] = {"vidscan-lite2": "vidscan-lite2.keras", "vidscan-vit": "vidscan-vit.onnx"}
"""The file of each bundled checkpoint. A scan takes all of them where none is named."""

FAST = "vidscan-lite2"
"""The one that ``--fast`` takes alone, and that ``load_model`` loads where none is named."""

DETECTOR_CARD = "vidscan.json"
"""The card of all of them together."""

_SUFFIXES = (".keras", ".onnx")
_OR_FAST = f"install vidscan again, or take {FAST} alone with --fast"


def checkpoint_folder() -> Path:
    """Where the bundled checkpoints lie: in the package; with an editable install, in the repository.

    Raises:
        ModelError: neither place holds any.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package / "checkpoints", package.parent / "model" / "checkpoints")
    for folder in folders:
        if any((folder / file).is_file() for file in CHECKPOINTS.values()):
            return folder
    raise ModelError(
        f"{' and '.join(CHECKPOINTS.values())}, which ship with vidscan, are missing from {folders[0]} and "
        f"{folders[1]}; install vidscan again, or name a checkpoint with --model PATH"
    )


def is_bundled(named: Path | str) -> bool:
    """Whether a checkpoint is named as one that ships; such a name wins over a file that is called so."""
    return str(named) in CHECKPOINTS


def ships(path: Path) -> bool:
    """Whether a file is one of the bundled checkpoints."""
    if path.name not in CHECKPOINTS.values():
        return False
    try:
        return path.resolve().parent == checkpoint_folder().resolve()
    except ModelError:  # an installation without any, where a file may be called so all the same
        return False


def checkpoint_path(named: Path | str) -> Path:
    """The file of a checkpoint as ``--model`` names it: by a bundled one's name, or its path.

    Raises:
        ModelError: the bundled file is missing, or the name is neither a bundled one nor that of a file.
    """
    path = Path(named)
    if not is_bundled(named):
        if path.suffix not in _SUFFIXES and not path.exists():
            raise ModelError(
                f"{path}: is no file, and none of the checkpoints that ship with vidscan "
                f"({', '.join(CHECKPOINTS)}); check what was given with --model"
            )
        return path
    path = checkpoint_folder() / CHECKPOINTS[str(named)]
    if not path.is_file():
        remedy = "install vidscan again, or name another with --model" if str(named) == FAST else _OR_FAST
        raise ModelError(f"{path}: {named}, which ships with vidscan, is missing; {remedy}")
    return path


def detector_card(checkpoints: Mapping[str, Path]) -> ModelCard | None:
    """The detector card in the checkpoint folder whose members are exactly these files; None without one.

    ``checkpoints`` gives the path of each file by its SHA-256.

    Raises:
        ModelError: they are all that ship, for which there must be one: without it, their scores together
            would be uncalibrated.
        CardError: a card in the folder is malformed.
    """
    try:
        folder = checkpoint_folder()
    except ModelError:
        return None
    # The folder is part of the installation, so every card in it is one of ours.
    for path in sorted(folder.glob("*.json")):
        card = read_card(path)
        if card.members and {member.sha256 for member in card.members} == set(checkpoints):
            return card
    shipped = {(folder / file).resolve() for file in CHECKPOINTS.values()}
    if {path.resolve() for path in checkpoints.values()} != shipped:
        return None
    place = folder / DETECTOR_CARD
    if not place.is_file():
        raise ModelError(f"{place}: the card of {' and '.join(CHECKPOINTS)} together is missing; {_OR_FAST}")
    raise ModelError(
        f"{place}: was not made for the {' and '.join(CHECKPOINTS.values())} beside it (their SHA-256 "
        f"differ); {_OR_FAST}"
    )


def fingerprint() -> str:
    """A hash of the bundled checkpoints and cards, to tell one installation from another; 12 digits."""
    try:
        folder = checkpoint_folder()
    except ModelError:
        return "none"
    files = [folder / file for file in CHECKPOINTS.values()]
    there = [path for path in (*files, *map(card_path, files), folder / DETECTOR_CARD) if path.is_file()]
    return sha256_of("".join(f"{path.name} {sha256_of(path)}\n" for path in there).encode())[:12]
