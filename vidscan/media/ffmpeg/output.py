"""Reads what ffmpeg writes: pictures on standard output, their times and its messages on standard error."""

from __future__ import annotations

import io
import queue
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from vidscan.errors import DecodeError, quoted
from vidscan.records import Image
from vidscan.system.processes import Child, memory_limit

MAX_LINES_KEPT = 200
"""Upper limit on the lines of ffmpeg's messages that are kept, to find the cause of a failure."""

MAX_LINE, MAX_WORDS = 4096, 4 << 20
"""Upper limits on the bytes read of one line, and of all lines about a header: a file can make ffmpeg print
far more."""

MAX_PIXELS = 1 << 26
"""Upper limit on the pixels of a frame: twice those of 8K video."""

# Anywhere in a line: where another thread of ffmpeg is amid a line of its own, this one goes on there.
_SHOWINFO = re.compile(r"n: *\d+ pts: *\S+ +pts_time: *(\S+)")
_FIELDS = re.compile(r" i:([PTB]) ")
_HARMLESS = re.compile(r"\[showinfo@|detected only with low score")


class Shown(NamedTuple):
    """What ffmpeg prints of a frame: its time in seconds, if it has one, and whether it is of two fields."""

    time_s: float | None
    interlaced: bool


class Complaints(threading.Thread):
    """Reads ffmpeg's stderr: what it prints of frames into ``frames``, the first other lines into ``lines``.

    Before it decodes, ffmpeg prints what the file says of itself, which may be anything, line breaks
    included. So frames count only from the first line on that holds ``mark``, which no file can know.
    """

    def __init__(self, stream: IO[bytes], mark: str) -> None:
        super().__init__(name="ffmpeg-stderr", daemon=True)
        self._stream = stream
        self._mark = mark
        self.frames: queue.SimpleQueue[Shown] = queue.SimpleQueue()
        self.lines: list[str] = []

    def run(self) -> None:
        """Reads until ffmpeg closes its end."""
        decoding = False
        for raw in _lines(self._stream):
            line = raw.decode("utf-8", "replace").rstrip()
            decoding = decoding or self._mark in line
            if decoding and (found := _SHOWINFO.search(line)) is not None:
                fields = _FIELDS.search(line)
                time_s = float(found[1]) if found[1] not in ("NOPTS", "nan") else None
                self.frames.put(Shown(time_s, fields is not None and fields[1] != "P"))
            elif len(self.lines) < MAX_LINES_KEPT:  # a damaged clip can give thousands
                self.lines.append(line)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yields the first :data:`MAX_LINE` bytes of every line."""
    reader = io.BufferedReader(stream)  # type: ignore[type-var]
    while line := reader.readline(MAX_LINE):
        yield line
        while not line.endswith(b"\n") and (line := reader.readline(MAX_LINE)):
            pass


def read_ppm(child: Child, path: Path, limit_s: float) -> Image | None:
    """Reads a child's next binary PPM (``P6``, 8 bits a channel); None at the end or if it breaks off.

    Raises:
        Stalled: it does not arrive within ``limit_s``. The time that the consumer takes over a picture does
            not count.
        DecodeError: it is larger than :data:`MAX_PIXELS`.
    """
    deadline = time.monotonic() + limit_s
    header = child.read(len(b"P6\n1 1\n255\n"), deadline)
    while header.count(b"\n") < 3 and len(header) < 32 and (more := child.read(1, deadline)):
        header += more
    size = re.fullmatch(rb"P6\n(\d{1,9}) (\d{1,9})\n255\n", header)
    if size is None:
        return None
    width, height = int(size[1]), int(size[2])
    if width * height > MAX_PIXELS:
        raise DecodeError(f"{path}: ffmpeg gave a picture of {width}x{height} pixels: reduce the clip first")
    pixels = child.read(width * height * 3, deadline)
    if len(pixels) < width * height * 3:
        return None
    picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    picture.flags.writeable = False
    return picture


def cause_of(lines: list[str]) -> str:
    """Returns ffmpeg's first complaint: later ones follow from it.

    Complaints begin with the module's name in brackets. Without any, the last line says most.
    """
    complaints = [line for line in lines if line.startswith("[") and not _HARMLESS.search(line)]
    line = complaints[0] if complaints else next((line for line in reversed(lines) if line.strip()), "")
    text = re.sub(r"^(\[[^]]*\]\s*)+", "", line[:MAX_LINE]).strip().rstrip(".")
    return quoted(re.sub(r"file:\S.*?: (?=\S)", "", text)) or "no reason given"


def failure(path: Path, what: str, remedy: str, lines: list[str]) -> DecodeError:
    """Makes an error of ffmpeg's messages; exceeded limits are explained in our words."""
    limits = {
        "Format not on whitelist": "is of a format that vidscan does not read, such as a playlist: "
        "give the video itself, as MP4 or Matroska",
        "exceeds specified max pixel count": f"its pictures have more than {MAX_PIXELS} pixels, the most "
        "that vidscan decodes: reduce them first",
        "Cannot allocate memory": f"ffmpeg would need more than {memory_limit() >> 20} MiB of memory for it: "
        "re-encode the file or leave it out",
    }
    for complaint, told in limits.items():
        if any(complaint in line for line in lines):
            return DecodeError(f"{path}: {told}")
    return DecodeError(f"{path}: {what} ({cause_of(lines)}): {remedy}")
