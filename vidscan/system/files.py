"""What tells a file from others, whatever it is called: its size and its hash."""

from __future__ import annotations

import hashlib
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
