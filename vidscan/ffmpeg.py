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
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from vidscan.errors import DecodeError, SourceError, VidscanError
from vidscan.records import Image

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
        answer = subprocess.run(
            [program, "-version"], capture_output=True, text=True, errors="replace", timeout=30, check=False
        ).stdout
    except subprocess.TimeoutExpired as error:
        raise VidscanError(f"{program} does not answer: set VIDSCAN_FFMPEG to another ffmpeg") from error
    version = re.search(r"ffmpeg version n?(\d+)\.(\d+)", answer)
    if version and (int(version[1]), int(version[2])) < (5, 1):
        return {"vsync": "passthrough"}
    return {"fps_mode": "passthrough"}


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
    arguments = [find_program(), "-hide_banner", "-nostdin", *_LOCAL_ONLY]
    try:
        answer = subprocess.run(
            [*arguments, "-i", local_name(path)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=STALL_TIMEOUT_S,
            check=False,
            process_group=0,
        ).stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        raise DecodeError(
            f"{path}: ffmpeg did not finish reading the header within {STALL_TIMEOUT_S:.0f} s: "
            "re-encode the file or leave it out"
        ) from error
    stream = _VIDEO_STREAM.search(answer)
    if stream is None:
        if _AUDIO_STREAM.search(answer):
            raise SourceError(f"{path}: holds audio but no video: give a file with pictures")
        raise DecodeError(
            f"{path}: no video that ffmpeg can read ({_cause(answer.splitlines())}): check the file"
        )
    duration = _DURATION.search(answer)
    seconds = None
    if duration is not None:
        seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
    return MediaInfo(seconds, stream["codec"], int(stream["w"]), int(stream["h"]))


def _cause(lines: list[str]) -> str:
    """What ffmpeg complains of first: what comes after follows from it.

    Complaints begin with the module's name in brackets. Where there is none, the last line says most.
    """
    complaints = [line for line in lines if line.startswith("[") and not _HARMLESS.search(line)]
    line = complaints[0] if complaints else next((line for line in reversed(lines) if line.strip()), "")
    text = re.sub(r"^(\[[^]]*\]\s*)+", "", line).strip().rstrip(".")
    return re.sub(r"file:\S.*?: (?=\S)", "", text)[:160] or "no reason given"


def _command(path: Path, fps: float) -> list[str]:
    """The command that writes one PPM a sampled frame to standard output.

    The first frame in each period of 1/fps seconds is taken, by the stream's own clock, so nothing
    drifts and a variable frame rate needs no care. The small term keeps a time that sits on the
    edge of a period, such as 0.5 s stored as 0.49999, on the right side of it.
    """
    import ffmpeg

    period = f"floor(t*{fps!r}+0.001)"
    previous = f"floor(prev_selected_t*{fps!r}+0.001)"
    program = find_program()
    stream = (
        # ffmpeg-python cannot take a name that is no UTF-8: it is put in afterwards. V: no cover pictures.
        ffmpeg.input("INPUT")["V"]
        .filter("select", f"isnan(prev_selected_t)+gt({period},{previous})")
        .filter("showinfo", checksum=0)
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
    return [*compiled[: place - 1], *_LOCAL_ONLY, "-i", local_name(path), *compiled[place + 1 :]]


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
    process = subprocess.Popen(
        _command(path, fps),
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
            yield _frame_time(complaints, yielded / fps, path), image
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
        if yielded == 0:
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


def _frame_time(complaints: _Complaints, fallback_s: float, path: Path) -> float:
    """The time of the frame just read; ``fallback_s`` where the stream itself knows none."""
    try:
        time = complaints.times.get(timeout=10.0)
    except queue.Empty as error:
        raise DecodeError(
            f"{path}: ffmpeg gave a frame without its time: set VIDSCAN_FFMPEG to another ffmpeg build"
        ) from error
    return fallback_s if time is None else max(0.0, time)


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
