"""The crop folder's table of contents: ``manifest.csv``, ``crops.json`` and ``landmarks.npy``.

One row a crop. The order of the rows is what ``landmarks.npy`` and score files refer to, so rows are
never sorted on reading.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from vidscan.errors import SourceError
from vidscan.records.limits import Limits
from vidscan.system.files import replacing
from vidscan.system.typed_json import Form, from_plain

MANIFEST_NAME = "manifest.csv"
GEOMETRY_NAME = "crops.json"
LANDMARKS_NAME = "landmarks.npy"

LABELS = ("fake", "real")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class CropRow:
    """One crop. Fields are the manifest's columns, in their order.

    ``file`` is relative to the crop folder. ``group`` names what must stay in one split (a pair of
    people, say), ``clip`` the source file. ``time_s`` is seconds into the clip; ``x, y, w, h`` is the
    detected box in pixels of the source frame; ``split`` is empty until it is assigned.
    """

    file: str
    label: str
    method: str
    group: str
    clip: str
    time_s: float
    x: float
    y: float
    w: float
    h: float
    confidence: float
    split: str = ""


COLUMNS = tuple(field.name for field in fields(CropRow))
_NUMBERS = ("time_s", "x", "y", "w", "h", "confidence")
_NAMES = ("file", "label", "method", "group", "clip")


@dataclass(frozen=True, slots=True)
class CropGeometry:
    """How the crops were cut: side in pixels, margin as a multiple of the box, vidscan's version.

    ``level``: whether they were turned so that the eyes lie level.
    """

    input_size: Annotated[int, Limits(1)]
    margin: Annotated[float, Limits(1)]
    vidscan: str = "unknown"
    level: bool = False


@dataclass(frozen=True, slots=True)
class CropFolder:
    """An opened crop folder.

    ``landmarks`` is ``float16[rows, 468, 2]`` (x, y in crop pixels, NaN where no mesh was found), in
    the order of ``rows``; None where the folder has none.
    """

    path: Path
    rows: tuple[CropRow, ...]
    geometry: CropGeometry
    landmarks: npt.NDArray[np.float16] | None = None

    def image_path(self, row: CropRow) -> Path:
        """Where the pixels of ``row`` lie."""
        return self.path / row.file


def open_crop_folder(path: Path, *, check_files: bool = True) -> CropFolder:
    """Reads and validates a crop folder.

    Raises SourceError where something is missing or malformed; the message names the file and the line.
    """
    rows = read_manifest(path / MANIFEST_NAME)
    if check_files:
        for line, row in enumerate(rows, start=2):
            if not (path / row.file).is_file():
                raise SourceError(
                    f"{path / MANIFEST_NAME}:{line}: {row.file} does not exist; "
                    "extract the crops again with 'vidscan-train crops'"
                )
    return CropFolder(path, rows, read_geometry(path / GEOMETRY_NAME), _read_landmarks(path, len(rows)))


def read_manifest(path: Path) -> tuple[CropRow, ...]:
    """Reads ``manifest.csv``; an absent ``split`` column counts as empty. Raises SourceError."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ()) and name != "split"]
            if missing:
                raise SourceError(f"{path}:1: the header lacks {', '.join(missing)}")
            rows = tuple(_parse_row(record, f"{path}:{reader.line_num}") for record in reader)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist; make it with 'vidscan-train crops'") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise SourceError(f"{path} lists no crops")
    _refuse_contradictions(rows, path)
    return rows


def write_manifest(path: Path, rows: Iterable[CropRow]) -> None:
    """Writes ``manifest.csv`` in one step: a crash leaves the previous file, never half of one."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([getattr(row, name) for name in COLUMNS])


def read_geometry(path: Path) -> CropGeometry:
    """Reads ``crops.json``.

    Raises SourceError where the file is missing, is not JSON, or has values that no crop can have.
    """
    try:
        return from_plain(CropGeometry, json.loads(path.read_text(encoding="utf-8")), Form.CARD)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist; make it with 'vidscan-train crops'") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is not a crop folder's geometry: {error}") from error


def native_sizes(rows: Sequence[CropRow], margin: float) -> npt.NDArray[np.float64]:
    """Side of each crop in pixels of its source, before it was resized: ``float64[rows]``."""
    return np.array([max(row.w, row.h) * margin for row in rows], np.float64)


def _parse_row(record: dict[str | None, str | None], where: str) -> CropRow:
    if None in record or any(record[name] is None for name in COLUMNS if name in record):
        raise SourceError(f"{where}: the number of values differs from the header's")
    values: dict[str, str | float] = {name: record[name] or "" for name in _NAMES}
    for name in _NAMES:
        if not values[name]:
            raise SourceError(f"{where}: {name} is empty")
    if values["label"] not in LABELS:
        raise SourceError(f"{where}: label is '{values['label']}', not one of {', '.join(LABELS)}")
    for name in _NUMBERS:
        values[name] = _parse_number(record[name] or "", f"{where}: {name}")
    split = record.get("split") or ""
    if split and split not in SPLITS:
        raise SourceError(f"{where}: split is '{split}', not empty or one of {', '.join(SPLITS)}")
    return CropRow(**values, split=split)  # type: ignore[arg-type]


def _parse_number(text: str, what: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise SourceError(f"{what} is '{text}', not a finite number")


def _refuse_contradictions(rows: Sequence[CropRow], path: Path) -> None:
    """A file may be listed once; a clip and a method have one label, a clip one method and group."""
    seen: dict[tuple[str, str], tuple[str, ...]] = {}
    for line, row in enumerate(rows, start=2):
        facts = {
            ("file", row.file): (str(line),),
            ("clip", row.clip): (row.label, row.method, row.group),
            ("method", row.method): (row.label,),
        }
        for key, fact in facts.items():
            if seen.setdefault(key, fact) != fact:
                kind, name = key
                before, now = "/".join(seen[key]), "/".join(fact)
                if kind == "file":
                    before, now = f"on line {before}", "again"
                raise SourceError(f"{path}:{line}: {kind} {name} was {before}, and is {now} here")


def _read_landmarks(folder: Path, rows: int) -> npt.NDArray[np.float16] | None:
    path = folder / LANDMARKS_NAME
    if not path.is_file():
        return None
    try:
        landmarks = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if landmarks.ndim != 3 or landmarks.shape[0] != rows or landmarks.shape[2] != 2:
        raise SourceError(f"{path} has shape {landmarks.shape}, but the manifest has {rows} rows")
    return np.asarray(landmarks, np.float16)
