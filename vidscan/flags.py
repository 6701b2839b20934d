"""Dataclasses whose fields say which flag of the command line and which keyword of the API set them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from vidscan.errors import UsageError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Flag:
    """How the command line sets a field. What its values are, the field's type says.

    ``help``: the default is added to it. ``metavar``: stands for the value there. ``name``: where it is not
    the field's. ``short``: one letter. ``read``: makes the value of the text given. ``rivals``: flags with
    the same word here exclude each other. ``keyword``: of the API, None for the field's name, "" for none.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    name: str = ""
    short: str = ""
    read: Callable[[str], Any] | None = None
    rivals: str = ""
    keyword: str | None = None


def flag(default: Value, help_text: str, metavar: str | None = None, **more: Any) -> Value:
    """A dataclass field that a flag sets; ``more`` are the other fields of :class:`Flag`."""
    return field(default=default, metadata={"flag": Flag(help_text, metavar, **more)})


def flags_of(kind: type[Any]) -> dict[str, Flag]:
    """The flags of a dataclass by the names of their fields."""
    return {each.name: each.metadata["flag"] for each in fields(kind) if "flag" in each.metadata}


def keywords_of(kind: type[Any]) -> dict[str, str]:
    """The keywords of a dataclass, each with its field's name; a field without a flag may have one."""
    named = {each.metadata["keyword"]: each.name for each in fields(kind) if "keyword" in each.metadata}
    for name, each in flags_of(kind).items():
        named[name if each.keyword is None else each.keyword] = name
    named.pop("", None)
    return named


def require(condition: bool, given: str, remedy: str) -> None:
    """Raises UsageError where a value that was ``given`` cannot work."""
    if not condition:
        raise UsageError(f"{given} cannot work: {remedy}")


def require_count(name: str, count: int | None, remedy: str = "give 1 or more") -> None:
    """Refuses a count below 1; None was not given."""
    require(count is None or count >= 1, f"{name} {count}", remedy)


def require_amount(name: str, amount: float, remedy: str) -> None:
    """Refuses what is not above 0, or not finite."""
    require(math.isfinite(amount) and amount > 0, f"{name} {amount:g}", remedy)


def require_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """Refuses what is none of the choices."""
    require(given in choices, f"{name} {given}", f"give one of {', '.join(choices)}")
