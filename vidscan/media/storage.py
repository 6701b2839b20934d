"""Reads and writes object stores and web servers through fsspec, which only this module imports.

fsspec is an extra and imported when a remote place is named; what each kind of place needs beside it (s3fs,
gcsfs, …) is its own. All their errors become one line.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vidscan.errors import SourceError, UsageError, VidscanError, quoted
from vidscan.records import Remote

TRIES = 3
"""Number of times that a file is requested if its server fails; missing or forbidden files are not
retried."""

PAUSE_S = 1.0
"""Pause before the second try in seconds; it is doubled before the third."""

SILENCE_LIMIT_S = 60.0
"""A web server may send nothing for this long, however long the whole file takes."""

_REMOTE = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SECRET = re.compile(r"sig|token|credential|key|secret|password", re.IGNORECASE)
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, ImportError, ValueError)


def is_remote(place: str) -> bool:
    """Tells whether a place is a URL of something outside this machine's disks, such as ``s3://…``."""
    return _REMOTE.match(place) is not None


def local_path(place: str) -> Path:
    """Returns the local path of a place, which may be a ``file:`` URL."""
    if not place.startswith("file://"):
        return Path(place)
    from urllib.request import url2pathname  # it brings the web's protocols along, which take a while

    return Path(url2pathname(urlsplit(place).path))


def remote(url: str, version: str = "") -> Remote:
    """Makes a remote place of a URL; what is shown of it has no password and no query that signs it."""
    if "@" not in url and "?" not in url:
        return Remote(url, url, version)
    parts = urlsplit(url)
    shown = url
    if "@" in parts.netloc:
        shown = shown.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1)
    if any(_SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        shown = shown.partition("?")[0]
    return Remote(url, shown, version)


def file_name(url: str) -> str:
    """Returns the name of the file at the end of a URL; only on the web do ? and # end its path."""
    path = urlsplit(url).path if _is_web(url) else url.partition("://")[2]
    return PurePosixPath(path).name or "file"


def list_files(url: str, *, recursive: bool) -> list[Remote]:
    """Lists all files below a URL, sorted by name; hidden ones are left out."""
    with _translated_errors(remote(url), "cannot be listed"):
        filesystem, root = _filesystem(url)
        # ``find`` would take a missing or closed place for an empty one.
        found = {each["name"]: each for each in filesystem.ls(root, detail=True) if each["type"] == "file"}
        if recursive:
            found = filesystem.find(root, detail=True)
        visible = [path for path in found if "/." not in f"/{path[len(root) :]}"]
        return [remote(filesystem.unstrip_protocol(path), _version(found[path])) for path in sorted(visible)]


def look_up(url: str) -> Remote:
    """Looks up one file."""
    with _translated_errors(remote(url), "cannot be looked up"):
        filesystem, path = _filesystem(url)
        info = filesystem.info(path)
    if info.get("type") == "directory":
        raise SourceError(f"{remote(url).shown}: is a folder: scan it with `vidscan dir`")
    return remote(url, _version(info))


def fetch(
    place: Remote, target: Path, *, limit_bytes: int, received: Callable[[], None] = lambda: None
) -> None:
    """Copies a remote file to ``target``, which is replaced, and removed if the copy fails.

    A file larger than ``limit_bytes`` is refused as soon as its size is known. ``received`` is called
    whenever a part has arrived; a VidscanError that it raises ends the copy.
    """
    with _translated_errors(place, "cannot be fetched"):
        for attempt in range(TRIES):
            try:
                filesystem, path = _filesystem(place.url)
                filesystem.get_file(path, str(target), callback=_limited(place.shown, limit_bytes, received))
                return
            except Exception as error:
                target.unlink(missing_ok=True)
                final = isinstance(error, (*_FINAL, VidscanError)) or _is_forbidden(error)
                if final or attempt + 1 == TRIES:
                    raise
                time.sleep(PAUSE_S * 2**attempt)


def fetch_bytes(url: str) -> bytes:
    """Reads a whole remote file, such as a list of sources."""
    with _translated_errors(remote(url), "cannot be read"):
        filesystem, path = _filesystem(url)
        return bytes(filesystem.cat_file(path))


def require_writable(url: str) -> None:
    """Checks, as far as possible beforehand, whether a URL can be written to."""
    if _is_web(url):
        raise SourceError(f"{remote(url).shown}: a web server takes no report: name a bucket or a file")
    with _translated_errors(remote(url), "cannot be written to"):
        filesystem, path = _filesystem(url)
        bucket = path.strip("/").partition("/")[0]
        if "s3" in filesystem.protocol or "gs" in filesystem.protocol:
            filesystem.ls(bucket + "/", refresh=True)


def put(url: str, content: bytes) -> None:
    """Writes a whole file; object stores show all of it or nothing."""
    with _translated_errors(remote(url), "cannot be written"):
        filesystem, path = _filesystem(url)
        filesystem.pipe_file(path, content)


def open_filesystem(url: str) -> tuple[Any, str]:
    """Opens the fsspec file system of a URL; returns it with the path there."""
    with _translated_errors(remote(url), "cannot be opened"):
        return _filesystem(url)


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        import fsspec.core
    except ImportError as error:
        raise UsageError(
            f"{remote(url).shown}: remote places need fsspec: pip install 'vidscan[remote]'"
        ) from error
    options: dict[str, Any] = {}
    if url.lower().startswith(("s3://", "s3a://")):
        options["use_listings_cache"] = False  # a bucket may change between two looks
    if _is_web(url):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_LIMIT_S, sock_read=SILENCE_LIMIT_S)
        options["client_kwargs"] = {"timeout": limits}
    filesystem, path = fsspec.core.url_to_fs(url, **options)
    return filesystem, path


