"""Which clips and stills there are to learn from, and what of each must stay together."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from vidscan_training.recipes.vit.faces import Labelled
from vidscan_training.recipes.vit.folds import FOLDS_FILE


def listed(data: Path) -> list[Labelled]:
    """Everything below the research data's folder: ``ffpp``, ``talking``, ``stills`` and ``faces``.

    The split of FaceForensics++ by pair, and of the portraits of ``faces`` by number, is that of the first
    network's card, so that what one of them has seen in training is known for both.
    """
    return [
        *_ffpp(data / "ffpp"),
        *_talking(data / "talking"),
        *_stills(data / "stills"),
        *_portraits(data / "faces"),
    ]


def _ffpp(folder: Path) -> Iterator[Labelled]:
    parts = json.loads(FOLDS_FILE.read_text(encoding="utf-8"))["ffpp"]
    part_of = {pair: part for part, pairs in parts.items() for pair in pairs}
    for row in _rows(folder):
        yield Labelled(
            folder / row["file"],
            row["label"],
            "ffpp",
            "ffpp",
            row["method"],
            row["pair"],
            part_of[row["pair"]],
        )


def _talking(folder: Path) -> Iterator[Labelled]:
    for row in _rows(folder):
        yield Labelled(
            folder / row["file"], row["label"], "talking", row["source"], row["method"], row["person"]
        )


def _stills(folder: Path) -> Iterator[Labelled]:
    for row in _rows(folder):
        yield Labelled(
            folder / row["file"],
            row["label"],
            "stills",
            row["source"],
            row["generator"],
            Path(row["file"]).stem,
        )


def _portraits(folder: Path) -> Iterator[Labelled]:
    for name, label in (("ffhq512", "real"), ("ffhq256", "real"), ("stylegan256", "fake")):
        for path in sorted((folder / name).rglob("*.jpg")):
            yield Labelled(path, label, "faces", name, name, f"{name}/{path.stem}")


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
