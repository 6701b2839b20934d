"""Runs the pipeline in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self, TypeAlias

from vidscan.models.checkpoint import LoadedModel
from vidscan.options import DetectionOptions, ScanOptions
from vidscan.protocols import FaceDetector, Observer
from vidscan.records import Report, Source

OpenDetector: TypeAlias = Callable[[DetectionOptions], AbstractContextManager[FaceDetector]]
"""Makes a face detector, which is closed after the scan."""


def open_mediapipe(options: DetectionOptions) -> AbstractContextManager[FaceDetector]:
    """MediaPipe's face detector, which is imported on first use; raises DetectionError if it cannot start."""
    from vidscan.faces.detector import MediaPipeFaceDetector

    return MediaPipeFaceDetector(options)


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Scans in this process, with loaded models."""

    options: ScanOptions
    models: Sequence[LoadedModel]
    open_detector: OpenDetector = open_mediapipe
    about: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def scan(self, sources: Iterable[Source], observer: Observer | None = None) -> Iterator[Report]:
        """Scans sources one after the other, in one stream; yields one report a source, in order.

        Raises ModelError where heat maps are asked for and the network allows none, DetectionError where the
        face detector cannot start, and ScoringError where a network fails.
        """
        from vidscan.scan.pipeline import explainer_of, scan

        explainer = explainer_of(self.models, self.options)
        with self.open_detector(self.options.detection) as detector:
            yield from scan(
                sources,
                self.options,
                scorers=self.models,
                detector=detector,
                observer=observer,
                explainer=explainer,
            )
