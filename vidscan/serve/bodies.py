"""The bodies of requests: read as they come, but not for ever."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_SILENCE_S = 30.0
"""A body of which nothing comes for so long is given up."""

GRACE_S, MIN_RATE = 60.0, 16 << 10
"""A body that comes more slowly than so many bytes a second is given up after so many seconds."""

MAX_JSON = 64 << 10
"""Limit on the bytes of a request's JSON."""


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces; raises HTTPException (408) where they come too slowly, or ClientDisconnect."""
    begun, received, more = time.monotonic(), 0, True
    while more:
        left = begun + GRACE_S + received / MIN_RATE - time.monotonic()
        try:
            message = await asyncio.wait_for(request.receive(), min(left, MAX_SILENCE_S))
        except TimeoutError:
            raise HTTPException(408, "the request came too slowly and was given up") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        received += len(piece)
        more = message.get("more_body", False)
        yield piece


def is_json(request: Request) -> bool:
    """Whether a body claims to be JSON. No page of another origin can send such without being asked for."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"


async def read_json(request: Request) -> Any:
    """The value of a JSON body; raises HTTPException where it is none, or too long."""
    if not is_json(request):
        raise HTTPException(415, "send JSON, as application/json")
    text = bytearray()
    async for piece in pieces(request):
        text += piece
        if len(text) > MAX_JSON:
            raise HTTPException(413, f"the JSON has more than {MAX_JSON} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise HTTPException(400, "that is no JSON") from None
