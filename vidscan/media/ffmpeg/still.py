"""Decodes a still through ffmpeg, for formats that nothing else at hand reads."""

from __future__ import annotations

from pathlib import Path

from vidscan.errors import DecodeError
from vidscan.media.ffmpeg.decode import STALL_TIMEOUT_S, listening, local_name
from vidscan.media.ffmpeg.output import MAX_PIXELS, failure, read_ppm
from vidscan.media.ffmpeg.program import find_program, start
from vidscan.records import Image
from vidscan.system.processes import Stalled


def decode_still(path: Path, demuxer: str, name: str) -> Image:
    """Returns the first picture of a file, upright, as RGB ``uint8[height, width, 3]``.

    ``demuxer`` is ffmpeg's name of the one format that the file may be of, ``name`` the usual one.

    Raises:
        DecodeError: ffmpeg cannot decode it, or hung.
    """
    limits = ("-protocol_whitelist", "file", "-format_whitelist", demuxer, "-max_pixels", str(MAX_PIXELS))
    command = [find_program(), "-hide_banner", "-nostdin", "-nostats", *limits, "-f", demuxer]
    output = ("-xerror", "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1")
    try:
        with (
            start([*command, "-i", local_name(path), *output]) as child,
            listening(child) as complaints,
        ):
            picture = read_ppm(child, path, STALL_TIMEOUT_S)
            whole = child.exit_code() == 0
    except Stalled as error:
        raise DecodeError(
            f"{path}: the decoder gave nothing for {STALL_TIMEOUT_S:.0f} s: leave it out"
        ) from error
    if picture is None or not whole:
        what = f"no {name} that this ffmpeg can decode"
        remedy = "fetch it again, set VIDSCAN_FFMPEG to an ffmpeg with libjxl, or convert it to PNG"
        raise failure(path, what, remedy, complaints.lines)
    return picture
