"""A shell script in the place of ffmpeg."""

from __future__ import annotations

from pathlib import Path


def fake_ffmpeg(folder: Path, decoding: str, header: str | None = None) -> Path:
    """A program that answers like ffmpeg until it is to decode, and then runs ``decoding``."""
    stream = "printf '  Duration: 00:00:02.00, start: 0\\n  Stream #0:0: Video: h264, yuv420p, 64x48\\n' >&2"
    path = folder / "fake-ffmpeg"
    path.write_text(
        "#!/bin/sh\n"
        """mark=$(echo "$*" | sed 's/.*showinfo@\\([0-9a-f]*\\).*/\\1/')\n"""
        'case "$*" in\n'
        "*-version*) echo ffmpeg version 7.1 ;;\n"
        f"*pipe:1*) {decoding} ;;\n"
        f"*) {header or stream} ;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return path
