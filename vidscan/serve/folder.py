"""The folder named at the start: what below it may be scanned, and nothing else on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException

from vidscan.errors import SourceError
from vidscan.media.sources import from_folder, kind_of

_OUTSIDE = "that is not below the folder that vidscan serve was started with"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder whose files may be scanned. ``given`` is as the user wrote it, ``root`` without links."""

    given: Path
    root: Path

    @classmethod
    def at(cls, given: Path) -> Folder:
        """Raises SourceError where there is no such folder."""
        if not given.is_dir():
            raise SourceError(f"{given}: no such folder: check the path")
        return cls(given, Path(os.path.realpath(given)))

    def find(self, place: str) -> tuple[list[Path], int]:
        """The clips and stills at a place in the folder, without links, and how many were left out.

        Left out are links that lead out of the folder. Raises HTTPException where the place does (403), or
        does not exist (404), or holds nothing to scan (415).
        """
        path = self._inside(place)
        if not path.is_dir():
            if not path.is_file():
                raise HTTPException(404, f"{self.shown(path)}: no such file or folder")
            if kind_of(path) is None:
                raise HTTPException(415, f"{self.shown(path)}: is by its name no clip or still")
            return [path], 0
        try:
            listed = [source.path for source in from_folder(path, recursive=True)]
        except SourceError as error:
            raise HTTPException(415, str(error)) from error
        real = [Path(os.path.realpath(each)) for each in listed]
        inside = [each for each in real if each.is_relative_to(self.root)]
        return list(dict.fromkeys(inside)), len(real) - len(inside)

    def _inside(self, place: str) -> Path:
        if "\0" in place:
            raise HTTPException(403, _OUTSIDE)
        try:
            # A link in the middle is followed, so what counts is where the path really leads.
            path = Path(os.path.realpath(self.root / place))
        except (OSError, ValueError):
            raise HTTPException(403, _OUTSIDE) from None
        if not path.is_relative_to(self.root):
            raise HTTPException(403, _OUTSIDE)
        return path

    def holds(self, path: Path) -> bool:
        """Whether a file that was found still is where it was, and no link to elsewhere."""
        return Path(os.path.realpath(path)) == path and path.is_relative_to(self.root)

    def names(self, path: Path) -> list[str]:
        """What a store may call a file: in full, or as scans do to which the folder was named otherwise."""
        names = [str(path), str(self.given / path.relative_to(self.root)), os.path.relpath(path)]
        return list(dict.fromkeys(names))

    def shown(self, path: Path) -> str:
        """A file's name in a message."""
        return str(path.relative_to(self.root))
