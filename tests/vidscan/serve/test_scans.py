"""Scans: they queue, can be called off, and go below the folder named at the start alone."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from serving import PATIENCE_S, ToyEngine, end, still
from toys import CARD

from vidscan.errors import ScoringError, StoreError
from vidscan.records import ErrorInfo, Report, Source, SourceKind, Status
from vidscan.serve import scans
from vidscan.serve.scan import Item, named
from vidscan.serve.scans import Scans


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stills with a face, one below the other, and what is none."""
    found = tmp_path / "media"
    (found / "deeper").mkdir(parents=True)
    (found / "one.png").write_bytes(still())
    (found / "deeper" / "two.png").write_bytes(still(220))
    (found / "notes.txt").write_text("no still")
    return found


def rows(running) -> list[dict]:
    table = running.api("GET", "/results").json
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def scan(running, place: str):
    answer = running.api("POST", "/scans", {"path": place})
    assert answer.status == 202, answer.body
    return running.finished(answer.json["id"])


# Paths


def test_folder_is_scanned_with_its_subfolders_and_once(serve, folder):
    running = serve(folder)
    told = scan(running, "")
    assert (told["state"], told["sources"], told["finished"], len(told["results"])) == ("done", 2, 2, 2)
    assert {row["name"] for row in rows(running)} == {
        str(folder / "one.png"),
        str(folder / "deeper" / "two.png"),
    }
    (folder / "one.png").write_bytes(still(140))
    (folder / "three.png").write_bytes(still(100))
    before = {row["name"]: row["id"] for row in rows(running)}
    again = scan(running, ".")
    assert (again["sources"], again["finished"]) == (3, 3)
    assert before[str(folder / "deeper" / "two.png")] in again["results"]
    after = {row["name"]: row for row in rows(running)}
    assert len(after) == 3
    assert after[str(folder / "one.png")]["fake_probability"] == pytest.approx(140 / 255, abs=0.02)


def test_file_is_named_in_the_folder_or_in_full(serve, folder):
    running = serve(folder)
    first = scan(running, "deeper/two.png")
    second = scan(running, str(folder / "deeper" / "two.png"))
    assert first["result"]["source"] == str(folder / "deeper" / "two.png")
    assert first["results"] == second["results"] and second["result"] == first["result"]


@pytest.mark.parametrize(
    "place", ["..", "../outside.png", "/etc/passwd", "deeper/../../outside.png", "/", "~", "\0"]
)
def test_places_outside_the_folder_are_refused(serve, folder, place):
    (folder.parent / "outside.png").write_bytes(still())
    running = serve(folder)
    answer = running.api("POST", "/scans", {"path": place})
    assert answer.status == (404 if place == "~" else 403)
    assert str(folder.parent) not in answer.error and "root" not in answer.error
    assert running.api("GET", "/scans").json == []


def test_links_that_lead_out_are_refused_alone_and_left_out_of_folders(serve, folder):
    (folder.parent / "outside.png").write_bytes(still())
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "relative.png").symlink_to("../outside.png")
    (folder / "out").symlink_to(folder.parent)
    (folder / "inside.png").symlink_to("deeper/two.png")
    running = serve(folder)
    for place in ("link.png", "relative.png", "out", "out/outside.png", "out/media/../outside.png"):
        assert running.api("POST", "/scans", {"path": place}).status == 403, place
    told = scan(running, "")
    assert told["sources"] == 2 and "2 links" in told["note"]
    assert {Path(row["name"]).name for row in rows(running)} == {"one.png", "two.png"}
    assert scan(running, "inside.png")["results"] == scan(running, "deeper/two.png")["results"]


def test_file_that_becomes_a_link_while_it_waits_is_left_out(serve, folder):
    (folder.parent / "outside.png").write_bytes(still(140))
    running = serve(folder)
    running.engine.gate.clear()
    first = running.api("POST", "/scans", {"path": "deeper/two.png"}).json["id"]
    assert running.engine.waiting.wait(PATIENCE_S)
    number = running.api("POST", "/scans", {"path": "one.png"}).json["id"]
    (folder / "one.png").unlink()
    (folder / "one.png").symlink_to(folder.parent / "outside.png")
    running.engine.gate.set()
    running.finished(first)
    told = running.finished(number)
    assert told["results"] == [] and "link" in told["note"]
    assert len(rows(running)) == 1


def test_file_that_failed_is_tried_again(serve, folder):
    (folder / "broken.png").write_bytes(b"This is no picture.")
    running = serve(folder)
    first, second = scan(running, "broken.png"), scan(running, "broken.png")
    assert first["results"] == second["results"] and running.engine.scans == 2
    assert rows(running)[0]["label"] == "FAILED" and str(folder / "broken.png") in rows(running)[0]["error"]


def test_what_is_not_there_or_nothing_to_scan_is_told_without_a_path(serve, folder):
    running = serve(folder)
    (folder / "empty").mkdir()
    for place, status in (("nowhere.png", 404), ("notes.txt", 415), ("empty", 415)):
        answer = running.api("POST", "/scans", {"path": place})
        assert answer.status == status and str(folder.parent) not in answer.error.replace(str(folder), "")
    for body in ({}, {"path": 1}, {"path": None}, [], ["a"]):
        assert running.api("POST", "/scans", body).status == 400


