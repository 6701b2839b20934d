"""The user's cache folder of vidscan: where it is, and whether it can be trusted.

What is read from it will be run or believed, so a folder that others can write to is not used.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_WRITABLE_BY_OTHERS = 0o022


class UntrustedFolderError(OSError):
    """The cache folder cannot be used; the message says why, without its name."""


def cache_folder() -> Path:
    """Returns ``VIDSCAN_CACHE``, or ``vidscan`` in the system's folder for caches."""
    if own := os.environ.get("VIDSCAN_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vidscan"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "vidscan"


def trusted_folder() -> Path:
    """Returns the cache folder, made where missing; raises UntrustedFolderError, see :func:`objection_to`."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UntrustedFolderError(f"cannot be made ({error.strerror})") from error
    if (objection := objection_to(folder)) is not None:
        raise UntrustedFolderError(objection)
    return folder


def objection_to(folder: Path) -> str | None:
    """Returns why nothing may be read from ``folder``, or None. Owner and mode are checked on POSIX only."""
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
