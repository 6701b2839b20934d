"""Dataclasses whose fields say which flag of the command line and which keyword of the API set them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vidscan.errors import UsageError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Flag:
    """How the command line sets a field. What its values are, the field's type says.

    ``help``: a note of the default is added to it. ``metavar``: stands for the value there. ``name``: where
    it is not the field's. ``short``: one letter. ``read``: makes the value of the text given. ``rivals``:
    flags with the same word here exclude each other. ``group``: the heading that it stands under.
    ``keyword``: of the API, None for the field's name, "" for none. ``required``: it has to be given; a field
    without a default is a positional argument otherwise.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    name: str = ""
    short: str = ""
    read: Callable[[str], Any] | None = None
    rivals: str = ""
    group: str = ""
    keyword: str | None = None
    required: bool = False


def flag(
    default: Value = MISSING,  # type: ignore[assignment]  # as dataclasses themselves have it
    help_text: str = "",
    metavar: str | None = None,
    **more: Any,
) -> Value:
    """A dataclass field that a flag sets; ``more`` are the other fields of :class:`Flag`.

    Where there is no default but a ``read``, that makes the default out of an empty text.
    """
    declared = Flag(help_text, metavar, **more)
    if default is MISSING and declared.read is not None:
        read = declared.read
        return field(default_factory=lambda: read(""), metadata={"flag": declared})  # type: ignore[no-any-return]
    return field(default=default, metadata={"flag": declared})


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


def part(kind: type[Value]) -> Value:
    """A dataclass field whose value is a dataclass with flags of its own."""
    return field(default_factory=kind, metadata={"part": kind})


def add_flags(
    parser: Any,
    kind: type[Any],
    without: Collection[str] = (),
    *,
    noted: bool = True,
    groups: dict[str, Any] | None = None,
) -> None:
    """Adds the flags that a dataclass declares, parts included, to an argparse parser, or to its ``groups``.

    ``without`` names fields that get no flag; ``noted`` adds its default to the help of each flag. The
    parser's own ``argument_default`` should be ``argparse.SUPPRESS``: see :func:`values_of`.
    """
    groups = {"": parser} if groups is None else groups
    hints = get_type_hints(kind)
    for each in fields(kind):
        if "part" in each.metadata:
            add_flags(parser, each.metadata["part"], without, noted=noted, groups=groups)
        if "flag" not in each.metadata or each.name in without:
            continue
        declared: Flag = each.metadata["flag"]
        title = declared.group or declared.rivals
        if title not in groups:
            groups[title] = (
                parser.add_argument_group(title) if declared.group else parser.add_mutually_exclusive_group()
            )
        shown = f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
        told = noted and each.default not in (None, (), MISSING) and not isinstance(each.default, bool)
        note = f" (default {shown})" if told else ""
        names, how = _how(each, hints[each.name], declared)
        groups[title].add_argument(*names, help=declared.help + note, **how)


def _dest(field_name: str, declared: Flag) -> str:
    """The name of a flag's value in the namespace."""
    return (declared.name or field_name).replace("-", "_")


def _how(each: Any, hint: Any, declared: Flag) -> tuple[list[str], dict[str, Any]]:
    """The names of a field's flag, and how argparse reads its value."""
    dest = _dest(each.name, declared)
    names = [*([f"-{declared.short}"] if declared.short else []), f"--{dest.replace('_', '-')}"]
    if hint is bool:
        return names, {"action": "store_false" if each.default else "store_true"}
    how: dict[str, Any] = {"metavar": declared.metavar, "choices": declared.choices}
    if declared.read is None:
        kinds = [kind for kind in get_args(hint) or (hint,) if kind not in (NoneType, ...)]
        how["type"] = str if declared.choices else kinds[0]
        if get_origin(hint) is tuple:
            how["action"] = "append"
        if each.default is MISSING and not declared.required:
            return [dest], how | {"metavar": dest.upper()}
    return names, how | ({"required": True} if declared.required else {})


def values_of(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that flags set, as far as they are ``given``, by the flags' names.

    Raises UsageError where one cannot be read.
    """
    values: dict[str, Any] = {}
    for each in fields(kind):
        if inner := each.metadata.get("part"):
            values[each.name] = inner(**values_of(inner, given))
    for field_name, declared in flags_of(kind).items():
        if (dest := _dest(field_name, declared)) in given:
            value = given[dest] if declared.read is None else declared.read(given[dest])
            values[field_name] = tuple(value) if isinstance(value, list) else value
    return values
