"""Scans that are broken off and gone on with, and media that change, vanish or cannot be read, by toys."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from full_disk import files_of_at_most
from report_samples import schema
from toys import CARD, ToyDetector, ToyScorer, toy_picture

from vidscan.cli.interrupts import Interrupts
from vidscan.cli.main import main
from vidscan.cli.progress import ScanProgress
from vidscan.engines.isolated import parent
from vidscan.errors import VidscanError
from vidscan.media.frames import require_content
from vidscan.media.sources import from_folder, from_paths
from vidscan.models.ensemble import Ensemble
from vidscan.report.destination import Destination
from vidscan.results.store import Store
from vidscan.results.tables import Heading
from vidscan.scan import batches
from vidscan.system import processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]


TAKEN = threading.Event()
"""Set when a signal was taken; see ``send``."""


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> ToyDetector:
    toy = ToyDetector()
    take = Interrupts._take

    def take_and_tell(self, *signal_and_frame) -> None:
        try:
            take(self, *signal_and_frame)
        finally:
            TAKEN.set()

    monkeypatch.setattr(Interrupts, "_take", take_and_tell)
    monkeypatch.setattr("vidscan.faces.detector.MediaPipeFaceDetector", lambda options: toy)
    monkeypatch.setattr(batches, "IDLE_S", 0.05)
    use_model(monkeypatch, "70" * 32)
    return toy


def use_model(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    toy = ToyScorer(replace(CARD, sha256=sha256))
    monkeypatch.setattr(
        "vidscan.models.loading.load_models", lambda models=None, runtime="auto": Ensemble((toy,))
    )


def still(path: Path, brightness: int) -> Path:
    """A PNG in which the toys see a face from a brightness of 60 on, and call it FAKE from 153 on."""
    path.write_bytes(cv2.imencode(".png", toy_picture(brightness, 80, 120))[1].tobytes())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stills of all sorts, and one that is broken."""
    found = tmp_path / "media"
    found.mkdir()
    for name, brightness in zip(NAMES, (200, 30, 90, 30, 200, 0), strict=True):
        still(found / name, brightness)
    (found / "f.png").write_text("no picture")
    return found


def document(report: Path) -> dict[str, Any]:
    """The report, valid UTF-8 and as its schema says, without its times."""
    parsed = json.loads(report.read_bytes().decode("utf-8"))
    jsonschema.validate(parsed, schema(), jsonschema.Draft202012Validator)
    del parsed["created"]
    for result in parsed["results"]:
        del result["stats"]["seconds"], result["stats"]["batch_slots"]
    return parsed


def at_picture(detector: ToyDetector, number: int, act: Callable[[], object]) -> None:
    """Lets ``act`` happen while picture ``number`` of the scan (from 1) is looked at."""
    start = detector.pictures

    def breaks(image: np.ndarray) -> bool:
        if detector.pictures - start == number:
            act()
        return False

    detector._breaks = breaks


def send(number: int) -> Callable[[], None]:
    """Sends this process a signal, and waits until the main thread has taken it.

    On a busy machine the reading thread would else be through the folder before that.
    """

    def act() -> None:
        TAKEN.clear()
        os.kill(os.getpid(), number)
        TAKEN.wait(20)

    return act


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("vidscan: ")
    return line


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_finishes_the_file_under_way(detector, folder, tmp_path, capfd, number, code):
    report = tmp_path / "out.json"
    at_picture(detector, 3, send(number))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2"]) == code
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert [Path(each["source"]).name for each in document(report)["results"]] == NAMES[:3]
    printed = capfd.readouterr()
    assert printed.err.splitlines() == [
        "vidscan: stopping once the file under way is finished; Ctrl-C again stops at once",
        "vidscan: interrupted",
    ]
    assert "--resume goes on" in printed.out


def test_first_signal_finishes_the_file_under_way_of_run_too(detector, folder, bright_clip, tmp_path):
    report = tmp_path / "out.json"
    at_picture(detector, 2, send(signal.SIGINT))  # the clip has four
    paths = [str(bright_clip), str(folder / "a.png")]
    assert main(["run", *paths, "--report", str(report)]) == 130
    (result,) = document(report)["results"]
    assert result["stats"]["frames_sampled"] == 4
    assert not report.with_name("out.json.vidscan").exists()


