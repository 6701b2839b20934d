"""What ffmpeg says of a file when it opens it, read into records. Nothing is run here.

Line by line: a single expression would take very long over a text crafted for that. Expressions match at the
start of a line, since a file's name and tags, which ffmpeg prints too, may say anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_CONTAINER = re.compile(r"^Input #0, ([\w,]+), from ", re.MULTILINE)
_DURATION = re.compile(r"^ *Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_START = re.compile(r"^ *Duration: [^\n]{1,40}?, start: (-?\d+\.\d+)", re.MULTILINE)
_AUDIO = re.compile(r"^ *Stream #\d+:\d+[^\n]*?: Audio: (\w+)", re.MULTILINE)
_STREAM = re.compile(r" *Stream #0:(\d{1,5})\b")
_SIZE = re.compile(r", (?P<w>\d{1,5})x(?P<h>\d{1,5})")
_PIXEL_SHAPE = re.compile(r"\bSAR (\d{1,9}):(\d{1,9})\b")
# (tv, bt2020nc/bt2020/smpte2084, progressive): matrix, primaries and transfer, or one word where all agree.
_COLOUR = re.compile(r"\b([\w-]+)/([\w-]+)/(smpte2084|arib-std-b67)\b")
# A base layer that only a Dolby Vision decoder shows in its colours.
_DOLBY_ALONE = re.compile(r" *DOVI configuration record: .*\bcompatibility id: 0\b")

_CODECS = {
    "none": "video",  # of a codec that the file does not name
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg2video": "MPEG-2",
}


@dataclass(frozen=True, slots=True)
class Colour:
    """The matrix, primaries and transfer of an HDR stream, by ffmpeg's names."""

    matrix: str
    primaries: str
    transfer: str


@dataclass(frozen=True, slots=True)
class VideoStream:
    """A video stream: its number in the file, and how its pictures are stored.

    ``width`` and ``height``, in pixels before rotation, are 0 where ffmpeg could decode no picture.
    ``shape``: a pixel's width by its height. ``cover``: the file calls it a cover picture. ``hdr``: None is
    SDR. ``dolby_alone``: only a Dolby Vision decoder shows its colours.
    """

    number: int
    codec: str
    width: int
    height: int
    shape: Fraction = Fraction(1)
    cover: bool = False
    hdr: Colour | None = None
    dolby_alone: bool = False

    @property
    def decodable(self) -> bool:
        """Whether ffmpeg found a picture in it."""
        return self.width > 0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What ffmpeg's header output says of a file; None is unknown.

    ``codec``, ``width`` and ``height``, in pixels before rotation, are those of the first video stream that
    is no cover. ``sound``: the codec of each of its audio streams. ``videos``: its video streams, covers and
    those that cannot be decoded included, in order.
    """

    duration_s: float | None
    codec: str
    width: int
    height: int
    sound: tuple[str, ...] = ()
    videos: tuple[VideoStream, ...] = ()
    container: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What ffmpeg prints of a file, as :class:`MediaInfo`, also where it holds no video."""

    container: str
    duration_s: float | None
    videos: tuple[VideoStream, ...]
    sound: tuple[str, ...]


def read_header(said: str) -> Header:
    """What there is in ffmpeg's words about a file."""
    found = _CONTAINER.search(said)
    container = found[1] if found else ""
    return Header(
        container, _length(said, container), tuple(_video_streams(said)), tuple(_AUDIO.findall(said))
    )


def _seconds(found: re.Match[str] | None) -> float | None:
    """Hours, minutes and seconds, the first three groups of what was found, in seconds."""
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _length(said: str, container: str) -> float | None:
    """The header's length; Matroska has the time of its end there, so that of its start is taken off."""
    length, start = _seconds(_DURATION.search(said)), _START.search(said)
    if length is not None and start is not None and "matroska" in container:
        length = max(0.0, round(length - float(start[1]), 6)) or None
    return length


def _video_streams(said: str) -> Iterator[VideoStream]:
    lines = said.splitlines()
    for place, line in enumerate(lines):
        if (named := _STREAM.match(line)) is None:
            continue
        told = line.partition(": Video: ")[2]
        if (codec := re.match(r"\w+", told)) is None:
            continue
        size, colour = _SIZE.search(told), _COLOUR.search(told)
        yield VideoStream(
            number=int(named[1]),
            codec=codec[0],
            width=int(size["w"]) if size else 0,
            height=int(size["h"]) if size else 0,
            shape=_shape(told),
            cover="(attached pic)" in line,
            hdr=Colour(*colour.groups()) if colour else None,
            dolby_alone=any(map(_DOLBY_ALONE.match, _below(lines, place))),
        )


def _shape(told: str) -> Fraction:
    """A pixel's width by its height; the container's word, which comes last, before the codec's."""
    shapes = _PIXEL_SHAPE.findall(told)
    width, height = map(int, shapes[-1]) if shapes else (1, 1)
    return Fraction(width, height) if width and height else Fraction(1)


def _below(lines: list[str], place: int) -> Iterator[str]:
    """The lines about the stream that is named at a place."""
    for line in lines[place + 1 :]:
        if _STREAM.match(line):
            return
        yield line


def codec_name(stream: VideoStream) -> str:
    """A stream's codec as people write it."""
    return _CODECS.get(stream.codec, stream.codec)
