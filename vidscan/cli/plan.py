"""What a scan is to do, found out before any work: whatever can be wrong with it is wrong here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.cli.arguments import ray_options, scan_options
from vidscan.cli.side_outputs import Beside
from vidscan.errors import UsageError
from vidscan.media.storage import is_remote, local_path
from vidscan.options import ScanOptions
from vidscan.records import Source, SourceKind

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from vidscan.models.checkpoint import LoadedModel
    from vidscan.report.destination import Destination


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a scan needs, found out before any work is done.

    The report goes to ``destination``, or into the ``dataset`` at a path or URL, or nowhere. ``journal`` is
    None where none is kept.
    """

    flags: Namespace
    options: ScanOptions
    destination: Destination | None
    dataset: str | None
    beside: Beside
    journal: Path | None
    found: Sequence[Source]
    models: Sequence[LoadedModel]
    console: Console


def plan_of(flags: Namespace, find: Callable[[], list[Source]]) -> Plan:
    """Looks everything up that a scan needs, what may be wrong at no cost first.

    Args:
        flags: as the command line gave them.
        find: looks the sources up.

    Raises:
        VidscanError: something of it cannot work; nothing was done yet.
    """
    from rich.console import Console

    from vidscan.media.ffmpeg.decode import find_program
    from vidscan.models.loading import load_models, with_runtimes
    from vidscan.report.destination import Destination

    options = scan_options(flags)
    _check_engine(flags)
    dataset = _dataset_place(flags)
    destination = Destination.parse(flags.report) if flags.report and dataset is None else None
    beside = _beside(flags)
    if destination is not None:
        destination.check()
    journal = _journal_place(flags, destination, dataset)
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
    to_stdout = destination is not None and destination.to_stdout
    console = Console(stderr=to_stdout, quiet=flags.quiet, highlight=False)
    return Plan(flags, options, destination, dataset, beside, journal, found, models, console)


def _check_engine(flags: Namespace) -> None:
    if flags.engine == "ray":
        from vidscan.engines.ray.connection import import_ray

        ray_options(flags)
        import_ray()
        if flags.isolate:
            raise UsageError("--isolate goes with --engine local: on a cluster, a worker may die anyway")
    elif any(getattr(flags, f"ray_{name}", None) is not None for name in ("address", "workers", "gpus")):
        raise UsageError("--ray-address, --ray-workers and --ray-gpus go with --engine ray: add it")


def _beside(flags: Namespace) -> Beside:
    single = flags.command == "run" and len(flags.paths) == 1
    return Beside(flags.explain_dir, getattr(flags, "annotate", None), in_folder=not single)


def _journal_place(flags: Namespace, destination: Destination | None, dataset: str | None) -> Path | None:
    """Where the journal of this scan belongs; None where it has none."""
    from vidscan.results.journal import journal_path

    if flags.command != "dir":
        return None
    report: Path | str | None = None if destination is None else destination.url or destination.path
    if dataset is not None:
        report = dataset if is_remote(dataset) else local_path(dataset)
    if flags.resume and report is None:
        raise UsageError("--resume needs the --report FILE of the scan that was broken off: name it too")
    if flags.retry_failed and not flags.resume:
        raise UsageError("--retry-failed goes with --resume: add it, or leave both out to start anew")
    return None if report is None else journal_path(report)


def _dataset_place(flags: Namespace) -> str | None:
    """Where a Parquet dataset shall lie, if the report is to be one."""
    if not (flags.report or "").rstrip("/").lower().endswith(".parquet"):
        return None
    if flags.command != "dir":
        raise UsageError("a Parquet report is for folders and lists: use vidscan dir, or --report OUT.json")
    if flags.annotate is not None:
        raise UsageError(
            "--annotate does not go with a Parquet report: annotate single clips with vidscan run"
        )
    return str(flags.report)


def _tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
