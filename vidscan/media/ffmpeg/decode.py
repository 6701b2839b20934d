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

from vidscan.errors import DecodeError, SourceError
from vidscan.media.ffmpeg.command import Look, sampling_command
from vidscan.media.ffmpeg.output import MAX_PIXELS, MAX_WORDS, Complaints, failure, read_ppm
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

# Matched at the start of a line, since a file's name, which ffmpeg prints too, may say anything.
_DURATION = re.compile(r"^ *Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
# What ffmpeg says at the end of a run: how far it came.
_REACHED = re.compile(r"^(?:frame|size)=[^\n]*? time=(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_STREAM = re.compile(r" *Stream #\d+:\d+")
_SIZE = re.compile(r", (?P<w>\d{1,5})x(?P<h>\d{1,5})")
_AUDIO_STREAM = re.compile(r"^ *Stream #\d+:\d+[^\n]*?: Audio: (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What ffmpeg's header output says of a file. Sizes are as stored, before rotation; None if unknown.

    ``sound``: the codec of each of its audio streams, in order.
    """

    duration_s: float | None
    codec: str
    width: int
    height: int
    sound: tuple[str, ...] = ()


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
    answer = _said(path)
    stream = _video_stream(answer)
    if stream is None:
        if _AUDIO_STREAM.search(answer):
            raise SourceError(f"{path}: holds audio but no video: give a file with pictures")
        raise failure(path, "no video that ffmpeg can read", "check the file", answer.splitlines())
    sound = tuple(_AUDIO_STREAM.findall(answer))
    return MediaInfo(_seconds(_DURATION.search(answer)), *stream, sound)


def measure_duration(path: Path) -> float | None:
    """Measures how long the pictures of a clip go on, by reading it through without decoding.

    For clips whose header has no or a wrong duration. None if the stream has no clock.

    Raises:
        DecodeError: reading takes too long.
    """
    answer = _said(path, "-map", "0:V:0", "-c", "copy", "-f", "null", "-")
    reached = list(_REACHED.finditer(answer))
    return _seconds(reached[-1]) if reached else None


def _said(path: Path, *output: str) -> str:
    """Returns what ffmpeg prints when it reads a clip's header, or the whole clip if an output is given."""
    command = [find_program(), "-hide_banner", "-nostdin", "-nostats", *INPUT_LIMITS, "-i", local_name(path)]
    try:
        with start([*command, *output]) as child:
            words = child.read(MAX_WORDS, time.monotonic() + STALL_TIMEOUT_S, child.stderr)
    except Stalled as error:
        raise DecodeError(
            f"{path}: ffmpeg did not finish reading the {'file' if output else 'header'} within "
            f"{STALL_TIMEOUT_S:.0f} s: re-encode the file or leave it out"
        ) from error
    return words.decode("utf-8", "replace")


def _seconds(clock: re.Match[str] | None) -> float | None:
    """Converts hours, minutes and seconds as ffmpeg writes them to seconds."""
    return None if clock is None else int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])


def _video_stream(answer: str) -> tuple[str, int, int] | None:
    """Returns codec, width and height of the first video stream that is not cover art.

    Line by line: a single expression would take very long over a line crafted for that.
    """
    for line in answer.splitlines():
        if _STREAM.match(line) and "(attached pic)" not in line:
            told = line.partition(": Video: ")[2]
            codec, size = re.match(r"\w+", told), _SIZE.search(told)
            if codec is not None and size is not None:
                return codec[0], int(size["w"]), int(size["h"])
    return None


def decoder_threads() -> int:
    """Returns one less than the cores: detection and scoring need one. By default ffmpeg takes one more."""
    return max(1, cores() - 1)


def _command(path: Path, look: Look, mark: str) -> list[str]:
    program = find_program()
    return sampling_command(
        program,
        replace(look, threads=look.threads or decoder_threads()),
        source=(*INPUT_LIMITS, "-i", local_name(path)),
        passthrough=passthrough_option(program),
        mark=mark,
    )


def stream_frames(path: Path, wanted: Look | float) -> Generator[tuple[float, Image], None, None]:
    """Decodes a local clip and yields the sampled frames: seconds from its start, and upright RGB pictures.

    The child process is ended on every way out, also if the iterator is dropped half way. ``wanted`` may be
    the number of frames per second of the clip.

    Raises:
        DecodeError: nothing could be decoded, or the decoder hung. A clip that breaks off after some good
            frames simply ends there, as in any player. A look that begins after the clip's end finds nothing.
    """
    look = wanted if isinstance(wanted, Look) else Look(fps=wanted)
    mark, most = secrets.token_hex(8), FRAMES_PER_BYTE * path.stat().st_size
    yielded = 0
    try:
        with start(_command(path, look, mark)) as child, listening(child, mark) as complaints:
            while (image := read_ppm(child, path, STALL_TIMEOUT_S)) is not None:
                if yielded == most:
                    raise DecodeError(
                        f"{path}: gives more frames than it has bytes, to keep the scan busy: leave it out"
                    )
                yield _frame_time(complaints, look, yielded, path), image
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


def _frame_time(complaints: Complaints, look: Look, number: int, path: Path) -> float:
    """Returns the time of the frame just read, from the start of the clip; ffmpeg counts from the look's."""
    try:
        time = complaints.times.get(timeout=10.0)
    except queue.Empty as error:
        raise DecodeError(
            f"{path}: ffmpeg gave a frame without its time: set VIDSCAN_FFMPEG to another ffmpeg build"
        ) from error
    return look.expected_time(number) if time is None else max(0.0, look.start_s + time)
