"""Runs the pipeline on a Ray cluster.

Each worker is a Ray actor that loads the checkpoints once and takes in a stream of sources
(:mod:`vidscan.engines.ray.worker`). Ray places actors, starts them and tells when one has died. What is
done about sources whose worker died is :class:`vidscan.engines.ray.dispatch.Dispatch`'s to say: Ray's own
retries would send a file that kills workers round for ever, so they are off.
"""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from vidscan.engines.failure import blamed
from vidscan.engines.ray.connection import connect, import_ray
from vidscan.engines.ray.dispatch import Dispatch
from vidscan.engines.ray.worker import Job, Loaded, Worker, installed, loaded, require_same
from vidscan.errors import ClusterError, VidscanError, quoted
from vidscan.models.bundled import is_bundled
from vidscan.options import RayOptions, ScanOptions
from vidscan.records import Report, Source

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

log = logging.getLogger(__name__)

CHECK_S = 20.0
"""How often workers are asked for a sign of life."""

SILENCE_LIMIT_S = 600.0
"""A worker that shows none for this long hangs: an ffmpeg that hangs is given up long before."""

PATIENCE_S = 30.0
"""After so long without a worker, what is waited for is said."""

FRUITLESS_S = 30.0
"""Where for so long workers die before they are ready, and none gets ready, the installation is at fault. A
node that has just died may still be given workers for some seconds."""

PAUSE_S = 1.0
"""Before another is started in the place of such a worker."""

CALLS_AT_ONCE = 100
"""Calls that an actor takes in beside each other: all that it may have in hand, and questions."""


@dataclass(slots=True, eq=False)
class _Member:
    """A worker as the driver knows it.

    ``greeting`` is due until it is ready; ``ended_for``: why the driver ended it.
    """

    handle: Any
    greeting: Any
    ready: bool = False
    held: dict[Any, Source] = field(default_factory=dict)
    question: Any = None
    asked_at: float = 0.0
    ended_for: str = ""

    @property
    def awaited(self) -> list[Any]:
        """What it owes."""
        return list(self.held) if self.ready else [self.greeting]


