"""Compresses pictures, clips and stills with H.264 as an upload does, to see what is left of a face."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidscan.errors import SourceError, VidscanError, quoted
from vidscan.media import sources
from vidscan.media.ffmpeg.decode import INPUT_LIMITS, STALL_TIMEOUT_S, local_name
from vidscan.media.ffmpeg.program import find_program, passthrough_option
from vidscan.media.frames import read_still
from vidscan.records import Image, SourceKind
from vidscan.system.processes import Child, Stalled

MAX_CRF = 51
"""The coarsest setting of libx264 at 8 bits; 0 loses nothing but half of the chroma."""

RECOMPRESS_TIMEOUT_S = 3600.0
"""After this long the encoding of one clip is given up."""

_FINE_CRF = 17
"""What a clip is encoded with when only its size is to change: hardly any loss is seen at this."""

_X264_PARAMETERS = "keyint=1:qcomp=1"
"""Every picture is coded by itself: what a picture becomes does not depend on the others.

Without qcomp=1, rate control would spare bits on a picture that follows busier ones.
"""


def through_h264(pictures: Sequence[Image], crf: int) -> list[Image]:
    """Encodes pictures with libx264 at a constant rate factor and decodes them again.

    All frames are intra frames (group of pictures 1), 4:2:0, at the default preset. Real videos spend
    fewer bits on most of their frames, so this is kinder than the same CRF on the video would be.
    Where a side is odd, the last row or column is repeated for the encoder and cut off again.

    ``pictures``, as those returned, are RGB ``uint8[height, width, 3]``, all of one size, at least 16 px;
    ``crf`` is 0 (finest) to 51 (coarsest).

    Raises:
        ValueError: the pictures differ in size, or are no RGB pictures, or ``crf`` is out of range.
        VidscanError: there is no ffmpeg, it has no libx264, or it failed.
    """
    import ffmpeg

    if not pictures:
        return []
    height, width = pictures[0].shape[:2]
    if any(picture.shape != (height, width, 3) or picture.dtype != np.uint8 for picture in pictures):
        raise ValueError("the pictures must all be uint8 RGB of one size")
    if not 0 <= crf <= MAX_CRF:
        raise ValueError(f"CRF {crf} is not between 0 and {MAX_CRF}")
    padding = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    frames = np.pad(np.stack(pictures), padding, mode="edge")
    coded = _run(_encoder(frames.shape[1:3], crf), frames.tobytes(), STALL_TIMEOUT_S)
    decoder = ffmpeg.input("pipe:0", format="h264").output("pipe:1", format="rawvideo", pix_fmt="rgb24")
    decoded = _run(_compiled(decoder), coded, STALL_TIMEOUT_S)
    if len(decoded) != frames.size:
        raise VidscanError(
            f"ffmpeg gave {len(decoded)} bytes back for pictures of {frames.size}: "
            "set VIDSCAN_FFMPEG to another ffmpeg build"
        )
    returned = np.frombuffer(decoded, np.uint8).reshape(frames.shape)
    return [np.ascontiguousarray(frame[:height, :width]) for frame in returned]


def recompress(source: Path, target: Path, *, crf: int, scale: float = 1.0) -> None:
    """Writes a clip's video once more, as H.264 at a constant rate factor and in another size.

    Frames keep their times; sound is left out.

    ``crf`` is 0 (finest) to 51 (coarsest), ``scale`` the new width and height as a share of the old ones,
    each rounded to an even number. The suffix of ``target`` names the container. Raises ValueError where
    ``crf`` or ``scale`` is out of range; VidscanError where there is no ffmpeg, it has no libx264, or it
    cannot read the clip.
    """
    import ffmpeg

    if not 0 <= crf <= MAX_CRF or not 0 < scale <= 1:
        raise ValueError(f"CRF {crf} is not between 0 and {MAX_CRF}, or size {scale} not between 0 and 1")
    sides = (f"max(2,2*round({side}*{scale!r}/2))" for side in ("iw", "ih"))
    stream = (
        ffmpeg.input("INPUT")["V"]
        .filter("scale", *sides, flags="area")
        .output("OUTPUT", vcodec="libx264", crf=crf, pix_fmt="yuv420p", **passthrough_option(find_program()))
    )
    # Names go in afterwards: ffmpeg-python cannot take one that is no UTF-8.
    names = {"INPUT": local_name(source), "OUTPUT": local_name(target)}
    command = [names.get(part, part) for part in _compiled(stream, "-y")]
    place = command.index("-i")
    command[place:place] = INPUT_LIMITS
    _run(command, b"", RECOMPRESS_TIMEOUT_S)


@contextlib.contextmanager
def reencoded(path: Path, crf: int | None, scale: float) -> Iterator[Path]:
    """Yields the path of a copy that went through H.264 and lost size; ``path`` itself if neither is asked.

    ``crf`` None leaves H.264 out; else it and ``scale`` are those of :func:`recompress`. The copy is removed
    at the end. Raises SourceError where the file cannot be compressed.
    """
    if crf is None and scale == 1:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="vidscan-") as folder:
        still = sources.kind_of(path) is SourceKind.IMAGE
        copy = Path(folder) / ("copy.png" if still else "copy.mkv")
        try:
            if still:
                write_picture(copy, _uploaded_still(read_still(path), crf, scale))
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


def write_picture(path: Path, image: Image) -> None:
    """Writes RGB ``uint8[height, width, 3]`` in the format of the suffix; raises SourceError if it cannot."""
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise SourceError(f"{path}: OpenCV could not encode a picture {list(image.shape)}")
    path.write_bytes(data.tobytes())


def _encoder(size: tuple[int, ...], crf: int) -> list[str]:
    import ffmpeg

    height, width = size
    stream = ffmpeg.input(
        "pipe:0", format="rawvideo", pix_fmt="rgb24", video_size=(width, height), framerate=25
    ).output(
        "pipe:1",
        format="h264",
        vcodec="libx264",
        crf=crf,
        pix_fmt="yuv420p",
        **{"x264-params": _X264_PARAMETERS},
    )
    return _compiled(stream)


def _compiled(stream: Any, *flags: str) -> list[str]:
    quiet = stream.global_args("-hide_banner", "-nostdin", "-loglevel", "error", *flags)
    return [str(part) for part in quiet.compile(cmd=find_program())]


def _run(command: Sequence[str], data: bytes, limit_s: float) -> bytes:
    """What the command writes when it is given ``data``; it is ended on every way out."""
    try:
        with Child(command, fed=True) as child:
            output, words = child.communicate(data, limit_s)
            code = child.exit_code()
    except Stalled as error:
        raise VidscanError(
            f"ffmpeg did not finish within {limit_s:.0f} s: set VIDSCAN_FFMPEG to another ffmpeg"
        ) from error
    except OSError as error:
        raise VidscanError(
            f"{command[0]} cannot be run ({error.strerror}): set VIDSCAN_FFMPEG to another ffmpeg"
        ) from error
    if code != 0:
        # The first complaint: what comes after follows from it.
        cause = next(iter(words.decode("utf-8", "replace").strip().splitlines()), "no reason given")
        raise VidscanError(
            f"ffmpeg could not compress as H.264 ({quoted(cause)}): "
            "set VIDSCAN_FFMPEG to an ffmpeg with libx264"
        )
    return output
