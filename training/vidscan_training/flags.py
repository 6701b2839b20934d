"""Command-line flags out of option dataclasses: each field made by :func:`option` is one flag."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from vidscan.errors import UsageError

_Options = TypeVar("_Options")
_UNSET: Any = MISSING


def option(
    default: Any = _UNSET,
    help: str | None = None,
    *,
    flag: str = "",
    group: str = "",
    parse: Callable[[str], Any] | None = None,
    **more: Any,
) -> Any:
    """A dataclass field that is also a flag.

    Args:
        default: of the field; a field without one is a positional argument unless ``more`` says otherwise.
        help: for ``--help``.
        flag: its name; by default ``--`` and the field's.
        group: the heading that it stands under.
        parse: makes the value of the flag's text; raises UsageError. The flag's own default is then "".
        more: for ``add_argument``.
    """
    metadata = {"help": help, "flag": flag, "group": group, "parse": parse, "more": more}
    if parse is not None:
        return field(default_factory=lambda: parse(""), metadata=metadata)
    return field(default=default, metadata=metadata)


def add_flags(parser: Any, options: type[Any], groups: dict[str, Any] | None = None) -> None:
    """Adds the flags of a dataclass and of the dataclasses that are its fields."""
    groups = {"": parser} if groups is None else groups
    hints = get_type_hints(options)
    for each in fields(options):
        if is_dataclass(hints[each.name]):
            add_flags(parser, hints[each.name], groups)
        elif "flag" in each.metadata:
            title = each.metadata["group"]
            if title not in groups:
                groups[title] = parser.add_argument_group(title)
            _add_flag(groups[title], each, hints[each.name])


def _add_flag(group: argparse._ArgumentGroup, each: Any, hint: Any) -> None:
    facts = each.metadata
    more: dict[str, Any] = {"help": facts["help"], **facts["more"]}
    flag = facts["flag"] or "--" + each.name.replace("_", "-")
    if hint is bool:
        action = "store_false" if each.default else "store_true"
        group.add_argument(flag, dest=each.name, action=action, **more)
        return
    if facts["parse"] is not None:
        more["default"] = ""
    else:
        more.setdefault("type", next((kind for kind in get_args(hint) if kind is not type(None)), hint))
        if each.default is not MISSING:
            more["default"] = each.default
        elif "required" not in more:
            group.add_argument(each.name, metavar=flag[2:].upper(), **more)
            return
    if "choices" not in more:
        more.setdefault("metavar", flag[2:].upper().replace("-", "_"))
    group.add_argument(flag, dest=each.name, **more)


def options_of(options: type[_Options], flags: argparse.Namespace, **given: Any) -> _Options:
    """The options that flags ask for, but for fields ``given``; raises UsageError if they make no sense."""
    values, hints = dict(given), get_type_hints(options)
    for each in fields(options):  # type: ignore[arg-type]  # a dataclass, which no type says
        if each.name in values:
            continue
        if is_dataclass(hints[each.name]):
            values[each.name] = options_of(hints[each.name], flags)
        elif hasattr(flags, each.name):
            value, parse = getattr(flags, each.name), each.metadata.get("parse")
            values[each.name] = value if parse is None else parse(value)
    return options(**values)


def names(text: str) -> tuple[str, ...]:
    """``"original, deepfakes"`` as names; empty ones are left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def pairs(text: str) -> Sequence[tuple[str, str]]:
    """``"a=1,b=2"`` as pairs; raises UsageError if it is written otherwise."""
    found = []
    for item in names(text):
        name, sign, value = item.partition("=")
        if not (sign and name and value):
            raise UsageError(f"'{item}' should be NAME=VALUE")
        found.append((name, value))
    return found


def method_weights(text: str) -> dict[str, float]:
    """``"deepfakes=1,stylegan256=0.7"`` as a dictionary; raises UsageError if it is written otherwise."""
    weights = {}
    for name, value in pairs(text):
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--method-weights: '{value}' of {name} is not a number") from None
    return weights
