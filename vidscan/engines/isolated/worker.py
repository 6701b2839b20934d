"""The process that does the work for :mod:`vidscan.engines.isolated.parent`: it may die without harm.

On standard input come pickles: a :class:`vidscan.engines.job.Job`, then an answer to each ``next``: a source,
or None where the stream of sources ends for now. On standard output go messages of
:mod:`vidscan.engines.isolated.codec`: ``next`` asks for a source, ``part`` tells of each part of a remote
source that has come, ``frame`` of each frame sampled, ``report`` that a source is finished, ``failed`` that
the run cannot go on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from vidscan.engines.isolated.codec import pack
from vidscan.engines.job import Job, ScanStream, failure
from vidscan.records import Report, Source
from vidscan.system.typed_json import to_plain

KNOWN = frozenset(("source", "options", "model_card", "members"))
"""The fields of a report that the parent knows as well."""

TOLD = tuple(field.name for field in fields(Report) if field.name not in KNOWN)
"""The fields that a worker tells."""

OOM_SCORE = "500"
"""Of -1000 to 1000: where memory runs out, Linux is to end the worker, or its ffmpeg, and not the parent."""


class _Parent:
    """The parent as the worker sees it, which is also the scan's observer; told of things from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def tell(self, **message: Any) -> None:
        with self._lock:
            self._pipe.write(pack(message))
            self._pipe.flush()

    def ask(self) -> Source | None:
        self.tell(next=True)
        source: Source | None = pickle.load(sys.stdin.buffer)
        return source

    def part_fetched(self, source: Source) -> None:
        self.tell(part=source.id)

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        self.tell(frame=[source.id, time_s, duration_s])


def serve(prepare: Callable[[Job], ScanStream]) -> None:
    """Scans by what ``prepare`` makes of the job, until the parent ends this process or the scan fails."""
    with contextlib.suppress(OSError):  # another system than Linux
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    # Whatever a library prints to standard output must not come between the messages.
    parent = _Parent(os.dup(1))
    os.dup2(2, 1)
    job: Job = pickle.load(sys.stdin.buffer)
    try:
        scan = prepare(job)
        while True:
            for report in scan(iter(parent.ask, None), parent):
                told = {name: to_plain(getattr(report, name)) for name in TOLD}
                parent.tell(report=[report.source.id, told])
    except Exception as error:  # noqa: BLE001 - the parent is told, and raises it
        failed = failure(error)
        parent.tell(failed=[type(failed).__name__, str(failed)])


if __name__ == "__main__":
    serve(lambda job: job.load().scan)
