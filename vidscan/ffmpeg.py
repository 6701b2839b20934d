"""The only module that runs ffmpeg: finds the program, probes a file, streams sampled frames.

ffprobe is never used, since the embedded ffmpeg comes without one. Frames arrive as PPM pictures,
which carry their own size: no geometry has to be known beforehand, and a rotation needs no special
case. Where the resolution changes in mid-stream, ffmpeg scales what follows to the first one's size.
Times come from ffmpeg's ``showinfo`` filter.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidscan.child_process import Child, Stalled, memory_limit
from vidscan.errors import DecodeError, SourceError, VidscanError
from vidscan.ffmpeg_output import MAX_PIXELS, MAX_WORDS, Complaints, failure, read_ppm
from vidscan.records import Image

STALL_TIMEOUT_S = 120.0
"""A decoder that gives neither a frame nor a word for this long is taken for hung and ended."""

VERSION_TIMEOUT_S = 30.0
"""A program that does not tell its version in this time is not waited for."""

FRAMES_PER_BYTE = 1
"""A file that gives more frames than this for each of its bytes repeats itself to keep the scan busy: the
index of any container takes several bytes a frame."""

DEMUXERS = (
    "mov,matroska,avi,asf,flv,gif,mpegts,mpeg,mpegvideo,mxf,ogg,"
    "h264,hevc,m4v,av1,obu,ivf,mjpeg,dv,nut,yuv4mpegpipe,aac,ac3,flac,mp3,wav"
)
"""Formats that are read, in ffmpeg's words. None of them opens another file, as playlists (HLS, DASH,
ffconcat, SDP) and numbered series of pictures do. Sound is among them so that its files can be named
as such."""

# Matched at the start of a line, since a file's name, which ffmpeg prints too, may say anything.
_DURATION = re.compile(r"^ *Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_STREAM = re.compile(r" *Stream #\d+:\d+")
_SIZE = re.compile(r", (?P<w>\d{1,5})x(?P<h>\d{1,5})")
_AUDIO_STREAM = re.compile(r"^ *Stream #\d+:\d+[^\n]*: Audio:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What ffmpeg says of a file. Sizes are those stored, before rotation; None where unknown."""

    duration_s: float | None
    codec: str
    width: int
    height: int


@functools.cache
def find_program() -> str:
    """The ffmpeg to use: ``$VIDSCAN_FFMPEG``, else the one on PATH, else imageio-ffmpeg's.

    Raises:
        VidscanError: none of the three is there, or the variable names no program.
    """
    named = os.environ.get("VIDSCAN_FFMPEG")
    if named:
        found = shutil.which(named)
        if found is None:
            raise VidscanError(
                f"VIDSCAN_FFMPEG={named} is no program: correct the variable or unset it to use the embedded "
                "ffmpeg"
            )
        return found
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        return on_path
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise VidscanError(
            "no ffmpeg was found: install ffmpeg, or set VIDSCAN_FFMPEG to the program's path"
        ) from error


@functools.cache
def passthrough_option(program: str) -> dict[str, str]:
    """How to say "keep the frames' own times": ``-vsync`` became ``-fps_mode`` in ffmpeg 5.1."""
    try:
        with _start([program, "-version"]) as child:
            answer, _ = child.communicate(b"", VERSION_TIMEOUT_S)
    except Stalled as error:
        raise VidscanError(f"{program} does not answer: set VIDSCAN_FFMPEG to another ffmpeg") from error
    version = re.search(rb"ffmpeg version n?(\d+)\.(\d+)", answer)
    if version and (int(version[1]), int(version[2])) < (5, 1):
        return {"vsync": "passthrough"}
    return {"fps_mode": "passthrough"}


# What a file may make ffmpeg open (itself alone) and how large a picture it may make it decode.
INPUT_LIMITS = (
    *("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-max_pixels", str(MAX_PIXELS)),
)


def local_name(path: Path) -> str:
    """A file's name as ffmpeg can take it neither for an option nor for another protocol."""
    return f"file:{path}"


def probe(path: Path) -> MediaInfo:
    """Reads a file's header.

    Raises:
        SourceError: the file holds no video (audio only, say).
        DecodeError: ffmpeg cannot make sense of the file.
    """
    command = [find_program(), "-hide_banner", "-nostdin", *INPUT_LIMITS, "-i", local_name(path)]
    try:
        with _start(command) as child:
            words = child.read(MAX_WORDS, time.monotonic() + STALL_TIMEOUT_S, child.stderr)
    except Stalled as error:
        raise DecodeError(
            f"{path}: ffmpeg did not finish reading the header within {STALL_TIMEOUT_S:.0f} s: "
            "re-encode the file or leave it out"
        ) from error
    answer = words.decode("utf-8", "replace")
    stream = _video_stream(answer)
    if stream is None:
        if _AUDIO_STREAM.search(answer):
            raise SourceError(f"{path}: holds audio but no video: give a file with pictures")
        raise failure(path, "no video that ffmpeg can read", "check the file", answer.splitlines())
    duration = _DURATION.search(answer)
    seconds = None
    if duration is not None:
        seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
    return MediaInfo(seconds, *stream)


