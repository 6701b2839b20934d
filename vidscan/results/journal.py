"""The journal of a scan of a folder: each finished source, line by line beside the report.

The first line says what the results depend on; every further one is a finished source: its name, the state
that its file had, and its entry in the report. A line is on the disk before the next source is reported, so a
crash tears at most the last one, which is then dropped. The text is ASCII, in which JSON keeps every path:
bytes that are not UTF-8 as lone surrogates.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Self

from vidscan.errors import JournalError
from vidscan.media import storage
from vidscan.media.sources import state_of
from vidscan.records import Source, Status
from vidscan.report.codec import plain
from vidscan.report.document import SCHEMA as REPORT_SCHEMA
from vidscan.report.document import Document
from vidscan.system.files import raising, replacing, sha256_of
from vidscan.system.user_folder import cache_folder, trusted_folder
from vidscan.version import __version__

SCHEMA = "vidscan.journal/2"

_COMPLETE = {"complete": True}
_DIFFERENCES_SHOWN = 3
_VALUE_SHOWN = 80


def journal_path(report: Path | str) -> Path:
    """Where a report's journal lies: beside it; of one at a URL, in the user's folder (or JournalError)."""
    if isinstance(report, Path):
        return report.with_name(report.name + ".journal")
    try:
        folder = trusted_folder() / "journals"
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"{cache_folder()}: no journal can be kept there ({error}): make it yours alone, or name another "
            "folder with VIDSCAN_CACHE"
        ) from error
    told_apart = sha256_of(os.fsencode(report))[:12]
    return folder / f"{storage.file_name(report)[:100]}-{told_apart}.journal"


def terms_of(options: Mapping[str, Any], model: Document, checkpoints: Sequence[str]) -> Document:
    """What results depend on; those of a scan on other terms cannot stand in the same report.

    ``options`` and ``model``, the card, are as the report has them. The checkpoints' paths do not count;
    their contents do, by the SHA-256 of each file.
    """
    terms: Document = plain(
        {
            "report schema": REPORT_SCHEMA,
            "vidscan": __version__,
            "checkpoint SHA-256": checkpoints,
            "card": model,
            "options": {name: value for name, value in options.items() if name != "model"},
        }
    )
    return terms


class Journal:
    """An open journal, locked against a second vidscan until :meth:`close`.

    By the source's id, ``results`` holds the entry of every finished source, and ``states`` what tells its
    file from a later state of it. ``known``: how many finished sources it held when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Opens a journal that is there; see :meth:`begin` and :meth:`resume`."""
        self.path = path
        self.results: dict[str, Document] = {}
        self.states: dict[str, str | None] = {}
        self.known = 0
        self._finished: dict[str, Document] = {}
        self._begun: dict[str, str | None] = {}
        self._file = _opened(path)

    @classmethod
    def begin(cls, path: Path, terms: Document) -> Self:
        """A new journal in the place of one that holds no results of an unfinished scan.

        Raises JournalError where there is another one, or something else, or the file cannot be written.
        """
        with _refused(path, "cannot be written", "name another place with --report"):
            if path.exists():
                with closing(cls(path)):
                    lines = _read(path)[1]
                if lines and lines[-1] != _COMPLETE:
                    raise JournalError(
                        f"{path}: holds {len(lines)} finished files of an interrupted scan: add "
                        "--resume to go on with it, or delete it to start anew"
                    )
            _create(path, terms)
            return cls(path)

    @classmethod
    def resume(cls, path: Path, terms: Document) -> Self:
        """The journal of an interrupted scan; a new one if there is none.

        Raises JournalError where it is of a scan on other terms, damaged, or cannot be read and written.
        """
        with _refused(path, "cannot be read and written", "correct its permissions or delete it"):
            if not path.exists():
                _create(path, terms)
            journal = cls(path)
            try:
                before, lines = _read(path)
                compare_terms(str(path), before, terms)
                journal._rewind(1 + len(lines))
            except BaseException:
                journal.close()
                raise
            journal._finished = {line["source"]: line for line in lines if line != _COMPLETE}
            journal.known = len(journal._finished)
            return journal

    def recall(self, sources: Iterable[Source], *, retry_failed: bool) -> None:
        """Takes in what was finished of unchanged sources; leaves out failures where ``retry_failed``."""
        for source in sources:
            line = self._finished.get(source.name)
            if line is None or has_changed(source, line["state"]):
                continue
            if not (retry_failed and line["result"]["status"] == Status.FAILED):
                self.results[source.id], self.states[source.id] = line["result"], line["state"]

    def stamping(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes the sources on, and notes the state of each one's file before it is read."""
        for source in sources:
            self._begun[source.id] = state_of(source)
            yield source

    def add(self, source: Source, result: Document) -> None:
        """Puts a finished source on the disk, with its state at :meth:`stamping`; or raises JournalError."""
        state = self._begun.pop(source.id)
        self._append({"source": source.name, "state": state, "result": result})
        self.results[source.id], self.states[source.id] = result, state

    def empty(self) -> None:
        """Deletes all lines but the first: the results are kept elsewhere."""
        with _refused(self.path, "cannot be written", "make room and go on with --resume"):
            self._rewind(1)
        self.results.clear()
        self.states.clear()
        self._finished.clear()

    def mark_complete(self) -> None:
        """Notes that the report is written and lacks nothing; failed sources can still be retried."""
        self._append(_COMPLETE)

    def delete(self) -> None:
        """Deletes the file, as the results are kept elsewhere."""
        with _refused(self.path, "cannot be removed", "delete it yourself: it is no longer needed"):
            self.path.unlink()

    def close(self) -> None:
        """Gives up the lock."""
        os.close(self._file)

    def _append(self, line: Document) -> None:
        with _refused(self.path, "cannot be written", "make room and go on with --resume"):
            _write(self._file, _encoded(line))

    def _rewind(self, lines: int) -> None:
        """Cuts off what follows so many whole lines."""
        with self.path.open("rb") as file:
            length = sum(len(file.readline()) for _ in range(lines))
        os.ftruncate(self._file, length)


