"""The REST interface: its answers are what its document says, and what the page relies on."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_samples import schema
from serving import PATIENCE_S, Running, still
from starlette.routing import Route

from vidscan.serve import events
from vidscan.serve.routes import API, FILES, routes

DOCUMENT = json.loads((Path(routes.__code__.co_filename).parent / "openapi.json").read_text("utf-8"))


def check(told: Any, path: str, method: str = "get", status: str = "200") -> None:
    """Holds an answer against the document."""
    found = DOCUMENT["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    jsonschema.validate(told, found | {"components": DOCUMENT["components"]}, jsonschema.Draft202012Validator)


@pytest.fixture
def marked(serve) -> Running:
    """A server with three results, of which the first has a mark."""
    running = serve()
    number = running.upload(("a.png", still()), ("b.png", still(30)), ("broken.png", b"")).json["id"]
    assert running.finished(number)["finished"] == 3
    running.api("PUT", "/results/1/mark", {"mark": "fake", "note": "=the ear\nmoves"})
    return running


def test_document_has_every_route_and_no_other(serve):
    service = serve().service
    there = {
        (route.path.removeprefix(API).replace(":int", ""), method.lower())
        for route in routes(service)
        if isinstance(route, Route) and route.path.startswith(API)
        for method in route.methods - {"HEAD"}
    }
    told = {
        (path, method)
        for path, every in DOCUMENT["paths"].items()
        for method in every
        if method != "parameters"
    }
    assert there == told
    names = [
        every[method]["operationId"]
        for every in DOCUMENT["paths"].values()
        for method in every
        if method != "parameters"
    ]
    assert len(set(names)) == len(names)
    for reference in re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)):
        assert reference in DOCUMENT["components"]["schemas"]
    assert serve().api("GET", "/openapi.json").json == DOCUMENT


def test_page_is_served_and_nothing_beside_it(serve):
    running = serve()
    kinds = {"": "text/html", ".js": "text/javascript", ".css": "text/css"}
    assert {"/", "/page/app.js", "/page/app.css"} <= FILES.keys()
    for path in FILES:
        answer, kind = running.ask("GET", path), kinds[Path(path).suffix]
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind), path
    for path in (
        "/page/",
        "/page/index.html",
        "/page/../routes.py",
        "/page/%2e%2e/routes.py",
        "/docs",
        "/api/v1",
    ):
        assert running.ask("GET", path).status == 404, path
    assert running.api("PATCH", "/results").status == 405


def test_page_holds_nothing_that_its_policy_forbids():
    folder = Path(routes.__code__.co_filename).parent / "page"
    page = (folder / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?://|javascript:", page)
    for name in FILES.values():
        assert not re.search(r"https?://(?!www\.w3\.org/)", (folder.parent / name).read_text("utf-8")), name


def test_answers_are_as_the_document_says(marked):
    check(marked.api("GET", "/about").json, "/about")
    check(marked.api("GET", "/scans").json, "/scans")
    check(marked.api("GET", "/scans/1").json, "/scans/{id}")
    check(marked.api("GET", "/results").json, "/results")
    for number in (1, 2, 3):
        check(marked.api("GET", f"/results/{number}").json, "/results/{id}")
    check(marked.api("PUT", "/results/2/mark", {"mark": None, "note": "?"}).json, "/results/{id}/mark", "put")
    check(marked.api("POST", "/scans", {"path": ""}).json, "/scans", "post", "403")
    check(marked.upload(("c.png", still())).json, "/scans", "post", "202")
    check(marked.api("GET", "/results/9").json, "/results/{id}", status="404")
    check(marked.api("GET", "/results", headers={"Authorization": None}).json, "/results", status="401")


def test_result_is_an_entry_of_a_report(marked):
    told = marked.api("GET", "/results/1").json
    document = marked.service.store.document(ids=[1]) | {"results": [told["result"]]}
    jsonschema.validate(document, schema(), jsonschema.Draft202012Validator)
    assert told["row"]["label"] == told["result"]["verdict"]["label"]
    assert (told["row"]["mark"], told["row"]["note"]) == ("fake", "=the ear\nmoves")


def test_table_is_packed_for_those_who_unpack(marked):
    plain = marked.api("GET", "/results")
    for number in range(20):
        marked.service.store.add(*_copy(marked, f"copy-{number}.png"))
    plain = marked.api("GET", "/results")
    packed = marked.api("GET", "/results", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and len(packed.body) < len(plain.body) / 2
    assert json.loads(gzip.decompress(packed.body)) == plain.json


def _copy(running: Running, name: str) -> tuple[Any, ...]:
    from vidscan.records import Source, SourceKind

    result = running.service.store.result(1) | {"source": name}
    return Source("", Path(name), SourceKind.IMAGE), None, result


def test_page_of_a_result_holds_its_evidence_and_may_be_framed_here_alone(marked):
    answer = marked.api("GET", "/results/1/page")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
    page = answer.body.decode()
    assert "a.png" in page and "b.png" not in page and "data:image/jpeg" in page
    assert re.search(r'http-equiv="Content-Security-Policy" content="default-src [^"]*none', page)
    assert marked.api("GET", "/results/3/page").status == 200


def test_export_gives_what_is_marked(marked):
    answer = marked.api("GET", "/results/export?format=csv&marked=1")
    assert answer.headers["content-disposition"] == 'attachment; filename="vidscan-marked.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert row["name"] == "a.png" and row["mark"] == "fake"
    assert row["note"].startswith("'=the ear") and "\n" not in row["note"]
    whole = marked.api("GET", "/results/export?format=json").json
    assert [row["name"] for row in whole] == ["a.png", "b.png", "broken.png"]
    assert whole[2]["label"] == "FAILED" and whole[2]["error"]
    assert marked.api("GET", "/results/export?format=exe").status == 400


def test_export_of_nothing_is_empty_and_whole(serve):
    running = serve()
    assert running.api("GET", "/results/export?format=json").json == []
    assert len(running.api("GET", "/results/export").body.splitlines()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mark": "FAKE"},
        {"mark": 1},
        {"mark": ["fake"]},
        {"mark": {}},
        [],
        {"mark": "fake", "note": 1},
        {"mark": "fake", "note": "x" * 10_001},
    ],
)
def test_marks_that_are_none_are_refused(marked, body):
    assert marked.api("PUT", "/results/1/mark", body).status == 400


def test_events_tell_of_scans_results_and_marks(serve):
    running = serve()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE_S)
    connection.request("GET", f"{API}/events", headers={"Authorization": f"Bearer {running.door.token}"})
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.readline() == b": open\n"
    number = running.upload(("a.png", still())).json["id"]
    running.finished(number)
    running.api("PUT", "/results/1/mark", {"mark": "real", "note": "ä"})
    seen: list[tuple[str, Any]] = []
    while not seen or seen[-1][0] != "mark":
        line = stream.readline().decode()
        if line.startswith("event: "):
            seen.append((line[7:-1], json.loads(stream.readline().decode().removeprefix("data: "))))
    connection.close()
    states = [told["state"] for kind, told in seen if kind == "scan"]
    assert states[:2] == ["queued", "running"] and states[-1] == "done"
    whole = DOCUMENT["components"]["schemas"]["WholeScan"]
    for kind, told in seen:
        if kind == "scan":
            jsonschema.validate(told | {"result": None}, whole | {"components": DOCUMENT["components"]})
    (row,) = (told for kind, told in seen if kind == "result")
    (now,) = running.api("GET", "/results").json["rows"]
    assert row[:8] == now[:8] and row[8:10] == [None, ""] and now[8:10] == ["real", "ä"]
    assert seen[-1][1] == {"id": 1, "mark": "real", "note": "ä"}


def test_listeners_have_a_limit(serve, monkeypatch):
    monkeypatch.setattr(events, "MAX_LISTENERS", 0)
    answer = serve().api("GET", "/events")
    assert answer.status == 503 and "too many" in answer.error
