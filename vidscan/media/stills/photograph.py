"""Reads the picture of a still's file, and the pictures and the clip that lie behind it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2

from vidscan.errors import DecodeError, SourceError, quoted
from vidscan.media.clip import Clip
from vidscan.media.frames import open_still, read_picture
from vidscan.media.scratch import locked_folder
from vidscan.media.stills.decoders import decode
from vidscan.media.stills.further_pictures import Behind, behind, pages_left_out
from vidscan.media.stills.tone_mapping import HDR_NAMES
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Image, Remark

MAX_BEHIND = 8
"""Limit on the pictures and clips behind a picture that are looked at."""

CLIP_FRAMES = 6
"""How many frames are looked at of a clip behind a picture, spread over its length: usually 2 or 3 s."""

_CLIP_NAME = "behind.mp4"
_COPY_SIDE = 32
_COPY_LEVELS = 8.0
"""Two pictures, reduced to squares of this side, show the same if they differ by less on average."""


class Photograph:
    """A still as a clip is one: its frames are its own picture, then those behind it, by their ``stream``.

    ``remarks`` are complete once its frames were read.
    """

    codec: str | None = None
    duration_s: float | None = None

    def __init__(self, path: Path) -> None:
        """Reads nothing yet."""
        self._path = path
        self.remarks: list[Remark] = []

    def frames(self, source_id: str) -> Iterator[Frame]:
        """Yields the picture, and what lies behind it; only the former must be readable.

        The times of a clip's frames are its own.

        Raises:
            SourceError: the file is not a regular file.
            DecodeError: its own picture cannot be decoded, see :func:`vidscan.media.frames.read_still`.
        """
        content, header = open_still(self._path)
        first = decode(self._path, content, header)
        yield Frame(source_id, 0, 0.0, first)
        if name := HDR_NAMES.get(header.transfer):
            said = f"It is HDR ({name}): its colours were mapped to SDR (BT.709)."
            self.remarks.append(Remark("tone-mapped", said))
        if left_out := pages_left_out(header):
            self._say(left_out)
        index = 1
        for stream, place in enumerate(behind(content, header), 1):
            if stream > MAX_BEHIND:
                self._say(f"Of the pictures behind it, the first {MAX_BEHIND} were looked at alone.")
                return
            before, part = index, content[place.start : place.end]
            try:
                for time_s, image in self._clip(part, stream) if place.clip else self._picture(part, first):
                    yield Frame(source_id, index, time_s, image, stream)
                    index += 1
            except (DecodeError, SourceError, OSError) as error:
                why = str(error).partition(f"{_CLIP_NAME}: ")[2] or str(error)
                failed = f"could not be read to its end ({quoted(why.removeprefix(f'{self._path}: '))})"
                self._say(f"{_kind(place)} lies behind it and {failed}. {self._cut(place, stream)}.")
            else:
                self._say(f"{_looked_at(place, stream, index - before)}: {self._cut(place, stream)}.")

    def _say(self, text: str) -> None:
        self.remarks.append(Remark("further-pictures", text))

    def _cut(self, place: Behind, stream: int) -> str:
        """The command that cuts out what lies behind the picture."""
        name = self._path.name
        path = shlex.quote(f"./{name}" if name.startswith("-") else name)
        out = f"picture{stream + 1}.{'mp4' if place.clip else 'jpg'}"
        return f"tail -c +{place.start + 1} {path} > {out}"

    def _picture(self, content: bytes, first: Image) -> Iterator[tuple[float, Image]]:
        picture = read_picture(self._path, content)
        if not _is_copy(picture, first):
            yield 0.0, picture

    def _clip(self, content: bytes, stream: int) -> Iterator[tuple[float, Image]]:
        with locked_folder(Path(tempfile.gettempdir())) as folder:
            path = folder / _CLIP_NAME
            path.write_bytes(content)
            clip = Clip(path, SamplingOptions(frames=CLIP_FRAMES))
            for frame in clip.frames(""):
                yield frame.time_s, frame.image
            for each in clip.remarks:
                self.remarks.append(Remark(each.code, f"Picture {stream + 1}: {each.text}"))


def _kind(place: Behind) -> str:
    return "A clip (a motion photo's)" if place.clip else "Another picture"


def _looked_at(place: Behind, stream: int, frames: int) -> str:
    said = f"{_kind(place)} lies behind it"
    if place.clip:
        return f"{said}, of which {frames} frames were looked at too, as picture {stream + 1}"
    if not frames:
        return f"{said}, a smaller copy, and was not looked at"
    return f"{said} and was looked at too, as picture {stream + 1}"


def _is_copy(picture: Image, first: Image) -> bool:
    """Tells whether a picture is another one reduced, as cameras add it to be shown quickly."""
    if picture.size >= first.size:
        return False
    square = (_COPY_SIDE, _COPY_SIDE)
    one, other = (cv2.resize(each, square, interpolation=cv2.INTER_AREA) for each in (picture, first))
    return float(cv2.absdiff(one, other).mean()) < _COPY_LEVELS
