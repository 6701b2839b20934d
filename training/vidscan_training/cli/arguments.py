"""The flags of ``fit``, ``evaluate`` and ``calibrate``, and what each command does with them.

For every command there is ``add_NAME_arguments(parser)`` and ``run_NAME(arguments)``, which returns the
exit code; errors travel as :class:`vidscan.errors.VidscanError`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vidscan.errors import UsageError
from vidscan_training.crops.split import SplitOptions
from vidscan_training.data.augment_presets import PRESETS
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.fitting.network import PHASES, PRECISIONS
from vidscan_training.fitting.options import DEFAULT_TERMS, KEPT, FitOptions


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train fit``."""
    parser.add_argument("crops", type=Path, metavar="CROPS", help="folder made by 'vidscan-train crops'")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for the results")
    parser.add_argument("--name", default="detector", help="name of the checkpoint (default: detector)")
    parser.add_argument("--resume", action="store_true", help="go on from RUN/last.keras")
    _add_network_arguments(parser.add_argument_group("network"))
    _add_length_arguments(parser.add_argument_group("length and learning rate"))
    _add_data_arguments(parser.add_argument_group("data"))
    card = parser.add_argument_group("card")
    card.add_argument("--terms", default=DEFAULT_TERMS, help="terms of use of the checkpoint")
    card.add_argument("--data", default="", help="what it was trained on (default: the methods' names)")


def _add_network_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--backbone", default="efficientnetb4", help="default: efficientnetb4")
    group.add_argument("--head", choices=("reference", "linear", "region"), default="reference")
    group.add_argument("--dropout", type=float, default=0.5, help="before the last layer (default: 0.5)")
    group.add_argument("--weights", default="imagenet", help="imagenet, none, or a weights file")
    group.add_argument("--initial", type=Path, metavar="CHECKPOINT", help="go on from this checkpoint")
    group.add_argument("--phase", choices=PHASES, default="head", help="what learns (default: head)")
    group.add_argument("--unfreeze", type=int, default=20, metavar="N", help="layers that 'last' unfreezes")
    group.add_argument("--precision", choices=PRECISIONS, default="float32")
    group.add_argument(
        "--cache-features", type=int, default=0, metavar="COPIES", help="'head': of each crop, seen once"
    )
    group.add_argument("--teacher", type=Path, metavar="CHECKPOINT", help="learn from its scores too")
    group.add_argument("--teacher-weight", type=float, default=0.5, help="their share of a target (0.5)")


def _add_length_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, help="default: 30 (head), 15 (last), 10 (full)")
    group.add_argument("--images", type=int, help="training pictures in all, instead of --epochs")
    group.add_argument("--minutes", type=float, help="training time in all, instead of --epochs")
    group.add_argument("--steps-per-epoch", type=int, help="batches between validations (default: one pass)")
    group.add_argument("--learning-rate", type=float, help="default: 1e-3 (head), 1e-4 (last), 4e-4 (full)")
    group.add_argument("--weight-decay", type=float, default=0.02)
    group.add_argument("--label-smoothing", type=float, default=0.0)
    group.add_argument(
        "--map-loss", type=float, default=0.0, metavar="WEIGHT", help="of a map of what was forged"
    )
    group.add_argument("--warmup", type=float, default=0.1, help="share of 'full' in which the rate rises")
    group.add_argument(
        "--norm-momentum", type=float, default=0.9, help="of batch normalisation's statistics (default: 0.9)"
    )
    group.add_argument(
        "--keep", choices=KEPT, default="best", help="the epoch that becomes the checkpoint (default: best)"
    )
    group.add_argument("--average", type=float, default=0.999, help="decay of the average of the weights")


def _add_data_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--batch-size", type=int, default=32)
    group.add_argument("--natural", action="store_true", help="draw classes as they come, and weigh them")
    group.add_argument("--method-weights", default="", metavar="NAME=W,…", help="how often methods are drawn")
    group.add_argument(
        "--self-blend", type=float, default=0.0, metavar="SHARE", help="of fakes, made of one real each"
    )
    group.add_argument(
        "--swap-blend", type=float, default=0.0, metavar="SHARE", help="of fakes, made of two reals each"
    )
    group.add_argument(
        "--whole-face", default="", metavar="NAME,…", help="methods whose forgery map is the whole picture"
    )
    group.add_argument(
        "--match-resolution",
        default="",
        metavar="NAME=OTHER,NAME=LOW-HIGH,…",
        help="reduce a method's crops to another's size, or to a range of pixels",
    )
    group.add_argument("--augment", choices=sorted(PRESETS), default="robust")
    group.add_argument("--val-share", type=float, default=0.2)
    group.add_argument("--test-share", type=float, default=0.2)
    group.add_argument("--val-per-clip", type=int, default=6, help="validation crops a clip, 0 for all")
    group.add_argument("--workers", type=int, default=2, help="threads that load crops (default: 2)")
    group.add_argument("--seed", type=int, default=0)


