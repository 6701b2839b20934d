"""A server on the loopback interface for the browser's tests, with a toy that finds and judges faces."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import uvicorn
from toys import CARD, ToyDetector, ToyScorer

from vidscan.engines.local import LocalEngine
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Report, Source
from vidscan.report.document import model_document, result_document
from vidscan.results.store import Store
from vidscan.results.tables import Heading
from vidscan.serve.access import Door
from vidscan.serve.folder import Folder
from vidscan.serve.server import application, listen
from vidscan.serve.service import Service
from vidscan.serve.uploads import UploadFolder

HEADING = Heading(
    terms={"vidscan": "1"},
    options={"sampling": {"fps": 2.0}},
    model=model_document(CARD, ()),
    vidscan="1",
    created="2026-01-02T03:04:05+00:00",
)


class ToyEngine:
    """Scans in this process; every look at a picture waits until ``may_look`` is set."""

    about = ""

    def __init__(self) -> None:
        self.options = ScanOptions.of(ScanOptions(), evidence=True)
        self.may_look = threading.Event()
        self.may_look.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def scan(self, sources: Iterable[Source], observer: Observer | None = None) -> Iterator[Report]:
        detector = ToyDetector(breaks=lambda image: not self.may_look.wait(60))
        engine = LocalEngine(self.options, [ToyScorer()], lambda options: detector)
        yield from engine.scan(sources, observer)

    def stop(self) -> None:
        self.may_look.set()


@dataclass
class Served:
    """A running server: where it is, what it keeps, and the toy that scans."""

    url: str
    store: Store
    service: Service
    engine: ToyEngine
    token: str = field(repr=False)

    @property
    def entrance(self) -> str:
        return f"{self.url}/?token={self.token}"

    def add(self, report: Report) -> int:
        """Puts a result into the store, as a scan of another process would."""
        return self.store.add(report.source, None, result_document(report), report.evidence)

    def marks(self) -> dict[str, tuple[str | None, str]]:
        """The marks in the store by the names of the sources."""
        return {
            row.name: (row.mark.label, row.mark.note) for row in self.store.rows() if row.mark is not None
        }


@contextmanager
def serving(
    store: Store,
    uploads: Path,
    *,
    folder: Path | None = None,
    misfit: str | None = None,
) -> Iterator[Served]:
    """Serves a store until the block ends."""
    engine = ToyEngine()
    service = Service(store, engine, folder and Folder.at(folder), UploadFolder(uploads, 10_000_000), misfit)
    listening = listen("127.0.0.1", None)
    port = listening.getsockname()[1]
    door = Door(token="a" * 43, port=port)
    config = uvicorn.Config(
        application(service, door), log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{port}", store, service, engine, door.token)
    finally:
        server.should_exit = True
        thread.join()
        service.close()
        listening.close()