def test_without_a_folder_uploads_alone_are_taken(serve):
    answer = serve().api("POST", "/scans", {"path": "one.png"})
    assert answer.status == 403 and "upload" in answer.error


def test_name_of_a_store_made_elsewhere_is_kept(serve, folder, tmp_path, monkeypatch):
    """``vidscan dir media --store`` names a file as it was given."""
    monkeypatch.chdir(tmp_path)
    running = serve(Path("media"))
    other = scan(running, "deeper/two.png")["result"] | {"source": "media/one.png"}
    running.service.store.add(Source("0", Path("media/one.png"), SourceKind.IMAGE), "old", other)
    told = scan(running, "one.png")
    assert told["result"]["source"] == "media/one.png" and len(rows(running)) == 2


# The queue


def test_upload_is_never_taken_for_a_file_of_its_name(serve, tmp_path, monkeypatch):
    """A store that is gone on with in a folder must not know the folder's own face.png by an upload."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "face.png").write_bytes(still(30))
    running = serve()
    running.finished(running.upload(("face.png", still(200))).json["id"])
    assert running.service.store.find("face.png").state is None


def test_scans_run_one_at_a_time_and_tell_how_far_they_are(serve, folder):
    running = serve(folder)
    running.engine.gate.clear()
    first = running.upload(("first.png", still())).json["id"]
    second = running.upload(("second.png", still())).json["id"]
    assert running.engine.waiting.wait(PATIENCE_S)
    states = {told["id"]: told["state"] for told in running.api("GET", "/scans").json}
    assert states == {first: "running", second: "queued"}
    running.engine.gate.set()
    assert running.finished(second)["state"] == "done"
    assert running.finished(first)["state"] == "done"


def test_waiting_scan_can_be_called_off(serve):
    running = serve()
    running.engine.gate.clear()
    first = running.upload(("first.png", still())).json["id"]
    second = running.upload(("second.png", still())).json["id"]
    assert running.api("DELETE", f"/scans/{second}").status == 204
    running.engine.gate.set()
    assert running.finished(first)["state"] == "done"
    told = running.finished(second)
    assert told["state"] == "cancelled" and told["results"] == []
    assert [row["name"] for row in rows(running)] == ["first.png"]
    assert list(running.service.uploads.path.iterdir()) == []


def test_running_scan_can_be_called_off_and_the_next_goes_on(serve):
    running = serve()
    running.engine.gate.clear()
    first = running.upload(("first.png", still()), ("more.png", still())).json["id"]
    second = running.upload(("second.png", still())).json["id"]
    assert running.engine.waiting.wait(PATIENCE_S)
    assert running.api("DELETE", f"/scans/{first}").status == 204
    assert running.finished(second)["state"] == "done"
    assert running.finished(first)["state"] == "cancelled"
    assert [row["name"] for row in rows(running)] == ["second.png"]
    assert running.api("DELETE", f"/scans/{first}").status == 204  # it is over, and stays so
    assert running.finished(first)["state"] == "cancelled"
    assert list(running.service.uploads.path.iterdir()) == []


def test_queue_has_an_end(serve, monkeypatch):
    monkeypatch.setattr(scans, "MAX_QUEUED", 2)
    running = serve()
    running.engine.gate.clear()
    assert running.upload(("0.png", still())).status == 202
    assert running.engine.waiting.wait(PATIENCE_S)
    assert [running.upload((f"{number}.png", still())).status for number in (1, 2, 3)] == [202, 202, 429]
    assert len(list(running.service.uploads.path.iterdir())) == 3


def test_engine_that_fails_fails_one_scan(serve, monkeypatch):
    running = serve()
    failing = [ScoringError("the toy network broke down"), RuntimeError("/a/path of nobody's business")]
    whole = ToyEngine.scan

    def scan(engine, *arguments):
        if failing:
            raise failing.pop(0)
        yield from whole(engine, *arguments)

    monkeypatch.setattr(ToyEngine, "scan", scan)
    first = running.finished(running.upload(("a.png", still())).json["id"])
    assert (first["state"], first["error"]) == ("failed", "the toy network broke down")
    second = running.finished(running.upload(("b.png", still())).json["id"])
    assert second["state"] == "failed" and "path" not in second["error"]
    assert running.finished(running.upload(("c.png", still())).json["id"])["state"] == "done"
    assert list(running.service.uploads.path.iterdir()) == []


def test_store_that_takes_no_scan_is_told_before_an_upload_is_read(serve, folder):
    running = serve(folder, misfit="was made with other options: use the same ones")
    assert "other options" in running.upload(("a.png", still())).error
    answer = running.api("POST", "/scans", {"path": ""})
    assert answer.status == 409 and "other options" in answer.error


def test_store_that_cannot_be_written_fails_the_scan_without_its_path(serve, tmp_path, monkeypatch):
    store = tmp_path / "kept.vidscan"
    running = serve(store=store)

    def full(*_: object, **__: object) -> int:
        raise StoreError(f"{store}: has no room left on its disk: make room")

    monkeypatch.setattr(running.service.store, "add", full)
    told = running.finished(running.upload(("a.png", still())).json["id"])
    assert told["state"] == "failed" and told["error"].startswith("the store: has no room")


def test_no_such_number(serve):
    running = serve()
    for method, path in (
        ("GET", "/scans/7"),
        ("DELETE", "/scans/7"),
        ("GET", "/results/7"),
        ("GET", "/results/7/page"),
        ("GET", f"/results/{10**30}"),
        ("GET", f"/scans/{10**30}"),
    ):
        assert running.api(method, path).status == 404, path
    assert running.api("PUT", "/results/7/mark", {"mark": "fake"}).status == 404


def test_results_and_marks_outlive_the_server(serve, folder, tmp_path):
    store = tmp_path / "kept.vidscan"
    running = serve(folder, store)
    scan(running, "")
    number = rows(running)[0]["id"]
    marked = running.api("PUT", f"/results/{number}/mark", {"mark": "real", "note": "Its author called."})
    assert marked.json == {"id": number, "mark": "real", "note": "Its author called."}
    before = rows(running)
    end(running)
    again = serve(folder, store)
    assert rows(again) == before and before[0]["mark"] == "real"
    told = scan(again, "")
    assert told["finished"] == 2 and again.engine.scans == 0
    assert again.api("PUT", f"/results/{number}/mark", {"mark": None}).status == 200
    assert rows(again)[0]["mark"] is None


def test_server_ends_in_the_midst_of_a_scan(serve):
    running = serve()
    running.engine.gate.clear()
    running.upload(("a.png", still()))
    assert running.engine.waiting.wait(PATIENCE_S)
    end(running)
    assert not running.service.uploads.path.exists()
    assert "vidscan-scans" not in {thread.name for thread in threading.enumerate()}


# Without a server: what an engine with a worker does to the queue


class WorkerLike:
    """An engine that asks for a source only when it can begin on it, and drops what it has when stopped."""

    def __init__(self, started: threading.Event, go_on: threading.Event) -> None:
        self.started, self.go_on = started, go_on
        self.seen: list[str] = []
        self.stops = 0

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None: ...

    def scan(self, sources, observer):
        stops = self.stops
        for source in sources:
            self.seen.append(source.path.name)
            self.started.set()
            assert self.go_on.wait(PATIENCE_S)
            if self.stops > stops:
                return
            yield report_on(source)

    def stop(self) -> None:
        self.stops += 1
        self.go_on.set()


def report_on(source: Source) -> Report:
    error = ErrorInfo("DecodeError", f"{source.path}: a toy's failure")
    return Report(source=source, status=Status.FAILED, error=error, options={}, model_card=CARD)


def wait_for(queue: Scans, number: int) -> None:
    """Returns once a scan is done."""
    deadline = time.monotonic() + PATIENCE_S
    while (now := queue.told(number))["state"] != "done":
        assert time.monotonic() < deadline and now["error"] is None, now
        time.sleep(0.01)


def test_cancelling_between_two_scans_costs_the_next_nothing():
    started, go_on = threading.Event(), threading.Event()
    engine, kept, told = WorkerLike(started, go_on), [], []

    def keep(_: Item, report: Report, state: str | None) -> int:
        kept.append(report)
        return len(kept)

    queue = Scans(engine, keep, told.append)
    queue.start()
    try:
        first = queue.submit("first", [item("a.png"), item("b.png")])
        second = queue.submit("second", [item("c.png")])
        assert started.wait(PATIENCE_S)
        assert queue.cancel(first)
        wait_for(queue, second)
        assert engine.seen == ["a.png", "c.png"] and engine.stops == 1
        assert [report.source.name for report in kept] == ["c.png"]
        assert queue.told(first)["state"] == "cancelled"
    finally:
        queue.close()
    json.dumps(told)


def test_failure_over_a_scan_that_was_called_off_fails_no_other():
    started, go_on = threading.Event(), threading.Event()

    class Failing(WorkerLike):
        def scan(self, sources, observer):
            yield from super().scan(sources, observer)
            if self.seen == ["a.png"]:
                raise ScoringError("the toy network broke down")

    engine = Failing(started, go_on)
    queue = Scans(engine, lambda item, report, state: 1, lambda told: None)
    queue.start()
    try:
        first = queue.submit("first", [item("a.png")])
        second = queue.submit("second", [item("b.png")])
        assert started.wait(PATIENCE_S)
        queue.cancel(first)
        wait_for(queue, second)
        assert engine.seen == ["a.png", "b.png"] and queue.told(first)["state"] == "cancelled"
    finally:
        queue.close()


def test_reports_go_under_the_name_that_is_kept():
    own = item("face.png", Path("/tmp/private/0123.png"))
    report = named(report_on(Source("7", own.path, SourceKind.IMAGE)), own)
    assert report.source == own.recorded
    assert report.error.message == "face.png: a toy's failure"


def item(name: str, path: Path | None = None) -> Item:
    return Item(path or Path(name), Source("", Path(name), SourceKind.IMAGE))
