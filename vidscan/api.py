"""The calls that a program or a notebook makes; the command line is one of their users."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vidscan.engines import open_engine
from vidscan.errors import UsageError
from vidscan.media.sources import from_paths
from vidscan.models.bundled import FAST
from vidscan.models.loading import Models, PathLike, listed_models, load_models, with_runtimes
from vidscan.options import (
    BatchingOptions,
    DetectionOptions,
    EvidenceOptions,
    ModelOptions,
    SamplingOptions,
    ScanOptions,
    VerdictOptions,
)
from vidscan.records import Report

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


def load_model(path: PathLike | None = None, *, runtime: str = "auto") -> LoadedModel:
    """Loads one checkpoint, for scoring crops directly or for several scans.

    Args:
        path: ``"vidscan-lite2"`` or ``"vidscan-vit"``, which ship with vidscan; or a ``.keras`` file, with or
            without its card beside it. Files made by ``vidscan export`` (``.onnx``) will do as
            well. None takes ``vidscan-lite2``: one network, where a scan takes both by default.
        runtime: what computes a ``.keras`` file: ``auto`` (Keras on a GPU, else onnxruntime), ``keras``,
            ``onnx``, or ``coreml``.

    Returns:
        The model; ``model.score(crops)`` takes RGB ``uint8[n, height, width, 3]`` at
        ``model.card.input_size`` and gives P(fake), ``float32[n]``.

    Raises:
        ModelError: there is no checkpoint, or it is refused; the message says why.
    """
    from vidscan.models import checkpoint

    return checkpoint.load_model(None if path is None else Path(path), runtime)


def chosen(model: Models, fast: bool) -> Models:
    """What a scan scores with: ``fast`` is short for the one bundled checkpoint that is.

    Raises:
        UsageError: both are given.
    """
    if fast and model is not None:
        raise UsageError(f"fast takes {FAST} alone: give either it or a model")
    return FAST if fast else model


def scan(
    path: PathLike,
    *,
    fps: float = 2.0,
    frames: int | None = None,
    keyframes: bool = False,
    hwaccel: str = "none",
    model: Models = None,
    fast: bool = False,
    batch_size: int = 32,
    runtime: str = "auto",
    fake_threshold: float | None = None,
    real_threshold: float | None = None,
    evidence: bool = False,
    explain: bool = False,
    isolate: bool = False,
) -> Report:
    """Analyses one clip or still.

    Args:
        path: a file, or the URL of one such as ``s3://bucket/clip.mp4``; its suffix tells a still from a
            clip.
        fps: frames looked at per second of video.
        frames: this many frames instead, spread evenly over the clip and reached by seeking.
        keyframes: only keyframes are decoded and looked at, at most ``fps`` of them per second.
        hwaccel: ``"auto"`` decodes in hardware where there is any, ``"none"`` never.
        model: a bundled checkpoint's name, a checkpoint's path or a loaded model, or a list of them to be
            combined as an ensemble; None takes both networks that ship with vidscan.
        fast: the faster of those alone, ``vidscan-lite2``; goes without ``model``.
        batch_size: crops scored at once.
        runtime: what computes the networks given by path; see :func:`load_model`.
        fake_threshold: calibrated P(fake) from which a clip is FAKE; None takes the card's.
        real_threshold: calibrated P(fake) up to which a clip is REAL; None takes the card's.
        evidence: keep each track's most and least suspicious crops in ``report.evidence``.
        explain: keep them, and draw heat maps of the most suspicious ones: exact ones for the first network
            that gives what each patch adds to its logit, else Grad-CAM of the first network.
        isolate: work in a process of its own, so that a crash or a hang costs the file it is at alone.

    Returns:
        The report; its ``status`` is FAILED and its ``error`` says why where the file could not be
        analysed.

    Raises:
        SourceError: there is no such file.
        UsageError: an option cannot work.
        ModelError: there is no checkpoint, or it is refused, or no heat maps can be drawn of it.
    """
    (report,) = scan_many(
        [path],
        fps=fps,
        frames=frames,
        keyframes=keyframes,
        hwaccel=hwaccel,
        model=model,
        fast=fast,
        batch_size=batch_size,
        runtime=runtime,
        fake_threshold=fake_threshold,
        real_threshold=real_threshold,
        evidence=evidence,
        explain=explain,
        isolate=isolate,
    )
    return report


def scan_many(
    paths: Iterable[PathLike],
    *,
    fps: float = 2.0,
    frames: int | None = None,
    keyframes: bool = False,
    hwaccel: str = "none",
    model: Models = None,
    fast: bool = False,
    batch_size: int = 32,
    runtime: str = "auto",
    fake_threshold: float | None = None,
    real_threshold: float | None = None,
    evidence: bool = False,
    explain: bool = False,
    isolate: bool = False,
) -> Iterator[Report]:
    """Analyses clips and stills in one stream and yields each report as it is finished.

    Arguments and errors are those of :func:`scan`; the reports come in the order of ``paths``.
    """
    model = chosen(model, fast)
    given = listed_models(model)
    sources = from_paths(os.fsdecode(path) for path in paths)
    shown = EvidenceOptions(kept=evidence or explain, explained=explain)
    options = ScanOptions(
        sampling=SamplingOptions(fps, frames, keyframes, hwaccel),
        detection=DetectionOptions(),
        batching=BatchingOptions(batch_size),
        model=ModelOptions(
            tuple(Path(each) for each in given if isinstance(each, str | os.PathLike)), runtime
        ),
        verdict=VerdictOptions(fake_threshold, real_threshold),
        evidence=shown.shared_by(len(sources)),
    )
    models = load_models(model, runtime=runtime)
    with open_engine("local", with_runtimes(options, models), models, isolate=isolate) as engine:
        yield from engine.scan(sources)
