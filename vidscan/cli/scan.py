"""What ``vidscan run``, ``dir`` and ``image`` do: options, engine, outputs, exit code. Composition only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vidscan.cli.arguments import EXIT_FAKE, EXIT_OK, EXIT_SOME_FAILED, ray_options
from vidscan.cli.plan import Plan, plan_of
from vidscan.cli.side_outputs import say_annotated
from vidscan.engines import open_engine
from vidscan.media.storage import remote
from vidscan.records import Report, Source

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from vidscan.cli.interrupts import Interrupts
    from vidscan.protocols import Engine
    from vidscan.report.destination import Destination
    from vidscan.results.in_dataset import Archive
    from vidscan.results.in_memory import Harvest


def scan(flags: Namespace, find: Callable[[], list[Source]]) -> int:
    """Finds out all that can be wrong before the work, then scans, writes and shows the outcome.

    Args:
        flags: as the command line gave them.
        find: looks the sources up.

    Returns:
        The exit code.
    """
    from vidscan.cli.interrupts import Interrupts
    from vidscan.system.processes import end_all

    plan = plan_of(flags, find)
    with Interrupts(end_all) as interrupts, _opened(plan) as (engine, harvest):
        if harvest.remembered or harvest.outdated:
            plan.console.print(_resumed(harvest), style="dim", markup=False)
        flags.started = True
        try:
            for report in _reports(harvest, interrupts, engine, flags):
                plan.beside.write_heat_maps(report)
                harvest.take(report)
                _show(report, flags, plan.console)
        except KeyboardInterrupt:
            if interrupts.received is None:
                raise
        finally:
            # Also after Ctrl-C or a failure: what was finished is kept.
            interrupts.hold()
            _conclude(harvest, plan)
    if interrupts.received is not None:
        print("vidscan: interrupted", file=sys.stderr)
        return interrupts.exit_code
    whole = _annotate(plan, harvest)
    return exit_code(harvest.summary, fail_on_fake=flags.fail_on == "fake", all_written=whole)


@contextmanager
def _opened(plan: Plan) -> Iterator[tuple[Engine, Harvest | Archive]]:
    """What scans, and what keeps the outcome; both are closed at the end."""
    from vidscan.results.in_dataset import Archive, open_dataset
    from vidscan.results.in_memory import Harvest, open_journal

    with ExitStack() as opened:
        journal = dataset = None
        if plan.dataset is not None:
            dataset = open_dataset(plan.dataset, plan.options, plan.models, resume=plan.flags.resume)
        if plan.journal is not None:
            journal = open_journal(plan.journal, plan.options, plan.models, resume=plan.flags.resume)
            opened.callback(journal.close)
        flags, options, models = plan.flags, plan.options, plan.models
        ray = ray_options(flags) if flags.engine == "ray" else None
        engine = opened.enter_context(
            open_engine(flags.engine, options, models, isolate=flags.isolate, ray=ray)
        )
        if engine.about:
            plan.console.print(engine.about, style="dim", markup=False)
        retry_failed = journal is not None and plan.flags.retry_failed
        if dataset is not None and journal is not None:
            yield engine, Archive(plan.found, plan.models, dataset, journal, retry_failed=retry_failed)
        else:
            yield engine, Harvest(plan.found, engine.options, plan.models, journal, retry_failed=retry_failed)


def _resumed(harvest: Harvest | Archive) -> str:
    said = f"resumed: {harvest.remembered} files were finished before, {len(harvest.left)} are left"
    again = f" ({harvest.outdated} of the journal's are left out or scanned again)"
    return said + (again if harvest.outdated else "")


def _reports(
    harvest: Harvest | Archive, interrupts: Interrupts, engine: Engine, flags: Namespace
) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    from rich.console import Console

    from vidscan.cli.progress import ScanProgress

    with ScanProgress(Console(stderr=True), len(harvest.left), shown=not flags.quiet) as progress:
        for report in engine.scan(interrupts.until_asked(harvest.to_scan()), progress):
            progress.reported(report)
            yield report


def _show(report: Report, flags: Namespace, console: Console) -> None:
    """What is said of a file as soon as it is finished."""
    from vidscan.report.escape import visible
    from vidscan.report.terminal import text

    if flags.quiet and report.error is not None:
        print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
    if flags.command != "dir":
        text.print_report(console, report)
        console.print()


def _conclude(harvest: Harvest | Archive, plan: Plan) -> None:
    """Shows and writes what there is of all files together."""
    from vidscan.report.escape import visible
    from vidscan.report.terminal import text
    from vidscan.results.in_dataset import Archive

    if isinstance(harvest, Archive):
        harvest.finish()
        shown = visible(remote(plan.dataset or "").shown)
        text.print_totals(plan.console, harvest.summary)
        left = "" if harvest.complete else "; --resume goes on"
        plan.console.print(f"results written to {shown}{left}", style="dim", markup=False)
        return
    if plan.flags.command == "dir" and harvest.reports:
        text.print_summary(plan.console, harvest.reports)
    if plan.flags.verbose and harvest.reports:
        text.print_timings(plan.console, harvest.reports)
    if plan.destination is not None:
        _write(plan.destination, harvest, plan.console)


def _write(destination: Destination, harvest: Harvest, console: Console) -> None:
    """Writes the report; once it is on the disk, says where, and what is left to do."""
    from vidscan.report.document import evidence_of
    from vidscan.report.escape import visible

    destination.write(harvest.document(datetime.now(UTC)), evidence_of(harvest.reports))
    kept = harvest.reported()
    if destination.to_stdout:
        return
    places = " and ".join(map(visible, destination.places))
    console.print(f"report written to {places}", style="dim", markup=False)
    if kept is not None:
        remedy = "--resume --retry-failed takes up what failed" if harvest.complete else "--resume goes on"
        console.print(f"journal kept in {visible(str(kept))}: {remedy}", style="dim", markup=False)


def _annotate(plan: Plan, harvest: Harvest | Archive) -> bool:
    """Writes the annotated videos that were asked for; False where one could not be written."""
    from rich.console import Console

    from vidscan.results.in_dataset import Archive

    if isinstance(harvest, Archive):
        return True
    written = plan.beside.write_annotated(
        harvest.reports, plan.options.verdict, Console(stderr=True, quiet=plan.flags.quiet)
    )
    return say_annotated(
        written,
        lambda line: plan.console.print(line, style="dim", markup=False, soft_wrap=True),
        lambda line: print(line, file=sys.stderr),
    )


def exit_code(summary: Mapping[str, int], *, fail_on_fake: bool, all_written: bool = True) -> int:
    """The exit code that the outcome calls for; a FAKE that was asked about outranks a failure."""
    if fail_on_fake and summary["fake"]:
        return EXIT_FAKE
    return EXIT_SOME_FAILED if summary["failed"] or not all_written else EXIT_OK
