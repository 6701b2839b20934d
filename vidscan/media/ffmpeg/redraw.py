"""Draws on every frame of a clip: ffmpeg decodes it, and another ffmpeg encodes it with its sound.

The frames travel as fragmented MP4 of raw pictures. Its boxes are passed on as they arrive and only the
pixels in them changed, so every frame keeps its time and duration to the tick, whatever the frame rate.
"""

from __future__ import annotations

import functools
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidscan.errors import DecodeError, VidscanError
from vidscan.media.ffmpeg.command import AS_STORED
from vidscan.media.ffmpeg.decode import (
    INPUT_LIMITS,
    STALL_TIMEOUT_S,
    count_frames,
    listening,
    local_name,
    probe,
)
from vidscan.media.ffmpeg.output import cause_of
from vidscan.media.ffmpeg.presentation import Presentation
from vidscan.media.ffmpeg.program import answer, find_program, passthrough_option, start
from vidscan.records import Image
from vidscan.system.processes import Child, Stalled

Draw = Callable[[float, Image], None]
"""``draw(time_s, picture)`` changes a picture, RGB ``uint8[height, width, 3]``, in place."""

# As in a scan, but for the pipe between the two.
_LIMITS = ("-protocol_whitelist", "file,pipe", *INPUT_LIMITS[2:])
_COPIED_AUDIO = frozenset(("aac", "mp3", "opus"))
"""Audio codecs that MP4 holds and browsers play; any other is encoded anew as AAC."""


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder of ffmpeg's, the name of its format, and whether every browser plays that.

    ``ticks_a_second``: the clock of the file. By ffmpeg's own choice times would be rounded to whole frames
    of a steady rate; all usual rates divide 120,000, also the American ones by 1001.
    """

    encoder: str
    name: str
    plays: bool
    settings: tuple[str, ...]
    ticks_a_second: int = 120_000


# B-frames would make the last frame last longer in the file than it does in the clip.
CODECS = (
    Codec("libx264", "H.264", True, ("-preset", "veryfast", "-crf", "20", "-bf", "0")),
    Codec("h264_videotoolbox", "H.264", True, ("-q:v", "60")),
    Codec("libopenh264", "H.264", True, ("-b:v", "6M")),
    Codec("libvpx-vp9", "VP9", True, ("-crf", "30", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "6")),
    Codec("mpeg4", "MPEG-4 part 2", False, ("-q:v", "3"), ticks_a_second=60_000),
)
"""Encoders by preference; every ffmpeg has the last one."""


@functools.cache
def best_codec(program: str) -> Codec:
    """Returns the first of ``CODECS`` that an ffmpeg can write."""
    known = set(re.findall(r"^ V\S+ (\S+)", answer(program, "-hide_banner", "-encoders"), re.MULTILINE))
    return next((codec for codec in CODECS if codec.encoder in known), CODECS[-1])


def redraw(
    source: Path,
    target: Path,
    *,
    size: tuple[int, int],
    below: int,
    first_s: float,
    draw: Draw,
    shown: Presentation = AS_STORED,
) -> int:
    """Writes a clip once more as the MP4 file ``target``; returns the number of frames.

    ``size`` is the width and height of its upright frames in pixels, ``first_s`` the time of the first. Each
    gets ``below`` rows beneath it, with which the height must be even, and a column if its width is odd, and
    is then given to ``draw``. ``shown`` tells which stream it is, and what is done to its frames before.

    Raises:
        DecodeError: no frame could be decoded.
        VidscanError: ffmpeg could not write the file, or not all of it, or hung.
    """
    canvas = (size[0] + size[0] % 2, size[1] + below)
    commands = _reading(source, shown, size, canvas), _writing(source, target, first_s)
    with (
        start(commands[0]) as reader,
        start(commands[1], fed=True) as writer,
        listening(reader) as read_words,
        listening(writer) as written_words,
    ):
        outcome = _pump(_drawn(reader, canvas, first_s, draw), reader, writer)
    match outcome:
        case _Outcome(written=None, refused=False):
            raise VidscanError(
                f"{source}: ffmpeg stood still for {STALL_TIMEOUT_S:.0f} s and was ended: try again"
            )
        case _Outcome(read=int(code)) if code < 0:
            raise DecodeError(
                f"{source}: ffmpeg crashed (signal {-code}) after {outcome.frames} frames: re-encode the file"
            )
        case _Outcome(frames=0, refused=False):
            raise DecodeError(f"{source}: not one frame could be decoded ({cause_of(read_words.lines)})")
        case _Outcome(written=code) if code != 0:
            raise _unwritten(source, cause_of(written_words.lines))
    # Before version 6, ffmpeg ends with 0 also where the disk is full.
    if (whole := count_frames(target)) != outcome.frames:
        cause = cause_of(written_words.lines) if written_words.lines else "the disk may be full"
        raise _unwritten(source, f"{whole} of {outcome.frames} frames arrived; {cause}")
    return outcome.frames


def _unwritten(source: Path, cause: str) -> VidscanError:
    return VidscanError(
        f"{source}: its annotated video could not be written ({cause}): "
        "make room on the disk, or set VIDSCAN_FFMPEG to another ffmpeg"
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How redrawing ended: frames passed on, and the exit codes of both processes, None if one stood still.

    ``refused``: the writing process closed its input.
    """

    frames: int
    read: int | None = None
    written: int | None = None
    refused: bool = False