def test_second_signal_stops_a_decoder_that_gives_nothing(detector, dark_clip, tmp_path, monkeypatch):
    """Ends the decoder, so that no thread waits for it; the clip under way is not reported."""

    def two_signals() -> None:
        send(signal.SIGTERM)()  # the system merges two of a kind that come at once
        (group,) = processes._GUARD._groups
        os.killpg(group, signal.SIGSTOP)  # it hangs
        os.kill(os.getpid(), signal.SIGTERM)

    report = tmp_path / "out.json"
    at_picture(detector, 2, two_signals)
    assert main(["run", str(dark_clip), "--report", str(report)]) == 143
    assert document(report)["results"] == []
    assert not processes._GUARD._groups


@pytest.fixture
def toy_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has ``--isolate`` start a worker with a toy network; the folder in which each start leaves a file."""
    starts = tmp_path / "starts"
    starts.mkdir()
    worker = (sys.executable, str(Path(__file__).with_name("isolated_worker.py")), str(starts))
    monkeypatch.setattr(parent, "WORKER", worker)
    return starts


def at_frame(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Lets ``act`` happen when the parent hears of frame ``number`` (from 1)."""
    heard = itertools.count(1)
    real = ScanProgress.frame_sampled

    def frame_sampled(self, *told) -> None:
        real(self, *told)
        if next(heard) == number:
            act()

    monkeypatch.setattr(ScanProgress, "frame_sampled", frame_sampled)


def test_first_signal_ends_a_worker_after_the_file_under_way(
    detector, folder, tmp_path, monkeypatch, toy_worker
):
    whole, report = tmp_path / "whole.json", tmp_path / "out.json"
    command = ["dir", str(folder), "--isolate", "--batch-size", "1", "--report"]
    assert main([*command, str(whole)]) == 1  # one file is broken
    at_frame(monkeypatch, 3, send(signal.SIGINT))
    assert main([*command, str(report)]) == 130
    names = [Path(each["source"]).name for each in document(report)["results"]]
    assert 1 <= len(names) < 6 and names == NAMES[: len(names)]
    assert main([*command, str(report), "--resume"]) == 1
    assert document(report) == document(whole)
    assert len(list(toy_worker.iterdir())) == 3
    assert not processes._GUARD._groups


def test_second_signal_stops_a_worker_that_hangs(detector, folder, tmp_path, monkeypatch, toy_worker):
    still(folder / "a-hang.png", 90)
    report = tmp_path / "out.json"

    def two_signals() -> None:
        send(signal.SIGINT)()
        threading.Timer(1.0, send(signal.SIGINT)).start()

    at_frame(monkeypatch, 1, two_signals)
    started = time.monotonic()
    command = ["dir", str(folder), "--isolate", "--batch-size", "1", "--report", str(report)]
    assert main(command) == 130
    assert time.monotonic() - started < 60
    assert document(report)["results"] == []
    assert not processes._GUARD._groups


def test_ctrl_c_in_a_terminal_does_not_reach_the_decoder(detector, dark_clip):
    groups = []
    at_picture(detector, 1, lambda: groups.extend(processes._GUARD._groups))
    assert main(["run", str(dark_clip), "--quiet"]) == 0
    assert len(groups) == 1 and os.getpgrp() not in groups


def test_signal_while_the_report_is_written_does_not_harm_it(detector, folder, tmp_path, monkeypatch):
    report = tmp_path / "out.json"
    real = os.replace

    def replace_under_fire(source: Path, target: Path) -> None:
        for _ in range(3 if Path(target) == report else 0):
            os.kill(os.getpid(), signal.SIGINT)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace_under_fire)
    assert main(["dir", str(folder), "--report", str(report)]) == 130
    assert document(report)["summary"]["total"] == 6


# Going on


def broken_off(detector: ToyDetector, folder: Path, report: Path, *flags: str) -> None:
    """A scan that was stopped after three of the six stills."""
    at_picture(detector, 3, send(signal.SIGINT))
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2", *flags]) == 130
    detector._breaks = lambda image: False
    detector.pictures = 0


def test_resumed_scan_gives_the_report_of_one_left_alone(detector, folder, tmp_path, capsys):
    alone, report = tmp_path / "alone.json", tmp_path / "out.json"
    command = ["dir", str(folder), "--batch-size", "2", "--report"]
    assert main([*command, str(alone)]) == 1
    capsys.readouterr()
    broken_off(detector, folder, report)
    assert main([*command, str(report), "--resume"]) == 1
    assert detector.pictures == 2  # d and e; f is no picture
    assert document(report) == document(alone)
    printed = capsys.readouterr().out
    assert "resumed: 3 files were finished before, 3 are left" in printed
    assert "6 files: 2 fake, 1 real, 2 without a face, 1 failed" in printed


