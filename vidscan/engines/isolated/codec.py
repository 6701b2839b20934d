"""What a worker process tells: records as plain JSON, and back by their declared types.

A worker has read a stranger's file, and may be the stranger's by now. So what it sends is never executed,
as a pickle would be: every value is checked against the type that :mod:`vidscan.records` declares for it.
"""

from __future__ import annotations

import base64
import functools
import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

MAX_MESSAGE = 256 << 20
"""Bytes of one message."""

MAX_DIMENSIONS = 4


class WireError(ValueError):
    """What arrived is no message of a worker's."""


def pack(message: Mapping[str, Any]) -> bytes:
    """A message as it travels: its length in four bytes, then JSON."""
    text = json.dumps(message, allow_nan=False).encode()
    return len(text).to_bytes(4, "big") + text


def length_of(head: bytes | bytearray) -> int:
    """The length that the first four bytes announce; raises WireError where it is beyond all measure."""
    length = int.from_bytes(head, "big")
    if length > MAX_MESSAGE:
        raise WireError(f"a message of {length} bytes")
    return length


def unpack(text: bytes | bytearray) -> dict[str, Any]:
    """The message that JSON holds; raises WireError where that is none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("no JSON") from error
    if not isinstance(message, dict):
        raise WireError("no message")
    return message


def to_plain(value: Any) -> Any:
    """A record as JSON values."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"shape": list(value.shape), "data": data}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be told to another process")


def from_plain(kind: Any, plain: Any) -> Any:
    """The value of a declared type that JSON values stand for.

    Args:
        kind: a type as it stands in a record's field.
        plain: what :func:`to_plain` made of it.

    Raises:
        WireError: ``plain`` is no such value.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _either(get_args(kind), plain)
    if origin is tuple:
        return tuple(from_plain(get_args(kind)[0], item) for item in _checked(list, plain))
    if origin is np.ndarray:
        return _array(np.dtype(get_args(get_args(kind)[1])[0]), plain)
    if kind is float:
        if isinstance(plain, bool) or not isinstance(plain, int | float) or not math.isfinite(plain):
            raise WireError("no number")
        return plain
    if kind in (bool, int, str):
        return _checked(kind, plain)
    if kind is Path:
        return Path(_checked(str, plain))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, plain)
    if isinstance(kind, type) and issubclass(kind, tuple):
        return _named_tuple(kind, plain)
    return _record(kind, plain)


def _checked(kind: type, plain: Any) -> Any:
    if type(plain) is not kind:
        raise WireError(f"no {kind.__name__}")
    return plain


def _either(kinds: tuple[Any, ...], plain: Any) -> Any:
    """One of several types: None, or the one other that it may be."""
    if plain is None and types.NoneType in kinds:
        return None
    (kind,) = (each for each in kinds if each is not types.NoneType)
    return from_plain(kind, plain)


def _member(kind: type[Enum], plain: Any) -> Enum:
    try:
        return kind(plain)
    except ValueError as error:
        raise WireError(f"no {kind.__name__}") from error


@functools.cache
def field_types(kind: type) -> dict[str, Any]:
    """The declared types of a record's fields."""
    return get_type_hints(kind)


def _named_tuple(kind: type, plain: Any) -> Any:
    hints = list(field_types(kind).values())
    if len(_checked(list, plain)) != len(hints):
        raise WireError(f"no {kind.__name__}")
    return kind(*(from_plain(hint, item) for hint, item in zip(hints, plain, strict=True)))


def _record(kind: type, plain: Any) -> Any:
    hints = field_types(kind)
    if set(_checked(dict, plain)) != set(hints):
        raise WireError(f"no {kind.__name__}")
    return kind(**{name: from_plain(hint, plain[name]) for name, hint in hints.items()})


def _array(dtype: np.dtype[Any], plain: Any) -> Any:
    if set(_checked(dict, plain)) != {"shape", "data"}:
        raise WireError("no array")
    shape = [_checked(int, side) for side in _checked(list, plain["shape"])]
    try:
        data = base64.b64decode(_checked(str, plain["data"]), validate=True)
    except ValueError as error:
        raise WireError("no array") from error
    if len(shape) > MAX_DIMENSIONS or min(shape, default=0) < 0:
        raise WireError("no array")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise WireError("an array of another size than it says")
    return np.frombuffer(data, dtype).reshape(shape)
