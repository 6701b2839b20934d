"""The form of records in a report document: fields in their order, numbers rounded, empty parts left out.

Documents are written by it, and the columns of Parquet files are derived from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, get_args, get_origin

import numpy as np

from vidscan.records import StageSeconds, Stats, TimelineFace, Track, Verdict
from vidscan.records.limits import Limits
from vidscan.system.typed_json import field_types, optional, parted

_FIRST: Mapping[type, str] = {
    Track: "id person start_s end_s faces fake_probability quality counted weight note",
    TimelineFace: "track box detection_confidence quality",
    Verdict: "label fake_probability confidence reason tracks interval",
    StageSeconds: "decode detect wait",
    Stats: "duration_s frames_sampled faces_scored faces_reused faces_unjudged cuts_s crops_scored"
    " batch_slots",
}
"""Which fields a document names first, where its order is not the record's."""

UNDECODED_BYTE = re.compile("[\udc80-\udcff]")


def document_fields(kind: type) -> dict[str, Any]:
    """The declared types of a record's fields, in the document's order; {} where it is no record."""
    types = field_types(kind)
    return {name: types[name] for name in dict.fromkeys([*_FIRST.get(kind, "").split(), *types])}


@cache
def writer(kind: Any) -> Callable[[Any], Any]:
    """A function that makes JSON values of a value of a declared type.

    It raises ValueError where a number is not finite or is out of its bounds when rounded.
    """
    base, limits = parted(kind)
    inner = optional(base)
    if inner is not None:
        write = writer(inner)
        return lambda value: None if value is None else write(value)
    if get_origin(base) is tuple:
        write = writer(get_args(base)[0])
        return lambda values: [write(value) for value in values]
    if base is float:
        return lambda value: _rounded(value, limits)
    parts = [(name, writer(each), parted(each)[1].absent) for name, each in document_fields(base).items()]
    if not parts:
        return plain
    if hasattr(base, "_fields"):
        return lambda value: [write(getattr(value, name)) for name, write, _ in parts]
    return lambda record: {
        name: write(value) for name, write, absent in parts if (value := getattr(record, name)) or not absent
    }


def _rounded(value: float, limits: Limits) -> float:
    """float32 arithmetic can end a hair outside 0-1; rounding takes that away and nothing larger."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"the number {number}")
    number = round(number, limits.digits) + 0.0  # + 0.0 turns -0.0, which rounding can leave, into 0.0
    low, high = limits.low, limits.high
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(f"the number {number}")
    return number


def valid_text(text: str) -> str:
    r"""``text`` so that UTF-8 can hold it: bytes that a path could not decode become ``\xNN``."""
    named = UNDECODED_BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)
    return named.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any) -> Any:
    """``value`` as JSON values only. Raises TypeError for what has no JSON form."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | PurePath):
        return valid_text(str(value))
    if isinstance(value, Mapping):
        return {valid_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a report")
