"""How rare high odds are among genuine people: what the exponent of ``evidence.any_of`` rests on.

    python benchmarks/genuine_tail.py CROPS [--checkpoint CHECKPOINT]

CROPS is a folder made by ``vidscan-train crops`` as training/README.md says for the bundled checkpoint. Every
genuine clip and portrait of its validation split is one person, whose score is that of all their crops. If
the share of people whose odds exceed x fell as x to the power of -a, a would come out alike in all rows.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from scenes.tables import table

import vidscan
from training.manifest import open_crop_folder
from training.scores import by_clip, rows_of_split, score_rows
from vidscan.evidence import TAIL

LOGITS = (0.0, 0.5, 1.0, 2.4)
"""Where the share beyond is taken, beside the threshold of FAKE, as logarithms of odds."""


def genuine_logits(crops: Path, checkpoint: Path | None) -> tuple[list[float], float]:
    """The logits of the genuine validation people, and that of the threshold of FAKE."""
    model, folder = vidscan.load_model(checkpoint), open_crop_folder(crops)
    places = [
        place for place in rows_of_split(folder, model.card, "val") if folder.rows[place].label == "real"
    ]
    people = by_clip(score_rows(model, folder, places), model.card)
    return [logit(each.fake_probability) for each in people], logit(model.card.fake_threshold)


def logit(probability: float) -> float:
    """The logarithm of the odds."""
    return math.log(probability / (1.0 - probability))


def tail_rows(logits: Sequence[float], bars: Sequence[float]) -> Iterator[Sequence[str]]:
    """For each bar the share of people beyond it, and the exponent from the bar before."""
    before: tuple[float, int] | None = None
    for bar in bars:
        beyond = sum(each > bar for each in logits)
        # Where nobody is beyond, less than one person is: the exponent is larger than one with that.
        exponent = (
            "—" if before is None else f"{math.log(before[1] / max(beyond, 1)) / (bar - before[0]):.1f}"
        )
        known = exponent if beyond else f"at least {exponent}"
        yield f"{bar:.2f}", f"{math.exp(bar):.1f}", str(beyond), f"{beyond / len(logits):.1%}", known
        before = bar, max(beyond, 1)


def main(argv: Sequence[str] | None = None) -> None:
    """Scores the people and prints a table."""
    parser = argparse.ArgumentParser(description="How rare high odds are among genuine people.")
    parser.add_argument("crops", type=Path, metavar="CROPS", help="folder made by 'vidscan-train crops'")
    parser.add_argument("--checkpoint", type=Path, help="another than the bundled one")
    flags = parser.parse_args(argv)
    logits, threshold = genuine_logits(flags.crops, flags.checkpoint)
    bars = sorted({*LOGITS, threshold})
    heads = ("odds above", "people", "share", "exponent from the row before")
    table(
        f"{len(logits)} genuine people (evidence.TAIL = {TAIL:g}):",
        ("logit", *heads),
        tail_rows(logits, bars),
    )


if __name__ == "__main__":
    main()
