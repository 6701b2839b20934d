"""Runs the pipeline on a Ray cluster.

Each worker is a Ray actor that loads the checkpoints once and takes in a stream of sources
(:mod:`vidscan.engines.ray.worker`). What is done about sources whose worker died is
:class:`vidscan.engines.dispatch.Dispatch`'s to say: Ray's own retries would send a file that kills workers
round for ever, so they are off.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from vidscan.engines.dispatch import Dispatch, worker_died_report
from vidscan.engines.job import Job
from vidscan.engines.ray.connection import connect, import_ray
from vidscan.engines.ray.crew import CHECK_S, Crew, Member, WorkerDied
from vidscan.engines.ray.worker import Loaded, installed
from vidscan.models.bundled import is_bundled
from vidscan.options import RayOptions, ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

log = logging.getLogger(__name__)

DEATHS_ALLOWED = 2
"""Deaths after which a source is still tried again: one death may be its node's, two coincidence."""


class RayEngine:
    """Scans with workers on a Ray cluster. Use as a context manager."""

    def __init__(self, options: ScanOptions, models: Sequence[LoadedModel], asked: RayOptions) -> None:
        """``models``: as they were loaded here; the workers load the same. Raises UsageError without Ray."""
        from vidscan.models.ensemble import Ensemble

        self._ray = import_ray()
        self._address = asked.address
        self.options, self.about = options, ""
        ensemble = Ensemble.of(models)
        self._cards = (ensemble.card, ensemble.member_cards)
        # A bundled checkpoint's name is looked up on the node.
        paths = tuple(path if is_bundled(path) else path.absolute() for path in options.model.paths)
        job = pickle.dumps(Job(options, paths, asked.cpus))
        self._crew = Crew(self._ray, asked, job, installed(), Loaded.of(models))

    def __enter__(self) -> Self:
        """Connects, and waits until a worker is ready.

        Raises ClusterError where the cluster cannot be reached, has no room for a worker, or runs another
        vidscan or another checkpoint; and what loading the checkpoint on a node raised.
        """
        dashboard = connect(self._ray, self._address)
        try:
            self._crew.start()
        except BaseException:
            self._ray.shutdown()
            raise
        used = replace(self.options.model, runtimes_used=self._crew.runtimes)
        self.options = replace(self.options, model=used)
        page = f"; dashboard at {dashboard}" if dashboard else ""
        workers = len(self._crew.members)
        self.about = f"on a Ray cluster, with {workers} worker{'s' if workers > 1 else ''}{page}"
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()  # which ends the actors of this driver

    def scan(self, sources: Iterable[Source], observer: Observer | None = None) -> Iterator[Report]:
        """Yields one report a source, as they are finished; ``observer`` is told nothing.

        Every node finds the sources under the same name. A source over which workers kept dying is FAILED.
        Raises ClusterError where workers die before they are ready, again and again, and what the scan itself
        raises, such as ScoringError.
        """
        dispatch, crew = Dispatch(sources, DEATHS_ALLOWED), self._crew
        while any(member.held for member in crew.members) or not dispatch.exhausted():
            for member in crew.members:
                if member.ready and member.call is None:
                    dispatch.answer(member)
            for member in crew.news(CHECK_S):
                yield from self._hear(member, dispatch)

    def _hear(self, member: Member, dispatch: Dispatch) -> Iterator[Report]:
        """The reports that a worker has sent; if it died instead, the one on a source that is given up."""
        try:
            told = self._crew.hear(member)
        except WorkerDied as death:
            self._crew.replace(member)
            log.warning(
                "a worker on the Ray cluster died (%s) with %d files, to be tried again",
                death,
                len(member.held),
            )
            if (culprit := dispatch.take_back(member)) is not None:
                cause = f"worker after worker died ({death})"
                yield worker_died_report(culprit, cause, self.options, *self._cards)
            return
        if None not in told:
            member.step()
        for report in told:
            if report is not None:
                yield _as_named(report, dispatch.finish(member))


def _as_named(report: Report, source: Source) -> Report:
    """A worker's report under the name that the user gave the source."""
    error = report.error
    if error is not None:
        error = replace(error, message=error.message.replace(str(source.path.absolute()), str(source.path)))
    return replace(report, source=source, error=error)