def _refused(path: Path, what: str, remedy: str) -> AbstractContextManager[None]:
    return raising(lambda cause: JournalError(f"{path}: the journal {what} ({cause}): {remedy}"))


def _opened(path: Path) -> int:
    """A descriptor for appending. A link is not followed: vidscan never makes one there."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise JournalError(
            f"{path}: another vidscan is at work on it: wait for its end, or name another --report"
        ) from error
    except OSError as error:  # a file system without locks
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            os.close(file)
            raise
    return file


def _create(path: Path, terms: Document) -> None:
    """A journal of the first line alone appears as a whole."""
    with replacing(path, follow_links=False) as temporary:
        temporary.write_bytes(_encoded({"journal": SCHEMA, "terms": terms}))


def _write(file: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _encoded(line: Document) -> bytes:
    return json.dumps(line, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def has_changed(source: Source, before: str | None) -> bool:
    """Whether a source's file is known to be another than it was; a listed URL may be of no known state."""
    now = state_of(source)
    return now != before and not (source.remote is not None and now is None)


def _read(path: Path) -> tuple[Any, list[Document]]:
    """A journal's terms and its whole further lines; raises JournalError where it is none, or damaged."""
    with path.open("rb") as file:
        first = _decoded(file.readline())
        if not isinstance(first, dict) or first.get("journal") != SCHEMA:
            raise JournalError(
                f"{path}: is no journal that this vidscan can read: move it away, or name another --report"
            )
        lines: list[Document] = []
        torn = False
        for raw in file:
            line = _decoded(raw)
            if torn:
                raise JournalError(f"{path}: line {len(lines) + 2} is damaged: delete it and start anew")
            torn = not _is_entry(line)
            if not torn:
                lines.append(line)
    return first.get("terms"), lines


def _decoded(raw: bytes) -> Any:
    """The line's value, or None where it is none: a line without its end was torn."""
    try:
        return json.loads(raw.decode("ascii")) if raw.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None


def _is_entry(line: Any) -> bool:
    return line == _COMPLETE or (
        isinstance(line, dict)
        and set(line) == {"source", "state", "result"}
        and isinstance(line["source"], str)
        and isinstance(line["result"], dict)
        and "status" in line["result"]
    )


def compare_terms(place: str, then: Any, now: Document) -> None:
    """Raises JournalError where a scan on the terms ``now`` cannot go on with one on those ``then``."""
    before, after = dict(_leaves(then)), dict(_leaves(now))
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not differing:
        return
    shown = [
        f"{name} was {_shown(before.get(name))}, now {_shown(after.get(name))}"
        for name in differing[:_DIFFERENCES_SHOWN]
    ]
    more = len(differing) - len(shown)
    raise JournalError(
        f"{place}: was written with other options ({'; '.join(shown)}{f'; {more} more' if more else ''}): "
        "use the same ones, or delete it to start anew"
    )


def _shown(value: Any) -> str:
    """A value in ASCII, cut short: a card's texts are untrusted."""
    text = json.dumps(value)
    return text if len(text) <= _VALUE_SHOWN else text[: _VALUE_SHOWN - 3] + "..."


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in nested objects, each under the names that lead to it."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name, tree
