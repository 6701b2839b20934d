"""Cuts face crops for training out of clips and stills, with the stages that a scan uses.

The folder that :func:`extract` writes is described in :mod:`vidscan_training.crops.folder`. Crops are
lossless and already at the network's input size: training and evaluation read what a scan of the same frame
would have scored, to the bit.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import vidscan
from vidscan.errors import SourceError, UsageError
from vidscan.faces.bars import Area, picture_area
from vidscan.faces.crops import crop_faces
from vidscan.faces.detector import MediaPipeFaceDetector
from vidscan.flags import flag
from vidscan.media import sources
from vidscan.media.ffmpeg import decode
from vidscan.media.frames import require_content, sample_frames
from vidscan.models.landmarks import FaceLandmarker
from vidscan.options import DetectionOptions, SamplingOptions
from vidscan.records import LANDMARK_COUNT, FaceCrop, FaceSeen, Geometry, Landmarks, Source, SourceKind
from vidscan_training.crops.encode import MAX_CRF, reencoded, write_picture
from vidscan_training.crops.folder import (
    GEOMETRY_NAME,
    LABELS,
    LANDMARKS_NAME,
    MANIFEST_NAME,
    SPLITS,
    CropGeometry,
    CropRow,
    write_manifest,
)


@dataclass(frozen=True, slots=True)
class LabelledSource:
    """A clip or still whose truth is known. ``group`` names what must stay in one split."""

    path: Path
    label: str
    method: str
    group: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class CropOptions:
    """``size``: side of a crop in pixels; ``margin``: its side as a multiple of the box's longer side.

    ``real_per_clip`` and ``fake_per_clip``: how many evenly spread frames a clip gives. ``all_faces``
    takes every face of a frame rather than the largest; wrong for clips in which one of several
    people was manipulated, since the others would carry a false label. ``level`` turns every crop so that
    the eyes lie level. ``crf`` and ``scale`` have every
    source compressed with H.264 and reduced first, so that detection and crops see what an upload keeps.
    """

    size: int = 380
    margin: float = flag(1.4, "side as a multiple of the box (1.4)")
    real_per_clip: int = flag(24, "frames a clip (24)", metavar="N")
    fake_per_clip: int = flag(12, "frames a clip (12)", metavar="N")
    all_faces: bool = flag(False, "every face of a frame, not the largest")
    level: bool = flag(False, "turn crops so that the eyes lie level")
    crf: int | None = flag(None, "compress every file with H.264 first (0 fine - 51 coarse)")
    scale: float = flag(1.0, "reduce every file first, 0.5 to half")

    def __post_init__(self) -> None:
        """Refuses values that no crop can have."""
        if not 0 < self.scale <= 1 or (self.crf is not None and not 0 <= self.crf <= MAX_CRF):
            raise UsageError(f"--crf must be 0 to {MAX_CRF}, and --scale above 0 and at most 1")
        if self.size < 16 or self.margin < 1 or self.real_per_clip < 1 or self.fake_per_clip < 1:
            raise UsageError("crops need --size 16 or more, --margin 1 or more and 1 or more per clip")


def sources_from_manifest(path: Path, *, group_column: str = "group") -> list[LabelledSource]:
    """Reads a CSV with ``file`` (relative to it), ``label``, and where known ``method``, group, ``split``.

    Raises:
        SourceError: the file cannot be read, or a line lacks what is needed; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            records = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read ({error}): give a CSV file") from error
    listed = []
    for line, record in enumerate(records, start=2):
        label, file, split = record.get("label"), record.get("file"), record.get("split") or ""
        if not file or label not in LABELS or split not in ("", *SPLITS):
            raise SourceError(
                f"{path}:{line}: needs a file, a label ({' or '.join(LABELS)}) and a known split"
            )
        method = record.get("method") or label
        listed.append(
            LabelledSource(path.parent / file, label, method, record.get(group_column) or file, split)
        )
    return listed


def sources_from_folder(folder: Path, label: str) -> list[LabelledSource]:
    """All media below a folder, as one method named after the folder; each file is its own group."""
    method = folder.resolve().name
    return [
        LabelledSource(source.path, label, method, f"{method}/{source.path.relative_to(folder)}")
        for source in sources.from_folder(folder, recursive=True)
    ]


