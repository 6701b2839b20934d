"""Runs the pipeline in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from vidscan.models.checkpoint import LoadedModel
from vidscan.options import DetectionOptions, ScanOptions
from vidscan.protocols import FaceDetector, Observer
from vidscan.records import Report, Source


def scan_sources(
    sources: Iterable[Source],
    options: ScanOptions,
    *,
    models: Sequence[LoadedModel],
    observer: Observer | None = None,
    open_detector: Callable[[DetectionOptions], AbstractContextManager[FaceDetector]] | None = None,
) -> Iterator[Report]:
    """Scans sources one after the other, in one stream.

    Args:
        sources: clips and stills.
        options: what to do.
        models: the loaded checkpoint, or those of an ensemble.
        observer: is told of every frame read.
        open_detector: opens what finds the faces; None takes MediaPipe.

    Yields:
        One report a source, in order.

    Raises:
        ModelError: heat maps are asked for, and the network allows none.
        DetectionError: the face detector cannot start.
        ScoringError: a network fails.
    """
    from vidscan.faces.detector import MediaPipeFaceDetector
    from vidscan.scan.pipeline import explainer_of, scan

    explainer = explainer_of(models, options)
    with (open_detector or MediaPipeFaceDetector)(options.detection) as detector:
        yield from scan(
            sources, options, scorers=models, detector=detector, observer=observer, explainer=explainer
        )
