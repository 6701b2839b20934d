"""Caches converted networks in the user's folder.

An entry is a folder named by what it was made from, with the converted file and a manifest that holds the
file's SHA-256. It appears whole, by one rename, so that processes which start at once cannot mix their
halves. The networks in it will be run, so the folder must be trusted.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vidscan.system.files import sha256_of
from vidscan.system.user_folder import objection_to

NETWORK, MANIFEST = "network.onnx", "manifest.json"
_MAX_MANIFEST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Manifest:
    """The hashes of an entry and its checkpoint, its converter, and its distance from Keras (0-1)."""

    checkpoint_sha256: str
    converter: str
    sha256: str
    max_difference: float


#: POSIX leaves it to the system which of the two a rename onto a folder with files in it gives.
_TARGET_HAS_FILES = (errno.ENOTEMPTY, errno.EEXIST)


def read_entry(folder: Path, key: str, checkpoint_sha256: str) -> bytes | None:
    """Reads the converted file of an entry; None if it is missing, damaged or of another checkpoint."""
    entry = folder / key
    if not entry.is_dir() or entry.is_symlink() or objection_to(entry) is not None:
        return None
    try:
        text = (entry / MANIFEST).read_bytes()[:_MAX_MANIFEST_BYTES]
        manifest = Manifest(**json.loads(text))
        network = (entry / NETWORK).read_bytes()
    except (OSError, ValueError, TypeError):
        return None
    sound = manifest.checkpoint_sha256 == checkpoint_sha256 and manifest.sha256 == sha256_of(network)
    return network if sound else None


def write_entry(folder: Path, key: str, network: bytes, manifest: Manifest) -> None:
    """Puts an entry in place by one rename, replacing one that another process put there meanwhile.

    Raises:
        OSError: the folder is full or not writable.
    """
    made = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        (made / NETWORK).write_bytes(network)
        (made / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
        _move_away(folder / key)
        try:
            made.rename(folder / key)
        except OSError as error:
            # Another process was faster: its entry is as good. It may be moving that one away again by
            # now, so what the folder holds at this moment proves nothing.
            if error.errno not in _TARGET_HAS_FILES:
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _move_away(entry: Path) -> None:
    """Removes an entry, or what lies in its place, without ever exposing a part of it."""
    grave = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    with suppress(FileNotFoundError):
        entry.rename(grave / "old")
    shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def lock_entry(folder: Path, key: str) -> Iterator[None]:
    """Waits for other processes that are making the same entry, unless the file system has no locks."""
    descriptor = os.open(folder / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def size_of(folder: Path) -> int:
    """Returns the size of the cache in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
