"""``vidscan serve``: what it opens, what it says, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from leftovers import soon
from serving import ToyEngine, still
from starlette.exceptions import HTTPException
from toys import CARD, ToyDetector, ToyScorer

from vidscan.cli import serve as command
from vidscan.cli.main import EXIT_USAGE, main
from vidscan.cli.plan import Parts
from vidscan.models.ensemble import Ensemble
from vidscan.options import SamplingOptions, ScanOptions
from vidscan.results.store import Store
from vidscan.results.terms import heading_of
from vidscan.serve import server
from vidscan.serve.server import listen
from vidscan.serve.service import Service

PARTS = Parts(lambda models, runtime: Ensemble((ToyScorer(replace(CARD, sha256="70" * 32)),)))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VIDSCAN_CACHE", str(folder))
    return folder


class Caught:
    """Stands for the server, and is run in its place."""

    def __init__(self, service, door, started) -> None:
        self.service, self.door, self.started = service, door, started

    def run(self, sockets) -> None:
        Caught.last = self
        self.port = sockets[0].getsockname()[1]
        self.objection = objection_of(self.service)
        self.look()
        self.started()

    def look(self) -> None:
        """Does something while the server runs."""


def objection_of(service: Service) -> str | None:
    """Why a scan that was asked for now would be refused."""
    try:
        service.require_scanning()
    except HTTPException as error:
        return error.detail
    return None


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> type[Caught]:
    monkeypatch.setattr(server, "Server", Caught)
    return Caught


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", "--no-browser", *arguments], PARTS) == EXIT_USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


def test_address_is_the_only_line_on_stdout(caught, tmp_path, capsys):
    assert main(["serve", str(tmp_path), "--no-browser"], PARTS) == 0
    printed = capsys.readouterr()
    assert printed.out == f"http://127.0.0.1:{caught.last.port}/?token={caught.last.door.token}\n"
    assert "results are kept in" in printed.err and "listening" not in printed.err


def test_results_of_a_folder_are_kept_in_the_users_own_folder(caught, tmp_path, cache):
    for _ in range(2):
        assert main(["serve", str(tmp_path), "--no-browser"], PARTS) == 0
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert main(["serve", str(link), "--no-browser"], PARTS) == 0
    (store,) = (cache / "stores").iterdir()
    assert store.name.startswith(tmp_path.name) and store.suffix == ".vidscan"
    assert caught.last.service.store.path == store and caught.last.objection is None


def test_without_a_place_results_are_in_memory(caught, capsys, cache):
    assert main(["serve", "--no-browser"], PARTS) == 0
    assert caught.last.service.store.path is None and caught.last.service.folder is None
    assert "in memory, until this ends" in capsys.readouterr().err
    assert not list(cache.rglob("*.vidscan"))


def test_store_of_other_terms_is_shown_and_marked_but_takes_no_scan(caught, tmp_path, capsys):
    path = tmp_path / "kept.vidscan"
    engine = ToyEngine()
    other = ScanOptions(sampling=SamplingOptions(fps=7))
    Store.create(path, heading_of(other, engine.models)).close()
    assert main(["serve", str(path), "--no-browser"], PARTS) == 0
    told = capsys.readouterr().err
    assert "nothing new can be scanned" in told and "fps was 7" in told
    assert "fps was 7" in caught.last.objection
    assert main(["serve", str(path), "--no-browser", "--fps", "7"], PARTS) == 0
    assert caught.last.objection is None


@pytest.mark.parametrize("pictures", [[], ["--no-pictures"]])
def test_store_of_a_folders_scan_is_gone_on_with(caught, tmp_path, monkeypatch, pictures):
    """Also where that named the folder otherwise, and keeps fewer pictures."""
    monkeypatch.chdir(tmp_path)
    folder = Path("media")
    folder.mkdir()
    for name in ("one.png", "two.png"):
        (folder / name).write_bytes(still())
    toys = replace(PARTS, open_detector=lambda options: ToyDetector())
    assert main(["dir", "media", "--store", "kept.vidscan", "--quiet", *pictures], toys) == 0
    seen = []

    def look(server: Caught) -> None:
        number = server.service.scan_path("")
        seen.append(server.service.scan(number))

    monkeypatch.setattr(caught, "look", look)
    assert main(["serve", str(tmp_path / "media"), "--store", "kept.vidscan", "--no-browser"], PARTS) == 0
    assert caught.last.objection is None
    assert [(told["state"], told["results"]) for told in seen] == [("done", [1, 2])]


def test_store_that_another_scan_writes_is_shown_and_takes_no_scan(caught, tmp_path):
    path = tmp_path / "kept.vidscan"
    engine = ToyEngine()
    busy = Store.create(path, heading_of(command.ScanOptions.of(engine.options), engine.models))
    assert main(["serve", str(path), "--no-browser"], PARTS) == 0
    assert "another vidscan" in caught.last.objection
    busy.close()


def test_wrong_usage_is_one_line(capsys, tmp_path):
    assert "no such folder" in refusal(capsys, str(tmp_path / "nowhere"))
    assert "no such store" in refusal(capsys, str(tmp_path / "nowhere.vidscan"))
    (tmp_path / "text.vidscan").write_text("This is no store.")
    assert "no store" in refusal(capsys, str(tmp_path / "text.vidscan"))
    assert "leave --store out" in refusal(capsys, str(tmp_path / "text.vidscan"), "--store", "b.vidscan")
    assert "--max-upload" in refusal(capsys, "--max-upload", "0")
    assert "--port" in refusal(capsys, "--port", "70000")
    assert "--scratch" in refusal(capsys, "--scratch", str(tmp_path / "nowhere"))


def test_port_that_is_taken_is_told_with_the_remedy(capsys):
    with listen("127.0.0.1", None) as taken:
        line = refusal(capsys, "--port", str(taken.getsockname()[1]))
        assert "in use" in line and "--port" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_are_let_near_by_those_who_know(capsys, host):
    assert "--i-know" in refusal(capsys, "--host", host)


def test_what_is_opened_to_other_machines_is_told(caught, capsys):
    assert main(["serve", "--no-browser", "--host", "0.0.0.0", "--i-know"], PARTS) == 0
    printed = capsys.readouterr()
    assert "listening on 0.0.0.0: everybody who reaches this machine" in printed.err
    assert printed.out.startswith("http://127.0.0.1:")
    assert caught.last.door.knows("192.168.1.5:80") and not caught.last.door.knows("evil.example")


def test_proxy_is_known_by_its_name(caught):
    assert main(["serve", "--no-browser", "--allowed-host", "Scan.example.org"], PARTS) == 0
    assert caught.last.door.knows("scan.example.org") and not caught.last.door.knows("192.168.1.5")


def test_missing_libraries_are_told_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vidscan.serve.server", None)
    assert "pip install 'vidscan[serve]'" in refusal(capsys)


def test_browser_opens_where_there_is_a_screen_with_a_token_for_once(caught, monkeypatch, capsys):
    opened: list[str] = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["serve"], PARTS) == 0 and opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["serve"], PARTS) == 0
    (address,) = opened
    token = address.partition("=")[2]
    assert token != caught.last.door.token and caught.last.door.welcomes(token)


def test_store_is_free_again_where_the_server_cannot_start(tmp_path, capsys):
    path = tmp_path / "new.vidscan"
    refusal(capsys, "--store", str(path), "--scratch", str(tmp_path / "nowhere"))
    store = Store.open(path, write=True)
    store.claim()
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_program_serves_scans_in_a_worker_and_ends_with_all_it_started(tmp_path, number):
    """With the networks that ship: the whole way, once."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "one.png").write_bytes(still())
    words = (tmp_path / "words").open("w+")
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    environment.pop("VIDSCAN_CACHE")  # the networks are converted once for all
    line = [sys.executable, "-m", "vidscan", "serve", str(tmp_path / "media"), "--no-browser", "--fast"]
    line += ["--store", str(tmp_path / "kept.vidscan")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=words, text=True, env=environment) as program:
        assert program.stdout is not None
        address = program.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}\n", address), Path(
            words.name
        ).read_text()
        where = urlsplit(address.strip())
        connection = http.client.HTTPConnection(where.netloc, timeout=120)
        token = {"Authorization": f"Bearer {where.query.removeprefix('token=')}"}
        body = json.dumps({"path": "one.png"})
        connection.request("POST", "/api/v1/scans", body, token | {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read()) == {"id": 1}
        told = {"state": "queued"}
        while told["state"] in ("queued", "running"):
            connection.request("GET", "/api/v1/scans/1", headers=token)
            told = json.loads(connection.getresponse().read())
        assert told["result"]["verdict"]["label"] == "NO_FACE"
        listening = http.client.HTTPConnection(where.netloc, timeout=120)
        listening.request("GET", "/api/v1/events", headers=token)  # a page is open
        events = listening.getresponse()
        workers = children_of(program.pid)
        assert any("isolated.worker" in name for name in workers.values())
        program.send_signal(number)
        assert program.wait(60) == 0
        assert events.read().startswith(b": open")
        assert soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    words.seek(0)
    assert "Traceback" not in words.read()
    assert not list(tmp_path.glob("vidscan-uploads-*"))
    with pytest.raises(OSError):
        socket.create_connection((where.hostname, where.port), timeout=5)
    assert Store.open(tmp_path / "kept.vidscan", write=False).row(1).label == "NO_FACE"


def children_of(pid: int) -> dict[int, str]:
    """The command lines of a process's children, by their ids."""
    listed = subprocess.run(["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    found = (line.split(None, 2) for line in listed.stdout.splitlines()[1:])
    return {int(own): name for own, parent, name in found if int(parent) == pid}
