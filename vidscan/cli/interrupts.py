"""Ctrl-C and SIGTERM while a scan is under way: the first lets it end in good order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, Self, TypeVar

_Item = TypeVar("_Item")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_NOTICE = "vidscan: stopping once the file under way is finished; Ctrl-C again stops at once\n"


class Interrupts:
    """Takes the two signals over for the length of a ``with`` block.

    The first one ends :meth:`until_interrupted`; the second raises KeyboardInterrupt in the main thread, as
    does every further one. Python hands signals to the main thread alone: elsewhere nothing is taken over.

    ``received`` is the first signal that came, or None; ``at_once``: whether a second one did.
    """

    def __init__(self, stop_now: Callable[[], None]) -> None:
        """``stop_now`` is called on the second signal, to end what the interrupted code may wait for."""
        self._stop_now = stop_now
        self._before: dict[signal.Signals, Any] = {}
        self._held = False
        self.received: int | None = None
        self.at_once = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._take) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @property
    def exit_code(self) -> int:
        """What a process ended by the signal would have: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.received or signal.SIGINT)

    def until_interrupted(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Passes the items on, to any thread, until a signal came."""
        for item in items:
            if self.received is not None:
                return
            yield item

    def hold(self) -> None:
        """From now on signals are noted but interrupt nothing: what was finished is being written."""
        self._held = True

    def _take(self, number: int, _: FrameType | None) -> None:
        first, self.received = self.received is None, self.received or number
        if self._held:
            return
        if first:
            _say(_NOTICE)
            return
        self.at_once = True
        self._stop_now()
        raise KeyboardInterrupt


def _say(line: str) -> None:
    """Writes past ``sys.stderr``, in whose midst the signal may have come."""
    with suppress(OSError):
        # After the terminal's own "^C", or what a progress display has drawn.
        os.write(2, ("\n" + line if sys.stderr and sys.stderr.isatty() else line).encode())
