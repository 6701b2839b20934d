"""Uploads: streamed into a private folder under names of our own, within limits of size, number and time."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from vidscan.media.sources import kind_of
from vidscan.serve.bodies import pieces

MAX_FILES = 100
"""Upper limit on the files of one request."""

MAX_NAME = 200
"""Upper limit on the characters of a name as it is shown."""

FREE_BYTES = 1 << 30
"""So much of the disk is left free for everybody else."""

_FORM_BYTES = 1 << 20
"""What a form's own lines may take besides the files."""

_PREFIX = "vidscan-uploads-"
_NEW_S = 60.0
_MAX_HEADER = 8 << 10
_PIECE = 1 << 20
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came: where it lies, and what it is called when it is shown."""

    path: Path
    name: str

    def delete(self) -> None:
        """Deletes the file, once it has been scanned or is not going to be."""
        self.path.unlink(missing_ok=True)


def shown_name(given: str) -> str:
    """What an upload is called: its own name without folders, control characters and direction marks.

    Raises HTTPException (400) where the name is absolute or climbs, and (415) where it is no clip's or
    still's.
    """
    parts = re.split(r"[/\\]", given)
    if _ABSOLUTE.match(given) or ".." in parts:
        raise HTTPException(400, "a file's name holds .. or begins at a root: send the name alone")
    kept = "".join(each for each in parts[-1] if unicodedata.category(each)[0] not in "C")
    name = unicodedata.normalize("NFC", " ".join(kept.split()))
    stem, suffix = Path(name).stem, Path(name).suffix
    if kind_of(Path(name)) is None:
        raise HTTPException(415, f"{name[:MAX_NAME]!r}: is by its name no clip or still that vidscan knows")
    return stem[: MAX_NAME - len(suffix)] + suffix


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _delete_if_left_behind(folder: Path) -> None:
    """Deletes the uploads of a server that was killed: it is ours, nobody holds it, and it is no new one."""
    with suppress(OSError):
        lock = _open_folder(folder)
        try:
            found = os.fstat(lock)
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _NEW_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        finally:
            os.close(lock)


class UploadFolder:
    """A folder for this user alone, which is gone when the server ends."""

    def __init__(self, parent: Path | None, max_bytes: int) -> None:
        """Makes it in ``parent``, None is the system's folder for such; raises OSError.

        ``max_bytes``: the upper limit on one request's files together.
        """
        for each in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _delete_if_left_behind(each)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._max_bytes = max_bytes
        self._lock = _open_folder(self.path)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Deletes the folder with what is left in it; may be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def receive(self, request: Request) -> list[Upload]:
        """Takes in a request's files; raises HTTPException, and keeps none of them, where it cannot."""
        declared = request.headers.get("content-length", "")
        if declared.isdigit():
            self._check(int(declared) - _FORM_BYTES)
            self._require_room(int(declared))
        form = _Form(self.path, _boundary(request))
        try:
            await self._fill(form, request)
            return form.finished()
        except BaseException as error:
            form.discard()
            if isinstance(error, FormParserError | UnicodeError):
                raise HTTPException(400, "the form is damaged: send multipart/form-data") from error
            if isinstance(error, ClientDisconnect):
                raise HTTPException(400, "the upload was broken off") from error
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                why = error.strerror or "no room"
                raise HTTPException(
                    507, f"the upload cannot be kept ({why}): make room on the disk"
                ) from error
            raise

    async def _fill(self, form: _Form, request: Request) -> None:
        held, received = bytearray(), 0
        async for chunk in pieces(request):
            received += len(chunk)
            self._check(received - _FORM_BYTES)
            held += chunk
            if len(held) >= _PIECE:
                self._require_room(0)
                await run_in_threadpool(form.write, bytes(held))
                held.clear()
        await run_in_threadpool(form.write, bytes(held))

    def _check(self, count: int) -> None:
        if count > self._max_bytes:
            limit = f"{self._max_bytes / 1e9:g} GB"
            raise HTTPException(413, f"too large: {limit} at once are taken, see --max-upload")

    def _require_room(self, coming: int) -> None:
        if shutil.disk_usage(self.path).free - coming < FREE_BYTES:
            raise HTTPException(507, "the disk for uploads is nearly full: make room, or wait for the queue")


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
        raise HTTPException(415, "send files as multipart/form-data, or a path as JSON")
    return boundary


class _Form:
    """Takes a form apart as it comes, and writes its files."""

    def __init__(self, folder: Path, boundary: bytes) -> None:
        self._folder = folder
        self._files: list[Upload] = []
        self._open: int | None = None
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._collect(self._header, data[start:end]),
                "on_header_value": lambda data, start, end: self._collect(self._value, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_file,
                "on_part_data": lambda data, start, end: self._write(data[start:end]),
                "on_part_end": self._close,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        self._parser.write(piece)

    def finished(self) -> list[Upload]:
        """The files; raises HTTPException where the form was cut off, or held none."""
        self._parser.finalize()
        if not self._ended:
            raise HTTPException(400, "the upload was broken off: send it again")
        if not self._files:
            raise HTTPException(400, "no file came: send at least one as the form's field named file")
        return self._files

    def discard(self) -> None:
        self._close()
        for each in self._files:
            with suppress(OSError):
                each.delete()

    def _begin(self) -> None:
        self._disposition = b""

    def _collect(self, into: bytearray, data: bytes) -> None:
        into += data
        if len(into) > _MAX_HEADER:
            raise HTTPException(400, "a header of the form is too long")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open_file(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != b"file" or b"filename" not in options:
            return
        if len(self._files) >= MAX_FILES:
            raise HTTPException(413, f"too many files: send at most {MAX_FILES} at once")
        name = shown_name(options[b"filename"].decode("utf-8"))
        # Of the given name, only a suffix that vidscan knows becomes a part of the path.
        path = self._folder / (secrets.token_hex(16) + Path(name).suffix.lower())
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._open = os.open(path, flags, 0o600)
        self._files.append(Upload(path, name))

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._open is not None:
            rest = rest[os.write(self._open, rest) :]

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _end(self) -> None:
        self._ended = True