def _video_stream(answer: str) -> tuple[str, int, int] | None:
    """Codec, width and height of the first video that is no song's cover.

    Step by step: one expression for it all takes ages over a line that was made for that.
    """
    for line in answer.splitlines():
        if _STREAM.match(line) and "(attached pic)" not in line:
            told = line.partition(": Video: ")[2]
            codec, size = re.match(r"\w+", told), _SIZE.search(told)
            if codec is not None and size is not None:
                return codec[0], int(size["w"]), int(size["h"])
    return None


def _start(command: list[str]) -> Child:
    try:
        return Child(command, memory=memory_limit())
    except OSError as error:
        raise VidscanError(
            f"{command[0]} cannot be run ({error.strerror}): set VIDSCAN_FFMPEG to another ffmpeg"
        ) from error


def _command(path: Path, fps: float, mark: str) -> list[str]:
    """The command that writes one PPM a sampled frame to standard output.

    The first frame in each period of 1/fps seconds is taken, by the stream's own clock, so nothing
    drifts and a variable frame rate needs no care. The small term keeps a time that sits on the
    edge of a period, such as 0.5 s stored as 0.49999, on the right side of it. ``mark`` becomes the
    name of the filter that tells the times.
    """
    import ffmpeg

    period = f"floor(t*{fps!r}+0.001)"
    previous = f"floor(prev_selected_t*{fps!r}+0.001)"
    program = find_program()
    stream = (
        # ffmpeg-python cannot take a name that is no UTF-8: it is put in afterwards. V: no cover pictures.
        ffmpeg.input("INPUT")["V"]
        .filter("select", f"isnan(prev_selected_t)+gt({period},{previous})")
        .filter(f"showinfo@{mark}", checksum=0)
        .output(
            "pipe:1",
            format="image2pipe",
            vcodec="ppm",
            pix_fmt="rgb24",
            map_metadata="-1",
            **passthrough_option(program),
        )
        .global_args("-hide_banner", "-nostdin", "-nostats", "-loglevel", "info")
    )
    compiled = [str(part) for part in stream.compile(cmd=program)]
    place = compiled.index("INPUT")
    return [*compiled[: place - 1], *INPUT_LIMITS, "-i", local_name(path), *compiled[place + 1 :]]


def stream_frames(path: Path, fps: float) -> Iterator[tuple[float, Image]]:
    """Decodes a clip and yields the frames sampled from it.

    The child process is ended on every way out, also when the iterator is dropped half way.

    Args:
        path: a local file.
        fps: frames per second of the clip to take.

    Yields:
        ``(time_s, image)``: seconds from the start of the clip, and RGB ``uint8[height, width, 3]``
        with the rotation applied.

    Raises:
        DecodeError: nothing could be decoded, or the decoder hung. A clip that breaks off after
            some good frames simply ends there, as in any player.
    """
    mark, most = secrets.token_hex(8), FRAMES_PER_BYTE * path.stat().st_size
    yielded = 0
    try:
        with _start(_command(path, fps, mark)) as child, _listening(child, mark) as complaints:
            while (image := read_ppm(child, path, STALL_TIMEOUT_S)) is not None:
                if yielded == most:
                    raise DecodeError(
                        f"{path}: gives more frames than it has bytes, to keep the scan busy: leave it out"
                    )
                yield _frame_time(complaints, yielded / fps, path), image
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
    if yielded == 0:
        what = "not one frame could be decoded"
        remedy = "the file is damaged or incomplete; fetch it again"
        raise failure(path, what, remedy, complaints.lines)


@contextlib.contextmanager
def _listening(child: Child, mark: str) -> Iterator[Complaints]:
    """Reads what a child says while the block runs, and ends the child after it, so that it falls silent."""
    assert child.stderr is not None
    complaints = Complaints(child.stderr, mark)
    complaints.start()
    try:
        yield complaints
    finally:
        child.kill()
        complaints.join(timeout=10.0)


def _frame_time(complaints: Complaints, fallback_s: float, path: Path) -> float:
    """The time of the frame just read; ``fallback_s`` where the stream itself knows none."""
    try:
        time = complaints.times.get(timeout=10.0)
    except queue.Empty as error:
        raise DecodeError(
            f"{path}: ffmpeg gave a frame without its time: set VIDSCAN_FFMPEG to another ffmpeg build"
        ) from error
    return fallback_s if time is None else max(0.0, time)
