"""Turns paths, folders and URLs into sources. Only folders are opened here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from vidscan.errors import SourceError
from vidscan.media import storage
from vidscan.records import FileStamp, Remote, Source, SourceKind
from vidscan.system.files import raising

VIDEO_SUFFIXES = frozenset(
    """.264 .265 .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m1v .m2t .m2ts .m2v .m4v
    .mjpeg .mjpg .mk3d .mkv .mov .mp4 .mpe .mpeg .mpg .mpv .mts .mxf .nut .obu .ogm .ogv .ogx .qt .ts .vob
    .webm .wmv .y4m""".split()  # noqa: SIM905 - a list of quotes is harder to read
)
IMAGE_SUFFIXES = frozenset(
    """.apng .avif .bmp .dib .heic .heif .hif .j2k .jfif .jp2 .jpe .jpeg .jpg .jxl .mpo
    .pbm .pgm .png .pnm .ppm .tif .tiff .webp""".split()  # noqa: SIM905 - as above
)
SUBFOLDERS = "/"
"""Counts, among the suffixes of what was left out of a folder, the folders in it; no suffix can be that."""


def kind_of(path: Path) -> SourceKind | None:
    """Returns the kind of a file by its suffix, in either case; None if the suffix is unknown."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return SourceKind.VIDEO
    if suffix in IMAGE_SUFFIXES:
        return SourceKind.IMAGE
    return None


def from_paths(places: Iterable[Path | str], kind: SourceKind | None = None) -> list[Source]:
    """Makes a source of each path or URL, in the given order.

    Without ``kind`` the suffix gives the kind, and an unknown suffix counts as a clip's.

    Raises:
        SourceError: a file is missing, cannot be looked up, or is not a regular file.
    """
    sources = []
    for number, place in enumerate(places):
        if storage.is_remote(str(place)):
            found = from_remote(str(number), storage.look_up(str(place)))
        else:
            found = _from_local(str(number), storage.local_path(place) if isinstance(place, str) else place)
            _require_file(found.path)
        sources.append(found if kind is None else replace(found, kind=kind))
    return sources


def source_at(name: str, place: str) -> Source:
    """Makes a source of a path or URL, which need not exist; an unknown suffix counts as a clip's."""
    if storage.is_remote(place):
        return from_remote(name, storage.remote(place))
    return _from_local(name, storage.local_path(place))


def from_remote(name: str, remote: Remote) -> Source:
    """Makes a source with this id of a remote file; its suffix gives the kind."""
    return replace(_from_local(name, Path(storage.file_name(remote.url))), remote=remote)


def _from_local(name: str, path: Path) -> Source:
    return Source(name, path, kind_of(path) or SourceKind.VIDEO)


def _require_file(path: Path) -> None:
    with raising(lambda why: SourceError(f"{path}: cannot be looked up ({why}): check the path")):
        if path.is_dir():
            raise SourceError(f"{path}: is a folder: scan it with `vidscan dir`")
        if not path.exists():
            raise SourceError(f"{path}: no such file: check the path")
        # A pipe would be waited for without end, and could be read only once.
        if not path.is_file():
            raise SourceError(f"{path}: is no ordinary file: copy what it gives into one")


def stamp_of(path: Path) -> FileStamp | None:
    """Returns what identifies the present state of a file; None if the system cannot tell."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileStamp(found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)


def state_of(source: Source) -> str | None:
    """Returns a word that identifies the present state of the source's file; None if it cannot be told.

    Device and inode are left out: on network drives they may change alone.
    """
    if source.remote is not None:
        return source.remote.version or None
    stamp = stamp_of(source.path)
    return None if stamp is None else f"{stamp.size}-{stamp.modified_ns}"


def from_folder(
    folder: Path | str,
    *,
    recursive: bool = False,
    skipped: Counter[str] | None = None,
    may_be_empty: bool = False,
) -> list[Source]:
    """Lists all clips and stills in a folder or below a URL, sorted by path; hidden files are left out.

    A broken link counts as the clip or still that its suffix promises, so that the report shows the failure.
    ``skipped`` counts the other files that are not hidden, by their suffixes in lower case, and under
    ``SUBFOLDERS`` the folders that were not looked into (on this machine's disks alone).

    Raises:
        SourceError: the folder is missing, is a file, cannot be read, or holds no clip or still and not
            ``may_be_empty``.
    """
    hint = "" if recursive else "; --recursive looks into subfolders too"
    if storage.is_remote(str(folder)):
        found = storage.list_files(str(folder), recursive=recursive)
        named = [(each, Path(storage.file_name(each.url))) for each in found]
        media = [each for each, path in named if _is_known(path, skipped)]
        if not media:
            shown = storage.remote(str(folder)).shown
            raise SourceError(f"{shown}: holds no clip or still that vidscan knows{hint}")
        return [from_remote(str(number), each) for number, each in enumerate(media)]
    folder = storage.local_path(folder) if isinstance(folder, str) else folder
    try:
        if not folder.exists():
            raise SourceError(f"{folder}: no such folder: check the path")
        if not folder.is_dir():
            raise SourceError(f"{folder}: is a file: scan it with `vidscan run` or `vidscan image`")
        paths = sorted(path for path in _files(folder, recursive, skipped) if _is_known(path, skipped))
    except OSError as error:
        where = folder if error.filename is None else Path(os.fsdecode(error.filename))
        raise SourceError(f"{where}: cannot be read ({error.strerror}): check its permissions") from error
    if not paths and not may_be_empty:
        raise SourceError(f"{folder}: holds no clip or still that vidscan knows{hint}")
    return [_from_local(str(number), path) for number, path in enumerate(paths)]


def _is_known(path: Path, skipped: Counter[str] | None) -> bool:
    """Tells whether a suffix is a clip's or a still's, or counts it."""
    known = kind_of(path) is not None
    if not known and skipped is not None:
        skipped[path.suffix.lower()] += 1
    return known


def _files(folder: Path, recursive: bool, skipped: Counter[str] | None) -> Iterator[Path]:
    """Yields the files below a folder; links to folders are not followed, to avoid loops."""
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from _files(Path(entry.path), recursive, skipped)
            elif skipped is not None:
                skipped[SUBFOLDERS] += 1
        elif _is_file(entry):
            yield Path(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Tells whether an entry is a file, or a link that is broken or circular."""
    try:
        return entry.is_file() or (entry.is_symlink() and stamp_of(Path(entry)) is None)
    except OSError:
        return True
