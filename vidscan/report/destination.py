"""Where ``--report`` goes: a file that is replaced as a whole, or standard output."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from vidscan.errors import ReportError
from vidscan.report import WRITERS, Writer
from vidscan.report.document import Document


@dataclass(frozen=True, slots=True)
class Destination:
    """A place and a format. ``path`` is None for standard output."""

    path: Path | None
    writer: Writer

    @classmethod
    def parse(cls, text: str) -> Destination:
        """The destination that a user named: ``-`` is JSON on standard output, else a file.

        Raises:
            ReportError: the file's suffix (in either case) is none that :data:`WRITERS` knows.
        """
        if text == "-":
            return cls(None, WRITERS[".json"])
        path = Path(text)
        writer = WRITERS.get(path.suffix.lower())
        if writer is None:
            known = " or ".join(WRITERS)
            raise ReportError(
                f"--report {text!r}: its ending names no format: "
                f"use a name that ends in {known}, or - for JSON on standard output"
            )
        return cls(path, writer)

    def check(self) -> None:
        """Find out, before any work, whether :meth:`write` can succeed; nothing is written.

        Raises:
            ReportError: the path is a folder or no ordinary file, or it or its folder cannot be written.
        """
        if self.path is None:
            return
        try:
            obstacle = _obstacle(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if obstacle:
            raise ReportError(f"--report {str(self.path)!r}: {obstacle}")

    def write(self, document: Document) -> None:
        """Write ``document``; whatever goes wrong, the file is the previous one or the whole new one.

        Raises:
            ReportError: the system refused, e.g. as the disk is full; ``__cause__`` is its ``OSError``.
        """
        try:
            if self.path is None:
                self._write_stdout(document)
            else:
                with _replacing(self.path) as stream:
                    self.writer(document, stream)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write_stdout(self, document: Document) -> None:
        whole = io.StringIO(newline="")
        self.writer(document, whole)
        raw = getattr(sys.stdout, "buffer", None)
        if raw is None:
            sys.stdout.write(whole.getvalue())
        else:  # JSON is UTF-8 whatever the locale says, so the text layer's encoding is left out
            sys.stdout.flush()
            raw.write(whole.getvalue().encode("utf-8"))
        sys.stdout.flush()


def _obstacle(path: Path) -> str | None:
    """What stands in the way of a report at ``path``, with the remedy, or None."""
    target = Path(os.path.realpath(path))
    folder = target.parent
    if target.is_dir():
        return "that is a folder: name a file in it"
    if not folder.exists():
        return f"the folder {str(folder)!r} does not exist: make it first, or name another"
    if not folder.is_dir():
        return f"{str(folder)!r} is no folder: name another place"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {str(folder)!r} cannot be written to: change its permissions, or name another"
    if target.exists() and not target.is_file():
        return "that is no ordinary file: name another, or use - for JSON on standard output"
    if target.exists() and not os.access(target, os.W_OK):
        return "the file there is write-protected: change its permissions, or name another"
    return None


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A new text file that takes the place of ``path`` if the block ends well, and else is removed."""
    target = Path(os.path.realpath(path))  # a link keeps pointing to the report
    # A name of its own length: one made from the target's could be too long for the file system.
    fresh = target.with_name(f".vidscan-{secrets.token_hex(8)}.tmp")
    try:
        with fresh.open("x", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(OSError):  # keeping the old file's permissions is a courtesy
            shutil.copymode(target, fresh)
        os.replace(fresh, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _unwritable(path: Path | None, error: OSError) -> ReportError:
    place = "standard output" if path is None else repr(str(path))
    cause = error.strerror or type(error).__name__
    return ReportError(f"the report cannot be written to {place} ({cause}): name another place with --report")
