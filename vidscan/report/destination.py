"""Writes a report to where ``--report`` says: files, replaced as a whole, URLs, or standard output."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from vidscan.errors import ReportError
from vidscan.media.storage import is_remote, local_path, put, remote, require_writable
from vidscan.report import BESIDE, FORMATS, NEEDS, Writer
from vidscan.report.document import NO_EVIDENCE, Document, Evidence
from vidscan.system.files import raising, replacing_together


@dataclass(frozen=True, slots=True)
class Destination:
    """A place and a format: a file's ``path``, a ``url``, or standard output if both are None.

    ``beside`` are further files, by the endings that replace the name's suffix. ``flag`` named the place.
    """

    path: Path | None
    writer: Writer
    beside: tuple[tuple[str, Writer], ...] = ()
    url: str | None = None
    flag: str = "--report"

    @property
    def to_stdout(self) -> bool:
        """Whether the place is standard output."""
        return self.path is None and self.url is None

    @property
    def places(self) -> tuple[str, ...]:
        """What is written, as shown to users; nothing for standard output."""
        return tuple(remote(url).shown for url in self._urls) or tuple(map(str, self.paths))

    @property
    def _urls(self) -> tuple[str, ...]:
        if self.url is None:
            return ()
        stem = self.url[: -len(PurePosixPath(self.url).suffix)]
        return (self.url, *(stem + ending for ending, _ in self.beside))

    @property
    def _writers(self) -> tuple[Writer, ...]:
        return (self.writer, *(writer for _, writer in self.beside))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The local files that :meth:`write` creates, the named one first."""
        if self.path is None:
            return ()
        return (self.path, *(self.path.with_suffix(ending) for ending, _ in self.beside))

    @classmethod
    def parse(cls, text: str, flag: str = "--report") -> Destination:
        """Makes a destination of the user's text: ``-`` is JSON on standard output, else a file or a URL.

        Raises:
            ReportError: :data:`FORMATS` does not know the suffix, which may be in either case, or a library
                that the format needs is not installed.
        """
        if text == "-":
            return cls(None, FORMATS[".json"], flag=flag)
        elsewhere = is_remote(text)
        path = Path(text) if elsewhere else local_path(text)
        suffix = path.suffix.lower()
        writer = FORMATS.get(suffix)
        if writer is None:
            *others, last = FORMATS
            known = f"{', '.join(others)} or {last}, or for a folder's scan in .parquet"
            raise ReportError(
                f"{flag} {text!r}: its ending names no format: "
                f"use a name that ends in {known}, or - for JSON on standard output"
            )
        NEEDS.get(suffix, lambda: None)()
        beside = tuple(BESIDE.get(suffix, {}).items())
        place, url = (None, text) if elsewhere else (path, None)
        return cls(place, writer, beside, url, flag)

    def check(self) -> None:
        """Checks, before any work, whether :meth:`write` can succeed, with a file that has no name.

        Raises:
            ReportError: a path is a folder or not a regular file, or it or its folder cannot be written.
            SourceError: a URL cannot be reached, or is forbidden.
        """
        if self.url is not None:
            require_writable(self.url)
        for path in self.paths:
            with raising(partial(self._unwritable, path)):
                obstacle = _obstacle(path)
            if obstacle:
                raise ReportError(f"{self.flag} {str(path)!r}: {obstacle}")
            with raising(partial(self._unwritable, path)):
                tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent).close()

    def write(self, document: Document, evidence: Evidence = NO_EVIDENCE) -> None:
        """Writes ``document``; whatever goes wrong, a file is the previous one or the whole new one.

        No file is replaced before all are on disk. ``evidence`` is for the formats that show faces.

        Raises:
            ReportError: the system refused, e.g. as the disk is full; ``__cause__`` is its ``OSError``.
            SourceError: a URL cannot be written to.
        """
        with raising(partial(self._unwritable, self.path)):
            if self.url is not None:
                self._upload(document, evidence)
            elif self.path is None:
                self._write_stdout(document)
            else:
                with replacing_together(self.paths) as fresh:
                    for writer, path in zip(self._writers, fresh, strict=True):
                        with path.open("wb") as stream:
                            writer(document, stream, evidence)

    def _upload(self, document: Document, evidence: Evidence) -> None:
        """Makes all files before the first is sent; the named one comes last."""
        made = []
        for writer in self._writers:
            whole = io.BytesIO()
            writer(document, whole, evidence)
            made.append(whole.getvalue())
        for url, content in reversed(list(zip(self._urls, made, strict=True))):
            put(url, content)

    def _write_stdout(self, document: Document) -> None:
        """Writes piece by piece: what comes out of a store may be larger than the memory."""
        raw = getattr(sys.stdout, "buffer", None)
        if raw is None:
            whole = io.BytesIO()
            self.writer(document, whole, NO_EVIDENCE)
            sys.stdout.write(whole.getvalue().decode("utf-8"))
        else:  # JSON is UTF-8 whatever the locale says, so the text layer's encoding is left out
            sys.stdout.flush()
            self.writer(document, raw, NO_EVIDENCE)
        sys.stdout.flush()

    def _unwritable(self, path: Path | None, cause: str) -> ReportError:
        place = "standard output" if path is None else repr(str(path))
        remedy = f"name another place with {self.flag}"
        return ReportError(f"the report cannot be written to {place} ({cause}): {remedy}")


def _obstacle(path: Path) -> str | None:
    """Returns what prevents a report at ``path``, with the remedy, or None."""
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
