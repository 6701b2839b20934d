"""What runs on a node of a Ray cluster: an actor that scans the sources it is sent, as one stream.

Nothing here knows Ray. The driver makes an actor of :class:`Worker`, asks what is installed beside it
before anything else is sent there, then has it load the checkpoints, and calls :meth:`Worker.scan` once
for each source. Reports alone go back.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidscan.errors import ClusterError, VidscanError, WorkerError, quoted
from vidscan.models.bundled import fingerprint
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source
from vidscan.report.document import version
from vidscan.system.cores import LIMIT

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

IDLE_S = 0.1
"""So long a stream waits for one source more; then it ends, which scores what its last batch holds."""

Scan = Callable[[Iterable[Source], Observer], Iterator[Report]]
"""Scans sources as one stream; yields one report each, in order."""


Installed = tuple[str, ...]
"""What runs on a machine, as :data:`NAMES_OF_INSTALLED` has it. Plain, so that any version can tell it."""

NAMES_OF_INSTALLED = ("vidscan", "vidscan's code", "bundled checkpoints", "Ray")


class Loaded(NamedTuple):
    """What is scored with: the SHA-256 of each checkpoint, and the runtime that computes each."""

    checkpoints: tuple[str, ...]
    runtimes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers of a scan are to do.

    ``models``: checkpoints by their names or their paths on the node; empty for those that ship. ``cores``:
    how many a worker may keep busy.
    """

    options: ScanOptions
    models: tuple[Path, ...]
    cores: int


def installed() -> Installed:
    """What runs here: the version of vidscan, hashes of its code and of what ships with it, Ray's version."""
    package = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\n".encode())
        digest.update(path.read_bytes())
    return (version(), digest.hexdigest()[:12], fingerprint(), metadata.version("ray"))


def require_same(here: Installed, there: Installed) -> None:
    """Raises ClusterError where a node has something else installed than the machine that asks."""
    if there == here:
        return
    differing = [
        f"{name} {theirs} there, {ours} here"
        for name, ours, theirs in zip(NAMES_OF_INSTALLED, here, there, strict=False)
        if ours != theirs
    ]
    raise ClusterError(
        f"the Ray cluster runs another vidscan ({'; '.join(differing)}): install the same on every node"
    )


class Worker:
    """The actor. Its methods are coroutines, so that it answers while it scans."""

    def __init__(self) -> None:
        self._stream: Stream | None = None

    async def prepare(self, asked: Installed, job: bytes) -> tuple[Installed, Loaded | None]:
        """Tells what is installed here, and where that is what was asked for, gets ready to scan.

        Args:
            asked: what is installed where the scan was started.
            job: a pickled :class:`Job`, which means nothing to another version.

        Raises:
            ModelError: a checkpoint is missing on this node, or refused.
        """
        found = installed()
        return found, self._load(pickle.loads(job)) if found == asked else None

    def _load(self, job: Job) -> Loaded:
        os.environ[LIMIT] = str(job.cores)
        # TensorFlow takes a GPU's whole memory else, and another worker may have a part of the same.
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        from vidscan.models.loading import load_models

        models = load_models(job.models or None, runtime=job.options.model.runtime)
        self._stream = Stream(_scan_with(models, job.options))
        return loaded(models)

    async def scan(self, source: Source) -> Report:
        """The report on a source, which is scanned together with others that were sent."""
        assert self._stream is not None
        return await asyncio.wrap_future(self._stream.put(source))

    async def silent_s(self) -> float:
        """For how many seconds there was no sign of life while something was to be done."""
        assert self._stream is not None
        return self._stream.silent_s()


def loaded(models: Sequence[LoadedModel]) -> Loaded:
    """What is scored with, for comparison with other machines."""
    from vidscan.models.card_file import checkpoint_sha256

    return Loaded(
        tuple(checkpoint_sha256(model.card, model.path) for model in models),
        tuple(model.runtime.name for model in models),
    )


def _scan_with(models: Sequence[LoadedModel], options: ScanOptions) -> Scan:
    from vidscan.engines import local

    def scan(sources: Iterable[Source], observer: Observer) -> Iterator[Report]:
        return local.scan_sources(sources, options, models=models, observer=observer)

    return scan


class Stream:
    """Scans sources that come one by one, in a thread of its own, as one stream while more are waiting."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._waiting: queue.SimpleQueue[Source] = queue.SimpleQueue()
        self._promised: dict[str, Future[Report]] = {}
        self._broken: Exception | None = None
        self._lock = threading.Lock()
        self._last_sign = time.monotonic()
        threading.Thread(target=self._run, name="scan", daemon=True).start()

    def put(self, source: Source) -> Future[Report]:
        """Has a source scanned; the future gives its report, or what the scan itself raised."""
        promised: Future[Report] = Future()
        with self._lock:
            if self._broken is not None:
                promised.set_exception(self._broken)
                return promised
            if not self._promised:
                self._sign()
            self._promised[source.id] = promised
        self._waiting.put(source)
        return promised

    def silent_s(self) -> float:
        """Seconds since the last part of a file, frame or report; 0 while nothing is to be done."""
        return time.monotonic() - self._last_sign if self._promised else 0.0

    def part_fetched(self, source: Source) -> None:
        """As the scan's observer."""
        self._sign()

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """As the scan's observer."""
        self._sign()

    def _sign(self) -> None:
        self._last_sign = time.monotonic()

    def _run(self) -> None:
        try:
            while True:
                for report in self._scan(self._as_they_come(), self):
                    self._sign()
                    self._promised.pop(report.source.id).set_result(report)
        except VidscanError as error:
            self._break(error)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._break(WorkerError(f"a worker failed ({type(error).__name__}: {quoted(str(error))})"))

    def _as_they_come(self) -> Iterator[Source]:
        """One source, waited for as long as it takes, and all that follow it closely."""
        source: Source | None = self._waiting.get()
        while source is not None:
            yield source
            try:
                source = self._waiting.get(timeout=IDLE_S)
            except queue.Empty:
                source = None

    def _break(self, error: Exception) -> None:
        """Nothing more will come, of what was promised or later."""
        with self._lock:
            self._broken = error
            for promised in self._promised.values():
                promised.set_exception(error)
