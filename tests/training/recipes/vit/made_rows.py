"""Rows of stored faces, and clips of them, without a store."""

from __future__ import annotations

from vidscan_training.recipes.vit.faces import FaceRow
from vidscan_training.recipes.vit.folds import Clip


def made_row(
    source: str,
    *,
    fake: bool = False,
    collection: str = "talking",
    person: str = "",
    part: str = "",
    clip: str = "",
) -> FaceRow:
    """A face of 20x24 px in the middle of a stored square of 52 px."""
    label = "fake" if fake else "real"
    return FaceRow(
        f"faces/{source}.png", label, collection, source, "method", person or source, part, clip or source,
        0.0, 16.0, 14.0, 20.0, 24.0,
    )  # fmt: skip


def made_clips(source: str, count: int, *, fake: bool, collection: str = "talking") -> list[Clip]:
    """Clips of one source, each of one face and of another person."""
    return [
        Clip(made_row(source, fake=fake, collection=collection, person=f"{source}{number}"), (number,))
        for number in range(count)
    ]
