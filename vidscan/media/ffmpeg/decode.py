"""Runs ffmpeg on a clip: reads its header, and streams the sampled frames.

ffprobe is never used, since the embedded ffmpeg comes without one. Frames arrive as PPM pictures, which carry
their own size: no geometry has to be known beforehand, and a rotation needs no special case. If the
resolution changes in mid-stream, ffmpeg scales what follows to the first one's size. Times come from ffmpeg's
``showinfo`` filter.
"""

from __future__ import annotations

import contextlib
import queue
import re
import secrets
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from vidscan.errors import DecodeError, SourceError
from vidscan.media.ffmpeg.command import AS_STORED, Look, sampling_command
from vidscan.media.ffmpeg.header import MediaInfo, codec_name, read_header
from vidscan.media.ffmpeg.output import MAX_PIXELS, MAX_WORDS, Complaints, failure, read_ppm
from vidscan.media.ffmpeg.presentation import Presentation
from vidscan.media.ffmpeg.program import find_program, passthrough_option, start
from vidscan.records import Image
from vidscan.system.cores import cores
from vidscan.system.processes import Child, Stalled

STALL_TIMEOUT_S = 120.0
"""A decoder that writes nothing for this long is taken for hung and ended."""

FRAMES_PER_BYTE = 1
"""Upper limit on the frames of a clip per byte of its file: the index of any container takes several bytes a
frame, so a file with more repeats itself to keep the scan busy."""

DEMUXERS = (
    "mov,matroska,avi,asf,flv,gif,mpegts,mpeg,mpegvideo,mxf,ogg,"
    "h264,hevc,m4v,av1,obu,ivf,mjpeg,dv,nut,yuv4mpegpipe,aac,ac3,flac,mp3,wav"
)
"""Formats that are read, by ffmpeg's names. None of them opens another file, as playlists (HLS, DASH,
ffconcat, SDP) and numbered series of pictures do. Audio formats are included so that their files are reported
as such."""

_COUNTED = re.compile(r"^frame= *(\d+) ", re.MULTILINE)
_BLOCK = 1 << 16
# Of what framecrc prints: the unit of its times, and a packet's time and duration.
_UNIT = re.compile(rb"^#tb 0: (\d+)/(\d+)$", re.MULTILINE)
_PACKET = re.compile(rb"^0, *(-?\d+), *-?\d+, *(\d+), .*\n", re.MULTILINE)
_BREAKS_OFF = re.compile(r"\[.*(?:partial file|ended prematurely|[Tt]runcat)")
# Packets' times go on where their clock goes back, by the duration of the one before.
_GO_ON = "setts=ts=if(eq(N\\,0)\\,DTS\\,PREV_OUTDTS+if(lt(DTS\\,PREV_INDTS)\\,DURATION\\,DTS-PREV_INDTS))"

# What a file may make ffmpeg open (itself alone) and how large a picture it may make it decode.
INPUT_LIMITS = ("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-max_pixels", str(MAX_PIXELS))


def local_name(path: Path) -> str:
    """Returns a file's name in a form that ffmpeg takes neither for an option nor for another protocol."""
    return f"file:{path}"


def probe(path: Path) -> MediaInfo:
    """Reads a file's header.

    Raises:
        SourceError: the file holds no video (audio only, say).
        DecodeError: ffmpeg cannot read the file.
    """
    words = said(path)
    told = read_header(words)
    streams = [each for each in told.videos if not each.cover]
    if first := next((each for each in streams if each.decodable), None):
        return MediaInfo(
            told.duration_s,
            first.codec,
            first.width,
            first.height,
            told.sound,
            told.videos,
            told.container,
        )
    if streams:
        raise DecodeError(
            f"{path}: its {codec_name(streams[0])} stream has no frame that can be decoded, such as "
            "where the beginning is missing: fetch the whole file"
        )
    if told.sound:
        raise SourceError(f"{path}: holds audio but no video: give a file with pictures")
    raise failure(path, "no video that ffmpeg can read", "check the file", words.splitlines())


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a stream's pictures go on, in seconds, None without a clock; whether the file breaks off."""

    length_s: float | None
    breaks_off: bool = False


def measure(path: Path, shown: Presentation = AS_STORED) -> Measured:
    """Reads a stream through without decoding; its time goes on where its clock goes back.

    Raises:
        DecodeError: reading takes too long.
    """
    asked = [find_program(), "-hide_banner", "-nostdin", "-v", "error", *INPUT_LIMITS, "-i", local_name(path)]
    output = ("-map", f"0:{shown.selector}", "-c", "copy", "-bsf:v", _GO_ON, "-f", "framecrc", "pipe:1")
    head, tail, deadline = b"", b"", time.monotonic() + STALL_TIMEOUT_S
    try:
        with start([*asked, *output]) as child, listening(child) as complaints:
            while read := child.read(_BLOCK, deadline):
                head, tail = head or bytes(read), tail[-_BLOCK:] + read
    except Stalled as error:
        raise _unfinished(path, "file") from error
    unit, last = _UNIT.search(head), _PACKET.findall(tail)
    length_s = sum(map(int, last[-1])) * int(unit[1]) / int(unit[2]) if unit and last else None
    return Measured(length_s, any(_BREAKS_OFF.match(line) for line in complaints.lines))


