"""An SQLite file, or one in memory, with a connection for each thread; whatever it refuses is one clear line.

Commits are on the disk when they return. Nothing that the file defines besides plain tables is run.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from vidscan.errors import StoreError, quoted

_BUSY_S = 30.0
"""How long a thread waits for another one's commit, which takes milliseconds."""

_REMEDIES = {
    sqlite3.SQLITE_FULL: "has no room left on its disk: make room and go on with --resume",
    sqlite3.SQLITE_READONLY: "cannot be written: correct its permissions and its folder's, or name another",
    sqlite3.SQLITE_PERM: "cannot be opened: correct its permissions, or name another",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: correct its permissions and its folder's, or name another",
    sqlite3.SQLITE_NOTADB: "is no store of vidscan's: name another",
    sqlite3.SQLITE_CORRUPT: "is damaged: bring it back from a copy, or delete it to start anew",
    sqlite3.SQLITE_BUSY: "is locked by another program: end that, or wait, and try again",
}


class Database:
    """An open SQLite file, or one in memory where ``path`` is None. Connections are made as threads ask.

    Without ``write``, nothing can be changed.
    """

    def __init__(self, path: Path | None, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.RLock()
        # A database in memory lives in the one connection that made it.
        self._shared = self._connect() if path is None else None

    def select(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query gives; or raises StoreError."""
        with self._lock if self._shared else nullcontext(), self.refused():
            return self._connection().execute(query, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """What the block does is on the disk when it ends, all or, where it raises, nothing."""
        with self._lock if self._shared else nullcontext(), self.refused():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes all connections; a file that no other program has open becomes one plain file."""
        with self._lock:
            for connection in self._all[1:]:
                connection.close()
            for connection in self._all[:1]:
                if self._write and self.path is not None:
                    with suppress(sqlite3.Error):
                        connection.execute("PRAGMA busy_timeout = 0")
                        # Where a reader has it open, the log would be left beside it.
                        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                        connection.execute("PRAGMA journal_mode = DELETE")
                connection.close()
            self._all.clear()
            self._own, self._shared = threading.local(), None

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Turns what SQLite raises into a StoreError that names the file, the cause and the remedy."""
        try:
            yield
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._shared is not None:
            return self._shared
        known: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if known is None:
            known = self._own.connection = self._connect()
        return known

    def _connect(self) -> sqlite3.Connection:
        with self.refused():
            made = self._opened()
            for setting in ("trusted_schema = OFF", "foreign_keys = ON", "cell_size_check = ON"):
                made.execute(f"PRAGMA {setting}")
            if self._write and self.path is not None:
                _write_ahead(made)
        with self._lock:
            self._all.append(made)
        return made

    def _opened(self) -> sqlite3.Connection:
        if self.path is None:
            return _connected(":memory:")
        where = self.path.absolute().as_uri()
        if self._write:
            return _connected(f"{where}?mode=rw")
        made = _connected(f"{where}?mode=ro")
        try:
            made.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            made.close()
            if self.path.with_name(f"{self.path.name}-wal").exists():
                raise
            # A folder that cannot be written has no room for what readers of a shared file agree by.
            made = _connected(f"{where}?immutable=1")
        return made


def _connected(where: str) -> sqlite3.Connection:
    # Threads do not share connections, but the last one to leave closes all of them.
    return sqlite3.connect(
        where, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, uri=where != ":memory:"
    )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Lets others read while one writes, where the file system allows; commits are on the disk anyway."""
    mode = "delete"
    with suppress(sqlite3.OperationalError):
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")


def refusal(path: Path | None, error: sqlite3.Error) -> StoreError:
    """What a person is told of an error of SQLite's."""
    shown = "the results in memory" if path is None else str(path)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if told := _REMEDIES.get(code):
        return StoreError(f"{shown}: {told} ({quoted(str(error))})")
    return StoreError(f"{shown}: cannot be used ({quoted(str(error))}): check its disk and its permissions")


class Claim:
    """A lock that one scan alone holds on a store; reading and marking do without."""

    def __init__(self, path: Path) -> None:
        """Takes the lock, a file beside the store, or raises StoreError; a killed scan leaves it open."""
        self._path = path.with_name(f"{path.name}-lock")
        while True:
            self._file = self._taken(path)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file), self._path.lstat()):
                    return
            os.close(self._file)  # the scan that ended just now has deleted it

    def _taken(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}): correct its folder's permissions, or name "
                "another"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise StoreError(
                f"{path}: another vidscan is at work on it: wait for its end, or name another"
            ) from error
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                os.close(file)
                raise StoreError(f"{path}: cannot be locked ({error.strerror}): name another") from error
        return file

    def release(self) -> None:
        """Gives the lock up."""
        if self._file >= 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = -1
