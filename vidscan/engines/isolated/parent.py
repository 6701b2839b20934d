"""Runs the pipeline in a worker process, so that what kills or hangs it costs one file.

MediaPipe, TensorFlow and OpenCV are native code on untrusted pixels: they may crash, be ended for want of
memory, or never come back. The worker is then started anew. It asks for each source as it begins on it, so
what it had in hand when it died is known.
"""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self, TypeAlias

from vidscan import errors
from vidscan.engines.dispatch import Dispatch, failed_report, worker_died_report
from vidscan.engines.isolated.codec import WireError, from_plain, length_of, unpack
from vidscan.engines.isolated.worker import TOLD
from vidscan.engines.job import Job
from vidscan.errors import VidscanError, WorkerError
from vidscan.models.checkpoint import LoadedModel
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source, Status
from vidscan.system.processes import Child, Stalled
from vidscan.system.typed_json import field_types

# -P: a file named like one of Python's modules in the current folder, perhaps the evidence's, is not run.
WORKER = (sys.executable, "-P", "-m", "vidscan.engines.isolated.worker")

SILENCE_LIMIT_S = 300.0
"""A worker that sends nothing for this long hangs. It must be able to load TensorFlow in it, and to wait
for an ffmpeg that hangs."""

SECONDS_PER_CROP = 2.0
"""Upper limit on what the slowest network takes over a crop: the worker is silent for a whole batch."""

MAX_FRUITLESS_STARTS = 2
"""So many workers in a row that die before they ask for a source are a fault of the installation."""


Stream: TypeAlias = Generator[Report, None, None]
"""Reports as they come; closing it ends the worker."""


class IsolatedEngine:
    """Scans as the local engine does, in a process that may die. A source over which it died is FAILED."""

    about = ""

    def __init__(
        self, options: ScanOptions, models: Sequence[LoadedModel], worker: Sequence[str] | None = None
    ) -> None:
        """``worker`` is the command that starts a worker, which loads ``models`` again from their files."""
        from vidscan.models.ensemble import Ensemble

        self.options = options
        ensemble = Ensemble.of(models)
        self._cards = (ensemble.card, ensemble.member_cards)
        self._job = Job(options, tuple(model.path for model in models))
        self._command = worker or WORKER
        self._limit_s = SILENCE_LIMIT_S + SECONDS_PER_CROP * options.batching.batch_size * len(models)
        self._child: Child | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass  # a worker lives as long as the scan

    def scan(self, sources: Iterable[Source], observer: Observer | None = None) -> Stream:
        """Yields one report a source, in order; raises WorkerError without a worker, and as the scan does."""
        self._stopped = False
        dispatch, fruitless = Dispatch(sources), 0
        while not dispatch.exhausted():
            with Child(self._command, fed=True, heard=False) as child:
                worker = _Worker(child, self._limit_s, observer)
                self._child = child
                try:
                    if self._stopped:
                        return
                    worker.send(self._job)
                    for source, told in worker.finished(dispatch):
                        yield replace(failed_report(source, None, self.options, *self._cards), **told)
                    return
                except EOFError:
                    cause = _death(child)
                except Stalled:
                    cause = f"the worker process gave no sign of life for {self._limit_s:.0f} s and was ended"
                except WireError as error:
                    cause = f"the worker process sent what is no report ({error}) and was ended"
                finally:
                    self._child = None
            if self._stopped:
                return
            fruitless = 0 if worker.given else fruitless + 1
            if fruitless >= MAX_FRUITLESS_STARTS:
                raise WorkerError(f"{cause} before it began: run without --isolate to see why")
            if (culprit := dispatch.take_back(worker)) is not None:
                yield worker_died_report(culprit, cause, self.options, *self._cards)

    def stop(self) -> None:
        """Ends the worker at once, from any thread: the scan under way ends without what it had in hand."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.kill()


def _death(child: Child) -> str:
    code = child.exit_code()
    if code is None or code >= 0:
        return f"the worker process ended too early (exit code {code})"
    if code == -signal.SIGKILL:
        return "the worker process was killed, as a system does that runs out of memory"
    try:
        return f"the worker process crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"the worker process crashed (signal {-code})"


class _Worker:
    """A worker process as the parent sees it: what it sends is checked, and never executed."""

    def __init__(self, child: Child, limit_s: float, observer: Observer | None) -> None:
        self._child, self._limit_s, self._observer = child, limit_s, observer
        self.held: deque[Source] = deque()
        self.given: dict[str, Source] = {}

    def send(self, message: Job | Source | None) -> None:
        if isinstance(message, Source):
            self.given[message.id] = message
        with suppress(BrokenPipeError):  # it has died, which its silence shows
            self._child.write(pickle.dumps(message), time.monotonic() + self._limit_s)

    def finished(self, dispatch: Dispatch) -> Iterator[tuple[Source, dict[str, Any]]]:
        """Gives the worker what it asks for; yields each finished source with the fields of its report.

        Raises EOFError where the worker died, Stalled where it sent nothing for too long, WireError where it
        sent what is no message, and what the scan raised there.
        """
        while self.held or not dispatch.exhausted():
            match unpack(self._read(length_of(self._read(4)))):
                case {"next": True}:
                    dispatch.answer(self)
                case {"part": name}:
                    source = self._source(name)
                    if self._observer is not None:
                        self._observer.part_fetched(source)
                case {"frame": [name, time_s, duration_s]}:
                    source = self._source(name)
                    if self._observer is not None:
                        self._observer.frame_sampled(source, time_s, duration_s)
                case {"report": [name, told]}:
                    if not self.held or self.held[0].id != name:
                        raise WireError("a report of no source in hand")
                    fields = _fields(told)
                    yield dispatch.finish(self), fields
                case {"failed": [kind, message]}:
                    raise _error(kind)(message)
                case _:
                    raise WireError("an unknown message")

    def _read(self, count: int) -> bytearray:
        data = self._child.read(count, time.monotonic() + self._limit_s)
        if len(data) < count:
            raise EOFError
        return data

    def _source(self, name: str) -> Source:
        if name not in self.given:
            raise WireError("news of a source that it was not given")
        return self.given[name]


def _fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a report that a worker tells; raises WireError where they are not those of one."""
    if set(told) != set(TOLD):
        raise WireError("fields that are not a report's")
    kinds = field_types(Report)
    fields = {field: from_plain(kinds[field], told[field]) for field in TOLD}
    judged = fields["status"] is Status.OK
    if (fields["verdict"] is not None, fields["error"] is None) != (judged, judged):
        raise WireError("a report that contradicts itself")
    return fields


def _error(name: str) -> type[VidscanError]:
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, VidscanError) else VidscanError
