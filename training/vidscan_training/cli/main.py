"""The ``vidscan-train`` command: crops, sheet, fit, average, calibrate, evaluate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vidscan import __version__
from vidscan.cli.main import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, complain
from vidscan.errors import UsageError, VidscanError
from vidscan_training.cli import arguments


def main(argv: Sequence[str] | None = None) -> int:
    """The ``vidscan-train`` command; returns its exit code."""
    flags = build_parser().parse_args(argv)
    try:
        return int(flags.command(flags))
    except VidscanError as error:
        complain(error, verbose=flags.verbose)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("vidscan-train: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="vidscan-train", description="Makes checkpoints for vidscan and measures them."
    )
    parser.add_argument("--version", action="version", version=f"vidscan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, help_text, add_flags, run in (
        ("crops", "cut face crops out of labelled clips and stills", add_crops_arguments, run_crops),
        ("sheet", "draw what augmentation and blending make", add_sheet_arguments, run_sheet),
        ("fit", "train a network on crops", arguments.add_fit_arguments, arguments.run_fit),
        ("average", "average the weights of related checkpoints", add_average_arguments, run_average),
        (
            "calibrate",
            "fit probabilities and thresholds on the validation clips",
            arguments.add_calibrate_arguments,
            arguments.run_calibrate,
        ),
        (
            "evaluate",
            "measure a checkpoint on crops",
            arguments.add_evaluate_arguments,
            arguments.run_evaluate,
        ),
    ):
        command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:])
        add_flags(command)
        command.add_argument("--verbose", action="store_true", help="show tracebacks of errors")
        command.set_defaults(command=run)
    return parser


def add_average_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train average``."""
    parser.add_argument("out", type=Path, metavar="OUT", help="the checkpoint to write")
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="two or more")


def run_average(flags: argparse.Namespace) -> int:
    """``vidscan-train average``."""
    from vidscan_training.fitting.average import average_checkpoints

    average_checkpoints(flags.checkpoints, flags.out)
    print(f"{flags.out}: the mean of {len(flags.checkpoints)} checkpoints; calibrate it before use")
    return EXIT_OK


def add_crops_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train crops``."""
    parser.add_argument("out", type=Path, metavar="CROPS", help="new folder for the crops")
    parser.add_argument(
        "--from",
        dest="manifests",
        type=Path,
        action="append",
        default=[],
        metavar="CSV",
        help="a list with the columns file, label (real or fake), and where known method, group, split",
    )
    parser.add_argument("--group-column", default="group", help="column that names people (default: group)")
    for label in ("real", "fake"):
        parser.add_argument(
            f"--{label}",
            type=Path,
            action="append",
            default=[],
            metavar="FOLDER",
            help=f"a folder of {label} media, each a group of its own; its name is the method",
        )
    parser.add_argument("--backbone", default="efficientnetb4", help="its input size is the crops' side")
    parser.add_argument("--size", type=int, help="side of a crop in pixels, instead of the backbone's")
    parser.add_argument("--margin", type=float, default=1.4, help="side as a multiple of the box (1.4)")
    parser.add_argument("--real-per-clip", type=int, default=24, metavar="N", help="frames a clip (24)")
    parser.add_argument("--fake-per-clip", type=int, default=12, metavar="N", help="frames a clip (12)")
    parser.add_argument("--all-faces", action="store_true", help="every face of a frame, not the largest")
    parser.add_argument("--level", action="store_true", help="turn crops so that the eyes lie level")
    parser.add_argument("--crf", type=int, help="compress every file with H.264 first (0 fine - 51 coarse)")
    parser.add_argument("--scale", type=float, default=1.0, help="reduce every file first, 0.5 to half")


def run_crops(flags: argparse.Namespace) -> int:
    """``vidscan-train crops``."""
    from vidscan_training.crops.extract import (
        CropOptions,
        extract,
        sources_from_folder,
        sources_from_manifest,
    )
    from vidscan_training.fitting.backbones import BACKBONES

    if flags.backbone not in BACKBONES:
        raise UsageError(f"--backbone {flags.backbone}: not one of {', '.join(BACKBONES)}")
    options = CropOptions(
        size=flags.size or BACKBONES[flags.backbone].input_size,
        margin=flags.margin,
        real_per_clip=flags.real_per_clip,
        fake_per_clip=flags.fake_per_clip,
        all_faces=flags.all_faces,
        level=flags.level,
        crf=flags.crf,
        scale=flags.scale,
    )
    listed = [
        source
        for csv in flags.manifests
        for source in sources_from_manifest(csv, group_column=flags.group_column)
    ]
    for label in ("real", "fake"):
        for folder in getattr(flags, label):
            listed += sources_from_folder(folder, label)
    if not listed:
        raise UsageError("nothing to cut crops from: give --from CSV, or --real FOLDER and --fake FOLDER")
    rows = extract(listed, flags.out, options)
    print(f"{len(rows)} crops of {len({row.clip for row in rows})} files in {flags.out}", file=sys.stderr)
    return EXIT_OK


def add_sheet_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train sheet``."""
    parser.add_argument("crops", type=Path, metavar="CROPS", help="folder made by 'vidscan-train crops'")
    parser.add_argument("--out", type=Path, default=Path("sheet.png"), help="the picture (sheet.png)")
    parser.add_argument("--faces", type=int, default=8, help="rows of the sheet (8)")
    parser.add_argument("--augment", default="robust", help="preset to show (robust)")
    parser.add_argument("--seed", type=int, default=0)


def run_sheet(flags: argparse.Namespace) -> int:
    """``vidscan-train sheet``."""
    from vidscan_training.data.contact_sheet import write_review

    write_review(flags.crops, flags.out, faces=flags.faces, preset_name=flags.augment, seed=flags.seed)
    return EXIT_OK
