"""Flags -> options -> engine -> writer -> exit code. No logic of its own, nothing heavy imported."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan import __version__, sources
from vidscan.errors import VidscanError
from vidscan.options import (
    BatchingOptions,
    DetectionOptions,
    ModelOptions,
    SamplingOptions,
    ScanOptions,
    VerdictOptions,
)
from vidscan.records import Label, Report, Source, SourceKind, Status

if TYPE_CHECKING:
    from vidscan.model import LoadedModel
    from vidscan.report.destination import Destination

EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_FAKE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\
exit codes:
  0  everything was analysed
  1  some input failed (the report says which and why)
  2  wrong usage: nothing was analysed
  3  something is FAKE, where --fail-on fake asks for it
  130  interrupted (what was finished is in the report)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The ``vidscan`` command; returns its exit code."""
    flags = build_parser().parse_args(arguments)
    try:
        return int(flags.command(flags))
    except VidscanError as error:
        complain(error, verbose=flags.verbose)
        return EXIT_SOME_FAILED if flags.started else EXIT_USAGE
    except KeyboardInterrupt:
        print("vidscan: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def complain(error: BaseException, *, verbose: bool) -> None:
    """Prints an error as one line on stderr; its traceback too where ``verbose``."""
    from vidscan.report.legible import visible

    if verbose:
        traceback.print_exception(error)
    print(f"vidscan: {visible(str(error))}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="vidscan",
        description="Tells whether the faces in a video were synthesised, when, and which.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vidscan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _add_command(commands, "run", "scan clips", run_clips)
    run.add_argument("paths", nargs="+", type=Path, metavar="CLIP")
    _add_scan_flags(run, video=True)

    folder = _add_command(commands, "dir", "scan all clips and stills in a folder", run_folder)
    folder.add_argument("folder", type=Path, metavar="FOLDER")
    folder.add_argument("--recursive", action="store_true", help="look into subfolders too")
    _add_scan_flags(folder, video=True)

    image = _add_command(commands, "image", "scan stills", run_stills)
    image.add_argument("paths", nargs="+", type=Path, metavar="STILL")
    _add_scan_flags(image, video=False)

    doctor = _add_command(commands, "doctor", "check the installation", run_doctor)
    doctor.add_argument("--model", type=Path, metavar="PATH", help="check this checkpoint")
    doctor.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help_text: str,
    function: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # ``started`` turns True with the work: an error before it is wrong usage, one after it a failure.
    parser.set_defaults(command=function, started=False)
    return parser


def _add_scan_flags(parser: argparse.ArgumentParser, *, video: bool) -> None:
    if video:
        parser.add_argument(
            "--fps", type=float, default=2.0, metavar="N", help="frames to look at per second (default 2)"
        )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a .keras checkpoint (default: the one that ships); given several times, an ensemble of them",
    )
    parser.add_argument(
        "--report", metavar="OUT", help="write the report to OUT.json or OUT.csv; - for JSON on stdout"
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="faces scored at once (default 32)"
    )
    parser.add_argument(
        "--min-confidence", type=float, default=0.5, metavar="P", help="least sure detection taken (0.5)"
    )
    parser.add_argument(
        "--min-face", type=int, default=32, metavar="PX", help="smallest face taken, in pixels (32)"
    )
    parser.add_argument(
        "--fake-threshold", type=float, metavar="P", help="FAKE from here (default: the card's)"
    )
    parser.add_argument(
        "--real-threshold", type=float, metavar="P", help="REAL up to here (default: the card's)"
    )
    parser.add_argument("--fail-on", choices=["fake"], help="exit with 3 when something is FAKE")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="print timings, and tracebacks of errors"
    )


def scan_options(flags: argparse.Namespace) -> ScanOptions:
    """The options that the flags ask for; raises UsageError where one cannot work."""
    return ScanOptions(
        sampling=SamplingOptions(getattr(flags, "fps", SamplingOptions().fps)),
        detection=DetectionOptions(flags.min_confidence, flags.min_face),
        batching=BatchingOptions(flags.batch_size),
        model=ModelOptions(tuple(flags.model)),
        verdict=VerdictOptions(flags.fake_threshold, flags.real_threshold),
    )


