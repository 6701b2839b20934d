"""The only module that runs ffmpeg on a clip: probes it, streams the frames to look at.

ffprobe is never used, since the embedded ffmpeg comes without one. Frames arrive as PPM pictures,
which carry their own size: no geometry has to be known beforehand, and a rotation needs no special
case. Where the resolution changes in mid-stream, ffmpeg scales what follows to the first one's size.
Times come from ffmpeg's ``showinfo`` filter.
"""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from vidscan.errors import DecodeError, SourceError
from vidscan.ffmpeg_command import Look, sampling_command
from vidscan.ffmpeg_program import find_program, passthrough_option, working_hardware
from vidscan.records import Image

__all__ = [
    "MediaInfo",
    "find_program",
    "local_name",
    "measure_duration",
    "passthrough_option",
    "probe",
    "stream_frames",
]

STALL_TIMEOUT_S = 120.0
"""A decoder that gives neither a frame nor a word for this long is taken for hung and ended."""

MAX_LINES_KEPT = 200
"""Lines of ffmpeg's words that are kept to find the cause of a failure in."""

# Matched at the start of a line, since a file's name, which ffmpeg prints too, may say anything.
_DURATION = re.compile(r"^ *Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_VIDEO_STREAM = re.compile(
    r"^ *Stream #\d+:\d+.*?: Video: (?P<codec>\w+).*?, (?P<w>\d{1,5})x(?P<h>\d{1,5})"
    r"(?!.*\(attached pic\))",  # the cover of a song is no video
    re.MULTILINE,
)
# What ffmpeg says at the end of a run: how far it came.
_REACHED = re.compile(r"^(?:frame|size)=.*? time=(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_AUDIO_STREAM = re.compile(r"^ *Stream #\d+:\d+.*?: Audio:", re.MULTILINE)
# Anywhere in a line: where another thread of ffmpeg is amid a line of its own, this one goes on there.
_SHOWINFO_TIME = re.compile(r"n: *\d+ pts: *\S+ +pts_time: *(\S+)")
_HARMLESS = re.compile(r"Parsed_showinfo|detected only with low score")


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What ffmpeg says of a file. Sizes are those stored, before rotation; None where unknown."""

    duration_s: float | None
    codec: str
    width: int
    height: int


_LOCAL_ONLY = ("-protocol_whitelist", "file")


def local_name(path: Path) -> str:
    """A file's name as ffmpeg can take it neither for an option nor for another protocol."""
    return f"file:{path}"


def probe(path: Path) -> MediaInfo:
    """Reads a file's header.

    Raises:
        SourceError: the file holds no video (audio only, say).
        DecodeError: ffmpeg cannot make sense of the file.
    """
    answer = _said(path)
    stream = _VIDEO_STREAM.search(answer)
    if stream is None:
        if _AUDIO_STREAM.search(answer):
            raise SourceError(f"{path}: holds audio but no video: give a file with pictures")
        raise DecodeError(
            f"{path}: no video that ffmpeg can read ({_cause(answer.splitlines())}): check the file"
        )
    seconds = _seconds(_DURATION.search(answer))
    return MediaInfo(seconds, stream["codec"], int(stream["w"]), int(stream["h"]))


def measure_duration(path: Path) -> float | None:
    """How long the pictures of a clip go on, found by reading it through without decoding anything.

    For clips whose header does not say, or says something else. None where the stream has no clock.

    Raises:
        DecodeError: reading takes too long.
    """
    answer = _said(path, "-map", "0:V:0", "-c", "copy", "-f", "null", "-")
    reached = list(_REACHED.finditer(answer))
    return _seconds(reached[-1]) if reached else None


def _said(path: Path, *output: str) -> str:
    """What ffmpeg says when it reads a clip's header, or the clip itself where it is told an output."""
    arguments = [find_program(), "-hide_banner", "-nostdin", "-nostats", *_LOCAL_ONLY]
    try:
        return subprocess.run(
            [*arguments, "-i", local_name(path), *output],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=STALL_TIMEOUT_S,
            check=False,
            process_group=0,
        ).stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        raise DecodeError(
            f"{path}: ffmpeg did not finish reading the {'file' if output else 'header'} within "
            f"{STALL_TIMEOUT_S:.0f} s: re-encode the file or leave it out"
        ) from error


def _seconds(clock: re.Match[str] | None) -> float | None:
    """Hours, minutes and seconds as ffmpeg writes them, in seconds."""
    return None if clock is None else int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])


def _cause(lines: list[str]) -> str:
    """What ffmpeg complains of first: what comes after follows from it.

    Complaints begin with the module's name in brackets. Where there is none, the last line says most.
    """
    complaints = [line for line in lines if line.startswith("[") and not _HARMLESS.search(line)]
    line = complaints[0] if complaints else next((line for line in reversed(lines) if line.strip()), "")
    text = re.sub(r"^(\[[^]]*\]\s*)+", "", line).strip().rstrip(".")
    return re.sub(r"file:\S.*?: (?=\S)", "", text)[:160] or "no reason given"