def count_frames(path: Path, stream: str = "V:0", *, most: int | None = None) -> int:
    """Counts a stream's frames without decoding them, up to ``most``; 0 where the file cannot be read.

    Raises:
        DecodeError: reading takes too long.
    """
    limit = () if most is None else ("-frames:v", str(most))
    counted = _COUNTED.findall(said(path, "-map", f"0:{stream}", "-c", "copy", *limit, "-f", "null", "-"))
    return int(counted[-1]) if counted else 0


def said(path: Path, *output: str, before: tuple[str, ...] = ()) -> str:
    """Returns what ffmpeg prints when it reads a clip's header, or the clip if an output is given.

    Raises:
        DecodeError: reading takes too long.
    """
    asked = [find_program(), "-hide_banner", "-nostdin", "-nostats", *before, *INPUT_LIMITS]
    try:
        with start([*asked, "-i", local_name(path), *output]) as child:
            words = child.read(MAX_WORDS, time.monotonic() + STALL_TIMEOUT_S, child.stderr)
    except Stalled as error:
        raise _unfinished(path, "file" if output else "header") from error
    return words.decode("utf-8", "replace")


def _unfinished(path: Path, what: str) -> DecodeError:
    return DecodeError(
        f"{path}: ffmpeg did not finish reading the {what} within {STALL_TIMEOUT_S:.0f} s: "
        "re-encode the file or leave it out"
    )


def decoder_threads() -> int:
    """Returns one less than the cores: detection and scoring need one. By default ffmpeg takes one more."""
    return max(1, cores() - 1)


def _command(path: Path, look: Look, shown: Presentation, mark: str) -> list[str]:
    program = find_program()
    return sampling_command(
        program,
        replace(look, threads=look.threads or decoder_threads()),
        source=(*INPUT_LIMITS, "-i", local_name(path)),
        passthrough=passthrough_option(program),
        mark=mark,
        shown=shown,
    )


class Picture(NamedTuple):
    """A decoded frame: seconds by the clip's clock, an upright RGB picture, if it is marked as fields."""

    time_s: float
    image: Image
    interlaced: bool = False


def stream_frames(path: Path, wanted: Look | float) -> Generator[tuple[float, Image], None, None]:
    """Decodes the first video stream; yields times and pictures as :func:`pictures`, and raises alike.

    ``wanted`` may be the number of frames per second of the clip.
    """
    look = wanted if isinstance(wanted, Look) else Look(fps=wanted)
    with contextlib.closing(pictures(path, look)) as found:
        for picture in found:
            yield picture.time_s, picture.image


def pictures(path: Path, look: Look, shown: Presentation = AS_STORED) -> Generator[Picture, None, None]:
    """Decodes a local clip and yields the sampled frames, with their times from the clip's start.

    The child process is ended on every way out, also if the iterator is dropped half way.

    Raises:
        DecodeError: nothing could be decoded, or the decoder hung. A clip that breaks off after some good
            frames simply ends there, as in any player. A look that begins after the clip's end finds nothing.
    """
    mark, most = secrets.token_hex(8), FRAMES_PER_BYTE * path.stat().st_size
    yielded = 0
    try:
        with start(_command(path, look, shown, mark)) as child, listening(child, mark) as complaints:
            while (image := read_ppm(child, path, STALL_TIMEOUT_S)) is not None:
                if yielded == most:
                    raise DecodeError(
                        f"{path}: gives more frames than it has bytes, to keep the scan busy: leave it out"
                    )
                yield _picture(image, complaints, look, yielded, path)
                yielded += 1
            code = child.exit_code()
    except Stalled as error:
        raise DecodeError(
            f"{path}: the decoder gave nothing for {STALL_TIMEOUT_S:.0f} s and was ended: "
            "re-encode the file or leave it out"
        ) from error
    if code is not None and code < 0:
        raise DecodeError(
            f"{path}: ffmpeg crashed (signal {-code}) after {yielded} frames: "
            "re-encode the file or leave it out"
        )
    if look.start_s > 0 and code != 0:
        raise DecodeError(f"{path}: cannot be decoded from {look.start_s:.1f} s on: leave out --frames")
    if yielded == 0 and look.start_s == 0:
        what = "not one frame could be decoded"
        remedy = "the file is damaged or incomplete; fetch it again"
        raise failure(path, what, remedy, complaints.lines)


@contextlib.contextmanager
def listening(child: Child, mark: str = "") -> Iterator[Complaints]:
    """Reads what a child prints while the block runs, and ends the child after it.

    ``mark``: see :class:`Complaints`.
    """
    assert child.stderr is not None
    complaints = Complaints(child.stderr, mark)
    complaints.start()
    try:
        yield complaints
    finally:
        child.kill()
        complaints.join(timeout=10.0)


def _picture(image: Image, complaints: Complaints, look: Look, number: int, path: Path) -> Picture:
    """The frame just read with its time from the start of the clip; ffmpeg counts from the look's."""
    try:
        told = complaints.frames.get(timeout=10.0)
    except queue.Empty as error:
        raise DecodeError(
            f"{path}: ffmpeg gave a frame without its time: set VIDSCAN_FFMPEG to another ffmpeg build"
        ) from error
    time_s = look.expected_time(number) if told.time_s is None else max(0.0, look.start_s + told.time_s)
    return Picture(time_s, image, told.interlaced)
