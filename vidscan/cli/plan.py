"""What a scan needs, found out before any work: whatever can be wrong with it is wrong here."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from vidscan.cli.requests import ScanRequest
from vidscan.cli.sinks import check_annotated
from vidscan.errors import DecodeError, SourceError, UsageError
from vidscan.media import sources
from vidscan.media.ffmpeg.program import find_program
from vidscan.media.source_lists import from_list
from vidscan.media.stills.animation import is_animation
from vidscan.media.storage import is_remote, local_path
from vidscan.models.ensemble import Ensemble
from vidscan.models.loading import Models, with_runtimes
from vidscan.options import ScanOptions
from vidscan.provenance.trust import certificates_in
from vidscan.records import Source, SourceKind
from vidscan.render.heatmaps import check_folder
from vidscan.report.destination import Destination
from vidscan.results.opening import require_no_journal, store_beside

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

    The report goes to each of the ``destinations``, or into the request's dataset. ``store`` is where results
    are put one by one, None for memory alone. ``skipped`` counts what of the folder was left out, as
    :func:`vidscan.media.sources.from_folder` does.
    """

    request: ScanRequest
    options: ScanOptions
    destinations: Sequence[Destination]
    store: Path | None
    found: Sequence[Source]
    skipped: Mapping[str, int]
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
    destinations = _destinations(request)
    store = _store_place(request, destinations)
    skipped = Counter[str]()
    found = find_sources(request, skipped)
    if request.watch or any(source.kind is SourceKind.VIDEO for source in found):
        find_program()
    certificates_in(request.options.provenance.trust)
    if request.explain_dir is not None:
        check_folder(request.explain_dir, "--explain-dir")
    if request.annotate is not None:
        known = () if request.watch else found  # clips may come
        check_annotated(request.annotate, known, in_folder=not request.one_clip)
    if sys.stderr.isatty() and not request.quiet:
        tell_what_takes_long()
    models = parts.load_models(request.options.model.paths or None, runtime=request.options.model.runtime)
    _check_thresholds(models, request.options)
    options = request.options
    if (
        request.store is None and not request.watch
    ):  # else the terms of the store would change with the number of sources
        options = replace(options, evidence=options.evidence.shared_by(len(found)))
    # Standard output belongs to the data where the data go there.
    to_stdout = any(each.to_stdout for each in destinations)
    console = Console(stderr=to_stdout, quiet=request.quiet, highlight=False)
    fitted = with_runtimes(options, models)
    return Plan(request, fitted, destinations, store, found, skipped, models, console, parts)


def _check_thresholds(models: Sequence[LoadedModel], options: ScanOptions) -> None:
    """Raises UsageError where the one threshold that was given contradicts the card's other one."""
    card, given = Ensemble.of(models).card, options.verdict
    fake = card.fake_threshold if given.fake_threshold is None else given.fake_threshold
    real = card.real_threshold if given.real_threshold is None else given.real_threshold
    if fake < real:
        other = "--fake-threshold" if given.fake_threshold is None else "--real-threshold"
        raise UsageError(
            f"FAKE would begin at {fake:g}, below {real:g}, up to which a score is REAL: give {other} too"
        )


def _destinations(request: ScanRequest) -> tuple[Destination, ...]:
    """Where the report goes besides a dataset; raises ReportError where it cannot be written."""
    if request.dataset is not None:
        return ()
    destinations = tuple(Destination.parse(each) for each in dict.fromkeys(request.reports))
    for each in destinations:
        each.check()
    return destinations


def find_sources(request: ScanRequest, skipped: Counter[str]) -> list[Source]:
    """What a request names; raises SourceError where it is not there, or nothing to scan.

    ``skipped`` counts what of a folder is left out, as :func:`vidscan.media.sources.from_folder` does.
    """
    if request.from_list is not None:
        return from_list(request.from_list)
    if request.command == "dir":
        (folder,) = request.places
        return sources.from_folder(
            folder, recursive=request.recursive, skipped=skipped, may_be_empty=request.watch
        )
    named = sources.from_paths(request.places)
    if request.command == "image":
        return [_as_still(each) for each in named]
    return [_as_clip(each) for each in named]


def _as_still(source: Source) -> Source:
    """The source as a still; raises SourceError for a clip. A GIF is either."""
    suffix = source.path.suffix.lower()
    if suffix in sources.VIDEO_SUFFIXES and suffix != ".gif":
        raise SourceError(f"{source.name}: is a clip by its name: scan it with `vidscan run`")
    return replace(source, kind=SourceKind.IMAGE)


def _as_clip(source: Source) -> Source:
    """The source as a clip where it is an animation; else a still is one for ``vidscan run`` too."""
    if source.kind is SourceKind.VIDEO or source.remote is not None:
        return source
    with suppress(SourceError, DecodeError):  # the report tells of it
        if is_animation(source.path):
            return replace(source, kind=SourceKind.VIDEO)
    return source


def _store_place(request: ScanRequest, destinations: Sequence[Destination]) -> Path | None:
    """The store that is named, or else the one beside a folder's report until that is written."""
    if request.store is not None or request.command != "dir":
        return request.store
    kept = (each.url or each.path for each in destinations)
    report: Path | str | None = next((each for each in kept if each is not None), None)
    if request.dataset is not None:
        report = request.dataset if is_remote(request.dataset) else local_path(request.dataset)
    if report is None:
        return None
    require_no_journal(report)
    return store_beside(report)


def tell_what_takes_long() -> None:
    """Shows what the library notes beside its warnings: that a checkpoint is converted, before it scores."""
    log = logging.getLogger("vidscan")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
