"""What ``vidscan run``, ``dir`` and ``image`` do: options, engine, outputs, exit code. Composition only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.arguments import EXIT_FAKE, EXIT_OK, EXIT_SOME_FAILED, ray_options, scan_options
from vidscan.beside import Beside, say_annotated
from vidscan.errors import UsageError
from vidscan.options import ScanOptions
from vidscan.records import Label, Report, Source, SourceKind, Status

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from vidscan.engines.ray_engine import Cluster
    from vidscan.harvest import Harvest
    from vidscan.interrupts import Interrupts
    from vidscan.ledger import Observer
    from vidscan.model import LoadedModel
    from vidscan.report.destination import Destination


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a scan needs, found out before any work is done. ``journal``: None where none is kept."""

    flags: Namespace
    options: ScanOptions
    destination: Destination | None
    beside: Beside
    journal: Path | None
    found: Sequence[Source]
    models: Sequence[LoadedModel]
    console: Console


@dataclass(frozen=True, slots=True)
class Engine:
    """Who scans. ``scan`` goes over sources; ``options`` say what the networks are computed with there."""

    scan: Callable[[Iterator[Source], Observer], Iterator[Report]]
    options: ScanOptions


def scan(flags: Namespace, find: Callable[[], list[Source]]) -> int:
    """Finds out all that can be wrong before the work, then scans, writes and shows the outcome.

    Args:
        flags: as the command line gave them.
        find: looks the sources up.

    Returns:
        The exit code.
    """
    from vidscan.child_process import end_all
    from vidscan.interrupts import Interrupts

    plan = _plan(flags, find)
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
    return exit_code(harvest.reports, fail_on_fake=flags.fail_on == "fake", all_written=whole)


def _plan(flags: Namespace, find: Callable[[], list[Source]]) -> Plan:
    """Looks everything up that the scan needs, what may be wrong at no cost first."""
    from rich.console import Console

    from vidscan.api import load_models, with_runtimes
    from vidscan.ffmpeg import find_program
    from vidscan.report.destination import Destination

    options = scan_options(flags)
    _check_engine(flags)
    destination = Destination.parse(flags.report) if flags.report else None
    beside = _beside(flags)
    if destination is not None:
        destination.check()
    journal = _journal_place(flags, destination)
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
    return Plan(flags, options, destination, beside, journal, found, models, console)


def _check_engine(flags: Namespace) -> None:
    if flags.engine == "ray":
        from vidscan.engines.ray_connection import import_ray

        ray_options(flags)
        import_ray()
        if flags.isolate:
            raise UsageError("--isolate goes with --engine local: on a cluster, a worker may die anyway")
    elif any(getattr(flags, f"ray_{name}", None) is not None for name in ("address", "workers", "gpus")):
        raise UsageError("--ray-address, --ray-workers and --ray-gpus go with --engine ray: add it")


@contextmanager
def _opened(plan: Plan) -> Iterator[tuple[Engine, Harvest]]:
    """What scans, and what keeps the outcome; both are closed at the end."""
    from vidscan.harvest import Harvest, open_journal

    with ExitStack() as opened:
        journal = None
        if plan.journal is not None:
            journal = open_journal(plan.journal, plan.options, plan.models, resume=plan.flags.resume)
            opened.callback(journal.close)
        engine = opened.enter_context(_engine(plan))
        retry_failed = journal is not None and plan.flags.retry_failed
        yield engine, Harvest(plan.found, engine.options, plan.models, journal, retry_failed=retry_failed)


@contextmanager
def _engine(plan: Plan) -> Iterator[Engine]:
    from vidscan.engines import isolated, local

    if plan.flags.engine == "ray":
        from vidscan.engines.ray_engine import Cluster

        with Cluster(plan.options, plan.models, ray_options(plan.flags)) as cluster:
            plan.console.print(_about_cluster(cluster), style="dim", markup=False)
            used = replace(plan.options.model, runtimes_used=cluster.runtimes)
            yield Engine(lambda sources, _: cluster.scan_sources(sources), replace(plan.options, model=used))
        return

    def scan_isolated(sources: Iterator[Source], observer: Observer) -> Iterator[Report]:
        return isolated.scan_sources(list(sources), plan.options, models=plan.models, observer=observer)

    def scan_here(sources: Iterator[Source], observer: Observer) -> Iterator[Report]:
        return local.scan_sources(sources, plan.options, models=plan.models, observer=observer)

    yield Engine(scan_isolated if plan.flags.isolate else scan_here, plan.options)


