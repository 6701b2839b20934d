"""Files: written whole or not at all, and told apart by size and hash."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vidscan.errors import VidscanError, quoted
from vidscan.records import SourceFacts


def file_facts(path: Path) -> SourceFacts:
    """Reads a file in pieces for its size and SHA-256; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return SourceFacts(bytes=file.tell(), sha256=digest.hexdigest())


def sha256_of(content: Path | bytes) -> str:
    """The SHA-256 of a file or of bytes, as cards have it: 64 lower-case hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path, *, ending: str | None = None, follow_links: bool = True) -> Iterator[Path]:
    """Yields a temporary path that takes the place of ``path``; see :func:`replacing_together`."""
    with replacing_together([path], ending=ending, follow_links=follow_links) as (temporary,):
        yield temporary


@contextmanager
def replacing_together(
    paths: Sequence[Path], *, ending: str | None = None, follow_links: bool = True
) -> Iterator[list[Path]]:
    """Yields temporary paths in the same folders, which become ``paths`` when the block succeeds.

    The block writes all of them. None takes its place before all are on the disk, so a crash leaves the
    previous file or the whole new one. A file that was there hands down its permissions. The temporary names
    have each file's own suffix, as Keras and ffmpeg look at it, unless ``ending`` is given. Without
    ``follow_links``, a link is itself replaced. Raises OSError where a file cannot be written; those that
    were there are left.
    """
    targets = [Path(os.path.realpath(path)) if follow_links else path for path in paths]
    # Names of their own length: one made from the target's could be too long for the file system.
    endings = [target.suffix if ending is None else ending for target in targets]
    fresh = [
        target.with_name(f".vidscan-{secrets.token_hex(8)}.partial{end}")
        for target, end in zip(targets, endings, strict=True)
    ]
    try:
        yield fresh
        for new in fresh:
            _sync(new)
        for new, target in zip(fresh, targets, strict=True):
            with suppress(OSError):  # keeping the old file's permissions is a courtesy
                shutil.copymode(target, new)
            new.replace(target)
        for folder in {target.parent for target in targets}:
            sync_folder(folder)
    finally:
        for new in fresh:
            with suppress(OSError):
                new.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk, without which a file may be gone after a power cut."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that syncs files alone
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def raising(make: Callable[[str], VidscanError], caught: type[Exception] = OSError) -> Iterator[None]:
    """Turns what the block raises into the error that ``make`` makes of the cause, told in one line.

    vidscan's own errors pass through in any case.
    """
    try:
        yield
    except VidscanError:
        raise
    except caught as error:
        cause = getattr(error, "strerror", None) or quoted(str(error)) or type(error).__name__
        raise make(cause) from error