class Cluster:
    """A Ray cluster with workers for one scan. Use as a context manager.

    ``dashboard`` is the address of Ray's own page, "" where it has none. ``runtimes`` are what the workers
    compute each checkpoint with.
    """

    def __init__(self, options: ScanOptions, models: Sequence[LoadedModel], asked: RayOptions) -> None:
        """``models`` are those that the workers shall load, as they were loaded here.

        Raises:
            UsageError: Ray is not installed.
        """
        from vidscan.models.ensemble import Ensemble

        self._ray = import_ray()
        self._asked, self._options = asked, options
        ensemble = Ensemble.of(models)
        self._cards = (ensemble.card, ensemble.member_cards)
        self._here = (installed(), loaded(models))
        # A bundled checkpoint's name is looked up on the node.
        paths = tuple(path if is_bundled(path) else path.absolute() for path in options.model.paths)
        self._job = pickle.dumps(Job(options, paths, asked.cpus))
        self._crew: list[_Member] = []
        self._fruitless_since: float | None = None
        self._gpus = 0.0
        self.dashboard = ""
        self.runtimes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        """Connects, and waits until a worker is ready.

        Raises:
            ClusterError: the cluster cannot be reached, has no room for a worker, or runs another vidscan
                or another checkpoint.
            VidscanError: what loading the checkpoint on a node raised.
        """
        self.dashboard = connect(self._ray, self._asked.address)
        try:
            self._gpus = self._gpus_each()
            for _ in range(self._asked.workers or self._room()):
                self._enlist()
            self._await_a_worker()
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()  # which ends the actors of this driver

    @property
    def workers(self) -> int:
        """How many there are, those that Ray has yet to start counted in."""
        return len(self._crew)

    def scan_sources(self, sources: Iterable[Source]) -> Iterator[Report]:
        """Scans sources on the cluster.

        Args:
            sources: clips and stills, which every node finds under the same name.

        Yields:
            One report a source, as they are finished. A source over which workers kept dying is FAILED.

        Raises:
            ClusterError: workers die before they are ready, again and again.
            VidscanError: what the scan itself raises, such as ScoringError.
        """
        dispatch = Dispatch(sources)
        while self._feed(dispatch) or not dispatch.exhausted():
            for member, reference in self._delivered(CHECK_S):
                if not member.ready:
                    self._greet(member)
                elif reference in member.held:
                    yield from self._receive(member, reference, dispatch)
            self._look_after()

    # Workers come and go.

    def _gpus_each(self) -> float:
        if self._asked.gpus is not None:
            return self._asked.gpus
        return 1.0 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0.0

    def _room(self) -> int:
        """How many workers the nodes have room for."""
        room = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                offered = node["Resources"]
                by_gpu = offered.get("GPU", 0) / self._gpus if self._gpus else math.inf
                room += int(min(offered.get("CPU", 0) / self._asked.cpus, by_gpu))
        if not room:
            raise ClusterError(
                f"no node of the Ray cluster has {self._share()} for a worker: ask for less with --ray-cpus "
                "and --ray-gpus, or name with --ray-workers how many shall be waited for"
            )
        return room

    def _share(self) -> str:
        cpus = f"{self._asked.cpus} CPU{'s' if self._asked.cpus > 1 else ''}"
        return cpus + (f" and {self._gpus:g} GPU" if self._gpus else "")

    def _enlist(self) -> None:
        """Has Ray start one more worker, where and when there is room."""
        actor = self._ray.remote(
            num_cpus=self._asked.cpus,
            num_gpus=self._gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CALLS_AT_ONCE,
        )(Worker)
        handle = actor.remote()
        self._crew.append(_Member(handle, handle.prepare.remote(self._here[0], self._job)))

    def _await_a_worker(self) -> None:
        started, told = time.monotonic(), False
        while not self.runtimes:
            for member, _ in self._delivered(1.0):
                self._greet(member)
            if not told and time.monotonic() - started > PATIENCE_S:
                told = True
                log.warning(
                    "the Ray cluster has not started a worker yet (each takes %s): waiting", self._share()
                )

    def _greet(self, member: _Member) -> None:
        """Takes in a worker that says it is ready, or has another started in the place of one that died."""
        try:
            there, loaded_there = self._value(member.greeting)
        except _DeathError as death:
            self._start_another(member, death)
            return
        require_same(self._here[0], there)
        self._compare_loaded(loaded_there)
        self._fruitless_since = None
        member.ready = True

    def _start_another(self, member: _Member, death: _DeathError) -> None:
        """In the place of a worker that died before it was ready."""
        now = time.monotonic()
        self._fruitless_since = self._fruitless_since or now
        if now - self._fruitless_since > FRUITLESS_S:
            raise ClusterError(
                f"workers on the Ray cluster die before they are ready ({death}): check that every node has "
                "the same vidscan, and memory enough"
            ) from death
        time.sleep(PAUSE_S)
        self._replace(member)

    def _compare_loaded(self, there: Loaded) -> None:
        if there.checkpoints != self._here[1].checkpoints:
            raise ClusterError(
                "a node of the Ray cluster has another checkpoint under the same name (SHA-256 "
                f"{', '.join(each[:12] for each in there.checkpoints)}; here "
                f"{', '.join(each[:12] for each in self._here[1].checkpoints)}): put the same file there"
            )
        if self.runtimes and there.runtimes != self.runtimes:
            raise ClusterError(
                f"the nodes of the Ray cluster compute with different runtimes ({', '.join(self.runtimes)}; "
                f"{', '.join(there.runtimes)}): choose one with --runtime"
            )
        self.runtimes = there.runtimes

    def _replace(self, member: _Member) -> None:
        self._crew.remove(member)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(member.handle)  # it may only have been out of reach
        self._enlist()

    def _look_after(self) -> None:
        """Ends workers that hang, which their sources then show as a death."""
        now = time.monotonic()
        for member in self._crew:
            if not member.ready or now - member.asked_at < CHECK_S:
                continue
            if member.question is None:
                member.question, member.asked_at = member.handle.silent_s.remote(), now
                continue
            answered, _ = self._ray.wait([member.question], timeout=0)
            if answered:
                try:
                    silent_s = self._value(member.question)
                except _DeathError:
                    continue  # its sources tell
                member.question = None
            else:
                silent_s = now - member.asked_at
            if silent_s > SILENCE_LIMIT_S:
                member.ended_for = f"it gave no sign of life for {silent_s:.0f} s"
                self._ray.kill(member.handle)

    # Sources go out and reports come in.

    def _feed(self, dispatch: Dispatch) -> bool:
        """Gives every worker that is ready what it may take; returns whether anything is in hand."""
        for member in self._crew:
            while member.ready and (source := dispatch.next_for(member.held.values())) is not None:
                sent = replace(source, path=source.path.absolute())
                member.held[member.handle.scan.remote(sent)] = source
        return any(member.held for member in self._crew)

    def _delivered(self, timeout_s: float) -> list[tuple[_Member, Any]]:
        """What workers owed and have delivered, or never will as they died; waits for the first."""
        owed = {reference: member for member in self._crew for reference in member.awaited}
        if not owed:
            return []
        ready, _ = self._ray.wait(list(owed), num_returns=1, timeout=timeout_s)
        if ready:  # and what came at the same time
            ready, _ = self._ray.wait(list(owed), num_returns=len(owed), timeout=0)
        return [(owed[reference], reference) for reference in ready]

    def _receive(self, member: _Member, reference: Any, dispatch: Dispatch) -> Iterator[Report]:
        """The report that a worker delivered; if it died instead, those that its death decides."""
        try:
            yield self._take(member, reference, dispatch)
        except _DeathError as death:
            left = []
            for other in list(member.held):
                try:
                    yield self._take(member, other, dispatch)
                except _DeathError:
                    left.append(member.held.pop(other))
            self._replace(member)
            how = member.ended_for or str(death)
            log.warning(
                "a worker on the Ray cluster died (%s) with %d files, to be tried again", how, len(left)
            )
            for source in dispatch.lost(left):
                cause = f"worker after worker died ({how})"
                yield blamed(source, cause, self._options, *self._cards)

    def _take(self, member: _Member, reference: Any, dispatch: Dispatch) -> Report:
        report: Report = self._value(reference)
        source = member.held.pop(reference)
        dispatch.reported(report)
        return _as_named(report, source)

    def _value(self, reference: Any) -> Any:
        """What a call gave.

        Raises:
            _DeathError: nothing, as its worker died or cannot be reached.
            VidscanError: what vidscan raised there.
            ClusterError: what else was raised there.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference, timeout=CHECK_S)
        except errors.RayTaskError as error:
            if isinstance(error.cause, VidscanError):
                raise error.cause from None
            raise ClusterError(
                f"vidscan failed on a node of the Ray cluster ({quoted(str(error.cause))}): check that the "
                "same version is installed there"
            ) from error
        except errors.RayError as error:
            raise _DeathError(_last_words(error)) from error


class _DeathError(Exception):
    """A worker is gone, and with it what it had in hand; the message says how."""


def _as_named(report: Report, source: Source) -> Report:
    """A worker's report under the name that the user gave the source."""
    error = report.error
    if error is not None:
        error = replace(error, message=error.message.replace(str(source.path.absolute()), str(source.path)))
    return replace(report, source=source, error=error)


def _last_words(error: Exception) -> str:
    """How a worker went, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error:" in line or "exit" in line.lower()]
    return quoted((telling or lines or [type(error).__name__])[-1])
