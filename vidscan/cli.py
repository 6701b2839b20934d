"""Options -> engine -> writer -> exit code. No logic of its own, nothing heavy imported."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vidscan import sources
from vidscan.arguments import build_parser, scan_options
from vidscan.beside import Beside, say_annotated
from vidscan.errors import VidscanError
from vidscan.options import ScanOptions
from vidscan.records import Label, Report, Source, SourceKind, Status

if TYPE_CHECKING:
    from argparse import Namespace

    from vidscan.model import LoadedModel
    from vidscan.report.destination import Destination

EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_FAKE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The ``vidscan`` command; returns its exit code."""
    flags = build_parser().parse_args(arguments)
    try:
        return _COMMANDS[flags.command](flags)
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


def run_clips(flags: Namespace) -> int:
    """``vidscan run``."""
    return _scan(flags, lambda: sources.from_paths(flags.paths))


def run_stills(flags: Namespace) -> int:
    """``vidscan image``."""
    return _scan(flags, lambda: sources.from_paths(flags.paths, SourceKind.IMAGE))


def run_folder(flags: Namespace) -> int:
    """``vidscan dir``."""
    return _scan(flags, lambda: sources.from_folder(flags.folder, recursive=flags.recursive))


def run_doctor(flags: Namespace) -> int:
    """``vidscan doctor``."""
    from rich.console import Console

    from vidscan.doctor import print_diagnosis

    return EXIT_OK if print_diagnosis(Console(), flags.model) else EXIT_SOME_FAILED


def run_export(flags: Namespace) -> int:
    """``vidscan export``."""
    from rich.console import Console

    from vidscan.cards import card_path
    from vidscan.export import ExportOptions, export

    options = ExportOptions(flags.format, flags.out, flags.checkpoint, flags.calibrate)
    flags.started = True
    card = export(options)
    how = card.metrics["export"]
    said = f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, card in {card_path(options.out)}"
    Console(highlight=False).print(
        f"{said}; largest difference from Keras {how['largest_difference']:.2g}", markup=False
    )
    return EXIT_OK


_COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "run": run_clips,
    "dir": run_folder,
    "image": run_stills,
    "doctor": run_doctor,
    "export": run_export,
}


def _scan(flags: Namespace, find: Callable[[], list[Source]]) -> int:
    """Finds out all that can be wrong before the work, then scans, writes and shows the outcome."""
    from rich.console import Console

    from vidscan.api import load_models, with_runtimes
    from vidscan.ffmpeg import find_program
    from vidscan.report import text
    from vidscan.report.destination import Destination
    from vidscan.report.legible import visible

    options = scan_options(flags)
    destination = Destination.parse(flags.report) if flags.report else None
    beside = _beside(flags)
    if destination is not None:
        destination.check()
    found = find()
    if any(source.kind is SourceKind.VIDEO for source in found):
        find_program()
    beside.check(found)
    options = replace(options, evidence=options.evidence.shared_by(len(found)))
    if sys.stderr.isatty() and not flags.quiet:
        _tell_what_takes_long()
    models = load_models(options.model.paths or None, runtime=options.model.runtime)
    options = with_runtimes(options, models)
    # Standard output belongs to the data where the data go there.
    to_stdout = destination is not None and destination.path is None
    console = Console(stderr=to_stdout, quiet=flags.quiet, highlight=False)
    reports: list[Report] = []
    flags.started = True
    try:
        for report in _reports(found, options, models, flags):
            beside.write_heat_maps(report)
            reports.append(report)
            if flags.quiet and report.error is not None:
                print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
            if flags.command != "dir":
                text.print_report(console, report)
                console.print()
    finally:
        # Also after Ctrl-C or a failure: what was finished is kept.
        if flags.command == "dir" and reports:
            text.print_summary(console, reports)
        if flags.verbose and reports:
            text.print_timings(console, reports)
        if destination is not None:
            _write(destination, reports, options, models)
            if not to_stdout:
                places = " and ".join(visible(str(path)) for path in destination.paths)
                console.print(f"report written to {places}", style="dim", markup=False)
    annotated = beside.write_annotated(reports, options.verdict, Console(stderr=True, quiet=flags.quiet))
    whole = say_annotated(
        annotated,
        lambda line: console.print(line, style="dim", markup=False, soft_wrap=True),
        lambda line: print(line, file=sys.stderr),
    )
    return exit_code(reports, fail_on_fake=flags.fail_on == "fake", all_written=whole)


def _beside(flags: Namespace) -> Beside:
    single = flags.command == "run" and len(flags.paths) == 1
    return Beside(flags.explain_dir, getattr(flags, "annotate", None), in_folder=not single)


def _tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())


def _reports(
    found: Sequence[Source], options: ScanOptions, models: Sequence[LoadedModel], flags: Namespace
) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    from rich.console import Console

    from vidscan.engines import isolated, local
    from vidscan.progress import ScanProgress

    with ScanProgress(Console(stderr=True), len(found), shown=not flags.quiet) as progress:
        scan_sources = isolated.scan_sources if flags.isolate else local.scan_sources
        for report in scan_sources(found, options, models=models, observer=progress):
            progress.reported(report)
            yield report


def _write(
    destination: Destination, reports: Sequence[Report], options: ScanOptions, models: Sequence[LoadedModel]
) -> None:
    from vidscan.cards import ensemble_card
    from vidscan.report.document import evidence_of, to_document

    created, cards = datetime.now(UTC), [model.card for model in models]
    document = to_document(
        reports, options=options.echo(), card=ensemble_card(cards), members=cards, created=created
    )
    destination.write(document, evidence_of(reports))


def exit_code(reports: Sequence[Report], *, fail_on_fake: bool, all_written: bool = True) -> int:
    """The exit code that the outcome calls for; a FAKE that was asked about outranks a failure."""
    labels = {report.verdict.label for report in reports if report.verdict is not None}
    if fail_on_fake and Label.FAKE in labels:
        return EXIT_FAKE
    failed = not all_written or any(report.status is Status.FAILED for report in reports)
    return EXIT_SOME_FAILED if failed else EXIT_OK
