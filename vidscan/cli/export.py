"""Writes a checkpoint as a file for deployment, with the card beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vidscan.cli.requests import ExportOptions
from vidscan.errors import ModelError, SourceError, UsageError
from vidscan.models.card_file import card_path, checkpoint_sha256, write_card
from vidscan.records import LEAST_FACE, Geometry, Image, ModelCard
from vidscan.system.files import replacing, sha256_of

T = TypeVar("T")

CALIBRATION_CROPS = 128
"""Limit on the crops from which int8 takes its ranges; more change little."""

_LOOKED_AT = 1024
"""Limit on the crops found, of which those for the ranges are taken at even steps."""


def export(options: ExportOptions) -> ModelCard:
    """Writes the file and its card, each whole or not at all; returns the card, with ``metrics["export"]``.

    Raises ModelError where the checkpoint is refused, or cannot be converted or written, and SourceError
    where there are no faces to take the ranges from.
    """
    from vidscan.models.checkpoint import load_model
    from vidscan.models.runtimes.comparison import largest_difference
    from vidscan.models.runtimes.conversion import convert_once
    from vidscan.models.runtimes.exported import open_exported
    from vidscan.models.runtimes.quantisation import quantised_onnx

    model = load_model(options.checkpoint)
    if model.checkpoint is None:
        raise ModelError(
            f"{model.path}: is an exported file already: copy it with its card, or name a .keras checkpoint"
        )
    crops = None
    if options.format == "onnx":
        content = convert_once(model.path)
    else:
        crops = calibration_crops(options.calibrate, model.card.geometry)
        content = quantised_onnx(convert_once(model.path), crops)
    try:
        with replacing(options.out) as temporary:
            temporary.write_bytes(content)
            made, _ = open_exported(temporary, None)
            card = replace(model.card, sha256=sha256_of(temporary))
    except OSError as error:
        raise ModelError(f"{options.out}: cannot be written: {error.strerror or error}") from error
    how: dict[str, Any] = {
        "format": options.format,
        "source_sha256": checkpoint_sha256(model.card, model.path),
        "largest_difference": largest_difference(made.outputs, model.runtime.outputs, made.input_size),
    }
    if crops is not None:
        how |= measured(made.outputs(crops), model.runtime.outputs(crops))
        card = replace(card, limits=f"{_INT8} {card.limits}".rstrip(), quantisation="int8")
    card = replace(card, metrics={**card.metrics, "export": how})
    write_card(card, card_path(options.out))
    return card


_INT8 = (
    "Quantised to int8: calibration, thresholds and figures are those of the float32 network; what was "
    "measured of this file stands under metrics.export."
)


def measured(quantised: np.ndarray[Any, Any], original: np.ndarray[Any, Any]) -> dict[str, Any]:
    """How far a quantised network's outputs lie from the original's on the calibration crops."""
    apart = np.abs(np.asarray(quantised, np.float64) - np.asarray(original, np.float64))
    return {
        "calibration_crops": len(apart),
        "mean_difference": float(apart.mean()),
        "difference_95_percent": float(np.quantile(apart, 0.95)),
    }


def calibration_crops(folder: Path | None, geometry: Geometry) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Faces for int8's ranges, RGB ``uint8[n, size, size, 3]``; raises SourceError where there is none."""
    if folder is None:
        folder = Path(__file__).resolve().parents[2] / "samples"
        if not folder.is_dir():
            raise UsageError("int8 takes its ranges from real faces: name a folder of some with --calibrate")
    crop_folder = (folder / "manifest.csv").is_file()
    found = list(_ready_crops(folder, geometry) if crop_folder else _faces(folder, geometry))
    if not found:
        raise SourceError(f"{folder}: no face was found in it to take the ranges of int8 from")
    return np.stack(_at_even_steps(found))


def _at_even_steps(items: Sequence[T]) -> list[T]:
    """As many of the items as int8 takes its ranges from, or all where there are fewer."""
    steps = np.linspace(0, max(len(items) - 1, 0), min(len(items), CALIBRATION_CROPS)).round().astype(int)
    return [items[step] for step in steps]


def _ready_crops(folder: Path, geometry: Geometry) -> Iterable[Image]:
    """The crops of a folder made for training, brought to the network's size."""
    import cv2

    from vidscan.faces.crops import resize

    for path in _at_even_steps(sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))):
        picture = cv2.imread(str(path))
        if picture is None:
            raise SourceError(f"{path}: is no readable picture; make the crop folder again")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        yield resize(rgb, width=geometry.input_size, height=geometry.input_size)


def _faces(folder: Path, geometry: Geometry) -> Iterable[Image]:
    """The faces in a folder of clips and stills, found as a scan finds them."""
    from itertools import islice

    from vidscan.faces.detector import MediaPipeFaceDetector
    from vidscan.media.sources import from_folder
    from vidscan.options import ScanOptions
    from vidscan.scan.reading import Ledger, SourceReader

    options = ScanOptions()
    with MediaPipeFaceDetector(options.detection) as detector:
        reader = SourceReader(detector, options, [geometry], LEAST_FACE)
        crops = reader.read(from_folder(folder, recursive=True), Ledger(), threading.Event())
        yield from (crop.images[0] for crop in islice(crops, _LOOKED_AT))
