"""Paths and folders -> Source. Nothing is opened here but folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vidscan.errors import SourceError
from vidscan.records import Source, SourceKind

VIDEO_SUFFIXES = frozenset(
    """.3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg
    .mts .mxf .ogv .ts .vob .webm .wmv""".split()  # noqa: SIM905 - a list of quotes is harder to read
)
IMAGE_SUFFIXES = frozenset(
    (".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)


def kind_of(path: Path) -> SourceKind | None:
    """What a file is by its suffix, whatever its case; None where vidscan knows no such suffix."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return SourceKind.VIDEO
    if suffix in IMAGE_SUFFIXES:
        return SourceKind.IMAGE
    return None


def from_paths(paths: Iterable[Path], kind: SourceKind | None = None) -> list[Source]:
    """Names each path a source, in the given order.

    Args:
        paths: files.
        kind: what they are; None goes by the suffix and takes an unknown one for a clip.

    Raises:
        SourceError: a path is missing, or is a folder.
    """
    sources = []
    for number, path in enumerate(paths):
        if path.is_dir():
            raise SourceError(f"{path}: is a folder: scan it with `vidscan dir`")
        if not path.exists():
            raise SourceError(f"{path}: no such file: check the path")
        sources.append(Source(str(number), path, kind or kind_of(path) or SourceKind.VIDEO))
    return sources


def from_folder(folder: Path, *, recursive: bool = False) -> list[Source]:
    """All clips and stills in a folder, sorted by path; hidden files are left out.

    Raises:
        SourceError: the folder is missing, is a file, cannot be read or holds no medium.
    """
    if not folder.exists():
        raise SourceError(f"{folder}: no such folder: check the path")
    if not folder.is_dir():
        raise SourceError(f"{folder}: is a file: scan it with `vidscan run` or `vidscan image`")
    try:
        paths = sorted(path for path in _files(folder, recursive) if kind_of(path) is not None)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror}): check its permissions") from error
    if not paths:
        hint = "" if recursive else "; --recursive looks into subfolders too"
        raise SourceError(f"{folder}: holds no clip or still that vidscan knows{hint}")
    return [
        Source(str(number), path, kind)
        for number, path in enumerate(paths)
        if (kind := kind_of(path)) is not None
    ]


def _files(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files below a folder; links to folders are not followed, so that no loop is walked."""
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from _files(Path(entry.path), recursive)
        elif entry.is_file():
            yield Path(entry.path)