def test_broken_off_scan_is_not_begun_anew_unasked(detector, folder, tmp_path, capsys):
    report = tmp_path / "out.json"
    broken_off(detector, folder, report)
    before = report.read_bytes()
    capsys.readouterr()
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2"]) == 2
    assert "--resume" in only_line(capsys.readouterr().err)
    assert report.read_bytes() == before and detector.pictures == 0


def test_complete_scan_leaves_no_store(detector, folder, tmp_path, capsys):
    report = tmp_path / "out.json"
    (folder / "f.png").unlink()
    assert main(["dir", str(folder), "--report", str(report)]) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["media", "out.json"]
    assert "kept" not in capsys.readouterr().out


def test_failed_files_are_retried_only_when_asked(detector, folder, tmp_path, capsys):
    report = tmp_path / "out.json"
    command = ["dir", str(folder), "--report", str(report)]
    assert main(command) == 1
    assert "--resume --retry-failed takes up what failed" in " ".join(capsys.readouterr().out.split())
    detector.pictures = 0
    assert main([*command, "--resume"]) == 1
    assert detector.pictures == 0
    still(folder / "f.png", 200)
    assert main([*command, "--resume", "--retry-failed"]) == 0
    assert detector.pictures == 1
    assert document(report)["summary"]["failed"] == 0
    assert not report.with_name("out.json.vidscan").exists()
    assert main(command) == 0


def test_retry_takes_up_a_file_that_is_as_it_was(detector, folder, tmp_path):
    report = tmp_path / "out.json"
    detector._breaks = lambda image: image.mean() > 150  # a and e
    assert main(["dir", str(folder), "--report", str(report)]) == 1
    assert document(report)["summary"]["failed"] == 3
    detector._breaks = lambda image: False
    detector.pictures = 0
    assert main(["dir", str(folder), "--report", str(report), "--resume", "--retry-failed"]) == 1
    assert detector.pictures == 2
    assert document(report)["summary"] == {
        "total": 6, "fake": 2, "real": 1, "uncertain": 0, "no_face": 2, "failed": 1, "declared_ai": 0,
    }  # fmt: skip


def test_changed_file_is_scanned_again_and_a_gone_one_left_out(detector, folder, tmp_path, capsys):
    report = tmp_path / "out.json"
    broken_off(detector, folder, report)
    still(folder / "a.png", 30)
    os.utime(folder / "a.png", ns=(1, 1))
    (folder / "b.png").unlink()
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2", "--resume"]) == 1
    results = {Path(each["source"]).name: each["verdict"] for each in document(report)["results"]}
    assert list(results) == ["a.png", "c.png", "d.png", "e.png", "f.png"]
    assert results["a.png"]["label"] == "NO_FACE"
    assert "2 of the results kept are left out or scanned again" in " ".join(capsys.readouterr().out.split())


def test_other_options_and_another_checkpoint_are_refused(detector, folder, tmp_path, monkeypatch, capsys):
    report = tmp_path / "out.json"
    broken_off(detector, folder, report)
    capsys.readouterr()
    command = ["dir", str(folder), "--report", str(report), "--batch-size", "2", "--resume"]
    assert main([*command, "--min-face", "50"]) == 2
    assert "options.detection.min_face was 32, now 50" in only_line(capsys.readouterr().err)
    use_model(monkeypatch, "71" * 32)
    assert main(command) == 2
    line = only_line(capsys.readouterr().err)
    assert f'checkpoint SHA-256 was ["{"70" * 32}"], now ["{"71" * 32}"]' in line
    assert detector.pictures == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--resume"], "--resume needs the --report FILE"),
        (["--resume", "--report", "-"], "--resume needs the --report FILE"),
        (["--retry-failed", "--report", "out.json"], "--retry-failed goes with --resume"),
    ],
)
def test_flags_that_need_others(detector, folder, flags, said, capsys):
    assert main(["dir", str(folder), *flags]) == 2
    assert said in only_line(capsys.readouterr().err)


