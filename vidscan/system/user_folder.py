"""The folder that vidscan keeps things in for the user: where it lies, and whether it can be trusted.

What is read from it will be run or believed: one that others can write to is not used at all.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_WRITABLE_BY_OTHERS = 0o022


class UntrustedFolderError(OSError):
    """The cache folder cannot be used; the message says why, without its name."""


def cache_folder() -> Path:
    """``VIDSCAN_CACHE``, or ``vidscan`` in the place that the system has for caches."""
    if own := os.environ.get("VIDSCAN_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vidscan"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "vidscan"


def trusted_folder() -> Path:
    """The cache folder, made if it is missing.

    Raises:
        UntrustedFolderError: it belongs to somebody else, others can write to it, or it can't be made.
    """
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UntrustedFolderError(f"cannot be made ({error.strerror})") from error
    if (objection := objection_to(folder)) is not None:
        raise UntrustedFolderError(objection)
    return folder


def objection_to(folder: Path) -> str | None:
    """Why nothing may be read from ``folder``; None where nothing speaks against it.

    Owner and mode are looked at on POSIX systems alone.
    """
    try:
        status = folder.stat()
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if not folder.is_dir():
        return "is no folder"
    if os.name == "posix":
        if status.st_uid != os.geteuid():
            return "belongs to another user"
        if status.st_mode & _WRITABLE_BY_OTHERS:
            return "can be written to by others"
    return None if os.access(folder, os.W_OK | os.X_OK) else "is not writable"
