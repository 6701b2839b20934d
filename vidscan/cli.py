"""Options -> engine -> writer -> exit code. No logic of its own, nothing heavy imported."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan import sources
from vidscan.arguments import build_parser, scan_options
from vidscan.errors import UsageError, VidscanError
from vidscan.options import ScanOptions
from vidscan.records import Label, Report, Source, SourceKind, Status

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from vidscan.harvest import Harvest
    from vidscan.interrupts import Interrupts
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
    from vidscan.ffmpeg import end_running, find_program
    from vidscan.interrupts import Interrupts
    from vidscan.report import text
    from vidscan.report.destination import Destination
    from vidscan.report.legible import visible

    options = scan_options(flags)
    destination = Destination.parse(flags.report) if flags.report else None
    if destination is not None:
        destination.check()
    journal = _journal_place(flags, destination)
    found = find()
    if any(source.kind is SourceKind.VIDEO for source in found):
        find_program()
    if sys.stderr.isatty() and not flags.quiet:
        _tell_what_takes_long()
    models = load_models(options.model.paths or None, runtime=options.model.runtime)
    options = with_runtimes(options, models)
    # Standard output belongs to the data where the data go there.
    to_stdout = destination is not None and destination.path is None
    console = Console(stderr=to_stdout, quiet=flags.quiet, highlight=False)
    with Interrupts(end_running) as interrupts, _harvest(flags, found, options, models, journal) as harvest:
        if harvest.remembered or harvest.outdated:
            console.print(_resumed(harvest), style="dim", markup=False)
        flags.started = True
        try:
            for report in _reports(harvest, interrupts, options, models, flags):
                harvest.take(report)
                if flags.quiet and report.error is not None:
                    print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
                if flags.command != "dir":
                    text.print_report(console, report)
                    console.print()
        except KeyboardInterrupt:
            if interrupts.received is None:
                raise
        finally:
            # Also after Ctrl-C or a failure: what was finished is kept.
            interrupts.hold()
            if flags.command == "dir" and harvest.reports:
                text.print_summary(console, harvest.reports)
            if flags.verbose and harvest.reports:
                text.print_timings(console, harvest.reports)
            if destination is not None:
                _write(destination, harvest, console)
    if interrupts.received is not None:
        print("vidscan: interrupted", file=sys.stderr)
        return interrupts.exit_code
    return exit_code(harvest.reports, fail_on_fake=flags.fail_on == "fake")


def _journal_place(flags: Namespace, destination: Destination | None) -> Path | None:
    """Where the journal of this scan belongs; None where it has none."""
    from vidscan.journal import journal_path

    if flags.command != "dir":
        return None
    report = None if destination is None else destination.path
    if flags.resume and report is None:
        raise UsageError("--resume needs the --report FILE of the scan that was broken off: name it too")
    if flags.retry_failed and not flags.resume:
        raise UsageError("--retry-failed goes with --resume: add it, or leave both out to start anew")
    return None if report is None else journal_path(report)


def _harvest(
    flags: Namespace,
    found: Sequence[Source],
    options: ScanOptions,
    models: Sequence[LoadedModel],
    journal: Path | None,
) -> Harvest:
    from vidscan.harvest import Harvest, open_journal

    if journal is None:
        return Harvest(found, options, models)
    opened = open_journal(journal, options, models, resume=flags.resume)
    return Harvest(found, options, models, opened, retry_failed=flags.retry_failed)


def _resumed(harvest: Harvest) -> str:
    said = f"resumed: {harvest.remembered} files were finished before, {len(harvest.left)} are left"
    again = f" ({harvest.outdated} of the journal's are left out or scanned again)"
    return said + (again if harvest.outdated else "")


def _tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())


def _reports(
    harvest: Harvest,
    interrupts: Interrupts,
    options: ScanOptions,
    models: Sequence[LoadedModel],
    flags: Namespace,
) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    from rich.console import Console

    from vidscan.engines import local
    from vidscan.progress import ScanProgress

    sources = interrupts.until_asked(harvest.to_scan())
    with ScanProgress(Console(stderr=True), len(harvest.left), shown=not flags.quiet) as progress:
        for report in local.scan_sources(sources, options, models=models, observer=progress):
            progress.reported(report)
            yield report


def _write(destination: Destination, harvest: Harvest, console: Console) -> None:
    """Writes the report; once it is on the disk, says where, and what is left to do."""
    from vidscan.report.legible import visible

    destination.write(harvest.document(datetime.now(UTC)))
    kept = harvest.reported()
    if destination.path is None:
        return
    console.print(f"report written to {visible(str(destination.path))}", style="dim", markup=False)
    if kept is not None:
        remedy = "--resume --retry-failed takes up what failed" if harvest.complete else "--resume goes on"
        console.print(f"journal kept in {visible(str(kept))}: {remedy}", style="dim", markup=False)


def exit_code(reports: Sequence[Report], *, fail_on_fake: bool) -> int:
    """The exit code that the outcome calls for; a FAKE that was asked about outranks a failure."""
    labels = {report.verdict.label for report in reports if report.verdict is not None}
    if fail_on_fake and Label.FAKE in labels:
        return EXIT_FAKE
    failed = any(report.status is Status.FAILED for report in reports)
    return EXIT_SOME_FAILED if failed else EXIT_OK
