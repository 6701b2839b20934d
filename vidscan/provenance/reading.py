"""File -> Provenance: looks into the container, and has Content Credentials verified where there are any."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Self

from vidscan.errors import quoted
from vidscan.provenance.box_metadata import read_boxes
from vidscan.provenance.contents import Contents, FileBytes
from vidscan.provenance.credentials import CredentialsReader
from vidscan.provenance.declaration import provenance_of
from vidscan.provenance.exif import read_tiff
from vidscan.provenance.pictures import read_gif, read_jpeg, read_png, read_riff
from vidscan.provenance.xmp import add_xmp_entries
from vidscan.records import Provenance
from vidscan.records.provenance import shortened

_READERS: tuple[tuple[re.Pattern[bytes], str, Callable[[FileBytes, Contents], None]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", read_jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", read_png),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", read_riff),
    (re.compile(rb"RIFF.{4}AVI ", re.DOTALL), "video/avi", read_riff),
    (re.compile(rb"GIF8[79]a"), "image/gif", read_gif),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff", read_tiff),
    (re.compile(rb".{4}(?:ftyp|JXL |moov|mdat|wide|free|skip|pnot)", re.DOTALL), "", read_boxes),
)
"""Formats by their first bytes, with the type by which c2pa reads them; boxes tell theirs themselves."""


class ProvenanceReader:
    """Reads what files say of themselves. Use as a context manager: leaving ends the process it may have."""

    def __init__(self, anchors: str = "") -> None:
        """``anchors``: certificates, in PEM, of signers whom the user trusts. Starts nothing yet."""
        self._credentials = CredentialsReader(anchors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._credentials.__exit__(*error)

    def read(self, path: Path) -> Provenance:
        """What a local file says; where that cannot be read, the ``note`` says so. Raises nothing."""
        found, credentials = Contents(), None
        try:
            note = look_into(path, found)
            if found.manifest_bytes:
                credentials = self._credentials.read(path, found.mime, found.manifest_bytes)
            return provenance_of(found, credentials, note)
        # Whatever a hostile file brings about here costs this panel, and never the verdict.
        except Exception as error:  # noqa: BLE001
            why = f"could not be read ({type(error).__name__}: {quoted(str(error))})"
            return Provenance(note=shortened(why))


def look_into(path: Path, found: Contents) -> str:
    """Adds what the container of a file holds, if its format is known; returns what to say of the rest."""
    with path.open("rb") as opened:
        file = FileBytes(opened)
        head = file.at(0, 16)
        for magic, mime, read in _READERS:
            if magic.match(head):
                found.mime = mime
                read(file, found)
                add_xmp_entries(found)
                return "was looked at in part: the file has too many parts" if file.exhausted else ""
    return ""
