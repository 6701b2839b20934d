"""Engines run the pipeline over sources: in this process, in one that may die, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidscan.options import RayOptions, ScanOptions
from vidscan.protocols import Engine

if TYPE_CHECKING:
    from vidscan.engines.local import OpenDetector
    from vidscan.models.checkpoint import LoadedModel


def open_engine(
    name: str,
    options: ScanOptions,
    models: Sequence[LoadedModel],
    *,
    isolate: bool = False,
    ray: RayOptions | None = None,
    open_detector: OpenDetector | None = None,
) -> Engine:
    """The engine of a name, ``"local"`` or ``"ray"``; it starts as its ``with`` block is entered.

    ``isolate`` has the local engine work in a process that may die without harm, which loads the files of
    ``models`` again, as the workers on a cluster do. ``open_detector`` opens what finds the faces in this
    process; workers take MediaPipe, and so does None. Raises UsageError where Ray is not installed.
    """
    if name == "ray":
        from vidscan.engines.ray.driver import RayEngine

        return RayEngine(options, models, ray or RayOptions())
    if isolate:
        from vidscan.engines.isolated.parent import IsolatedEngine

        return IsolatedEngine(options, models)
    from vidscan.engines.local import LocalEngine, open_mediapipe

    return LocalEngine(options, models, open_detector or open_mediapipe)