def test_damaged_entry_is_refused(detector, folder, tmp_path, capsys):
    report = tmp_path / "out.json"
    broken_off(detector, folder, report)
    with sqlite3.connect(report.with_name("out.json.vidscan")) as connection:
        ((packed,),) = connection.execute("SELECT document FROM results WHERE source = 1")
        odd = zlib.decompress(packed).replace(b'"verdict":{', b'"verdict":{"odd":1,')
        connection.execute("UPDATE results SET document = ? WHERE source = 1", (zlib.compress(odd),))
    connection.close()
    capsys.readouterr()
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2", "--resume"]) == 2
    assert "is damaged" in only_line(capsys.readouterr().err)
    assert detector.pictures == 0


# The disk


def test_disk_that_fills_up_costs_the_file_that_was_being_noted_alone(detector, folder, tmp_path, capsys):
    report, add = tmp_path / "out.json", Store.add

    def add_on_a_full_disk(store: Store, *told, **more) -> int:
        if store.count() == 2:  # nothing that there is may grow any more
            size = max(each.stat().st_size for each in tmp_path.iterdir() if each.is_file())
            with files_of_at_most(size):
                return add(store, *told, **more)
        return add(store, *told, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "add", add_on_a_full_disk)
        assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2"]) == 1
    assert "out.json.vidscan: " in only_line(capsys.readouterr().err)
    assert document(report)["summary"]["total"] == 2
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "2", "--resume"]) == 1
    assert document(report)["summary"]["total"] == 6


def test_report_that_cannot_be_written_in_the_end_loses_nothing(
    detector, folder, tmp_path, monkeypatch, capsys
):
    report = tmp_path / "out.json"
    (folder / "f.png").unlink()  # nothing failed, so nothing but the missing report speaks for the store
    report.write_text("the previous report")
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target) == report:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as context:
        context.setattr(os, "replace", full)
        assert main(["dir", str(folder), "--report", str(report)]) == 1
    assert "No space left" in only_line(capsys.readouterr().err)
    assert report.read_text() == "the previous report"
    detector.pictures = 0
    assert main(["dir", str(folder), "--report", str(report), "--resume"]) == 0
    assert detector.pictures == 0
    assert document(report)["summary"]["total"] == 5


def test_a_stores_place_that_is_taken_is_found_out_before_the_work(detector, folder, tmp_path, capsys):
    (tmp_path / "out.json.vidscan").mkdir()
    assert main(["dir", str(folder), "--report", str(tmp_path / "out.json")]) == 2
    assert "out.json.vidscan: is no store" in only_line(capsys.readouterr().err)
    assert detector.pictures == 0


# Media that change, vanish or cannot be reached


def grow(path: Path) -> Callable[[], object]:
    def act() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return act


@pytest.mark.parametrize("change", [grow, lambda path: path.unlink], ids=["grows", "vanishes"])
@pytest.mark.parametrize("command", ["run", "dir"])
def test_file_that_changes_while_it_is_read_fails(detector, bright_clip, folder, tmp_path, change, command):
    for old in folder.iterdir():
        old.unlink()
    report, clip = tmp_path / "out.json", folder / "clip.mp4"
    clip.write_bytes(bright_clip.read_bytes())
    other = still(folder / "other.png", 200)
    at_picture(detector, 2, change(clip))
    named = [str(folder)] if command == "dir" else [str(clip), str(other)]
    assert main([command, *named, "--report", str(report)]) == 1
    changed, sound = document(report)["results"]
    assert changed["error"]["type"] == "SourceError"
    assert f"{clip}: changed or vanished while it was read" in changed["error"]["message"]
    assert sound["verdict"]["label"] == "FAKE"


def test_links_that_lead_nowhere_or_in_a_circle_fail_alone(detector, folder, tmp_path, capsys):
    (folder / "g.mp4").symlink_to(folder / "g.mp4")
    (folder / "h.mp4").symlink_to(folder / "gone.mp4")
    (folder / "around").symlink_to(folder)
    report = tmp_path / "out.json"
    assert main(["dir", str(folder), "--recursive", "--report", str(report)]) == 1
    results = {Path(each["source"]).name: each for each in document(report)["results"]}
    assert list(results) == [*NAMES, "g.mp4", "h.mp4"]
    assert "Too many levels of symbolic links" in results["g.mp4"]["error"]["message"]
    assert "No such file" in results["h.mp4"]["error"]["message"]
    capsys.readouterr()
    assert main(["run", str(folder / "g.mp4")]) == 2
    assert "g.mp4: no such file" in only_line(capsys.readouterr().err)


