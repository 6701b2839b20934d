"""Engines run the pipeline over sources: in this process, in one that may die, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidscan.options import RayOptions, ScanOptions
from vidscan.protocols import Engine

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


def open_engine(
    name: str,
    options: ScanOptions,
    models: Sequence[LoadedModel],
    *,
    isolate: bool = False,
    ray: RayOptions | None = None,
) -> Engine:
    """The engine that scans as ``options`` say; it starts as its ``with`` block is entered.

    Args:
        name: ``"local"`` or ``"ray"``.
        options: what to do.
        models: what to score with, loaded here; a worker loads the same files again.
        isolate: the local engine works in a process of its own, which may die without harm.
        ray: where the Ray cluster is and what a worker takes of it.

    Raises:
        UsageError: Ray is asked for and not installed.
    """
    if name == "ray":
        from vidscan.engines.ray.driver import RayEngine

        return RayEngine(options, models, ray or RayOptions())
    if isolate:
        from vidscan.engines.isolated.parent import IsolatedEngine

        return IsolatedEngine(options, models)
    from vidscan.engines.local import LocalEngine

    return LocalEngine(options, models)
