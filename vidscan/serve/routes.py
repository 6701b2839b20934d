"""The routes of the server: what is read of a request, and how it is answered."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from vidscan.results.rows import MARKS, MAX_NOTE
from vidscan.serve import export
from vidscan.serve.bodies import is_json, read_json
from vidscan.serve.service import Service

API = "/api/v1"

_HERE = Path(__file__).parent
FILES = {"/": "page/index.html"} | {
    f"/page/{each.name}": f"page/{each.name}"
    for each in sorted((_HERE / "page").iterdir())
    if each.suffix in (".css", ".js")
}
"""The page's own files by their paths; nothing else of the disk is served."""

_MIN_GZIP = 1 << 10


def routes(service: Service) -> list[BaseRoute]:
    """All there are."""
    return [
        *(Route(path, partial(_file, name)) for path, name in FILES.items()),
        Route(f"{API}/openapi.json", partial(_file, "openapi.json")),
        *(
            Route(API + path, partial(handler, service), methods=[method])
            for method, path, handler in _HANDLERS
        ),
    ]


async def _file(name: str, request: Request) -> Response:
    return FileResponse(_HERE / name)


async def _get_about(service: Service, request: Request) -> Response:
    return JSONResponse(await service.aside(service.about))


async def _post_scan(service: Service, request: Request) -> Response:
    # What can be refused is refused before anything is read.
    await service.aside(service.require_scanning)
    if is_json(request):
        asked = await read_json(request)
        if not isinstance(asked, dict) or not isinstance(asked.get("path"), str):
            raise HTTPException(400, 'send {"path": "..."}')
        number = await service.aside(partial(service.scan_path, asked["path"]))
    else:
        uploads = await service.uploads.receive(request)
        number = await service.aside(partial(service.scan_uploads, uploads))
    return JSONResponse({"id": number}, 202)


async def _get_scans(service: Service, request: Request) -> Response:
    return JSONResponse(service.scans())


async def _get_scan(service: Service, request: Request) -> Response:
    return _json_answer(request, await service.aside(partial(service.scan, _number(request))))


async def _delete_scan(service: Service, request: Request) -> Response:
    await service.aside(partial(service.cancel, _number(request)))
    return Response(status_code=204)


async def _get_results(service: Service, request: Request) -> Response:
    return await service.aside(lambda: _json_answer(request, service.table()))


async def _get_result(service: Service, request: Request) -> Response:
    return await service.aside(lambda: _json_answer(request, service.result(_number(request))))


async def _get_page(service: Service, request: Request) -> Response:
    page = await service.aside(partial(export.page, service, _number(request)))
    # The page's own policy stands in it; of the two, a browser holds to both.
    policy = {"Content-Security-Policy": "frame-ancestors 'self'"}
    return Response(page, media_type="text/html; charset=utf-8", headers=policy)


async def _put_mark(service: Service, request: Request) -> Response:
    asked = await read_json(request)
    mark, note = (asked.get("mark", ""), asked.get("note", "")) if isinstance(asked, dict) else ("", "")
    if mark not in (None, *MARKS) or not isinstance(note, str) or len(note) > MAX_NOTE:
        marks = ", ".join(MARKS)
        raise HTTPException(400, f"a mark is {marks} or null, with a note of up to {MAX_NOTE} characters")
    return JSONResponse(await service.aside(partial(service.mark, _number(request), mark, note)))


async def _get_export(service: Service, request: Request) -> Response:
    form = request.query_params.get("format", "csv")
    if form not in export.FORMATS:
        raise HTTPException(400, f"the format is one of {', '.join(export.FORMATS)}")
    marked = request.query_params.get("marked", "0") not in ("", "0", "false")
    pieces = _in_turn(service, export.pieces(service, form, marked=marked))
    name = f"vidscan{'-marked' if marked else ''}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=export.FORMATS[form], headers=headers)


async def _in_turn(service: Service, pieces: Iterator[str]) -> AsyncIterator[str]:
    while (piece := await service.aside(partial(next, pieces, None))) is not None:
        yield piece


async def _get_events(service: Service, request: Request) -> Response:
    if service.events.full:
        raise HTTPException(503, "too many pages listen already: close some")
    return StreamingResponse(service.events.stream(), media_type="text/event-stream")


_HANDLERS: tuple[tuple[str, str, Callable[[Service, Request], Awaitable[Response]]], ...] = (
    ("GET", "/about", _get_about),
    ("POST", "/scans", _post_scan),
    ("GET", "/scans", _get_scans),
    ("GET", "/scans/{id:int}", _get_scan),
    ("DELETE", "/scans/{id:int}", _delete_scan),
    ("GET", "/results", _get_results),
    ("GET", "/results/export", _get_export),
    ("GET", "/results/{id:int}", _get_result),
    ("GET", "/results/{id:int}/page", _get_page),
    ("PUT", "/results/{id:int}/mark", _put_mark),
    ("GET", "/events", _get_events),
)


def _number(request: Request) -> int:
    number: int = request.path_params["id"]
    if number >= 1 << 63:
        raise HTTPException(404, "there is no such number")
    return number


def _json_answer(request: Request, told: Any) -> Response:
    """JSON, packed where it is long and the one who asks can unpack it."""
    body = json.dumps(told, separators=(",", ":")).encode("ascii")
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= _MIN_GZIP and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)