def run_clips(flags: argparse.Namespace) -> int:
    """``vidscan run``."""
    return _scan(flags, lambda: sources.from_paths(flags.paths))


def run_stills(flags: argparse.Namespace) -> int:
    """``vidscan image``."""
    return _scan(flags, lambda: sources.from_paths(flags.paths, SourceKind.IMAGE))


def run_folder(flags: argparse.Namespace) -> int:
    """``vidscan dir``."""
    return _scan(flags, lambda: sources.from_folder(flags.folder, recursive=flags.recursive))


def run_doctor(flags: argparse.Namespace) -> int:
    """``vidscan doctor``."""
    from rich.console import Console

    from vidscan.doctor import print_diagnosis

    return EXIT_OK if print_diagnosis(Console(), flags.model) else EXIT_SOME_FAILED


def _scan(flags: argparse.Namespace, find: Callable[[], list[Source]]) -> int:
    """Finds out all that can be wrong before the work, then scans, writes and shows the outcome."""
    from rich.console import Console

    from vidscan.api import load_models
    from vidscan.ffmpeg import find_program
    from vidscan.report import text
    from vidscan.report.destination import Destination
    from vidscan.report.legible import visible

    options = scan_options(flags)
    destination = Destination.parse(flags.report) if flags.report else None
    if destination is not None:
        destination.check()
    found = find()
    if any(source.kind is SourceKind.VIDEO for source in found):
        find_program()
    models = load_models(options.model.paths or None)
    # Standard output belongs to the data where the data go there.
    to_stdout = destination is not None and destination.path is None
    console = Console(stderr=to_stdout, quiet=flags.quiet, highlight=False)
    reports: list[Report] = []
    flags.started = True
    try:
        for report in _reports(found, options, models, flags):
            reports.append(report)
            if flags.quiet and report.error is not None:
                print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
            if flags.command is not run_folder:
                text.print_report(console, report)
                console.print()
    finally:
        # Also after Ctrl-C or a failure: what was finished is kept.
        if flags.command is run_folder and reports:
            text.print_summary(console, reports)
        if flags.verbose and reports:
            text.print_timings(console, reports)
        if destination is not None:
            _write(destination, reports, options, models)
            if not to_stdout:
                console.print(
                    f"report written to {visible(str(destination.path))}", style="dim", markup=False
                )
    return exit_code(reports, fail_on_fake=flags.fail_on == "fake")


def _reports(
    found: Sequence[Source], options: ScanOptions, models: Sequence[LoadedModel], flags: argparse.Namespace
) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    from rich.console import Console

    from vidscan.engines import local
    from vidscan.progress import ScanProgress

    with ScanProgress(Console(stderr=True), len(found), shown=not flags.quiet) as progress:
        for report in local.scan_sources(found, options, models=models, observer=progress):
            progress.reported(report)
            yield report


def _write(
    destination: Destination, reports: Sequence[Report], options: ScanOptions, models: Sequence[LoadedModel]
) -> None:
    from vidscan.cards import ensemble_card
    from vidscan.report.document import to_document

    created, cards = datetime.now(UTC), [model.card for model in models]
    document = to_document(
        reports, options=options.echo(), card=ensemble_card(cards), members=cards, created=created
    )
    destination.write(document)


def exit_code(reports: Sequence[Report], *, fail_on_fake: bool) -> int:
    """The exit code that the outcome calls for; a FAKE that was asked about outranks a failure."""
    labels = {report.verdict.label for report in reports if report.verdict is not None}
    if fail_on_fake and Label.FAKE in labels:
        return EXIT_FAKE
    failed = any(report.status is Status.FAILED for report in reports)
    return EXIT_SOME_FAILED if failed else EXIT_OK
