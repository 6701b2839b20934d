"""Properties of an XMP packet, by a search within limits. No XML parser sees it, so nothing is expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from vidscan.provenance.contents import Contents

MAX_PROPERTIES = 100
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
    for number, (name, value) in enumerate(_properties(found.xmp)):
        if number == MAX_PROPERTIES:
            break
        found.add("XMP", name, value)


def _properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of attributes and elements; a list's items become one text."""
    # In UTF-16, every other byte of the names is 0.
    text = packet.replace(b"\0", b"").decode("utf-8", "replace")
    for match in _PROPERTY.finditer(text):
        rest = text[match.end() : match.end() + MAX_VALUE]
        attribute = _ATTRIBUTE.match(rest)
        if attribute:
            yield match[1], unescape(attribute[1] or attribute[2] or "")
        elif not text[: match.start()].endswith(_closing(text, match.start())):
            yield match[1], _element(match[1], rest)


def _closing(text: str, place: int) -> str:
    """The beginning of a closing tag, as it would stand before the name at ``place``."""
    return text[text.rfind("<", max(0, place - 60), place) : place] if _is_closing(text, place) else "\0"


def _is_closing(text: str, place: int) -> bool:
    begins = text.rfind("<", max(0, place - 60), place)
    return begins >= 0 and text.startswith("</", begins)


def _element(name: str, rest: str) -> str:
    opening, _, content = rest.partition(">")
    resource = _RESOURCE.search(opening)
    if resource:
        return unescape(resource[1])
    if opening.endswith("/"):
        return ""
    ends = re.search(rf"</[\w.-]{{1,60}}:{name}\s{{0,20}}>", content)
    return unescape(" ".join(_TAG.sub(" ", content[: ends.start()] if ends else "").split()))