def test_paths_that_cannot_be_looked_up_and_pipes_are_refused_in_one_line(
    detector, make_pipe, tmp_path, capsys
):
    make_pipe(tmp_path / "pipe.mp4")
    for command, name, said in (
        ("run", "pipe.mp4", "is no ordinary file"),
        ("run", "x" * 300 + ".mp4", "File name too long"),
        ("dir", "x" * 300, "File name too long"),
    ):
        assert main([command, str(tmp_path / name)]) == 2
        assert said in only_line(capsys.readouterr().err)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_what_may_not_be_read_is_named(tmp_path_factory, capfd):
    """Root reads everything, so a child process without its rights looks."""
    base = tmp_path_factory.mktemp("closed")
    for above in (base, *base.parents[:3]):
        above.chmod(0o755)
    media = base / "media"
    (media / "secret").mkdir(parents=True)
    still(media / "a.png", 200).chmod(0)
    (media / "secret").chmod(0)
    Store.create(base / "case.vidscan", Heading({}, {}, {}, "", "")).close()
    answers = as_nobody(
        lambda: require_content(media / "a.png"),
        lambda: from_folder(media, recursive=True),
        lambda: from_paths([media / "secret" / "b.png"]),
        lambda: Destination.parse(str(base / "out.json")).check(),
        lambda: Store.create(base / "out.json.vidscan", Heading({}, {}, {}, "", "")),
        lambda: Store.open(base / "case.vidscan", write=True).set_mark(1, "fake", ""),
        lambda: Store.open(base / "case.vidscan", write=False).count(),
    )
    assert [answer.partition(": ")[0] for answer in answers[:3]] == [
        str(media / "a.png"), str(media / "secret"), str(media / "secret" / "b.png"),
    ]  # fmt: skip
    assert answers.pop() == "no complaint: 0", "a store that cannot be written is read all the same"
    assert f"{base / 'case.vidscan'}: cannot be written" in answers.pop()
    assert all("Permission denied" in answer or "cannot be written to" in answer for answer in answers)


def as_nobody(*calls: Callable[[], object]) -> list[str]:
    """What each call complains of when it is made without root's rights."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            for call in calls:
                try:
                    answer = f"no complaint: {call()}"
                except VidscanError as error:
                    answer = str(error)
                os.write(writing, json.dumps(answer).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        told = [json.loads(line) for line in answers]
    os.waitpid(child, 0)
    assert len(told) == len(calls)
    return told


# Names

HOSTILE = b"\x1b]0;owned\x07\n[red]\x1b[2J\xff=1+1.png"


@pytest.mark.parametrize("command", ["run", "dir", "image"])
def test_names_act_on_nothing(detector, tmp_path, command, capfd):
    folder = tmp_path / "m"
    folder.mkdir()
    hostile, broken = folder / os.fsdecode(HOSTILE), folder / os.fsdecode(b"broken\x1b[2J\x9b\xfe.png")
    still(hostile, 200)
    broken.write_text("no picture")
    named = [str(folder)] if command == "dir" else [str(hostile), str(broken)]
    for ending in ("json", "csv"):
        report = tmp_path / f"out.{ending}"
        assert main([command, *named, "--report", str(report), "--verbose"]) == 1
        assert main([command, *named, "--quiet"]) == 1
        printed = capfd.readouterr()
        for text in (printed.out, printed.err, report.read_bytes().decode("utf-8")):
            assert not any(letter in text for letter in "\x1b\x07\x9b\x00")
            assert "�" not in text
        assert r"\x1b" in printed.out
        (line,) = printed.err.splitlines()
        assert r"broken\x1b[2J\x9b" in line or r"broken\x1b[2J\x9b\xfe" in line
    results = document(tmp_path / "out.json")["results"]
    assert {bytes.fromhex(each["source_bytes"]) for each in results} == {
        os.fsencode(hostile),
        os.fsencode(broken),
    }
    rows = (tmp_path / "out.files.csv").read_text("utf-8").splitlines()
    assert len(rows) == 3


def test_hostile_names_are_resumed_too(detector, tmp_path):
    folder, report = tmp_path / "m", tmp_path / "out.json"
    folder.mkdir()
    for name in (HOSTILE, b"a\xff.png", rb"a\xff.png"):
        still(folder / os.fsdecode(name), 200)
    at_picture(detector, 2, send(signal.SIGINT))
    command = ["dir", str(folder), "--report", str(report), "--batch-size", "1", "--quiet"]
    assert main(command) == 130
    detector.pictures = 0
    assert main([*command, "--resume"]) == 0
    assert detector.pictures == 1
    assert document(report)["summary"]["total"] == 3