def _version(info: dict[str, Any]) -> str:
    """Returns what changes with the file in a listing: its size, and its ETag or time of change."""
    state = next(
        (info[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if info.get(key)), ""
    )
    return f"{info.get('size')}-{state}"


def _limited(shown: str, limit_bytes: int, received: Callable[[], None]) -> Any:
    """Makes an fsspec callback that stops a copy that grows too large and calls ``received``."""
    from fsspec.callbacks import Callback

    class Limited(Callback):  # type: ignore[misc]
        def call(self, hook_name: str | None = None, **_: Any) -> None:
            if max(self.size or 0, self.value) > limit_bytes:
                allowed = f"{limit_bytes / 1e9:g} GB of scratch space"
                raise SourceError(f"{shown}: takes more than the {allowed}: raise --scratch-gb")
            received()

    return Limited()


@contextmanager
def _translated_errors(place: Remote, what: str) -> Iterator[None]:
    """Turns whatever an fsspec plug-in raises into a SourceError of one line, without the URL's secrets."""
    shown = place.shown
    try:
        yield
    except VidscanError:
        raise
    except ImportError as error:
        # fsspec's own words are "Please install gcsfs to …".
        named = None if "s3fs" in str(error) else re.search(r"install ['\"]?([\w-]+)", str(error))
        missing = named[1] if named else "vidscan[remote]"
        raise SourceError(f"{shown}: {what} ({quoted(str(error))}): pip install '{missing}'") from error
    except Exception as raised:
        cause = _real_cause(raised)
        if isinstance(cause, FileNotFoundError):
            told, remedy = "there is no such file or bucket", "check the URL"
        elif isinstance(cause, PermissionError) or _is_forbidden(cause):
            told, remedy = "access denied", "check the credentials and rights"
        else:
            # A plug-in's words may hold the URL, in whatever form.
            words = quoted(str(cause)) if place.url == shown else ""
            told, remedy = words or type(cause).__name__, "check URL, network and credentials"
        raise SourceError(f"{shown}: {what} ({told}): {remedy}") from raised


def _real_cause(error: Exception) -> BaseException:
    """Returns the real cause of an error: fsspec reports any failure on the web as a missing file."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and type(cause).__module__.startswith("aiohttp"):
        return error if cause is None or getattr(cause, "status", None) == 404 else cause
    return error


def _is_forbidden(error: BaseException) -> bool:
    return getattr(error, "status", None) in (401, 403)


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))
