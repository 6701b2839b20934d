"""A server on a free port of this machine, with toys in place of detector and networks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import PATIENCE_S, Running, ToyEngine, end

from vidscan.results.store import Store
from vidscan.results.terms import heading_of
from vidscan.serve.access import Door
from vidscan.serve.folder import Folder
from vidscan.serve.server import Server, listen
from vidscan.serve.service import Service
from vidscan.serve.uploads import UploadFolder

Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers, which end with the test or by :func:`end`."""
    started: list[Running] = []

    def start(
        folder: Path | None = None,
        store: Path | None = None,
        max_bytes: int = 1 << 20,
        door: Callable[[int], Door] = Door,
        misfit: str | None = None,
    ) -> Running:
        engine = ToyEngine()
        kept = (
            Store.open(store, write=True)
            if store is not None and store.exists()
            else Store.create(store, heading_of(engine.options, engine.models))
        )
        uploads = UploadFolder(tmp_path, max_bytes)
        service = Service(kept, engine, None if folder is None else Folder.at(folder), uploads, misfit)
        listening = listen("127.0.0.1", None)
        ready = threading.Event()
        own = door(listening.getsockname()[1])
        server = Server(service, own, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running = Running(service, own, engine, server, thread)
        started.append(running)
        assert ready.wait(PATIENCE_S)
        return running

    yield start
    for each in started:
        end(each)