def _pump(pieces: Iterator[bytes | bytearray], reader: Child, writer: Child) -> _Outcome:
    frames = 0
    try:
        for piece in pieces:
            writer.write(piece, time.monotonic() + STALL_TIMEOUT_S)
            frames += isinstance(piece, bytearray)
        writer.end_input()
        return _Outcome(frames, reader.exit_code(), writer.exit_code(STALL_TIMEOUT_S))
    except BrokenPipeError:
        writer.exit_code()  # it prints the reason before it ends
        return _Outcome(frames, refused=True)
    except Stalled:
        return _Outcome(frames)


# Times from 0 on, which go on where the clock goes back.
_GO_ON = "setpts=if(isnan(PREV_INPTS)\\,0\\,PREV_OUTPTS+if(lt(PTS\\,PREV_INPTS)\\,0.04/TB\\,PTS-PREV_INPTS))"


def _reading(source: Path, shown: Presentation, size: tuple[int, int], canvas: tuple[int, int]) -> list[str]:
    # Scaled for the case that the resolution changes in mid-stream.
    scaled = f"scale={size[0]}:{size[1]},{_GO_ON},pad={canvas[0]}:{canvas[1]}"
    upright = ",".join((*(each.text for each in shown.filters), scaled))
    program = find_program()
    return [
        *(program, "-hide_banner", "-nostdin", "-v", "error", *_LIMITS, "-i", local_name(source)),
        *(
            "-map",
            f"0:{shown.selector}",
            "-vf",
            upright,
            *_passthrough(program),
            "-c:v",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
        ),
        *("-map_metadata", "-1", "-f", "mov", "-movflags", "frag_every_frame+empty_moov+default_base_moof"),
        "pipe:1",
    ]


def _writing(source: Path, target: Path, first_s: float) -> list[str]:
    program = find_program()
    codec = best_codec(program)
    how = [("copy" if name in _COPIED_AUDIO else "aac") for name in probe(source).sound]
    return [
        *(program, "-hide_banner", "-nostdin", "-v", "error", "-y", *_LIMITS),
        *("-itsoffset", f"{first_s!r}", "-f", "mov", "-i", "pipe:0", "-i", local_name(source)),
        *("-map", "0:v:0", "-map", "1:a?", "-map_metadata", "-1", "-map_chapters", "-1"),
        *("-vf", "scale=in_range=pc:out_range=tv:out_color_matrix=bt709,format=yuv420p"),
        *("-enc_time_base", f"1/{codec.ticks_a_second}", "-c:v", codec.encoder, *codec.settings, *_BT709),
        *(part for number, each in enumerate(how) for part in (f"-c:a:{number}", each)),
        *(*_passthrough(program), "-movflags", "+faststart", "-f", "mp4", local_name(target)),
    ]


# Stated in the file, so that players show the colours that were drawn.
_BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]


def _passthrough(program: str) -> list[str]:
    return [part for name, value in passthrough_option(program).items() for part in (f"-{name}", value)]


def _drawn(reader: Child, canvas: tuple[int, int], first_s: float, draw: Draw) -> Iterator[bytes | bytearray]:
    """Yields the boxes of a fragmented MP4, with the pictures in it (as ``bytearray``) drawn on."""
    width, height = canvas
    ticks_a_second, ticks = 1, 0
    while (box := _read_box(reader)) is not None:
        header, kind, body = box
        if kind == b"moov":
            ticks_a_second = _number(body, b"mdhd", (12, ">I"), (20, ">I"))
        elif kind == b"moof":
            ticks = _number(body, b"tfdt", (4, ">I"), (4, ">Q"))
        yield header
        if kind != b"mdat":
            yield bytes(body)
            continue
        if len(body) != width * height * 3:
            raise DecodeError(
                f"ffmpeg gave a picture of {len(body)} bytes where {width * height * 3} were due"
            )
        draw(first_s + ticks / ticks_a_second, np.frombuffer(body, np.uint8).reshape(height, width, 3))
        yield body


def _read_box(reader: Child) -> tuple[bytes, bytes, bytearray] | None:
    """Returns a box's header, type and content; None if the stream ends or breaks off.

    Raises:
        Stalled: it does not arrive.
    """
    deadline = time.monotonic() + STALL_TIMEOUT_S
    header = bytes(reader.read(8, deadline))
    if len(header) < 8:
        return None
    length, kind = struct.unpack(">I4s", header)
    if length == 1:
        wide = bytes(reader.read(8, deadline))
        header += wide
        length = struct.unpack(">Q", wide)[0]
    body = reader.read(length - len(header), deadline)
    return (header, kind, body) if len(body) == length - len(header) else None


def _number(body: bytearray, box: bytes, *layouts: tuple[int, str]) -> int:
    """Reads a number of a box in ``body``, by the offset behind its type and the format of its version."""
    start = body.index(box) + 4
    offset, layout = layouts[body[start]]
    return int(struct.unpack_from(layout, body, start + offset)[0])
