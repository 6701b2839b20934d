"""What the server does, whoever asks: scans, results, marks. Nothing here knows HTTP but its refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from vidscan.errors import StoreError
from vidscan.media.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of, state_of
from vidscan.records import Report, Source, SourceKind
from vidscan.report.document import Document, result_document
from vidscan.report.wording import counted
from vidscan.results.rows import FAILED, Row
from vidscan.results.store import Store
from vidscan.serve.events import Events
from vidscan.serve.folder import Folder
from vidscan.serve.scan import Item, StoppableEngine
from vidscan.serve.scans import QueueFullError, Scans
from vidscan.serve.uploads import Upload, UploadFolder
from vidscan.version import __version__

Value = TypeVar("Value")

COLUMNS = (
    *("id", "name", "kind", "label", "fake_probability", "fake_kind", "declares_ai", "remarks"),
    *("mark", "note", "finished", "duration_s", "error"),
)
"""The columns of the table that the page shows."""

MAX_THREADS = 8
"""Upper limit on what is looked up at once; further requests wait."""

MAX_LISTED = 100
"""Events of scans with more sources do not list their results: each comes as an event of its own."""


def cells(row: Row) -> list[Any]:
    """A row of that table as JSON values."""
    mark = row.mark
    told: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS if name != "note"}
    told |= {"mark": None if mark is None else mark.label, "note": "" if mark is None else mark.note}
    return [told[name] for name in COLUMNS]


class Service:
    """The store, what scans into it, and who is told. Usable from any thread once it has started."""

    def __init__(
        self,
        store: Store,
        engine: StoppableEngine,
        folder: Folder | None,
        uploads: UploadFolder,
        misfit: str | None = None,
    ) -> None:
        """``misfit`` says why what is scanned here cannot go into the store, if it cannot."""
        self.store, self.folder, self.uploads = store, folder, uploads
        self.events = Events()
        # A fixed few, each of which keeps its connection to the store: Starlette's come and go.
        self._threads = ThreadPoolExecutor(MAX_THREADS, "vidscan-serve")
        self._misfit = misfit
        self._scans = Scans(engine, self._keep, self._tell)

    def start(self) -> None:
        """Begins to work; is called in the event loop."""
        self.events.attach()
        self._scans.start()

    def close(self) -> None:
        """Breaks off what runs, and ends everything."""
        self._scans.close()
        self._threads.shutdown()
        self.uploads.close()
        self.store.close()

    def about(self) -> Document:
        """What the page has to know of the server; ``refusal`` says why nothing can be scanned, else None."""
        return {
            "vidscan": __version__,
            "store": None if self.store.path is None else self.store.path.name,
            "folders": [] if self.folder is None else [str(self.folder.root)],
            "suffixes": sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES),
            "refusal": None if self._misfit is None else self.worded(self._misfit),
        }

    async def aside(self, call: Callable[[], Value]) -> Value:
        """What a call returns that may take a while, made in another thread than the event loop's."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    # Scans

    def scans(self) -> list[Document]:
        """All scans, the latest first."""
        return [{name: told[name] for name in told if name != "results"} for told in self._scans.all_told()]

    def scan(self, number: int) -> Document:
        """A scan, with its result where it is done and has one alone."""
        told = self._scans.told(number)
        if told is None:
            raise HTTPException(404, f"there is no scan {number}")
        alone = told["state"] == "done" and told["sources"] == 1 and len(told["results"]) == 1
        return told | {"result": self.store.result(told["results"][0]) if alone else None}

    def cancel(self, number: int) -> None:
        """Calls a scan off, unless it is over."""
        if not self._scans.cancel(number):
            raise HTTPException(404, f"there is no scan {number}")

    def require_scanning(self) -> None:
        """Raises HTTPException (409) where no scan can go into this store, which none does before this."""
        if self._misfit is not None:
            raise HTTPException(409, self.worded(self._misfit))
        try:
            self.store.claim()
        except StoreError as error:
            raise HTTPException(409, self.worded(error)) from error

    def worded(self, error: Exception | str) -> str:
        """An error as an answer tells it: not where the store lies."""
        return str(error).replace(self.store.shown, "the store")

    def scan_uploads(self, uploads: Sequence[Upload]) -> int:
        """Queues what was uploaded as one scan, and returns its number."""
        try:
            self.require_scanning()
            taken = self._scans.waiting_names()
            items = [self._uploaded(each, taken) for each in uploads]
            more = f" and {len(items) - 1} more" if len(items) > 1 else ""
            return self._submit(items[0].recorded.name + more, items)
        except BaseException:
            for each in uploads:
                each.delete()
            raise

    def _uploaded(self, upload: Upload, taken: set[str]) -> Item:
        """An upload under a name that is still free, as a browser would find one."""
        stem, suffix = Path(upload.name).stem, Path(upload.name).suffix
        name, count = upload.name, 1
        while name in taken or self.store.find(name) is not None:
            count += 1
            name = f"{stem} ({count}){suffix}"
        taken.add(name)
        return Item(upload.path, _source(name), discard=upload.delete)

    def scan_path(self, place: str) -> int:
        """Queues a file or folder below the folder named at the start, without what is known unchanged."""
        if self.folder is None:
            raise HTTPException(403, "no folder was named when vidscan serve was started: upload the file")
        self.require_scanning()
        paths, left_out = self.folder.find(place)
        items: list[Item] = []
        known: list[int] = []
        waiting = self._scans.waiting_names()
        for path in paths:
            item, number = self._of_folder(self.folder, path)
            if number is not None:
                known.append(number)
            elif item.recorded.name not in waiting:
                items.append(item)
        wait_already = len(paths) - len(items) - len(known)
        notes = [f"left out: {counted(left_out, 'link')} out of the folder"] if left_out else []
        notes += [f"waiting already: {counted(wait_already, 'file')}"] if wait_already else []
        return self._submit(place if place not in ("", ".") else self.folder.root.name, items, known, notes)

    def _of_folder(self, folder: Folder, path: Path) -> tuple[Item, int | None]:
        """A file of the folder, and the id of its result where that holds; what failed is tried again."""
        state = partial(state_of, _source(str(path)))
        now, name = state(), ""
        for each in folder.names(path):
            if (kept := self.store.find(each)) is None:
                continue
            name = name or each
            if kept.state == now and self.store.row(kept.id).label != FAILED:
                return Item(path, _source(each)), kept.id
        return Item(path, _source(name or str(path)), _still_there(folder, path), state), None

    def _submit(
        self, name: str, items: Sequence[Item], known: Sequence[int] = (), notes: Sequence[str] = ()
    ) -> int:
        try:
            return self._scans.submit(name, items, known, "; ".join(notes))
        except QueueFullError as error:
            raise HTTPException(429, str(error)) from error

    def _tell(self, told: Document) -> None:
        # Each event of a large folder would be longer than the last.
        short = told if told["sources"] <= MAX_LISTED else {**told, "results": []}
        self.events.publish("scan", short)

    def _keep(self, item: Item, report: Report, state: str | None) -> int:
        try:
            number = self.store.add(item.recorded, state, result_document(report), report.evidence)
        except StoreError as error:
            raise StoreError(self.worded(error)) from error
        self.events.publish("result", cells(self.store.row(number)))
        return number

    # Results

    def table(self) -> Document:
        """All results in a few columns."""
        return {"columns": COLUMNS, "rows": [cells(row) for row in self.store.rows()]}

    def row(self, number: int) -> Row:
        """A result's row; raises HTTPException (404) where there is none."""
        if not self.store.holds(number):
            raise HTTPException(404, f"there is no result {number}")
        return self.store.row(number)

    def result(self, number: int) -> Document:
        """A result's row by the names of its columns, and its entry in a report."""
        row = self.row(number)
        return {"row": dict(zip(COLUMNS, cells(row), strict=True)), "result": self.store.result(number)}

    def mark(self, number: int, label: str | None, note: str) -> Document:
        """Notes what a person found; raises HTTPException (404) where there is no such result."""
        self.row(number)
        try:
            self.store.set_mark(number, label, note)
        except StoreError as error:
            raise HTTPException(409, self.worded(error)) from error
        told = dict(zip(COLUMNS, cells(self.store.row(number)), strict=True))
        marked = {name: told[name] for name in ("id", "mark", "note")}
        self.events.publish("mark", marked)
        return marked


def _source(name: str) -> Source:
    path = Path(name)
    return Source("", path, kind_of(path) or SourceKind.VIDEO)


def _still_there(folder: Folder, path: Path) -> Callable[[], str | None]:
    def objection() -> str | None:
        return None if folder.holds(path) else f"{folder.shown(path)} was moved or replaced by a link"

    return objection
