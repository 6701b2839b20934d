"""The calls that a program or a notebook makes; the command line is one of their users."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from vidscan.engines import open_engine
from vidscan.errors import UsageError
from vidscan.media.sources import from_paths
from vidscan.models.bundled import FAST
from vidscan.models.loading import Models, PathLike, listed_models, load_models, with_runtimes
from vidscan.options import ScanKeywords, ScanOptions, StorageOptions
from vidscan.records import Provenance, Report

if TYPE_CHECKING:
    from vidscan.models.checkpoint import LoadedModel


def load_model(path: PathLike | None = None, *, runtime: str = "auto") -> LoadedModel:
    """Loads one checkpoint, for scoring crops directly or for several scans.

    Args:
        path: ``"vidscan-lite2"`` or ``"vidscan-vit"``, which ship with vidscan; or a ``.keras`` file, with or
            without its card beside it. Files made by ``vidscan export`` (``.onnx``) will do as
            well. None takes ``vidscan-lite2``: one network, where a scan takes both by default.
        runtime: what computes a ``.keras`` file: ``auto`` (Keras on a GPU, else onnxruntime), ``keras``
            or ``onnx``.

    Returns:
        The model; ``model.score(crops)`` takes RGB ``uint8[n, height, width, 3]`` at
        ``model.card.input_size`` and gives P(fake), ``float32[n]``.

    Raises:
        ModelError: there is no checkpoint, or it is refused; the message says why.
    """
    from vidscan.models import checkpoint

    return checkpoint.load_model(None if path is None else Path(path), runtime)


def scan(
    path: PathLike,
    options: ScanOptions | None = None,
    *,
    model: Models = None,
    fast: bool = False,
    isolate: bool = False,
    **keywords: Unpack[ScanKeywords],
) -> Report:
    """Analyses one clip or still.

    Args:
        path: a file, or the URL of one such as ``s3://bucket/clip.mp4``; its suffix tells a still from a
            clip.
        options: what to do; None takes the defaults.
        model: a bundled checkpoint's name, a checkpoint's path or a loaded model, or a list of them to be
            combined as an ensemble; None takes those that ``options`` name, else both networks that ship
            with vidscan.
        fast: the faster of those alone, ``vidscan-lite2``; goes without ``model``.
        isolate: work in a process of its own, so that a crash or a hang costs the file it is at alone.
        keywords: single options in the place of those in ``options``, such as ``fps=1`` or ``faces=1``: see
            :class:`vidscan.options.ScanKeywords`, and ``vidscan run --help`` for what they do. With
            ``evidence``, ``report.evidence`` holds each track's most and least suspicious crops; with
            ``explain``, the most suspicious ones have heat maps too: exact ones for the first network that
            gives what each patch adds to its logit, else Grad-CAM of the first network.

    Returns:
        The report; its ``status`` is FAILED and its ``error`` says why where the file could not be
        analysed.

    Raises:
        SourceError: there is no such file.
        UsageError: an option cannot work.
        ModelError: there is no checkpoint, or it is refused, or no heat maps can be drawn of it.
    """
    (report,) = scan_many([path], options, model=model, fast=fast, isolate=isolate, **keywords)
    return report


def provenance(path: PathLike, *, trust: PathLike | None = None) -> Provenance:
    """What a file says of itself: Content Credentials, IPTC and XMP, EXIF, marks of generators and cameras.

    It takes milliseconds, loads no network, and looks at no picture. It is a declaration, which can be
    stripped, copied or forged.

    Args:
        path: a file, or a URL.
        trust: a folder of PEM files: signers of Content Credentials whom you trust.

    Raises:
        SourceError: there is no such file, or it cannot be read.
        UsageError: the folder holds no certificate.
    """
    from vidscan.media.frames import require_content
    from vidscan.media.scratch import Scratch
    from vidscan.provenance.reading import ProvenanceReader
    from vidscan.provenance.trust import certificates_in

    (source,) = from_paths([os.fsdecode(path)])
    anchors = certificates_in(None if trust is None else Path(trust))
    with (
        Scratch(StorageOptions()) as scratch,
        ProvenanceReader(anchors) as reader,
        scratch.local_copy(source) as local,
    ):
        require_content(local.path)
        return reader.read(local.path)


def scan_many(
    paths: Iterable[PathLike],
    options: ScanOptions | None = None,
    *,
    model: Models = None,
    fast: bool = False,
    isolate: bool = False,
    **keywords: Unpack[ScanKeywords],
) -> Iterator[Report]:
    """Analyses clips and stills in one stream and yields each report as it is finished.

    Arguments and errors are those of :func:`scan`; the reports come in the order of ``paths``.
    """
    options = ScanOptions.of(options, **keywords)
    if fast and model is not None:
        raise UsageError(f"fast takes {FAST} alone: give either it or a model")
    model = FAST if fast else model
    if model is not None:
        paths_named = [Path(each) for each in listed_models(model) if isinstance(each, str | os.PathLike)]
        options = replace(options, model=replace(options.model, paths=tuple(paths_named)))
    sources = from_paths(os.fsdecode(path) for path in paths)
    options = replace(options, evidence=options.evidence.shared_by(len(sources)))
    wanted = options.model.paths or None if model is None else model
    models = load_models(wanted, runtime=options.model.runtime)
    with open_engine("local", with_runtimes(options, models), models, isolate=isolate) as engine:
        yield from engine.scan(sources)
