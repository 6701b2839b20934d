"""The process that does the work for :mod:`vidscan.engines.isolated.parent`: it may die without harm.

It gets a :class:`Job` on standard input, as a pickle of its parent's, and tells what it does on standard
output, in messages of :mod:`vidscan.engines.isolated.codec`: ``begin`` before a source is touched, ``part``
for each part of a remote source that has come, ``frame`` for each frame sampled, ``report`` when a source is
finished, ``failed`` where the run cannot go on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vidscan.engines.isolated.codec import pack, to_plain
from vidscan.errors import VidscanError, quoted
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source

KNOWN = frozenset(("source", "options", "model_card", "members"))
"""The fields of a report that the parent knows as well."""

TOLD = tuple(field.name for field in fields(Report) if field.name not in KNOWN)
"""The fields that a worker tells."""

OOM_SCORE = "500"
"""Of -1000 to 1000: where memory runs out, Linux is to end the worker, or its ffmpeg, and not the parent."""


@dataclass(frozen=True, slots=True)
class Job:
    """``groups`` of sources are scanned one after the other, each as a stream of its own."""

    options: ScanOptions
    models: tuple[Path, ...]
    groups: tuple[tuple[Source, ...], ...]


Scan = Callable[[Iterable[Source], ScanOptions, Observer], Iterator[Report]]
"""Scans one group."""


class _Teller:
    """Sends messages from any thread; also the observer of a scan."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def tell(self, **message: Any) -> None:
        with self._lock:
            self._pipe.write(pack(message))
            self._pipe.flush()

    def announced(self, sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            self.tell(begin=source.id)
            yield source

    def part_fetched(self, source: Source) -> None:
        self.tell(part=source.id)

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        self.tell(frame=[source.id, time_s, duration_s])


def serve(prepare: Callable[[Job], Scan]) -> int:
    """Does the job that waits on standard input; returns the exit code.

    Args:
        prepare: makes the function that scans, for instance by loading the models.
    """
    with contextlib.suppress(OSError):  # another system than Linux
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    # Whatever a library prints to standard output must not come between the messages.
    teller = _Teller(os.dup(1))
    os.dup2(2, 1)
    job: Job = pickle.load(sys.stdin.buffer)
    try:
        scan = prepare(job)
        for group in job.groups:
            for report in scan(teller.announced(group), job.options, teller):
                teller.tell(report=[report.source.id, _told(report)])
    except VidscanError as error:
        teller.tell(failed=[type(error).__name__, str(error)])
        return 1
    except Exception as error:  # noqa: BLE001 - the parent is told, and raises it
        teller.tell(
            failed=["VidscanError", f"a worker failed ({type(error).__name__}: {quoted(str(error))})"]
        )
        return 1
    return 0


def _told(report: Report) -> Mapping[str, Any]:
    return {name: to_plain(getattr(report, name)) for name in TOLD}


def _with_models(job: Job) -> Scan:
    from vidscan.engines import local
    from vidscan.models.loading import load_models

    models = load_models(job.models, runtime=job.options.model.runtime)

    def scan(sources: Iterable[Source], options: ScanOptions, observer: Observer) -> Iterator[Report]:
        return local.scan_sources(sources, options, models=models, observer=observer)

    return scan


if __name__ == "__main__":
    sys.exit(serve(_with_models))
