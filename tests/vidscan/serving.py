"""What tests of the server share: an engine with toys, a server that runs, and a client of it."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from PIL import Image as Pillow
from toys import CARD, ToyDetector, ToyScorer, toy_picture

from vidscan.engines.local import LocalEngine
from vidscan.models.ensemble import Ensemble
from vidscan.options import ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Image, Report, Source
from vidscan.serve.access import Door
from vidscan.serve.server import Server
from vidscan.serve.service import Service

PATIENCE_S = 60.0
"""How long a test waits for what must come; nothing is timed by it."""


class ToyEngine:
    """Scans in this process; waits before each picture until ``gate`` is open, and can be stopped."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.stopped = False
        self.scans = 0
        models = Ensemble((ToyScorer(replace(CARD, sha256="70" * 32)),))
        options = ScanOptions.of(evidence=True)
        self.options, self.models = options, models
        self.about = ""
        self._local = LocalEngine(options, models, lambda _: ToyDetector(self._wait))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _wait(self, image: Image) -> bool:
        if not self.gate.is_set():
            self.waiting.set()
            assert self.gate.wait(PATIENCE_S)
        return False

    def scan(
        self, sources: Iterable[Source], observer: Observer | None = None
    ) -> Generator[Report, None, None]:
        self.stopped = False
        self.scans += 1
        for report in self._local.scan(sources, observer):
            if self.stopped:
                return
            yield report

    def stop(self) -> None:
        self.stopped = True
        self.gate.set()


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        return self.json["error"]


@dataclass
class Running:
    """A server that runs, and a client of it."""

    service: Service
    door: Door
    engine: ToyEngine
    server: Server
    thread: threading.Thread

    @property
    def port(self) -> int:
        return self.door.port

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Sends one request with the token; a header of None is left out."""
        told: dict[str, str | None] = {"Authorization": f"Bearer {self.door.token}"}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            told["Content-Type"] = "application/json"
        told |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host="Host" in told, skip_accept_encoding=True)
            if body is not None and "Content-Length" not in told:
                told["Content-Length"] = str(len(body))
            for name, value in told.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        return self.ask(method, "/api/v1" + path, body, headers)

    def upload(self, *files: tuple[str, bytes]) -> Answer:
        body, headers = form(*files)
        return self.api("POST", "/scans", body, headers)

    def finished(self, number: int) -> Any:
        """A scan, once it is over."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            told = self.api("GET", f"/scans/{number}").json
            if told["state"] not in ("queued", "running"):
                return told
            time.sleep(0.02)
        raise AssertionError(f"scan {number} does not end")


def form(*files: tuple[str, bytes], field: str = "file") -> tuple[bytes, dict[str, str]]:
    """A form with files by the names given, which stand in it as they are, and its headers."""
    body = b"".join(
        b"--limit\r\nContent-Disposition: form-data; "
        + f'name="{field}"; filename="{name}"\r\n\r\n'.encode("utf-8", "surrogateescape")
        + content
        + b"\r\n"
        for name, content in files
    )
    return body + b"--limit--\r\n", {"Content-Type": "multipart/form-data; boundary=limit"}


def still(brightness: int = 200) -> bytes:
    """A PNG file in which the toy detector sees a face where it is bright."""
    stream = io.BytesIO()
    Pillow.fromarray(np.asarray(toy_picture(brightness))).save(stream, "PNG")
    return stream.getvalue()


def end(running: Running) -> None:
    """Ends a server as Ctrl-C does."""
    running.engine.gate.set()
    running.server.should_exit = True
    running.thread.join(PATIENCE_S)
    assert not running.thread.is_alive()
    running.service.close()
