"""What the readers of containers find in a file, and the limits within which they look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

MAX_PARTS = 200_000
"""Upper limit on the parts of a file that are read: heads of segments, chunks and boxes, and contents."""

MAX_BYTES = 64 << 20
"""Upper limit on the bytes of a file that are read."""

MAX_PART = 1 << 20
"""Upper limit on the bytes of one part (an XMP packet, a text, an EXIF block) that are read."""

MAX_ENTRIES = 200
"""Upper limit on the entries that are kept of a file."""

MAX_VALUE = 65_536
"""Upper limit on the characters of an entry that are kept."""


class Entry(NamedTuple):
    """An entry of a file: where it stands, its name there, and its text, not yet shortened."""

    where: str
    name: str
    value: str


@dataclass(slots=True)
class Contents:
    """What was found in a file.

    ``mime``: the type of the file by its first bytes, "" for one that can hold no Content Credentials.
    ``manifest_bytes``: the size of its C2PA manifest store, 0 where it has none.
    """

    mime: str = ""
    xmp: bytes = b""
    entries: list[Entry] = field(default_factory=list)
    manifest_bytes: int = 0

    def add(self, where: str, name: str, value: str) -> None:
        """Keeps an entry that says something, if there is room."""
        value = value.strip("\0 \t\r\n")
        if value and len(self.entries) < MAX_ENTRIES:
            self.entries.append(Entry(where, name, value[:MAX_VALUE]))

    def add_xmp(self, packet: bytes) -> None:
        """Keeps an XMP packet, or a further part of one."""
        self.xmp += packet[: MAX_PART - len(self.xmp)]


class FileBytes:
    """Parts of a file by their place, as many as one file may cost: whatever reads them comes to an end.

    ``size`` is that of the file when it was opened.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._parts, self._bytes = MAX_PARTS, MAX_BYTES
        self.size = file.seek(0, 2)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more is read of the file, as it has too much."""
        return self._parts <= 0 or self._bytes <= 0

    def at(self, place: int, count: int) -> bytes:
        """At most ``count`` and ``MAX_PART`` bytes from ``place`` on; fewer at the end, none beyond it."""
        if not 0 <= place < self.size or count <= 0 or self.exhausted:
            return b""
        self._file.seek(place)
        part = self._file.read(min(count, MAX_PART))
        self._parts -= 1
        self._bytes -= len(part)
        return part
