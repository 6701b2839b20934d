"""The calls that a program or a notebook makes; the command line is one of their users."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.options import (
    BatchingOptions,
    DetectionOptions,
    ModelOptions,
    SamplingOptions,
    ScanOptions,
    VerdictOptions,
)
from vidscan.records import Report
from vidscan.sources import from_paths

if TYPE_CHECKING:
    from vidscan.model import LoadedModel

PathLike = str | os.PathLike[str]


def load_model(path: PathLike | None = None) -> LoadedModel:
    """Loads a checkpoint, for scoring crops directly or for several scans.

    Args:
        path: a ``.keras`` file, with or without its card beside it; None takes the one that ships
            with vidscan.

    Returns:
        The model; ``model.score(crops)`` takes RGB ``uint8[n, height, width, 3]`` at
        ``model.card.input_size`` and gives P(fake), ``float32[n]``.

    Raises:
        ModelError: there is no checkpoint, or it is refused; the message says why.
    """
    from vidscan import model

    return model.load_model(None if path is None else Path(path))


def scan(
    path: PathLike,
    *,
    fps: float = 2.0,
    model: PathLike | LoadedModel | None = None,
    batch_size: int = 32,
    fake_threshold: float | None = None,
    real_threshold: float | None = None,
) -> Report:
    """Analyses one clip or still.

    Args:
        path: a local file; its suffix tells a still from a clip.
        fps: frames looked at per second of video.
        model: a checkpoint's path or a loaded model; None takes the one that ships with vidscan.
        batch_size: crops scored at once.
        fake_threshold: calibrated P(fake) from which a clip is FAKE; None takes the card's.
        real_threshold: calibrated P(fake) up to which a clip is REAL; None takes the card's.

    Returns:
        The report; its ``status`` is FAILED and its ``error`` says why where the file could not be
        analysed.

    Raises:
        SourceError: there is no such file.
        UsageError: an option cannot work.
        ModelError: there is no checkpoint, or it is refused.
    """
    (report,) = scan_many(
        [path],
        fps=fps,
        model=model,
        batch_size=batch_size,
        fake_threshold=fake_threshold,
        real_threshold=real_threshold,
    )
    return report


def scan_many(
    paths: Iterable[PathLike],
    *,
    fps: float = 2.0,
    model: PathLike | LoadedModel | None = None,
    batch_size: int = 32,
    fake_threshold: float | None = None,
    real_threshold: float | None = None,
) -> Iterator[Report]:
    """Analyses clips and stills in one stream and yields each report as it is finished.

    Arguments and errors are those of :func:`scan`; the reports come in the order of ``paths``.
    """
    from vidscan.engines import local

    options = ScanOptions(
        sampling=SamplingOptions(fps),
        detection=DetectionOptions(),
        batching=BatchingOptions(batch_size),
        model=ModelOptions(Path(model) if isinstance(model, str | os.PathLike) else None),
        verdict=VerdictOptions(fake_threshold, real_threshold),
    )
    sources = from_paths(Path(path) for path in paths)
    loaded = load_model(model) if model is None or isinstance(model, str | os.PathLike) else model
    yield from local.scan_sources(sources, options, model=loaded)
