"""JSON values of records, and records of JSON values by the types and limits that their fields declare.

What is read may come from an attacker. It is checked by msgspec and never executed: unknown and missing
fields, other types, numbers out of bounds or not finite are refused.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from vidscan.records.limits import Limits

MAX_DIMENSIONS = 4
_MAX = sys.float_info.max
_SLACK = 0.49
"""Of the last decimal: a number that rounds to one within the bounds is within them."""

_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*?)`(?: - at `(.*)`)?", re.DOTALL)
_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")

T = TypeVar("T")


class Form(Enum):
    """What may be missing, and how exact numbers are.

    A ``CARD`` is written by hand: fields with a default may be missing. A ``REPORT`` is rounded, and leaves
    out the fields that :class:`Limits` calls ``absent`` where they are empty. On the ``WIRE``, every field is
    there, and a number may be out of bounds by what rounding takes away.
    """

    CARD = 1
    REPORT = 2
    WIRE = 3


class MismatchError(ValueError):
    """A value that is not of its declared type.

    ``path`` holds the names that lead to the field, items counted from 1; it is empty for the whole value.
    ``problem`` is ``unknown``, ``missing`` or ``wrong``.
    """

    def __init__(self, text: str, path: tuple[str, ...], problem: str) -> None:
        super().__init__(text)
        self.path, self.problem = path, problem


def to_plain(value: Any) -> Any:
    """A record as JSON values, arrays as shape and base64; raises TypeError for what has no JSON form."""
    return msgspec.to_builtins(value, enc_hook=_encoded)


def from_plain(kind: type[T], value: Any, form: Form) -> T:
    """The record of a declared type that JSON values stand for; raises MismatchError where they do not."""
    try:
        checked: Any = strict(cast("Any", kind), form)
        msgspec.convert(value, checked)
        return msgspec.convert(value, kind, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        raise _mismatch(str(error)) from error
    except RecursionError as error:
        raise MismatchError("it is nested too deep", (), "wrong") from error


def json_schema(kind: Any, form: Form) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a declared type, without descriptions."""

    def published(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: published(each) for name, each in value.items() if each not in (-_MAX, _MAX)}
        if isinstance(value, list):
            return [published(each) for each in value]
        return re.sub(r"^\^\(\?:(.*)\)\\Z$", r"^\1$", value) if isinstance(value, str) else value

    made: dict[str, Any] = published(msgspec.json.schema(strict(kind, form)))
    return made


def parted(kind: Any) -> tuple[Any, Limits]:
    """A declared type without its annotations, and its limits."""
    if get_origin(kind) is not Annotated:
        return kind, Limits()
    base, *notes = get_args(kind)
    return base, next((note for note in notes if isinstance(note, Limits)), Limits())


def optional(kind: Any) -> Any:
    """The type that a field holds where it is not None; None where it cannot be None."""
    if get_origin(kind) not in (Union, UnionType) or type(None) not in get_args(kind):
        return None
    (inner,) = (each for each in get_args(kind) if each is not type(None))
    return inner


@cache
def field_types(kind: type) -> dict[str, Any]:
    """The declared types of a record's fields, with their limits; {} where it is no record."""
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return get_type_hints(kind, include_extras=True)
    return {}


@cache
def strict(kind: Any, form: Form) -> Any:
    """The type by which msgspec checks: records that allow no other fields, bounded and finite numbers."""
    base, limits = parted(kind)
    inner, origin = optional(base), get_origin(base)
    if inner is not None:
        return strict(inner, form) | None
    if origin is np.ndarray:
        return _Array
    if origin is tuple:
        return Annotated[tuple[strict(get_args(base)[0], form), ...], _lengths(limits, form)]  # type: ignore[misc]
    if base is str:
        return Annotated[str, _lengths(limits, form)]
    if base is int:
        return Annotated[int, Meta(ge=limits.low, le=limits.high)]
    if base is float:
        return Annotated[float, _finite(limits, form)]
    if not field_types(base):
        return base
    entries: list[Any] = []
    for name, each in field_types(base).items():
        entry = (name, strict(each, form))
        entries.append((*entry, msgspec.UNSET) if _may_be_missing(base, name, form) else entry)
    return msgspec.defstruct(
        base.__name__, entries, forbid_unknown_fields=True, array_like=hasattr(base, "_fields"), kw_only=True
    )


def _may_be_missing(kind: Any, name: str, form: Form) -> bool:
    if form is not Form.CARD or not is_dataclass(kind):
        return form is Form.REPORT and parted(field_types(kind)[name])[1].absent
    (field,) = (each for each in fields(kind) if each.name == name)
    return field.default is not MISSING or field.default_factory is not MISSING


def _lengths(limits: Limits, form: Form) -> Meta:
    low = 0 if limits.absent and form is not Form.REPORT else int(limits.low or 0)
    return Meta(
        min_length=low or None,
        max_length=None if limits.high is None else int(limits.high),
        pattern=None if limits.pattern is None else rf"^(?:{limits.pattern})\Z",
    )


def _finite(limits: Limits, form: Form) -> Meta:
    slack = _SLACK * 10.0**-limits.digits if form is Form.WIRE and limits.digits is not None else 0.0
    low = -_MAX if limits.low is None else limits.low - slack
    return Meta(ge=low, le=_MAX if limits.high is None else limits.high + slack)


class _Array(msgspec.Struct, forbid_unknown_fields=True):
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MAX_DIMENSIONS)]
    data: bytes


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "data": np.ascontiguousarray(value).tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _decoded(kind: Any, value: Any) -> Any:
    """The array of a declared dtype whose shape and bytes these are."""
    array = msgspec.convert(value, _Array)
    dtype = np.dtype(get_args(get_args(kind)[1])[0])
    if math.prod(array.shape) * dtype.itemsize != len(array.data):
        raise ValueError("an array of another size than it says")
    return np.frombuffer(array.data, dtype).reshape(array.shape)


def _mismatch(text: str) -> MismatchError:
    about = _FIELD.fullmatch(text)
    if about:
        problem, name, place = about.groups()
        return MismatchError(
            text, (*_path(place or ""), name), "unknown" if "unknown" in problem else "missing"
        )
    found = _PLACE.search(text)
    return MismatchError(text, _path(found[1]) if found else (), "wrong")


def _path(place: str) -> tuple[str, ...]:
    """The names in ``$.members[1].name``, counted from 1 in lists."""
    return tuple(name or str(int(index) + 1) for name, index in _STEP.findall(place))
