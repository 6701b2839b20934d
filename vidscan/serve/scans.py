"""Scans that were asked for: they queue, one runs at a time, and each can be called off."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Self

from vidscan.errors import VidscanError
from vidscan.records import Report, Source
from vidscan.report.document import Document
from vidscan.serve.scan import Item, Scan, State, StoppableEngine, named

MAX_QUEUED = 1000
"""Upper limit on the scans that wait."""

MAX_KEPT = 1000
"""Upper limit on the finished scans that are remembered; their results stay."""

PROGRESS_S = 0.25
"""Progress is told this often."""


class QueueFullError(VidscanError):
    """No further scan is taken for now."""


class Scans:
    """The queue, and the thread that works through it.

    Everything here is done under one lock, but for the scanning itself and what is done with a report.
    """

    def __init__(
        self,
        engine: StoppableEngine,
        keep: Callable[[Item, Report, str | None], int],
        tell: Callable[[Document], None],
    ) -> None:
        """Starts nothing yet.

        ``keep`` stores a report with the state of its file before it was read, and returns the result's id.
        ``tell`` is told of every change.
        """
        self._engine, self._keep, self._tell = engine, keep, tell
        self._changed = threading.Condition()
        self._all: dict[int, Scan] = {}
        self._queue: deque[Scan] = deque()
        self._running: Scan | None = None
        self._in_hand: dict[str, tuple[Item, str | None]] = {}
        self._count = self._handed = 0
        self._closed = False
        self._told_at = 0.0
        self._thread = threading.Thread(target=self._work, name="vidscan-scans")

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def close(self) -> None:
        """Breaks off what runs, and returns when all has ended."""
        with self._changed:
            self._closed = True
            self._engine.stop()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, name: str, items: Sequence[Item], known: Sequence[int] = (), note: str = "") -> int:
        """Queues a scan, of which the results ``known`` are there already, and returns its number.

        Raises QueueFullError where too many wait.
        """
        with self._changed:
            if len(self._queue) >= MAX_QUEUED:
                raise QueueFullError(f"{MAX_QUEUED} scans wait already: try again when some are finished")
            self._count += 1
            scan = Scan(self._count, name, deque(items), len(items) + len(known), note)
            scan.finished, scan.results = len(known), list(known)
            self._all[scan.id] = scan
            if items:
                self._queue.append(scan)
            else:
                scan.state = State.DONE
            self._forget()
            self._tell(scan.told())
            self._changed.notify_all()
            return scan.id

    def cancel(self, number: int) -> bool:
        """Calls a scan off, unless it is over; False where there is none of this number."""
        with self._changed:
            scan = self._all.get(number)
            if scan is not None and not scan.over:
                if scan is self._running:
                    if self._in_hand:
                        self._engine.stop()
                else:
                    self._queue.remove(scan)
                self._end(scan, State.CANCELLED)
            return scan is not None

    def told(self, number: int) -> Document | None:
        """A scan as plain JSON values, None where there is none of this number."""
        with self._changed:
            scan = self._all.get(number)
            return None if scan is None else scan.told()

    def all_told(self) -> list[Document]:
        """All scans as plain JSON values, the latest first."""
        with self._changed:
            return [scan.told() for scan in reversed(self._all.values())]

    def waiting_names(self) -> set[str]:
        """What the files are called that are not finished yet."""
        with self._changed:
            scans = [*self._queue, *([self._running] if self._running else [])]
            names = {item.recorded.name for scan in scans for item in scan.left}
            return names | {item.recorded.name for item, _ in self._in_hand.values()}

    # The engine's side: it takes sources, and says how far it is.

    def __iter__(self) -> Self:
        """The sources of all scans, in order.

        It ends for now, so that the engine finishes what it has in hand, where the running scan has no more;
        with nothing in hand it waits. So the engine's worker stays, with its networks, from scan to scan.
        """
        return self

    def __next__(self) -> Source:
        """The next source; raises StopIteration where none is left for now."""
        with self._changed:
            while not self._closed:
                scan = self._running
                while scan is not None and scan.left:
                    if (source := self._hand_out(scan, scan.left.popleft())) is not None:
                        return source
                if self._in_hand:
                    break  # for now
                if scan is not None:
                    self._end(scan, State.DONE)
                elif self._queue:
                    self._running = self._queue.popleft()
                    self._running.state = State.RUNNING
                    self._tell(self._running.told())
                else:
                    self._changed.wait()
            raise StopIteration

    def _hand_out(self, scan: Scan, item: Item) -> Source | None:
        if (objection := item.ready()) is not None:
            scan.finished += 1
            scan.note = f"{scan.note}; {objection}".removeprefix("; ")
            item.discard()
            return None
        self._handed += 1
        source = replace(item.recorded, id=str(self._handed), path=item.path)
        self._in_hand[source.id] = (item, item.state())
        return source

    def part_fetched(self, source: Source) -> None:
        """Says nothing: no source is remote."""

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        """Notes how far the reading is, and tells it now and then."""
        with self._changed:
            scan, item = self._running, self._in_hand.get(source.id)
            if scan is None or item is None:
                return
            scan.progress = {
                "name": item[0].recorded.name,
                "reached_s": round(time_s, 3),
                "duration_s": duration_s,
            }
            if (now := time.monotonic()) - self._told_at >= PROGRESS_S:
                self._told_at = now
                self._tell(scan.told())

    # The thread.

    def _work(self) -> None:
        while self._wait_for_work():
            try:
                with self._engine as engine, closing(engine.scan(self, self)) as reports:
                    for report in reports:
                        self._take(report)
            except VidscanError as error:
                self._break_off(str(error))
            except Exception:  # noqa: BLE001 - one scan has failed, and the next may not
                traceback.print_exc()
                self._break_off("a fault in vidscan; the terminal that it was started in tells more")
            self._take_back()

    def _wait_for_work(self) -> bool:
        """Returns as soon as a scan is to be done; False where all is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._running is not None or self._queue)
            return not self._closed

    def _take(self, report: Report) -> None:
        with self._changed:
            scan, (item, state) = self._running, self._in_hand[report.source.id]
            if scan is None:  # called off meanwhile
                return
        number = self._keep(item, named(report, item), state)
        with self._changed:
            self._in_hand.pop(report.source.id, None)
            item.discard()
            scan.finished += 1
            scan.results.append(number)
            scan.progress = None
            if scan is self._running:
                if not scan.left and not self._in_hand:
                    self._end(scan, State.DONE)
                else:
                    self._tell(scan.told())

    def _break_off(self, error: str) -> None:
        """The running scan has failed as a whole."""
        with self._changed:
            scan = self._running
            if scan is None and self._queue and not self._in_hand:
                scan = self._queue.popleft()  # it failed before it took the first source
            if scan is not None:
                scan.error = error
                self._end(scan, State.FAILED)

    def _take_back(self) -> None:
        """Takes what the engine dropped as it was stopped: of the scan that runs now, it is still to do."""
        with self._changed:
            for item, _ in reversed(self._in_hand.values()):
                if self._running is not None and not self._closed:
                    self._running.left.appendleft(item)
                else:
                    item.discard()
            self._in_hand.clear()

    def _end(self, scan: Scan, state: State) -> None:
        scan.state, scan.progress = state, None
        while scan.left:
            scan.left.popleft().discard()
        if scan is self._running:
            self._running = None
        self._tell(scan.told())

    def _forget(self) -> None:
        over = [scan.id for scan in self._all.values() if scan.over]
        for number in over[:-MAX_KEPT]:
            del self._all[number]