class _Complaints(threading.Thread):
    """Reads ffmpeg's stderr: frame times into ``times``, the first other lines into ``lines``.

    Frame times come after the line "Stream mapping:"; what the file itself says (its name, its title)
    is printed before, and cannot be taken for one.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="ffmpeg-stderr", daemon=True)
        self._stream = stream
        self.times: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self.lines: list[str] = []

    def run(self) -> None:
        decoding = False
        for raw in self._stream:
            line = raw.decode("utf-8", "replace").rstrip()
            decoding = decoding or line == "Stream mapping:"
            if decoding and (time := _SHOWINFO_TIME.search(line)) is not None:
                self.times.put(float(time[1]) if time[1] not in ("NOPTS", "nan") else None)
            elif len(self.lines) < MAX_LINES_KEPT:  # a damaged clip can give thousands
                self.lines.append(line)


_running: set[subprocess.Popen[bytes]] = set()


def end_running() -> None:
    """Ends every decoder at once, so that nobody waits for a frame that may not come."""
    for process in tuple(_running):
        process.kill()


def _command(path: Path, look: Look, hwaccel: bool) -> list[str]:
    program = find_program()
    return sampling_command(
        program,
        look,
        source=(*_LOCAL_ONLY, "-i", local_name(path)),
        passthrough=passthrough_option(program),
        hardware=working_hardware(program) if hwaccel else None,
    )


def stream_frames(
    path: Path, wanted: Look | float, *, hwaccel: bool = False
) -> Iterator[tuple[float, Image]]:
    """Decodes a clip and yields the frames that shall be looked at.

    The child process is ended on every way out, also when the iterator is dropped half way.

    Args:
        path: a local file.
        wanted: which frames; a number is that of frames per second of the clip.
        hwaccel: decode in hardware where this machine can.

    Yields:
        ``(time_s, image)``: seconds from the start of the clip, and RGB ``uint8[height, width, 3]``
        with the rotation applied.

    Raises:
        DecodeError: nothing could be decoded, or the decoder hung. A clip that breaks off after
            some good frames simply ends there, as in any player. A look that begins later than the
            clip may find nothing: there may be no frame so late.
    """
    look = wanted if isinstance(wanted, Look) else Look(fps=wanted)
    process = subprocess.Popen(
        _command(path, look, hwaccel),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Ctrl-C in a terminal goes to the whole group; it may not cut short the clip that is being finished.
        process_group=0,
    )
    _running.add(process)
    assert process.stdout is not None and process.stderr is not None
    complaints = _Complaints(process.stderr)
    complaints.start()
    watchdog = _Watchdog(process, STALL_TIMEOUT_S)
    yielded = 0
    try:
        while (image := _read_ppm(process.stdout)) is not None:
            watchdog.pause()
            yield _frame_time(complaints, look, yielded, path), image
            yielded += 1
            watchdog.resume()
        watchdog.pause()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is ended below
            process.wait(timeout=10.0)
        if process.poll() is not None:
            complaints.join(timeout=10.0)
        if watchdog.fired:
            raise DecodeError(
                f"{path}: the decoder gave nothing for {STALL_TIMEOUT_S:.0f} s and was ended: "
                "re-encode the file or leave it out"
            )
        if yielded == 0 and look.start_s == 0:
            raise DecodeError(
                f"{path}: not one frame could be decoded ({_cause(complaints.lines)}): "
                "the file is damaged or incomplete; fetch it again"
            )
    finally:
        watchdog.stop()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        _running.discard(process)
        process.stdout.close()
        complaints.join(timeout=10.0)
        process.stderr.close()


def _frame_time(complaints: _Complaints, look: Look, number: int, path: Path) -> float:
    """The time of the frame just read, from the start of the clip; ffmpeg counts from that of the look."""
    try:
        time = complaints.times.get(timeout=10.0)
    except queue.Empty as error:
        raise DecodeError(
            f"{path}: ffmpeg gave a frame without its time: set VIDSCAN_FFMPEG to another ffmpeg build"
        ) from error
    return look.expected_time(number) if time is None else max(0.0, look.start_s + time)


class _Watchdog:
    """Kills a process that makes its reader wait too long.

    The time the consumer takes over a frame does not count: the clock runs only between
    :meth:`resume` and :meth:`pause`.
    """

    def __init__(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        self._process = process
        self._limit_s = limit_s
        self._timer: threading.Timer | None = None
        self.fired = False
        self.resume()

    def _fire(self) -> None:
        self.fired = True
        self._process.kill()

    def resume(self) -> None:
        self._timer = threading.Timer(self._limit_s, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    stop = pause


def _read_ppm(stream: IO[bytes]) -> Image | None:
    """One binary PPM (``P6``, 8 bits a channel) from a stream; None where it ends or breaks off."""
    header = [stream.readline() for _ in range(3)]
    if header[0] != b"P6\n" or not header[2].endswith(b"\n"):
        return None
    width, height = (int(number) for number in header[1].split())
    pixels = stream.read(width * height * 3)
    if len(pixels) < width * height * 3:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
