"""Finds ffmpeg and what it can do, once per process. No clip is read here."""

from __future__ import annotations

import functools
import os
import re
import shutil

from vidscan.errors import VidscanError
from vidscan.system.files import raising
from vidscan.system.processes import Child, Stalled, memory_limit

ANSWER_TIMEOUT_S = 30.0
"""Time limit in seconds for a call that reads no clip."""


@functools.cache
def find_program() -> str:
    """Returns the ffmpeg to use: ``$VIDSCAN_FFMPEG``, else the one on PATH, else imageio-ffmpeg's.

    Raises:
        VidscanError: there is none, or the variable names no program.
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
    if on_path := shutil.which("ffmpeg"):
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
    """Returns the option that keeps the frames' own times: ``-vsync`` became ``-fps_mode`` in ffmpeg 5.1."""
    return {"vsync": "passthrough"} if _is_before(program, 5, 1) else {"fps_mode": "passthrough"}


@functools.cache
def crops(program: str) -> bool:
    """Tells whether an ffmpeg cuts pictures to the rectangle that their file gives: from 7.1 on."""
    return not _is_before(program, 7, 1)


def _is_before(program: str, major: int, minor: int) -> bool:
    """Tells whether an ffmpeg is older than a version; one without a version is taken for new."""
    found = re.search(r"ffmpeg version n?(\d+)\.(\d+)", answer(program, "-version"))
    return found is not None and (int(found[1]), int(found[2])) < (major, minor)


@functools.cache
def filters(program: str) -> frozenset[str]:
    """Returns the names of the filters that an ffmpeg has."""
    return frozenset(
        re.findall(r"^ [^ ]{2,3} (\w+) ", answer(program, "-hide_banner", "-filters"), re.MULTILINE)
    )


def start(command: list[str], *, fed: bool = False) -> Child:
    """Starts ffmpeg within its limits; use as a context manager, which ends it on every way out.

    Raises:
        VidscanError: the program cannot be run.
    """
    remedy = "set VIDSCAN_FFMPEG to another ffmpeg"
    with raising(lambda why: VidscanError(f"{command[0]} cannot be run ({why}): {remedy}")):
        return Child(command, fed=fed, memory=memory_limit())


def answer(program: str, *arguments: str) -> str:
    """Runs a call that reads no clip; returns its standard output.

    Raises:
        VidscanError: the program cannot be run, or does not end.
    """
    try:
        with start([program, *arguments]) as child:
            said, _ = child.communicate(b"", ANSWER_TIMEOUT_S)
    except Stalled as error:
        raise VidscanError(f"{program} does not answer: set VIDSCAN_FFMPEG to another ffmpeg") from error
    return said.decode("utf-8", "replace")
