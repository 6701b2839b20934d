"""What ``vidscan run``, ``dir`` and ``image`` do: sources, engine, sinks, exit code. Composition only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext

from rich.console import Console

from vidscan.cli.arguments import EXIT_FAKE, EXIT_OK, EXIT_SOME_FAILED
from vidscan.cli.interrupts import Interrupts
from vidscan.cli.plan import Parts, Plan, plan_of
from vidscan.cli.progress import ScanProgress
from vidscan.cli.requests import ScanRequest
from vidscan.cli.sinks import HeatMaps, Terminal, write_annotated
from vidscan.engines import open_engine
from vidscan.protocols import Engine, Results, Sink
from vidscan.records import Report, Source
from vidscan.results.held import Held
from vidscan.results.in_store import ResultsInStore
from vidscan.results.opening import open_store
from vidscan.results.terms import heading_of
from vidscan.system.processes import end_all


def prepare_scan(request: ScanRequest, parts: Parts, opened: ExitStack) -> Callable[[], int]:
    """Finds out all that can be wrong, and returns the work, which gives the exit code.

    ``opened`` closes what is opened here, unless the work does. Raises VidscanError where something cannot
    work; nothing was scanned then.
    """
    plan = plan_of(request, parts)
    running = opened.enter_context(ExitStack())
    interrupts = running.enter_context(Interrupts(end_all))
    engine, results = _open(plan, opened, running)
    left = results.left(plan.found)
    if len(left) < len(plan.found) or results.outdated:
        plan.say(_resumed(len(plan.found) - len(left), len(left), results.outdated))
    heat_maps = [] if request.explain_dir is None else [HeatMaps(request.explain_dir)]
    sinks: list[Sink] = [*heat_maps, results, Terminal(plan.console, request, results, plan.skipped)]

    def work() -> int:
        with opened.pop_all():  # the results are needed longer than what scans
            with running:
                _scan(_reports(plan, engine, results, left, interrupts), sinks, interrupts)
            if interrupts.received is not None:
                print("vidscan: interrupted", file=sys.stderr)
                return interrupts.exit_code
            all_written = write_annotated(request, plan.options.verdict, results.reports(), plan.say)
            return exit_code(results.summary(), fail_on=request.fail_on, all_written=all_written)

    return work


def _scan(reports: Iterator[Report], sinks: Sequence[Sink], interrupts: Interrupts) -> None:
    try:
        for report in reports:
            for sink in sinks:
                sink.take(report)
    except KeyboardInterrupt:
        if interrupts.received is None:
            raise
    finally:
        # Also after Ctrl-C or a failure: what was finished is kept, and shown before it is written.
        interrupts.hold()
        for sink in reversed(sinks):
            sink.finish()


def _open(plan: Plan, opened: ExitStack, running: ExitStack) -> tuple[Engine, Results]:
    """What scans, and what keeps the outcome; the latter is closed with ``opened``."""
    request, dataset = plan.request, None
    if request.dataset is not None:
        from vidscan.results.in_dataset import ResultsInDataset, open_dataset

        dataset = open_dataset(request.dataset, plan.options, plan.models, resume=request.resume)
    store = open_store(
        plan.store,
        heading_of(plan.options, plan.models),
        resume=request.resume,
        kept=request.store is not None,
    )
    with ExitStack() as unless_kept:
        unless_kept.callback(store.leave)
        engine = running.enter_context(
            open_engine(
                "local" if request.ray is None else "ray",
                plan.options,
                plan.models,
                isolate=request.isolate,
                ray=request.ray,
                open_detector=plan.parts.open_detector,
            )
        )
        unless_kept.pop_all()
    if engine.about:
        plan.say(engine.about)
    retry = request.retry_failed
    held = Held(store, pictures=request.keeps_pictures, retry_failed=retry)
    results: Results
    if dataset is not None:
        results = ResultsInDataset(plan.models, dataset, held, retry_failed=retry, say=plan.say)
    else:
        store.amend(heading_of(engine.options, plan.models))
        results = ResultsInStore(
            engine.options,
            plan.models,
            held,
            plan.destinations,
            kept=request.store is not None,
            say=plan.say,
        )
    opened.callback(results.close)
    return engine, results


def _resumed(finished: int, left: int, outdated: int) -> str:
    again = f" ({outdated} of the results kept are left out or scanned again)" if outdated else ""
    return f"resumed: {finished} files were finished before, {left} are left{again}"


def _reports(
    plan: Plan, engine: Engine, results: Results, left: Sequence[Source], interrupts: Interrupts
) -> Iterator[Report]:
    """The reports as they are finished, under a progress display on stderr."""
    sources = interrupts.until_interrupted(results.begin(left))
    with ScanProgress(Console(stderr=True), len(left), shown=not plan.request.quiet) as progress:
        for report in engine.scan(sources, progress):
            progress.count(report)
            # A folder's reports are printed in the end.
            with nullcontext() if plan.request.command == "dir" else progress.aside():
                yield report


def exit_code(summary: Mapping[str, int], *, fail_on: Sequence[str] = (), all_written: bool = True) -> int:
    """The exit code that the outcome calls for; what was asked about outranks a failure."""
    if any(summary[outcome.replace("-", "_")] for outcome in fail_on):
        return EXIT_FAKE
    return EXIT_SOME_FAILED if summary["failed"] or not all_written else EXIT_OK
