"""What the rooms promise each other: protocols that a part can be exchanged behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from vidscan.options import ScanOptions
from vidscan.records import (
    Detection,
    Geometry,
    Heat,
    HeatSource,
    Image,
    Landmarks,
    ModelCard,
    Report,
    Source,
)


class Observer(Protocol):
    """Is told how a scan gets on."""

    def part_fetched(self, source: Source) -> None:
        """A part of a remote source has come, perhaps while another is read; called from any thread."""

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """A frame was taken from ``source`` at ``time_s``; called from the reading thread."""


class Engine(Protocol):
    """Runs the pipeline over sources, here or elsewhere. Use as a context manager: entering starts it."""

    @property
    def options(self) -> ScanOptions:
        """What to do; once the engine has started, with the runtimes that the networks are computed with."""

    @property
    def about(self) -> str:
        """One line for the terminal on where the scan runs; empty if there is nothing to say."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def scan(self, sources: Iterable[Source], observer: Observer | None = None) -> Iterator[Report]:
        """Yields one report a source as each is finished; takes a source only when it can begin on it.

        So the end of ``sources`` ends the scan once what was begun is finished.
        """


class Scorer(Protocol):
    """A network ready to score, with the card that says how to feed it."""

    @property
    def card(self) -> ModelCard:
        """Geometry, class convention, calibration and thresholds."""

    def score(self, crops: Image, mouths: Image | None = None) -> npt.NDArray[np.float32]:
        """P(fake), ``float32[n]``, of RGB ``uint8[n, size, size, 3]`` crops, and mouths if the card asks."""


class FaceDetector(Protocol):
    """Finds the faces in one picture, RGB ``uint8[height, width, 3]``; boxes are in its pixels."""

    def detect(self, image: Image) -> Sequence[Detection]:
        """All faces in a picture by one plain search of the whole, surest first."""

    def far(self, image: Image) -> Sequence[Detection]:
        """What the full-range network alone claims, unchecked and of any size, surest first."""

    def near(self, image: Image) -> Sequence[Detection]:
        """What the short-range network alone claims, unchecked and of any size, surest first."""


class Landmarker(Protocol):
    """Finds the points of a face."""

    def locate(self, image: Image) -> Landmarks | None:
        """The face mesh in a square crop around one face, RGB ``uint8[n, n, 3]``; None where none is seen."""


class Explainer(Protocol):
    """Draws heat maps of crops."""

    @property
    def source(self) -> HeatSource:
        """The kind of map and the network that it explains."""

    @property
    def geometry(self) -> Geometry:
        """How that network wants its crops."""

    def heat(self, crops: Image) -> list[Heat]:
        """A map for each of ``crops``, RGB ``uint8[n, size, size, 3]``."""


class Sink(Protocol):
    """Does something with the reports of a scan."""

    def take(self, report: Report) -> None:
        """Is given each report at once; raises VidscanError, which ends the scan, where it cannot write."""

    def finish(self) -> None:
        """Ends a scan, also one that was interrupted or failed; raises VidscanError where it cannot write."""


class Results(Sink, Protocol):
    """Keeps what a scan has finished, so that a scan that goes on with it repeats nothing."""

    @property
    def outdated(self) -> int:
        """How many of the results kept do not hold for the sources found now; known after :meth:`left`."""

    def left(self, sources: Sequence[Source]) -> Sequence[Source]:
        """Recalls what is kept of a scan's sources, and returns the others; or raises ReportError."""

    def begin(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes sources on to be scanned, and notes the state of each one's file before it is read."""

    def reports(self) -> Sequence[Report]:
        """The finished sources' reports, in their order, read as they are asked for; a dataset gives none."""

    def summary(self) -> dict[str, int]:
        """How many sources there are of each outcome, the recalled ones among them."""

    def close(self) -> None:
        """Gives back what was opened, and deletes what nothing is left to do with."""
