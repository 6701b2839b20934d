"""Files: written whole or not at all, and told apart by size and hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidscan.records import SourceFacts


def file_facts(path: Path) -> SourceFacts:
    """Reads a file once, in pieces, for its size and its SHA-256.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return SourceFacts(bytes=file.tell(), sha256=digest.hexdigest())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder that becomes ``path`` when the block succeeds.

    A crash leaves the previous file, never half of a new one. The suffix is kept, as Keras looks at it.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The file's SHA-256, as cards have it: 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
