"""Too much at once: the page stays up."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from serving import PATIENCE_S, Running, still

from vidscan.serve import server
from vidscan.serve.service import MAX_THREADS


def stays_up(running: Running) -> None:
    """The page and the results come once room is left: refusals by 503 are told to try again."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if running.ask("GET", "/").status == 200:
                break
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    assert running.ask("GET", "/").status == 200
    assert running.api("GET", "/results").status == 200


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/results"), ("POST", "/api/v1/scans")])
def test_a_thousand_requests_at_once_leave_the_page_up(serve, method, path):
    running = serve()
    clients = [socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) for _ in range(1000)]
    seen: Counter[object] = Counter()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    request = f"{head}Authorization: Bearer {running.door.token}\r\n\r\n".encode()
    for client in clients:
        with suppress(OSError):  # it is cut, which is counted below
            client.sendall(request)
    stays_up_during = threading.Thread(target=stays_up, args=[running])
    stays_up_during.start()
    for client in clients:
        try:
            answer = client.recv(4096)
        except OSError:
            answer = b""
        seen[int(answer[9:12]) if answer else "cut"] += 1
        client.close()
    stays_up_during.join(2 * PATIENCE_S)
    stays_up(running)
    assert seen[503] + seen["cut"] > 0 and seen.keys() <= {200, 415, 503, "cut"}, seen
    number = running.upload(("a.png", still())).json["id"]
    assert running.finished(number)["state"] == "done"
    assert len(running.server.server_state.tasks) <= 1


def test_further_requests_get_a_plain_503(serve, monkeypatch):
    monkeypatch.setattr(server, "MAX_REQUESTS", 1)
    assert serve().ask("GET", "/").status == 503


def test_connections_that_ask_nothing_are_closed(serve, monkeypatch):
    monkeypatch.setattr(server, "MAX_IDLE_S", 0.2)
    running = serve()
    silent = [socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) for _ in range(5)]
    half = socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S)
    half.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    for client in (*silent, half):
        with suppress(ConnectionError):
            assert client.recv(100) == b""
        client.close()
    monkeypatch.undo()  # a client of this test may be slow, too
    stays_up(running)


def test_more_connections_than_the_limit_are_cut(serve, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    running = serve()
    clients = [socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) for _ in range(6)]
    cut = 0
    for client in clients[3:]:
        try:
            cut += client.recv(100) == b""
        except ConnectionError:
            cut += 1
    assert cut == 3
    for client in clients:
        client.close()
    stays_up(running)


def test_long_request_that_goes_on_is_not_cut(serve, monkeypatch):
    """A stream of events, say, lasts longer than a connection may idle."""
    monkeypatch.setattr(server, "MAX_IDLE_S", 0.3)
    running = serve()
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE_S)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {running.door.token}"})
    stream = connection.getresponse()
    assert stream.readline() == b": open\n" and stream.readline() == b"\n"
    time.sleep(1.0)
    running.service.events.publish("mark", {"id": 1})
    assert stream.readline() == b"event: mark\n"
    connection.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux alone")
def test_store_is_open_a_few_times_however_many_ask(serve, tmp_path):
    running = serve(store=tmp_path / "kept.vidscan")

    def ask() -> None:
        assert running.api("GET", "/results").status == 200
        assert running.api("GET", "/results/export?format=json").json == []

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    opened = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    assert 0 < opened.count(str(tmp_path / "kept.vidscan")) <= MAX_THREADS + 2