def fit_options(arguments: argparse.Namespace) -> FitOptions:
    """The options that the flags of ``fit`` ask for; raises UsageError where they make no sense."""
    sampling = SamplingOptions(
        batch_size=arguments.batch_size,
        balanced=not arguments.natural,
        method_weights=parse_weights(arguments.method_weights),
        self_blend=arguments.self_blend,
        swap_blend=arguments.swap_blend,
        match_resolution=parse_resolutions(arguments.match_resolution),
        whole_face=tuple(filter(None, (name.strip() for name in arguments.whole_face.split(",")))),
        seed=arguments.seed,
    )
    return FitOptions(
        crops=arguments.crops,
        output=arguments.out,
        name=arguments.name,
        backbone=arguments.backbone,
        head=arguments.head,
        dropout=arguments.dropout,
        weights=arguments.weights,
        initial=arguments.initial,
        phase=arguments.phase,
        unfreeze=arguments.unfreeze,
        sampling=sampling,
        augmentation=arguments.augment,
        split=SplitOptions(arguments.val_share, arguments.test_share, arguments.seed),
        epochs=arguments.epochs,
        images=arguments.images,
        minutes=arguments.minutes,
        steps_per_epoch=arguments.steps_per_epoch,
        learning_rate=arguments.learning_rate,
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        map_loss=arguments.map_loss,
        warmup=arguments.warmup,
        norm_momentum=arguments.norm_momentum,
        average=arguments.average,
        keep=arguments.keep,
        cache_features=arguments.cache_features,
        teacher=arguments.teacher,
        teacher_weight=arguments.teacher_weight,
        precision=arguments.precision,
        val_per_clip=arguments.val_per_clip,
        workers=arguments.workers,
        seed=arguments.seed,
        resume=arguments.resume,
        terms=arguments.terms,
        data=arguments.data,
    )


def run_fit(arguments: argparse.Namespace) -> int:
    """Trains, and names the checkpoint that came of it on stdout."""
    from vidscan_training.fitting.loop import fit

    print(fit(fit_options(arguments)))
    return 0


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train evaluate``."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("crops", type=Path, metavar="CROPS")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="test")
    parser.add_argument("--methods", default="", metavar="NAME,…", help="only these, real ones included")
    parser.add_argument(
        "--against",
        default="",
        metavar="METHOD=REAL+REAL,…",
        help="real methods to compare a manipulation with (default: those of the same people)",
    )
    parser.add_argument("--per-clip", type=int, default=0, help="crops of each clip (default: all)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--out", type=Path, metavar="SCORES.csv", help="write one line a crop")
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the figures as .json, .md or .html (repeatable); - for JSON on stdout alone",
    )
    parser.add_argument(
        "--robustness", action="store_true", help="score degraded crops too: 30 times as long"
    )
    parser.add_argument("--degradations", default="", metavar="NAME,…", help="with --robustness, only these")
    parser.add_argument("--record", action="store_true", help="put the main figures into the card")


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Measures and prints a table, or with ``--report -`` the figures as JSON."""
    from vidscan_training.evaluation.evaluate import EvaluateOptions, evaluate
    from vidscan_training.evaluation.report import as_json, as_text

    to_stdout = Path("-") in arguments.report
    result = evaluate(
        EvaluateOptions(
            checkpoint=arguments.checkpoint,
            crops=arguments.crops,
            split=arguments.split,
            methods=parse_names(arguments.methods),
            against={name: reals.split("+") for name, reals in _pairs(arguments.against)},
            per_clip=arguments.per_clip,
            batch_size=arguments.batch_size,
            robustness=_degradations(arguments),
            scores=arguments.out,
            reports=[path for path in arguments.report if path != Path("-")],
            record=arguments.record,
        )
    )
    sys.stdout.write(as_json(result) if to_stdout else as_text(result))
    return 0


def _degradations(arguments: argparse.Namespace) -> list[str]:
    from vidscan_training.evaluation.degradations import DEGRADATIONS

    named = parse_names(arguments.degradations)
    if named and not arguments.robustness:
        raise UsageError("--degradations chooses among those of --robustness: give that too")
    return (named or list(DEGRADATIONS)) if arguments.robustness else []


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``vidscan-train calibrate``."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("crops", type=Path, metavar="CROPS")
    parser.add_argument(
        "--false-alarms",
        type=float,
        default=0.05,
        help="share of real clips that may be FAKE (default: 0.05)",
    )
    parser.add_argument(
        "--misses", type=float, default=0.05, help="share of fake clips that may be REAL (default: 0.05)"
    )
    parser.add_argument("--band", type=float, default=0.05, help="least distance of thresholds from 0.5")
    parser.add_argument("--method-weights", default="", metavar="NAME=W,…", help="within the method's class")
    parser.add_argument("--batch-size", type=int, default=32)


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Fits calibration and thresholds, writes them into the card, and says what they are."""
    from vidscan_training.evaluation.calibrate import CalibrateOptions, as_text, calibrate_checkpoint

    card = calibrate_checkpoint(
        CalibrateOptions(
            checkpoint=arguments.checkpoint,
            crops=arguments.crops,
            false_alarms=arguments.false_alarms,
            misses=arguments.misses,
            band=arguments.band,
            method_weights=parse_weights(arguments.method_weights),
            batch_size=arguments.batch_size,
        )
    )
    print(as_text(card))
    return 0


def parse_names(text: str) -> list[str]:
    """``"original, deepfakes"`` as a list of names; empty ones are left out."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_weights(text: str) -> dict[str, float]:
    """``"deepfakes=1,stylegan256=0.7"`` as a dictionary; raises UsageError if it is written otherwise."""
    weights = {}
    for name, value in _pairs(text):
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--method-weights: '{value}' of {name} is not a number") from None
    return weights


def parse_resolutions(text: str) -> dict[str, tuple[float, float] | str]:
    """``"ffhq512=ffhq256"`` or ``"ffhq512=180-256"`` as a dictionary; see ``SamplingOptions``."""
    wanted: dict[str, tuple[float, float] | str] = {}
    for name, value in _pairs(text):
        low, dash, high = value.partition("-")
        if dash and low.isdigit() and high.isdigit():
            if not 0 < int(low) <= int(high):
                raise UsageError(f"--match-resolution: {value} of {name} is no range of pixels")
            wanted[name] = (float(low), float(high))
        else:
            wanted[name] = value
    return wanted


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = item.partition("=")
        if not (sign and name and value):
            raise UsageError(f"'{item}' should be NAME=VALUE")
        pairs.append((name, value))
    return pairs
