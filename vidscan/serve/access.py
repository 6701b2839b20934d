"""Who is let in: requests with the token, to this server by its own names, from its own pages.

Every answer, also a refusal, gets the headers that keep browsers from sharing or guessing.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset(("127.0.0.1", "localhost", "[::1]"))
"""Names that no foreign name server can give another meaning."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own files, and nothing inline."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_READING = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?")
_GO_ON = '<!doctype html><html lang="en"><title>vidscan</title><meta http-equiv="refresh" content="0; url=/">'
_OUTSIDE = (
    '<!doctype html><html lang="en"><title>vidscan</title><p>Open the whole address that vidscan printed in '
    'the terminal when it started. If you have just done so, <a href="/">go on</a>.'
)


def new_token() -> str:
    """A token that nobody guesses: 256 bits, as text for addresses."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Door:
    """The token, and the names by which this server may be addressed at its port.

    ``names``: host names in lower case, without a port. ``addresses``: whether any IP address will do, as no
    page can make one point elsewhere; for servers that other machines may reach.
    """

    port: int
    names: frozenset[str] = LOOPBACK_NAMES
    addresses: bool = False
    token: str = field(default_factory=new_token, repr=False)
    _once: set[str] = field(default_factory=set, repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers share cookies between the ports of a machine."""
        return f"vidscan-{self.port}"

    def opens(self, given: str | None) -> bool:
        """Whether this is the token, found out in a time that does not depend on how much of it agrees."""
        return given is not None and hmac.compare_digest(
            given.encode("utf-8", "replace"), self.token.encode("ascii")
        )

    def token_for_once(self) -> str:
        """Another token that opens the page once: other users see what a browser is started with."""
        token = new_token()
        self._once.add(token)
        return token

    def welcomes(self, given: str) -> bool:
        """Whether this is the token, or one for once that was not used yet."""
        if given in self._once:  # a look-up by hash tells nothing about what agrees
            self._once.discard(given)
            return True
        return self.opens(given)

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower()
        return name in self.names or (self.addresses and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class Access:
    """The middleware around all routes."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with a refusal."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self._answer(scope) or self._app)(scope, receive, dressed)

    def _answer(self, scope: Scope) -> Response | None:
        """The answer to a request that goes no further; None lets it pass."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._door.knows(host):
            return _refusal(403, "this server is not known by that name: use the address that it printed")
        entrance = path == "/" and method in _READING
        # From here on, whatever another page in the same browser has asked for is refused.
        if not entrance and not _from_own_page(headers, host):
            return _refusal(403, "the request comes from another page")
        if entrance and "token" in (query := QueryParams(scope["query_string"])):
            if not self._door.welcomes(query["token"]):
                return HTMLResponse(_OUTSIDE, 401)
            return self._welcome(headers.get("sec-fetch-site", "none"))
        bearer = headers.get("authorization", "").partition(" ")
        if bearer[0].lower() == "bearer" and self._door.opens(bearer[2].strip()):
            return None
        if not self._door.opens(cookie_parser(headers.get("cookie", "")).get(self._door.cookie)):
            if entrance:
                return HTMLResponse(_OUTSIDE, 401)
            return _refusal(401, "the token is missing or wrong: send Authorization: Bearer TOKEN")
        if method not in _READING and not {"origin", "sec-fetch-site"} & {*headers.keys()}:
            return _refusal(403, "a request by cookie that changes something must say where it comes from")
        return None

    def _welcome(self, site: str) -> Response:
        """Exchanges the token in the address for a cookie, so that it stays in no history or referrer.

        A browser that followed a link of another ``site`` would send no strict cookie after a redirect; it
        does after a page of ours.
        """
        answer = RedirectResponse("/", 303) if site == "none" else HTMLResponse(_GO_ON)
        answer.set_cookie(self._door.cookie, self._door.token, path="/", httponly=True, samesite="strict")
        return answer


def _from_own_page(headers: Headers, host: str) -> bool:
    """Whether a request may come from this server's own page, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    return site in ("same-origin", "none") and (
        origin is None or origin in (f"http://{host}", f"https://{host}")
    )


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
