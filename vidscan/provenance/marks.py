"""What entries of a file mean, by the table of marks beside this module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vidscan.provenance.contents import Entry
from vidscan.records import Meaning, Tag
from vidscan.records.provenance import shortened

SOURCE_TYPE_NAMES = frozenset(("digitalsourcetype", "digitalsourcefiletype"))


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark: in which places and under which name it stands, and what it means if ``value`` is found."""

    where: frozenset[str]
    name: str
    value: re.Pattern[str]
    maker: str
    meaning: Meaning
    source: str


@dataclass(frozen=True, slots=True)
class Table:
    """All marks; what IPTC source types mean, by their names in small letters; failed checks in words."""

    marks: tuple[Mark, ...]
    source_types: Mapping[str, Meaning]
    checks: Mapping[str, str]


@cache
def table() -> Table:
    """The table of marks, read once: when the first file has an entry that may be one."""
    import tomllib

    content = tomllib.loads(Path(__file__).with_name("marks.toml").read_text("utf-8"))
    marks = tuple(
        Mark(
            frozenset(each["where"]),
            each["name"].lower(),
            re.compile(each.get("value", "")),
            each.get("maker", ""),
            Meaning(each.get("meaning", Meaning.NOTHING)),
            each["source"],
        )
        for each in content["mark"]
    )
    source_types = {name.lower(): Meaning(meaning) for name, meaning in content["source_types"].items()}
    return Table(marks, source_types, content["checks"])


def source_type(uri: str) -> str:
    """The name of an IPTC digital source type: the last part of its URI or of ``digsrctype:NAME``."""
    return re.split("[/:#]", uri.strip().rstrip("/"))[-1]


def meaning_of(type_name: str) -> Meaning:
    """What an IPTC digital source type says, by its name in any case."""
    return table().source_types.get(type_name.lower(), Meaning.NOTHING)


def tag_of(entry: Entry) -> Tag | None:
    """The entry as a report has it, if the table knows entries of this place and name."""
    name = entry.name.lower()
    if entry.where == "XMP" and name in SOURCE_TYPE_NAMES:
        value = source_type(entry.value)
        return Tag("XMP", "DigitalSourceType", shortened(value), "", meaning_of(value))
    for mark in table().marks:
        if mark.name != name or entry.where not in mark.where:
            continue
        if mark.value.search(entry.value):
            told = shortened(entry.name), shortened(entry.value)
            return Tag(entry.where, *told, mark.maker, mark.meaning)
    return None
