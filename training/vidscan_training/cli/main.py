"""The ``vidscan-train`` command: crops, fit, average, calibrate, evaluate.

Each command has a ``_run_NAME``, which returns the exit code; errors travel as
:class:`vidscan.errors.VidscanError`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidscan import __version__
from vidscan.cli.main import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, complain
from vidscan.errors import UsageError, VidscanError
from vidscan.flags import add_flags, values_of
from vidscan_training.crops.extract import CropOptions, extract, sources_from_folder, sources_from_manifest
from vidscan_training.evaluation.calibrate import CalibrateOptions, calibrate_checkpoint
from vidscan_training.evaluation.calibrate import as_text as calibration_text
from vidscan_training.evaluation.evaluate import STDOUT, EvaluateOptions, evaluate
from vidscan_training.evaluation.marks import MarksOptions, calibrate_by_marks
from vidscan_training.evaluation.marks import as_text as marks_text
from vidscan_training.evaluation.report import as_json, as_text
from vidscan_training.fitting.backbones import BACKBONES
from vidscan_training.fitting.options import FitOptions


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
    for name, help_text, add, run in (
        ("crops", "cut face crops out of labelled clips and stills", _add_crops_flags, _run_crops),
        ("fit", "train a network on crops", FitOptions, _run_fit),
        ("average", "average the weights of related checkpoints", _add_average_flags, _run_average),
        (
            "calibrate",
            "fit probabilities and thresholds on the validation clips, or thresholds on your own marks",
            _add_calibrate_flags,
            _run_calibrate,
        ),
        ("evaluate", "measure a checkpoint on crops", EvaluateOptions, _run_evaluate),
    ):
        command = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:],
            argument_default=argparse.SUPPRESS,
        )
        if isinstance(add, type):
            add_flags(command, add, noted=False)
        else:
            add(command)
        command.add_argument(
            "--verbose", action="store_true", default=False, help="show tracebacks of errors"
        )
        command.set_defaults(command=run)
    return parser


def fit_options(flags: argparse.Namespace) -> FitOptions:
    """The options that the flags of ``vidscan-train fit`` ask for; one seed is that of the split too."""
    options = FitOptions(**values_of(FitOptions, vars(flags)))
    return replace(options, split=replace(options.split, seed=options.seed))


def _run_fit(flags: argparse.Namespace) -> int:
    """Trains, and names the checkpoint that came of it on stdout."""
    from vidscan_training.fitting.loop import fit

    print(fit(fit_options(flags)))
    return EXIT_OK


def _run_evaluate(flags: argparse.Namespace) -> int:
    """Measures and prints a table, or with ``--report -`` the figures as JSON."""
    options = EvaluateOptions(**values_of(EvaluateOptions, vars(flags)))
    result = evaluate(options)
    sys.stdout.write(as_json(result) if STDOUT in options.reports else as_text(result))
    return EXIT_OK


def _add_calibrate_flags(parser: argparse.ArgumentParser) -> None:
    # Defaults of their own: argparse would make a path of the mark for none.
    for name, told in (("checkpoint", "gets a new card"), ("crops", "made by vidscan-train crops")):
        parser.add_argument(name, type=Path, nargs="?", default=None, metavar=name.upper(), help=told)
    parser.add_argument(
        "--marks",
        type=Path,
        metavar="STORE",
        help="in place of CROPS, what was marked fake and real in a store of results: sets thresholds alone",
    )
    add_flags(parser, CalibrateOptions, without=("checkpoint", "crops"), noted=False)


def _run_calibrate(flags: argparse.Namespace) -> int:
    """Fits calibration and thresholds, or the latter alone, writes them into the card, and tells them."""
    given = {name: value for name, value in vars(flags).items() if value is not None}
    if "marks" in given:
        if unused := given.keys() & {"crops", "method_weights", "batch_size"}:
            raise UsageError(f"--marks goes without {' and '.join(sorted(unused))}: leave one of them out")
        marks, known = given["marks"], ("checkpoint", "false_alarms", "misses", "band")
        asked = {name: given[name] for name in known if name in given}
        print(marks_text(calibrate_by_marks(MarksOptions(marks, **asked)), marks))
        return EXIT_OK
    if "checkpoint" not in given or "crops" not in given:
        raise UsageError("name a CHECKPOINT and CROPS, or a store of results with --marks")
    options = CalibrateOptions(**values_of(CalibrateOptions, given))
    print(calibration_text(calibrate_checkpoint(options)))
    return EXIT_OK


def _add_average_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="the checkpoint to write")
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="two or more")


def _run_average(flags: argparse.Namespace) -> int:
    from vidscan_training.fitting.average import average_checkpoints

    average_checkpoints(flags.checkpoints, flags.out)
    print(f"{flags.out}: the mean of {len(flags.checkpoints)} checkpoints; calibrate it before use")
    return EXIT_OK


def _add_crops_flags(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--size", type=int, default=None, help="side of a crop in pixels, instead of the backbone's"
    )
    add_flags(parser, CropOptions, noted=False)


def _run_crops(flags: argparse.Namespace) -> int:
    if flags.backbone not in BACKBONES:
        raise UsageError(f"--backbone {flags.backbone}: not one of {', '.join(BACKBONES)}")
    size = flags.size or BACKBONES[flags.backbone].input_size
    options = CropOptions(size=size, **values_of(CropOptions, vars(flags)))
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
