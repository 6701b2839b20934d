"""Properties of an XMP packet, by a search within limits. No XML parser sees it, so nothing is expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice

from vidscan.provenance.contents import Contents

MAX_PROPERTIES = 400
"""Upper limit on the places at which one of the names below stands."""

MAX_PREFIX = 64
"""Upper limit on the characters before the colon of a name."""

MAX_VALUE = 20_000
"""Upper limit on the characters of a property's value that are looked at."""

NAMES = (
    "DigitalSourceType",
    "DigitalSourceFileType",  # the name before IPTC Extension 1.1
    "DigitalSourcefileType",
    "AISystemUsed",
    "AISystemVersionUsed",
    "AIPromptInformation",
    "AIGC",
    "CreatorTool",
    "Credit",
    "provenance",
)
_PROPERTY = re.compile(rf"(?<=:)({'|'.join(NAMES)})(?=[\s=>/])")
_ATTRIBUTE = re.compile(r"\s{0,20}=\s{0,20}(?:\"([^\"<]*)\"|'([^'<]*)')")
_RESOURCE = re.compile(r"rdf:resource\s{0,20}=\s{0,20}[\"']([^\"'<]*)")
_TAG = re.compile(r"<[^<>]*>")


def add_xmp_entries(found: Contents) -> None:
    """Adds the properties of the packet that was found."""
    for name, value in _properties(found.xmp):
        found.add("XMP", name, value)


def _properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of attributes and elements; a list's items become one text."""
    # In UTF-16, every other byte of the names is 0.
    text = packet.replace(b"\0", b"").decode("utf-8", "replace")
    for match in islice(_PROPERTY.finditer(text), MAX_PROPERTIES):
        rest = text[match.end() : match.end() + MAX_VALUE]
        attribute = _ATTRIBUTE.match(rest)
        if attribute:
            yield match[1], unescape(attribute[1] or attribute[2] or "")
        elif not _is_closing(text[max(0, match.start() - MAX_PREFIX) : match.start()]):
            yield match[1], _element(match[1], rest)


def _is_closing(before: str) -> bool:
    """Whether a name is that of a closing tag, by what stands before it."""
    _, begins, opened = before.rpartition("<")
    return bool(begins) and opened.startswith("/")


def _element(name: str, rest: str) -> str:
    opening, _, content = rest.partition(">")
    resource = _RESOURCE.search(opening)
    if resource:
        return unescape(resource[1])
    if opening.endswith("/"):
        return ""
    ends = re.search(rf"</[\w.-]{{1,{MAX_PREFIX}}}:{name}\s{{0,20}}>", content)
    return unescape(" ".join(_TAG.sub(" ", content[: ends.start()] if ends else "").split()))
