"""The server itself: where it listens, what it is put together of, how it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from vidscan.errors import UsageError, VidscanError
from vidscan.serve.access import Access, Door
from vidscan.serve.routes import routes
from vidscan.serve.service import Service

MAX_REQUESTS = 200
"""Upper limit on requests at once; further ones are answered with 503."""

MAX_CONNECTIONS = 500
"""Upper limit on connections; further ones are closed, as each takes one of the process's open files."""

MAX_IDLE_S = 20.0
"""A connection that begins no request for so long is closed; it may take twice as long."""

END_S = 3
"""How long answers under way may take when the server ends."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on a port of this machine, on a free one where None.

    Raises UsageError where that port is taken, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # What a server that has just ended leaves behind must not keep the next from its port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port or 0))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        where = host if port is None else f"port {port} of {host}"
        raise UsageError(
            f"--port: {where} cannot be had ({error.strerror}): name another, or none for a free one"
        ) from error
    return listening


def application(service: Service, door: Door) -> ASGIApp:
    """All routes behind the door."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.start()
        yield

    async def failed(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": service.worded(error)}, 500)

    app = Starlette(
        routes=routes(service),
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, VidscanError: failed, Exception: _fault},
    )
    app.router.redirect_slashes = False
    return Access(app, door)


async def _refused(_: Request, error: Any) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _fault(_: Request, error: Exception) -> Response:
    # The terminal gets the traceback.
    return JSONResponse({"error": "a fault in vidscan; the terminal that it was started in tells more"}, 500)


class Connection(H11Protocol):
    """A connection that is closed where there are too many, or where it begins no request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Is called as a client has connected."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._look_again(None)

    def _look_again(self, last: Any) -> None:
        self.loop.call_later(MAX_IDLE_S, self._end_if_idle, self.cycle or last)

    def _end_if_idle(self, last: Any) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is last and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
        else:
            self._look_again(self.cycle)


class Server(uvicorn.Server):
    """The server; its streams of events end as soon as it is told to end."""

    def __init__(self, service: Service, door: Door, started: Callable[[], None]) -> None:
        """``started`` is called once requests are answered."""
        super().__init__(
            uvicorn.Config(
                application(service, door),
                http=Connection,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # What a proxy claims of its clients changes nothing here, so it is not believed either.
                proxy_headers=False,
                limit_concurrency=MAX_REQUESTS,
                timeout_graceful_shutdown=END_S,
            )
        )
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._service, self._tell_started = service, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in good order."""
        self._service.events.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Has Ctrl-C and SIGTERM end the server; uvicorn would raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():  # where none arrive
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