def _about_cluster(cluster: Cluster) -> str:
    page = f"; dashboard at {cluster.dashboard}" if cluster.dashboard else ""
    return f"on a Ray cluster, with {cluster.workers} worker{'s' if cluster.workers > 1 else ''}{page}"


def _beside(flags: Namespace) -> Beside:
    single = flags.command == "run" and len(flags.paths) == 1
    return Beside(flags.explain_dir, getattr(flags, "annotate", None), in_folder=not single)


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


def _tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())


def _resumed(harvest: Harvest) -> str:
    said = f"resumed: {harvest.remembered} files were finished before, {len(harvest.left)} are left"
    again = f" ({harvest.outdated} of the journal's are left out or scanned again)"
    return said + (again if harvest.outdated else "")


def _reports(harvest: Harvest, interrupts: Interrupts, engine: Engine, flags: Namespace) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    from rich.console import Console

    from vidscan.progress import ScanProgress

    # A worker process cannot be asked to read no further: it is ended after the file under way.
    asked = iter if flags.isolate else interrupts.until_asked
    with ScanProgress(Console(stderr=True), len(harvest.left), shown=not flags.quiet) as progress:
        for report in engine.scan(asked(harvest.to_scan()), progress):
            progress.reported(report)
            yield report
            if flags.isolate and interrupts.received is not None:
                return


def _show(report: Report, flags: Namespace, console: Console) -> None:
    """What is said of a file as soon as it is finished."""
    from vidscan.report import text
    from vidscan.report.legible import visible

    if flags.quiet and report.error is not None:
        print(f"vidscan: {visible(report.error.message)}", file=sys.stderr)
    if flags.command != "dir":
        text.print_report(console, report)
        console.print()


def _conclude(harvest: Harvest, plan: Plan) -> None:
    """Shows and writes what there is of all files together."""
    from vidscan.report import text

    if plan.flags.command == "dir" and harvest.reports:
        text.print_summary(plan.console, harvest.reports)
    if plan.flags.verbose and harvest.reports:
        text.print_timings(plan.console, harvest.reports)
    if plan.destination is not None:
        _write(plan.destination, harvest, plan.console)


def _write(destination: Destination, harvest: Harvest, console: Console) -> None:
    """Writes the report; once it is on the disk, says where, and what is left to do."""
    from vidscan.report.document import evidence_of
    from vidscan.report.legible import visible

    destination.write(harvest.document(datetime.now(UTC)), evidence_of(harvest.reports))
    kept = harvest.reported()
    if destination.path is None:
        return
    places = " and ".join(visible(str(path)) for path in destination.paths)
    console.print(f"report written to {places}", style="dim", markup=False)
    if kept is not None:
        remedy = "--resume --retry-failed takes up what failed" if harvest.complete else "--resume goes on"
        console.print(f"journal kept in {visible(str(kept))}: {remedy}", style="dim", markup=False)


def _annotate(plan: Plan, harvest: Harvest) -> bool:
    """Writes the annotated videos that were asked for; False where one could not be written."""
    from rich.console import Console

    written = plan.beside.write_annotated(
        harvest.reports, plan.options.verdict, Console(stderr=True, quiet=plan.flags.quiet)
    )
    return say_annotated(
        written,
        lambda line: plan.console.print(line, style="dim", markup=False, soft_wrap=True),
        lambda line: print(line, file=sys.stderr),
    )


def exit_code(reports: Sequence[Report], *, fail_on_fake: bool, all_written: bool = True) -> int:
    """The exit code that the outcome calls for; a FAKE that was asked about outranks a failure."""
    labels = {report.verdict.label for report in reports if report.verdict is not None}
    if fail_on_fake and Label.FAKE in labels:
        return EXIT_FAKE
    failed = not all_written or any(report.status is Status.FAILED for report in reports)
    return EXIT_SOME_FAILED if failed else EXIT_OK
