"""Keeps local copies of remote sources: bounded in size, and removed on every way out.

At most two copies exist: the one that is read, and the next. A copy is removed as soon as it has been read.
What a killed process left is removed by the next that starts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from vidscan.errors import SourceError
from vidscan.media import storage
from vidscan.options import StorageOptions
from vidscan.records import Source
from vidscan.system.files import raising

PREFIX = "vidscan-scratch-"
LOCK = "lock"


class Scratch:
    """Fetches remote sources, one ahead. Use as a context manager; local sources cost nothing."""

    def __init__(
        self, options: StorageOptions, part_fetched: Callable[[Source], None] = lambda _: None
    ) -> None:
        """Creates nothing before the first remote source.

        ``part_fetched`` is called, from another thread, whenever a part of a source has arrived.
        """
        self._part_fetched = part_fetched
        self._closing = threading.Event()
        self._parent = options.scratch or Path(tempfile.gettempdir())
        self._copy_limit_bytes = int(options.scratch_gb * 1e9 / 2)
        self._folder: Path | None = None
        self._held = ExitStack()
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._fetched: dict[str, Future[Path]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._fetcher.shutdown(cancel_futures=True)
        self._held.close()

    def ahead(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Passes sources on; while a remote one is read, the next is fetched."""
        coming = iter(sources)
        source = next(coming, None)
        while source is not None:
            following = None
            if source.remote is not None:
                self._start(source)
                following = next(coming, None)
                if following is not None:
                    self._start(following)
            yield source
            source = following or next(coming, None)

    @contextmanager
    def local_copy(self, source: Source) -> Iterator[Source]:
        """Gives the source with the path of its copy, which exists within the block; a local one unchanged.

        Raises:
            SourceError: it cannot be fetched, or there is no room for it.
        """
        if source.remote is None:
            yield source
            return
        self._start(source)
        path = self._fetched.pop(source.id).result()
        try:
            yield replace(source, path=path)
        finally:
            path.unlink(missing_ok=True)

    def _start(self, source: Source) -> None:
        if source.remote is not None and source.id not in self._fetched:
            self._fetched[source.id] = self._fetcher.submit(self._fetch, source)

    def _fetch(self, source: Source) -> Path:
        assert source.remote is not None
        # The suffix says what it is; the rest of the name is untrusted, and may be too long.
        path = self._own_folder(source) / f"{source.id}{source.path.suffix[:16]}"
        limit = self._copy_limit_bytes
        storage.fetch(source.remote, path, limit_bytes=limit, received=lambda: self._go_on(source))
        return path

    def _go_on(self, source: Source) -> None:
        if self._closing.is_set():
            raise SourceError(f"{source.name}: was not fetched to its end, as the scan is over")
        self._part_fetched(source)

    def _own_folder(self, source: Source) -> Path:
        if self._folder is not None:
            return self._folder
        missing = f"{source.name}: cannot be fetched, as there is no scratch space in {self._parent}"
        with raising(lambda why: SourceError(f"{missing} ({why}): name another place with --scratch")):
            self._folder = self._held.enter_context(locked_folder(self._parent))
        return self._folder


@contextmanager
def locked_folder(parent: Path) -> Iterator[Path]:
    """Gives a new folder, which is removed at the end, or by the next process where this one was killed.

    Raises:
        OSError: there is no room for it in ``parent``.
    """
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Removes the scratch folders of this user's processes that have ended.

    Raises:
        OSError: ``parent`` cannot be read.
    """
    for folder in parent.glob(f"{PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Tells whether no process holds the lock in a folder. A folder without a lock is being created."""
    try:
        if folder.lstat().st_uid != os.geteuid():
            return False
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)
