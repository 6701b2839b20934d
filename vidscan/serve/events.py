"""What happens, told to every open page as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from vidscan.report.document import Document

MAX_LISTENERS = 32
"""Upper limit on open streams of events; each holds a connection."""

MAX_WAITING = 1000
"""Upper limit on the events that wait for a listener. One that falls behind is cut off, and connects anew."""

SIGN_OF_LIFE_S = 15.0
"""A comment is sent when nothing happened for so long, so that what lies between keeps the connection."""


class Events:
    """Passes events on to listeners; :meth:`publish` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[asyncio.Queue[str | None]] = set()

    def attach(self) -> None:
        """Is called once in the event loop that the listeners run in."""
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Whether no further listener is taken."""
        return len(self._listeners) >= MAX_LISTENERS

    def publish(self, kind: str, told: Document | list[Any]) -> None:
        """Tells all listeners; does nothing before there can be any."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, f"event: {kind}\ndata: {json.dumps(told)}\n\n")

    def close(self) -> None:
        """Ends all streams; for the event loop's own thread."""
        for each in self._listeners:
            _end(each)

    def _tell(self, event: str) -> None:
        for each in self._listeners:
            if each.full():
                _end(each)
            else:
                each.put_nowait(event)

    async def stream(self) -> AsyncIterator[str]:
        """The events from now on, as text to be sent."""
        waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)
        self._listeners.add(waiting)
        try:
            yield ": open\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(waiting.get(), SIGN_OF_LIFE_S)
                except TimeoutError:
                    event = ": still there\n\n"
                if event is None:
                    return
                yield event
        finally:
            self._listeners.discard(waiting)


def _end(waiting: asyncio.Queue[str | None]) -> None:
    """Makes the end the next thing that a listener gets."""
    while not waiting.empty():
        waiting.get_nowait()
    waiting.put_nowait(None)
