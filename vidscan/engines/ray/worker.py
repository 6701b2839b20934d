"""What runs on a node of a Ray cluster: an actor that scans the sources it is given, as one stream.

Nothing here knows Ray. The driver makes an actor of :class:`Worker`, asks what is installed beside it
before anything else is sent there, then has it load the checkpoints, and calls :meth:`Worker.step` again and
again. Reports and questions for sources alone go back.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import pickle
import queue
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidscan.engines.job import Job, ScanStream, failure
from vidscan.errors import ClusterError, VidscanError
from vidscan.models.bundled import fingerprint
from vidscan.records import Report, Source
from vidscan.system.cores import LIMIT
from vidscan.version import __version__

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel

Installed = tuple[str, ...]
"""What runs on a machine, as :data:`NAMES_OF_INSTALLED` has it. Plain, so that any version can tell it."""

NAMES_OF_INSTALLED = ("vidscan", "vidscan's code", "bundled checkpoints", "Ray")


class Loaded(NamedTuple):
    """What is scored with: the SHA-256 of each checkpoint, and the runtime that computes each."""

    checkpoints: tuple[str, ...]
    runtimes: tuple[str, ...]

    @classmethod
    def of(cls, models: Sequence[LoadedModel]) -> Loaded:
        """What these models are, for comparison with other machines."""
        from vidscan.models.card_file import checkpoint_sha256

        return cls(
            tuple(checkpoint_sha256(model.card, model.path) for model in models),
            tuple(model.runtime.name for model in models),
        )


def installed() -> Installed:
    """What runs here: the version of vidscan, hashes of its code and of what ships with it, Ray's version."""
    package = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\n".encode())
        digest.update(path.read_bytes())
    return (__version__, digest.hexdigest()[:12], fingerprint(), metadata.version("ray"))


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
    """The actor. It scans in a thread of its own, of which it is the observer, and answers in the other."""

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[Source | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Report | VidscanError | None] = queue.SimpleQueue()
        self._last_sign = math.inf

    def prepare(self, asked: Installed, job: bytes) -> tuple[Installed, Loaded | None]:
        """Tells what is installed here; where that is what the driver ``asked`` for, begins to scan.

        ``job`` is a pickled :class:`Job`, which means nothing to another version. Raises ModelError where a
        checkpoint is missing on this node, or refused.
        """
        found = installed()
        return found, self._load(pickle.loads(job)) if found == asked else None

    def _load(self, job: Job) -> Loaded:
        os.environ[LIMIT] = str(job.cores)
        # TensorFlow takes a GPU's whole memory else, and another worker may have a part of the same.
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        engine = job.load()
        self.start(engine.scan)
        return Loaded.of(engine.models)

    def start(self, scan: ScanStream) -> None:
        """Begins to scan, which first asks for a source."""
        threading.Thread(target=self._run, args=(scan,), name="scan", daemon=True).start()

    def step(self, answers: Sequence[Source | None], wait_s: float) -> tuple[list[Report | None], float]:
        """Answers what the scan asked for, and waits for what it tells next, ``wait_s`` at most.

        An answer is a source, or None for the end of the stream of sources. Returns reports and, as None,
        questions for a source; and for how many seconds the scan has given no sign of life: no report, frame
        or part of a file while it had something to do. Raises the VidscanError that ended the scan.
        """
        for answer in answers:
            self._given.put(answer)
        told: list[Report | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                news = self._told.get(timeout=0.0 if told else wait_s)
                if not isinstance(news, VidscanError):
                    told.append(news)
                elif told:  # what was finished before goes first
                    self._told.put(news)
                    break
                else:
                    raise news
        return told, max(0.0, time.monotonic() - self._last_sign)

    def _sign(self, *_: object) -> None:
        self._last_sign = time.monotonic()

    part_fetched = frame_sampled = _sign

    def _run(self, scan: ScanStream) -> None:
        try:
            while True:
                self._told.put(None)
                for report in scan(iter(self._ask, None), self):
                    self._sign()
                    self._told.put(report)
        except Exception as error:  # noqa: BLE001 - the driver is told, and raises it
            self._told.put(failure(error))

    def _ask(self) -> Source | None:
        """The source that was asked for; the next is asked for at once, and is on its way meanwhile."""
        self._last_sign = math.inf  # waiting for the driver is no silence
        source = self._given.get()
        self._sign()
        if source is not None:
            self._told.put(None)
        return source
