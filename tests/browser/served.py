"""A server for the browser's tests, with toys in place of detector and networks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import PATIENCE_S, Running, ToyEngine, end

from vidscan.records import Report
from vidscan.report.document import result_document
from vidscan.results.store import Store
from vidscan.results.terms import heading_of
from vidscan.serve.access import Door
from vidscan.serve.folder import Folder
from vidscan.serve.server import Server, listen
from vidscan.serve.service import Service
from vidscan.serve.uploads import UploadFolder

MAX_BYTES = 10_000_000


@dataclass
class Served(Running):
    """A running server with its store."""

    store: Store

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def entrance(self) -> str:
        return f"{self.url}/?token={self.door.token}"

    def add(self, report: Report) -> int:
        """Puts a result into the store, as a scan of another process would."""
        return self.store.add(report.source, None, result_document(report), report.evidence)

    def marks(self) -> dict[str, tuple[str | None, str]]:
        """The marks in the store by the names of the sources."""
        marked = [row for row in self.store.rows() if row.mark is not None]
        return {row.name: (row.mark.label, row.mark.note) for row in marked}


@contextmanager
def serving(
    scratch: Path,
    *,
    store: Path | None = None,
    folder: Path | None = None,
    misfit: str | None = None,
) -> Iterator[Served]:
    """Serves a new store until the block ends."""
    engine = ToyEngine()
    made = Store.create(store, heading_of(engine.options, engine.models))
    below = None if folder is None else Folder.at(folder)
    service = Service(made, engine, below, UploadFolder(scratch, MAX_BYTES), misfit)
    listening = listen("127.0.0.1", None)
    door, ready = Door(listening.getsockname()[1]), threading.Event()
    server = Server(service, door, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    running = Served(service, door, engine, server, thread, made)
    try:
        assert ready.wait(PATIENCE_S)
        yield running
    finally:
        end(running)
