"""Messages of a worker process: JSON, each checked against the types that the records declare.

A worker has read a file that an attacker may have made, and may be under their control by now. So what it
sends is never executed, as a pickle would be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from vidscan.errors import quoted
from vidscan.system import typed_json
from vidscan.system.typed_json import Form, MismatchError

MAX_MESSAGE = 256 << 20
"""Bytes of one message."""


class WireError(ValueError):
    """What arrived is not a message of a worker."""


class Frame(NamedTuple):
    """A frame sampled from the source with this id."""

    source: str
    time_s: float
    duration_s: float | None


class Finished(NamedTuple):
    """The fields of the source's report that the worker tells, still unchecked."""

    source: str
    told: Mapping[str, Any]


class Failed(NamedTuple):
    """The name of an error's class, and its message."""

    kind: str
    message: str


_BODIES: Mapping[str, Any] = {"next": bool, "part": str, "frame": Frame, "report": Finished, "failed": Failed}
"""What each kind of message holds; a text is the id of a source, and ``next`` asks for one."""


def pack(message: Mapping[str, Any]) -> bytes:
    """A message as it is sent: its length in four bytes, then JSON."""
    text = json.dumps(message, allow_nan=False).encode()
    return len(text).to_bytes(4, "big") + text


def length_of(head: bytes | bytearray) -> int:
    """The length that the first four bytes announce; raises WireError where it is over ``MAX_MESSAGE``."""
    length = int.from_bytes(head, "big")
    if length > MAX_MESSAGE:
        raise WireError(f"a message of {length} bytes")
    return length


def unpack(text: bytes | bytearray) -> dict[str, Any]:
    """A message of one kind, with its body; raises WireError where the text is none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("no JSON") from error
    if not isinstance(message, dict) or len(message) != 1 or not message.keys() <= _BODIES.keys():
        raise WireError("an unknown message")
    return {kind: from_plain(_BODIES[kind], body) for kind, body in message.items()}


def from_plain(kind: Any, plain: Any) -> Any:
    """The value of a declared type that JSON values stand for; raises WireError where they do not."""
    try:
        return typed_json.from_plain(kind, plain, Form.WIRE)
    except MismatchError as error:
        raise WireError(quoted(str(error))) from error  # it repeats names that were sent
