"""Reads the frames of an animated WebP, PNG or AVIF, which no ffmpeg of a few years ago can."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vidscan.errors import DecodeError
from vidscan.media.ffmpeg.command import EDGE
from vidscan.media.frames import open_still, require_content
from vidscan.media.stills.decoders import FAILURES
from vidscan.media.stills.further_pictures import ANIMATED
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Remark

_BY_FFMPEG = "GIF"
_MIN_FRAME_S = 0.02
"""Browsers show no frame for less than this, whatever the file says."""


def is_animation(path: Path) -> bool:
    """Tells whether a file on this machine is an animation that ffmpeg may not know.

    Raises:
        SourceError: it cannot be read.
        DecodeError: it is a still whose header is damaged.
    """
    require_content(path)
    with path.open("rb") as file:
        head = file.read(12)
    if not (head.startswith(b"\x89PNG") or head[8:] == b"WEBP" or head[4:11] == b"ftypavi"):
        return False
    header = open_still(path)[1]
    return header.several and header.format in ANIMATED and header.format != _BY_FFMPEG


class Animation:
    """An animation as a clip; ``remarks`` and ``duration_s`` are complete once its frames were read."""

    def __init__(self, path: Path, options: SamplingOptions) -> None:
        """Reads the header; raises as :func:`is_animation` does."""
        self._path, self._options = path, options
        self._content, self._header = open_still(path)
        self.remarks: list[Remark] = []
        self.duration_s: float | None = None
        self.codec = self._header.format.lower()

    def frames(self, source_id: str) -> Iterator[Frame]:
        """The sampled frames in order of time.

        An animation that breaks off ends there, with a remark; raises DecodeError where nothing is decoded.
        """
        from PIL import Image as Pillow

        index = 0
        try:
            with Pillow.open(io.BytesIO(self._content), formats=(self._header.format.upper(),)) as moving:
                for time_s in self._wanted(moving):
                    yield Frame(source_id, index, time_s, np.array(moving.convert("RGB"), dtype=np.uint8))
                    index += 1
        except FAILURES as error:
            if not index:
                what = f"its {self._header.format} data is damaged or cut off: fetch it again"
                raise DecodeError(f"{self._path}: {what}") from error
            said = f"The file breaks off at about {self.duration_s or 0.0:.1f} s: what follows is missing."
            self.remarks.append(Remark("breaks-off", said))

    def _wanted(self, moving: Any) -> Iterator[float]:
        """Goes through all frames; yields the time of each that is asked for, while it is the picture's."""
        first = 1 if moving.info.get("default_image") else 0  # shown only by programs that know no animations
        numbers = range(first, moving.n_frames)
        count = self._options.frames
        spread = None if count is None else {numbers[each * len(numbers) // count] for each in range(count)}
        self.duration_s, latest = 0.0, -1
        for number in numbers:
            moving.seek(number)
            moving.load()
            period = int(self.duration_s * self._options.fps + EDGE)
            if number in spread if spread is not None else period > latest:
                latest = period
                yield self.duration_s
            self.duration_s += max(float(moving.info.get("duration") or 0.0) / 1000.0, _MIN_FRAME_S)
