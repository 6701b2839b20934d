"""What a scan needs, found out before any work: whatever can be wrong with it is wrong here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from vidscan.cli.requests import ScanRequest
from vidscan.cli.sinks import check_annotated
from vidscan.media import sources
from vidscan.media.ffmpeg.program import find_program
from vidscan.media.source_lists import from_list
from vidscan.media.storage import is_remote, local_path
from vidscan.models.loading import Models, with_runtimes
from vidscan.options import ScanOptions
from vidscan.provenance.trust import certificates_in
from vidscan.records import Source, SourceKind
from vidscan.render.heatmaps import check_folder
from vidscan.report.destination import Destination
from vidscan.results.journal import journal_path

if TYPE_CHECKING:
    from vidscan.engines.local import OpenDetector
    from vidscan.models.checkpoint import LoadedModel


def _load_models(models: Models, *, runtime: str) -> Sequence[LoadedModel]:
    from vidscan.models import loading

    return loading.load_models(models, runtime=runtime)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a scan is put together of, besides its options; a test puts toys in their place.

    ``load_models`` takes what :func:`vidscan.models.loading.load_models` does. ``open_detector`` serves scans
    in this process, None takes MediaPipe; workers open their own.
    """

    load_models: Callable[..., Sequence[LoadedModel]] = _load_models
    open_detector: OpenDetector | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a scan needs. ``options`` are the request's, fitted to the sources and models found.

    The report goes to ``destination``, or into the request's dataset, or nowhere. ``journal`` is None where
    none is kept.
    """

    request: ScanRequest
    options: ScanOptions
    destination: Destination | None
    journal: Path | None
    found: Sequence[Source]
    models: Sequence[LoadedModel]
    console: Console
    parts: Parts

    def say(self, line: str) -> None:
        """Tells a person something in one line."""
        self.console.print(line, style="dim", markup=False, soft_wrap=True)


def plan_of(request: ScanRequest, parts: Parts) -> Plan:
    """Looks everything up that a scan needs; raises VidscanError where something of it cannot work."""
    if request.ray is not None:
        from vidscan.engines.ray.connection import import_ray

        import_ray()
    destination = Destination.parse(request.report) if request.report and not request.dataset else None
    if destination is not None:
        destination.check()
    journal = _journal_place(request, destination)
    found = find_sources(request)
    if any(source.kind is SourceKind.VIDEO for source in found):
        find_program()
    certificates_in(request.options.provenance.trust)
    if request.explain_dir is not None:
        check_folder(request.explain_dir, "--explain-dir")
    if request.annotate is not None:
        check_annotated(request.annotate, found, in_folder=not request.one_clip)
    if sys.stderr.isatty() and not request.quiet:
        _tell_what_takes_long()
    models = parts.load_models(request.options.model.paths or None, runtime=request.options.model.runtime)
    options = replace(request.options, evidence=request.options.evidence.shared_by(len(found)))
    # Standard output belongs to the data where the data go there.
    to_stdout = destination is not None and destination.to_stdout
    console = Console(stderr=to_stdout, quiet=request.quiet, highlight=False)
    fitted = with_runtimes(options, models)
    return Plan(request, fitted, destination, journal, found, models, console, parts)


def find_sources(request: ScanRequest) -> list[Source]:
    """What a request names; raises SourceError where it is not there, or nothing to scan."""
    if request.from_list is not None:
        return from_list(request.from_list)
    if request.command == "dir":
        (folder,) = request.places
        return sources.from_folder(folder, recursive=request.recursive)
    return sources.from_paths(request.places, SourceKind.IMAGE if request.command == "image" else None)


def _journal_place(request: ScanRequest, destination: Destination | None) -> Path | None:
    if request.command != "dir":
        return None
    report: Path | str | None = None if destination is None else destination.url or destination.path
    if request.dataset is not None:
        report = request.dataset if is_remote(request.dataset) else local_path(request.dataset)
    return None if report is None else journal_path(report)


def _tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
