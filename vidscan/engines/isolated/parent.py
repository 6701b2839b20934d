"""Runs the pipeline in a worker process, so that what kills or hangs it costs one file.

MediaPipe, TensorFlow and OpenCV are native code on a stranger's pixels: they may crash, be ended for want
of memory, or never come back. The worker is then started anew, and the file it was at is reported as
failed. The stream stays whole across files, so several may be in flight when a worker dies; then the one
begun last is tried alone, and if that did not tell, each of them.
"""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from vidscan import errors
from vidscan.engines.failure import blamed, unread
from vidscan.engines.isolated.codec import WireError, field_types, from_plain, length_of, unpack
from vidscan.engines.isolated.worker import TOLD, Job
from vidscan.errors import VidscanError, WorkerError
from vidscan.models.checkpoint import LoadedModel
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import ModelCard, Report, Source
from vidscan.system.processes import Child, Stalled

# -P: a file named like one of Python's modules in the current folder, perhaps the evidence's, is not run.
WORKER = (sys.executable, "-P", "-m", "vidscan.engines.isolated.worker")

SILENCE_LIMIT_S = 300.0
"""A worker that tells nothing for this long hangs. It must be able to load TensorFlow in it, and to wait
for an ffmpeg that hangs."""

SECONDS_PER_CROP = 2.0
"""What the slowest network may take over a crop: a whole batch is silent."""

FRUITLESS_STARTS = 2
"""So many workers in a row that die before they touch a source are a fault of the installation."""


def scan_sources(
    sources: Sequence[Source],
    options: ScanOptions,
    *,
    models: Sequence[LoadedModel],
    observer: Observer | None = None,
    worker: Sequence[str] = WORKER,
) -> Iterator[Report]:
    """Scans sources as :func:`vidscan.engines.local.scan_sources` does, in a process that may die.

    Args:
        sources: clips and stills.
        options: what to do.
        models: what to score with; the worker loads them again from their files.
        observer: is told of every frame read.
        worker: the command that starts a worker.

    Yields:
        One report a source, in order. A source over which the worker died or hung is FAILED.

    Raises:
        WorkerError: no worker can be started.
        VidscanError: what the scan itself raises, such as DetectionError and ScoringError.
    """
    from vidscan.models.ensemble import Ensemble

    ensemble = Ensemble.of(models)
    run = _Run(sources, options, ensemble.card, ensemble.member_cards, observer)
    paths = tuple(model.path for model in models)
    limit_s = SILENCE_LIMIT_S + SECONDS_PER_CROP * options.batching.batch_size * len(models)
    fruitless = 0
    while run.groups:
        with Child(worker, fed=True, heard=False) as child:
            try:
                job = Job(options, paths, tuple(tuple(group.sources) for group in run.groups))
                with suppress(BrokenPipeError):  # it has died; its silence will tell
                    child.write(pickle.dumps(job), time.monotonic() + limit_s)
                yield from run.listen(child, limit_s)
                cause = _death(child)
            except Stalled:
                cause = f"the worker process gave no sign of life for {limit_s:.0f} s and was ended"
            except WireError as error:
                cause = f"the worker process sent what is no report ({error}) and was ended"
        if run.groups:
            fruitless = 0 if run.touched else fruitless + 1
            if fruitless >= FRUITLESS_STARTS:
                raise WorkerError(f"{cause} before it began: run without --isolate to see why")
            yield from run.blame(cause)


def _death(child: Child) -> str:
    """How a worker that fell silent went."""
    code = child.exit_code()
    if code is None or code >= 0:
        return f"the worker process ended too early (exit code {code})"
    if code == -signal.SIGKILL:
        return "the worker process was killed, as a system does that runs out of memory"
    try:
        return f"the worker process crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"the worker process crashed (signal {-code})"


class _Group:
    """Sources that are scanned as one stream; ``retried`` where a worker has died over them before."""

    def __init__(self, sources: Sequence[Source], *, retried: bool = False) -> None:
        self.sources = deque(sources)
        self.retried = retried


class _Run:
    """What is still to be done, and what the worker of the moment has in hand."""

    def __init__(
        self,
        sources: Sequence[Source],
        options: ScanOptions,
        card: ModelCard,
        members: tuple[ModelCard, ...],
        observer: Observer | None,
    ) -> None:
        self.groups = deque([_Group(sources)] if sources else [])
        self.touched = False
        self._in_flight: deque[Source] = deque()
        self._sources = {source.id: source for source in sources}
        self._options, self._card, self._members = options, card, members
        self._observer = observer

    def listen(self, child: Child, limit_s: float) -> Iterator[Report]:
        """The reports of a worker, until it falls silent for good."""
        self.touched = False
        self._in_flight.clear()
        while head := child.read(4, time.monotonic() + limit_s):
            length = length_of(head)
            body = child.read(length, time.monotonic() + limit_s)
            if len(body) < length:
                return
            match unpack(body):
                case {"begin": str(name)}:
                    self._begin(name)
                case {"part": str(name)}:
                    self._fetch(name)
                case {"frame": [str(name), time_s, duration_s]}:
                    self._show(name, time_s, duration_s)
                case {"report": [str(name), dict(told)]}:
                    report = self._report(name, told)
                    self._finish()
                    yield report
                case {"failed": [str(kind), str(message)]}:
                    raise _error(kind)(message)
                case _:
                    raise WireError("an unknown message")

    def _begin(self, name: str) -> None:
        waiting = list(self.groups[0].sources)[len(self._in_flight) :][:1] if self.groups else []
        if not waiting or waiting[0].id != name:
            raise WireError("a source whose turn it was not")
        self.touched = True
        self._in_flight.append(waiting[0])

    def _fetch(self, name: str) -> None:
        """A sign of life, of a source that may not have been begun."""
        if name not in self._sources:
            raise WireError("a part of no source")
        if self._observer is not None:
            self._observer.part_fetched(self._sources[name])

    def _show(self, name: str, time_s: Any, duration_s: Any) -> None:
        if name not in self._sources:
            raise WireError("a frame of no source")
        moment, duration = from_plain(float, time_s), from_plain(float | None, duration_s)
        if self._observer is not None:
            self._observer.frame_sampled(self._sources[name], moment, duration)

    def _report(self, name: str, told: dict[str, Any]) -> Report:
        if not self._in_flight or self._in_flight[0].id != name or set(told) != set(TOLD):
            raise WireError("a report of no source in hand")
        kinds = field_types(Report)
        known = unread(self._in_flight[0], None, self._options, self._card, self._members)
        return replace(known, **{field: from_plain(kinds[field], told[field]) for field in TOLD})

    def _finish(self) -> Source:
        """Strikes the oldest source in flight off the list."""
        source = self._in_flight.popleft()
        self.groups[0].sources.popleft()
        if not self.groups[0].sources:
            self.groups.popleft()
        return source

    def blame(self, cause: str) -> Iterator[Report]:
        """After a worker's end: fails the one source it had in hand, or parts several."""
        if not self._in_flight:
            return
        if len(self._in_flight) == 1:
            yield blamed(self._finish(), cause, self._options, self._card, self._members)
            return
        group, suspects = self.groups.popleft(), list(self._in_flight)
        rest = list(group.sources)[len(suspects) :]
        parts = [[suspect] for suspect in suspects] if group.retried else [suspects[:-1], suspects[-1:]]
        after = [_Group(rest, retried=group.retried)] if rest else []
        self.groups.extendleft(reversed([*(_Group(part, retried=True) for part in parts), *after]))


def _error(name: str) -> type[VidscanError]:
    """The class of vidscan's own errors with this name."""
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, VidscanError) else VidscanError
