"""Uploads: limits of size, number and time, and names that never become paths."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path

import pytest
from serving import Running, form, still
from starlette.exceptions import HTTPException

from vidscan.serve import bodies, uploads
from vidscan.serve.uploads import MAX_FILES, MAX_NAME, UploadFolder, shown_name


def head_of(running: Running, headers: Mapping[str, str], length: int) -> bytes:
    """The head of an upload of so many bytes."""
    lines = [
        "POST /api/v1/scans HTTP/1.1",
        f"Host: 127.0.0.1:{running.port}",
        f"Authorization: Bearer {running.door.token}",
        f"Content-Type: {headers['Content-Type']}",
        f"Content-Length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def left(running) -> list[Path]:
    return list(running.service.uploads.path.iterdir())


def test_upload_lies_in_a_private_folder_until_it_is_scanned(serve):
    running = serve()
    folder = running.service.uploads.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    running.engine.gate.clear()
    number = running.upload(("face.png", still())).json["id"]
    (path,) = left(running)
    assert path.suffix == ".png" and "face" not in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    running.engine.gate.set()
    told = running.finished(number)
    assert told["state"] == "done" and told["result"]["source"] == "face.png"
    assert left(running) == []


@pytest.mark.parametrize(
    "name", ["../face.png", "a/../../face.png", "..\\face.png", "/etc/face.png", "C:face.png"]
)
def test_names_that_climb_or_are_absolute_are_refused(serve, name):
    running = serve()
    refused = running.upload(("good.png", still()), (name, still()))
    assert refused.status == 400 and "name" in refused.error
    assert left(running) == [] and running.api("GET", "/scans").json == []


def test_of_the_path_that_an_old_browser_sends_the_name_is_left(serve):
    running = serve()
    told = running.finished(running.upload(("C:\\secret\\face.png", still())).json["id"])
    assert (told["name"], told["result"]["source"]) == ("face.png", "face.png")


def test_name_is_shown_without_what_could_mislead():
    assert shown_name("holiday/clip.MP4") == "clip.MP4"
    assert shown_name("a\x00b\x1b[31m\nc\u202e\u200bd.png") == "ab[31mcd.png"
    assert shown_name("  two   words.png ") == "two words.png"
    long = shown_name("ä" * 5000 + ".png")
    assert len(long) == MAX_NAME and long.endswith(".png")
    for nothing in ("", ".png", "script.sh", "clip.mp4.exe", ".."):
        with pytest.raises(HTTPException) as caught:
            shown_name(nothing)
        assert caught.value.status_code in (400, 415)


def test_two_uploads_of_one_name_are_two_results(serve):
    running = serve()
    first = running.finished(running.upload(("face.png", still(200))).json["id"])
    second = running.finished(running.upload(("face.png", still(220)), ("face.png", still(30))).json["id"])
    assert (first["sources"], second["sources"]) == (1, 2)
    table = running.api("GET", "/results").json
    names = [row[table["columns"].index("name")] for row in table["rows"]]
    assert names == ["face.png", "face (2).png", "face (3).png"]
    labels = [row[table["columns"].index("label")] for row in table["rows"]]
    assert labels[2] == "NO_FACE" and "NO_FACE" not in labels[:2]


def test_failure_names_the_upload_and_not_its_hiding_place(serve):
    running = serve()
    number = running.upload(("broken.png", b"This is no picture.")).json["id"]
    told = running.finished(number)
    assert told["state"] == "done"
    message = told["result"]["error"]["message"]
    assert "broken.png" in message and "vidscan-uploads" not in message


def test_five_gigabytes_are_refused_before_they_are_read(serve):
    running = serve(max_bytes=4 * 10**9)
    _, headers = form()
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
        client.sendall(head_of(running, headers, 5 * 10**9) + b"--limit\r\n")
        answer = client.recv(4096)  # although nearly nothing was sent
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert left(running) == []


def test_more_than_the_limit_in_pieces_of_no_declared_length_is_refused(serve):
    running = serve(max_bytes=100_000)
    body, headers = form(("face.png", bytes(3_000_000)))
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    answer = running.api(
        "POST", "/scans", chunked, headers | {"Content-Length": None, "Transfer-Encoding": "chunked"}
    )
    assert answer.status == 413 and "--max-upload" in answer.error
    assert left(running) == [] and running.api("GET", "/scans").json == []


def test_chunked_upload_within_the_limit_is_taken(serve):
    running = serve()
    body, headers = form(("face.png", still()))
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = running.api(
        "POST", "/scans", chunked, headers | {"Content-Length": None, "Transfer-Encoding": "chunked"}
    )
    assert answer.status == 202


def test_too_many_files_are_refused(serve):
    running = serve()
    refused = running.upload(*[(f"{number}.png", b"x") for number in range(MAX_FILES + 1)])
    assert refused.status == 413 and str(MAX_FILES) in refused.error
    assert left(running) == []


def test_disk_that_is_nearly_full_is_told_before_anything_is_read(serve, monkeypatch):
    running = serve()
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(uploads.shutil, "disk_usage", lambda _: usage(1 << 40, 0, uploads.FREE_BYTES))
        refused = running.upload(("face.png", still()))
    assert refused.status == 507 and "disk" in refused.error
    assert running.upload(("face.png", still())).status == 202


def test_disk_that_fills_is_told(serve, monkeypatch):
    running = serve()
    whole = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        refused = running.upload(("face.png", still()))
    assert refused.status == 507 and "No space left" in refused.error
    assert left(running) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--limit--\r\n",
        b"no form at all",
        form(("face.png", still()))[0][:-11],
        b'--limit\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--limit--\r\n',
        b"--limit\r\n" + b"X" * 100_000 + b": y\r\n\r\nx\r\n--limit--\r\n",
        form(("face.png", b"x"), field="other")[0],
        form(("\udcff.png", b"x"))[0],
    ],
)
def test_damaged_and_empty_forms_are_refused(serve, body):
    running = serve()
    refused = running.api("POST", "/scans", body, {"Content-Type": "multipart/form-data; boundary=limit"})
    assert refused.status == 400 and refused.error
    assert left(running) == [] and running.api("GET", "/scans").json == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", None]
)
def test_other_bodies_are_refused(serve, kind):
    """The three kinds that a page elsewhere could send without asking first are among them."""
    running = serve()
    assert running.api("POST", "/scans", b'{"path":""}', {"Content-Type": kind}).status == 415
    assert running.api("PUT", "/results/1/mark", b'{"mark":"fake"}', {"Content-Type": kind}).status == 415


def test_json_has_a_limit(serve):
    running = serve()
    assert running.api("POST", "/scans", {"path": "x" * bodies.MAX_JSON}).status == 413
    assert running.api("POST", "/scans", b"[" * 60_000, {"Content-Type": "application/json"}).status == 400


def test_upload_that_stops_coming_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_SILENCE_S", 0.2)
    running = serve()
    body, headers = form(("face.png", still()))
    answer = running.api("POST", "/scans", body[:-20], headers | {"Content-Length": str(len(body))})
    assert answer.status == 408 and left(running) == []


def test_upload_that_drips_is_given_up(serve, monkeypatch):
    """However often something comes, it must come at some rate after a while."""
    monkeypatch.setattr(bodies, "GRACE_S", 0.5)
    running = serve()
    _, headers = form()
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
        client.settimeout(0.05)
        client.sendall(head_of(running, headers, 100_000))
        answer = b""
        for piece in b"--limit\r\n" + b"x" * 2000:
            client.sendall(bytes([piece]))
            try:
                answer = client.recv(4096)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_upload_that_is_broken_off_leaves_nothing(serve):
    running = serve()
    body, headers = form(("face.png", bytes(500_000)))
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
        client.sendall(head_of(running, headers, len(body)) + body[:-1000])
    while running.server.server_state.tasks:
        assert running.ask("GET", "/").status == 200
    assert left(running) == []


def test_uploads_of_a_server_that_was_killed_are_deleted(tmp_path):
    running, left_behind = UploadFolder(tmp_path, 1), tmp_path / "vidscan-uploads-killed"
    new = tmp_path / "vidscan-uploads-new"
    for each in (left_behind, new):
        each.mkdir()
        (each / "private.mp4").write_bytes(b"x")
    (running.path / "waiting.mp4").write_bytes(b"x")
    for each in (left_behind, running.path):
        os.utime(each, (1, 1))
    (tmp_path / "vidscan-uploads-link").symlink_to(new)
    other = UploadFolder(tmp_path, 1)
    assert not left_behind.exists() and new.exists()
    assert (running.path / "waiting.mp4").exists()
    running.close()
    other.close()
    assert not running.path.exists() and not other.path.exists()
