"""Degrades whole clips and stills as an upload does, before any face is looked for in them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vidscan.errors import SourceError, VidscanError
from vidscan.media import sources
from vidscan.media.frames import read_still
from vidscan.records import Image, SourceKind
from vidscan_training.crops.encode import recompress, through_h264

_FINE_CRF = 17
"""What a clip is encoded with when only its size is to change: hardly any loss is seen at this."""


@contextlib.contextmanager
def reencoded(path: Path, crf: int | None, scale: float) -> Iterator[Path]:
    """A copy of a clip or still that went through H.264 and lost size; ``path`` itself if neither is asked.

    ``crf`` is 0 (finest) to 51 (coarsest), None to leave that out; ``scale`` is the new sides' share of the
    old.

    Yields:
        The copy's path, which is removed at the end.

    Raises:
        SourceError: the file cannot be compressed.
    """
    if crf is None and scale == 1:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        still = sources.kind_of(path) is SourceKind.IMAGE
        copy = Path(folder) / ("copy.png" if still else "copy.mkv")
        try:
            if still:
                _write_png(copy, _uploaded_still(read_still(path), crf, scale))
            else:
                recompress(path, copy, crf=_FINE_CRF if crf is None else crf, scale=scale)
        except SourceError:
            raise
        except VidscanError as error:
            raise SourceError(f"{path}: cannot be compressed ({error})") from error
        yield copy


def _uploaded_still(image: Image, crf: int | None, scale: float) -> Image:
    sides = [max(16, round(side * scale)) for side in image.shape[1::-1]]
    smaller = cv2.resize(image, sides, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return smaller if crf is None else through_h264([smaller], crf)[0]


def _write_png(path: Path, image: Image) -> None:
    done, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR))
    if not done:
        raise SourceError(f"{path.name}: OpenCV could not write {list(image.shape)} as PNG")
    path.write_bytes(data.tobytes())
