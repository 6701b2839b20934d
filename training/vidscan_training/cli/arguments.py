"""The flags of each command of ``vidscan-train``, and what it does with them.

For every command there is ``add_NAME_arguments(parser)`` and ``run_NAME(flags)``, which returns the exit
code; errors travel as :class:`vidscan.errors.VidscanError`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vidscan.errors import UsageError
from vidscan_training.evaluation.calibrate import CalibrateOptions, calibrate_checkpoint
from vidscan_training.evaluation.calibrate import as_text as calibration_text
from vidscan_training.evaluation.degradations import DEGRADATIONS
from vidscan_training.evaluation.evaluate import EvaluateOptions, evaluate
from vidscan_training.evaluation.report import as_json, as_text
from vidscan_training.fitting.options import FitOptions
from vidscan_training.flags import add_flags, names, options_of


def run_fit(flags: argparse.Namespace) -> int:
    """Trains, and names the checkpoint that came of it on stdout."""
    from vidscan_training.fitting.loop import fit

    print(fit(options_of(FitOptions, flags)))
    return 0


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train fit``."""
    add_flags(parser, FitOptions)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train evaluate``."""
    add_flags(parser, EvaluateOptions)
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the figures as .json, .md or .html (repeatable); - for JSON on stdout alone",
    )
    parser.add_argument(
        "--robustness",
        dest="degrade",
        action="store_true",
        help="score degraded crops too: 30 times as long",
    )
    parser.add_argument("--degradations", default="", metavar="NAME,…", help="with --robustness, only these")


def run_evaluate(flags: argparse.Namespace) -> int:
    """Measures and prints a table, or with ``--report -`` the figures as JSON."""
    reports = [path for path in flags.report if path != Path("-")]
    options = options_of(EvaluateOptions, flags, robustness=_degradations(flags), reports=reports)
    result = evaluate(options)
    sys.stdout.write(as_json(result) if Path("-") in flags.report else as_text(result))
    return 0


def _degradations(flags: argparse.Namespace) -> tuple[str, ...]:
    named = names(flags.degradations)
    if named and not flags.degrade:
        raise UsageError("--degradations chooses among those of --robustness: give that too")
    return (named or tuple(DEGRADATIONS)) if flags.degrade else ()


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train calibrate``."""
    add_flags(parser, CalibrateOptions)


def run_calibrate(flags: argparse.Namespace) -> int:
    """Fits calibration and thresholds, writes them into the card, and says what they are."""
    print(calibration_text(calibrate_checkpoint(options_of(CalibrateOptions, flags))))
    return 0
