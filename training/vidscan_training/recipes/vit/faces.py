"""Cuts faces out of clips and stills once, with room around them and not one pixel resampled.

A store is a folder with ``faces.csv`` (one row a face, the fields of :class:`FaceRow`), ``meshes.npy`` (the
face mesh of each, for self-blending) and ``faces/*.png``. Every crop for training, of any margin, place or
size, is cut from the stored square by the function that a scan uses, :func:`vidscan.faces.crops.square_crop`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vidscan.errors import SourceError, UsageError
from vidscan.faces.crops import crop_square, square_crop
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.media import sources
from vidscan.media.ffmpeg import decode
from vidscan.media.frames import sample_frames
from vidscan.models.landmarks import FaceLandmarker
from vidscan.options import DetectionOptions, SamplingOptions
from vidscan.records import LANDMARK_COUNT, Box, Detection, Frame, Image, Source, SourceKind
from vidscan.system.files import replacing

KEPT_MARGIN = 2.2
"""Side of a stored square as a multiple of the box's longer side: a margin of 1.5 with room for jitter."""

MESH_SIDE, MESH_MARGIN = 256, 1.4
"""The square in which the face mesh is looked for."""

FRAMES = 8
"""Frames of a clip, spread evenly over it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A clip or still whose label is known.

    ``source`` is what is left out as a whole: a generator, a camera, a repository, or ``ffpp`` for all of
    FaceForensics++. ``person`` is the person shown, as far as is known. ``part`` is the part of the split of
    FaceForensics++ by pair, and empty elsewhere.
    """

    path: Path
    label: str
    collection: str
    source: str
    method: str
    person: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One stored face. ``x, y, w, h``: the detected box, in pixels of the stored square."""

    file: str
    label: str
    collection: str
    source: str
    method: str
    person: str
    part: str
    clip: str
    time_s: float
    x: float
    y: float
    w: float
    h: float

    @property
    def box(self) -> Box:
        """The detected box, in pixels of the stored square."""
        return Box(self.x, self.y, self.w, self.h)

    @property
    def fake(self) -> bool:
        """Whether the face is a synthesised one."""
        return self.label == "fake"


@dataclass(frozen=True, slots=True)
class FaceStore:
    """A folder of stored faces.

    ``meshes`` is ``float16[n, 468, 2]``, x and y as shares of the mesh's square; NaN where none was found.
    """

    path: Path
    rows: tuple[FaceRow, ...]
    meshes: npt.NDArray[np.float16]

    @classmethod
    def open(cls, path: Path) -> FaceStore:
        """Reads a store.

        Raises:
            UsageError: there is none, or its extraction did not finish.
        """
        try:
            with (path / "faces.csv").open(newline="", encoding="utf-8") as stream:
                rows = tuple(_row(record) for record in csv.DictReader(stream))
        except OSError as error:
            raise UsageError(f"{path}: holds no faces.csv: cut faces out first") from error
        return cls(path, rows, np.load(path / "meshes.npy"))

    def picture(self, row: FaceRow) -> Image:
        """The stored square, RGB ``uint8[n, n, 3]``."""
        data = cv2.imread(str(self.path / row.file))
        if data is None:
            raise SourceError(f"{self.path / row.file}: cannot be read: cut the faces out again")
        return np.asarray(cv2.cvtColor(data, cv2.COLOR_BGR2RGB), np.uint8)


def _row(record: dict[str, str]) -> FaceRow:
    numbers = {name: float(record[name]) for name in ("time_s", "x", "y", "w", "h")}
    return FaceRow(**{**record, **numbers})  # type: ignore[arg-type]


def extract(listed: Sequence[Labelled], output: Path) -> FaceStore:
    """Writes a store of the largest face of each still, and of ``FRAMES`` frames of each clip.

    A source that cannot be read, or shows no upright face, is named and left out.

    Raises:
        UsageError: ``output`` already holds a store.
        SourceError: not one face was found.
    """
    if (output / "faces.csv").exists():
        raise UsageError(f"{output}: already holds faces: name another folder, or remove it first")
    (output / "faces").mkdir(parents=True, exist_ok=True)
    rows: list[FaceRow] = []
    meshes: list[npt.NDArray[np.float16]] = []
    landmarker = FaceLandmarker()
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        for item in tqdm(listed, desc="faces", unit="file", dynamic_ncols=True, mininterval=30):
            before = len(rows)
            try:
                for frame, box in _largest_faces(item, detector):
                    square, inside = _stored_square(frame.image, box)
                    rows.append(_save(square, inside, frame, item, output))
                    crop = square_crop(square, inside, margin=MESH_MARGIN, size=MESH_SIDE)
                    mesh = landmarker.locate(crop)
                    missing = np.full((LANDMARK_COUNT, 2), np.nan)
                    meshes.append((missing if mesh is None else mesh / MESH_SIDE).astype(np.float16))
            except SourceError as error:
                tqdm.write(str(error))
            if len(rows) == before:
                tqdm.write(f"{item.path}: no face found: left out")
    if not rows:
        raise SourceError(f"{output}: no face was found in any of {len(listed)} files: check the input")
    np.save(output / "meshes.npy", np.asarray(meshes, np.float16))
    # Last, so that a folder without it is one whose extraction did not finish.
    with replacing(output / "faces.csv") as path, path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(FaceRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return FaceStore.open(output)


def _largest_faces(item: Labelled, detector: MediaPipeFaceDetector) -> Iterator[tuple[Frame, Box]]:
    kind = sources.kind_of(item.path) or SourceKind.VIDEO
    fps = 1.0
    if kind is SourceKind.VIDEO and (duration := decode.probe(item.path).duration_s):
        fps = FRAMES / duration
    for frame in sample_frames(Source(str(item.path), item.path, kind), SamplingOptions(fps)):
        upright = [each for each in detector.detect(frame.image) if round(each.roll / 90.0) % 4 == 0]
        if upright:
            yield frame, max(upright, key=_area).box


def _area(detection: Detection) -> float:
    return detection.box.w * detection.box.h


def _stored_square(image: Image, box: Box) -> tuple[Image, Box]:
    """The square around a face at the size that it has in the picture, and the box within it."""
    left, top, side = crop_square(box, KEPT_MARGIN)
    square = square_crop(image, box, margin=KEPT_MARGIN, size=side)
    return square, Box(box.x - left, box.y - top, box.w, box.h)


def _save(square: Image, box: Box, frame: Frame, item: Labelled, output: Path) -> FaceRow:
    clip = f"{item.collection}/{item.label}/{item.path.name}"
    digest = hashlib.sha1(str(item.path).encode("utf-8", "replace")).hexdigest()[:6]
    file = f"faces/{item.path.stem}-{digest}-{frame.index:03d}.png"
    encoded, data = cv2.imencode(
        ".png", cv2.cvtColor(square, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    if not encoded:
        raise SourceError(f"{output / file}: the face could not be encoded as PNG")
    (output / file).write_bytes(data.tobytes())
    corner = (round(value, 3) for value in (box.x, box.y, box.w, box.h))
    return FaceRow(
        file, item.label, item.collection, item.source, item.method, item.person, item.part, clip,
        round(frame.time_s, 4), *corner,
    )  # fmt: skip