def extract(listed: Sequence[LabelledSource], output: Path, options: CropOptions) -> list[CropRow]:
    """Writes the crop folder ``output`` and returns the manifest's rows.

    A source that cannot be read, or shows no face, is named and left out; the others go on. Raises UsageError
    where ``output`` already holds a manifest, SourceError where not one crop was found.
    """
    if (output / MANIFEST_NAME).exists():
        raise UsageError(f"{output}: already holds crops: name another folder, or remove it first")
    (output / "crops").mkdir(parents=True, exist_ok=True)
    rows: list[CropRow] = []
    meshes: list[Landmarks] = []
    landmarker = FaceLandmarker()
    with MediaPipeFaceDetector(DetectionOptions()) as detector:
        for item in tqdm(listed, desc="crops", unit="file", dynamic_ncols=True):
            try:
                found = list(_crops_of(item, detector, options))
            except SourceError as error:
                tqdm.write(str(error))
                continue
            if not found:
                tqdm.write(f"{item.path}: no face found: left out")
            for crop in found:
                rows.append(_save(crop, item, output))
                mesh = landmarker.locate(crop.images[0])
                meshes.append(np.full((LANDMARK_COUNT, 2), np.nan, np.float32) if mesh is None else mesh)
    if not rows:
        raise SourceError(f"{output}: no face was found in any of {len(listed)} files: check the input")
    np.save(output / LANDMARKS_NAME, np.asarray(meshes, np.float16))
    geometry = asdict(CropGeometry(options.size, options.margin, vidscan.__version__, options.level))
    (output / GEOMETRY_NAME).write_text(json.dumps(geometry, indent=2) + "\n", encoding="utf-8")
    # Last, so that a folder without a manifest is one whose extraction did not finish.
    write_manifest(output / MANIFEST_NAME, rows)
    return rows


def _crops_of(
    item: LabelledSource, detector: MediaPipeFaceDetector, options: CropOptions
) -> Iterator[FaceCrop]:
    """Evenly spread crops of one source."""
    require_content(item.path)
    kind = sources.kind_of(item.path) or SourceKind.VIDEO
    wanted = options.real_per_clip if item.label == "real" else options.fake_per_clip
    with reencoded(item.path, options.crf, options.scale) as path:
        source = Source(_clip_name(item), path, kind)
        fps = 1.0
        if kind is SourceKind.VIDEO and (duration := decode.probe(path).duration_s):
            fps = wanted / duration
        area: Area | None = None
        geometries = [Geometry(options.size, options.margin, options.level)]
        for frame in sample_frames(source, SamplingOptions(fps)):
            found = list(detector.detect(frame.image))
            if not options.all_faces:
                found = sorted(found, key=lambda each: -each.box.w * each.box.h)[:1]
            seen = [
                FaceSeen(source.id, frame.index, frame.time_s, each.box, each.confidence, each.roll)
                for each in found
            ]
            area = picture_area(frame.image, area) if seen else area
            yield from crop_faces(frame, seen, geometries, area=area)


def _clip_name(item: LabelledSource) -> str:
    return f"{item.path.parent.name}/{item.path.name}"


def _save(crop: FaceCrop, item: LabelledSource, output: Path) -> CropRow:
    clip, face = _clip_name(item), crop.face
    # The hash keeps apart clips that share a name in different folders.
    stem = f"{item.path.stem}-{hashlib.sha1(str(item.path).encode('utf-8', 'replace')).hexdigest()[:6]}"
    file = f"crops/{item.label}-{item.method}-{stem}-{face.frame_index:05d}-{round(face.box.x)}.png"
    write_picture(output / file, crop.images[0])
    return CropRow(
        file=file,
        label=item.label,
        method=item.method,
        group=item.group,
        clip=clip,
        time_s=round(face.time_s, 4),
        x=face.box.x,
        y=face.box.y,
        w=face.box.w,
        h=face.box.h,
        confidence=round(face.confidence, 4),
        split=item.split,
    )
