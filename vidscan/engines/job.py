"""What a worker is told to do, on this machine or on a node of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidscan.engines.local import LocalEngine
from vidscan.errors import VidscanError, WorkerError, quoted
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source

ScanStream = Callable[[Iterable[Source], Observer], Iterator[Report]]
"""Scans sources as one stream; yields one report each, in order."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers of a scan are to do; it travels as a pickle, from the parent to the worker alone.

    ``models``: checkpoints by their names or their paths where the worker runs; empty for those that ship.
    ``cores``: how many a worker may keep busy; None for all.
    """

    options: ScanOptions
    models: tuple[Path, ...]
    cores: int | None = None

    def load(self) -> LocalEngine:
        """Loads the checkpoints in the worker; raises ModelError where one is missing or refused."""
        from vidscan.models.loading import load_models

        models = load_models(self.models or None, runtime=self.options.model.runtime)
        return LocalEngine(self.options, models)


def failure(error: Exception) -> VidscanError:
    """What a worker tells of an error that ends its scan."""
    if isinstance(error, VidscanError):
        return error
    return WorkerError(f"a worker failed ({type(error).__name__}: {quoted(str(error))})")
