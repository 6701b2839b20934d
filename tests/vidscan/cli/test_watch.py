"""``vidscan dir FOLDER --watch``: what is there, what arrives, what changes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from toys import CARD, ToyDetector, ToyScorer, toy_picture

from tests.vidscan.stored import finished
from vidscan.cli import watching
from vidscan.cli.main import main
from vidscan.cli.plan import Parts
from vidscan.engines import arrivals
from vidscan.errors import StoreError
from vidscan.models.ensemble import Ensemble
from vidscan.results.store import Store


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr(arrivals, "STEADY_S", 0.2)
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    scorer = ToyScorer(replace(CARD, sha256="70" * 32))
    return Parts(lambda models, runtime: Ensemble((scorer,)), lambda options: ToyDetector())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "media"
    made.mkdir()
    return made


def picture(place: Path, brightness: int) -> None:
    place.write_bytes(cv2.imencode(".png", toy_picture(brightness, 80, 120))[1].tobytes())


def labels(path: Path) -> dict[str, str]:
    try:
        store = Store.open(path, write=False)
    except StoreError:  # it is not there yet
        return {}
    try:
        return {Path(row.name).name: row.label for row in store.rows()}
    finally:
        store.close()


def watch(folder: Path, parts: Parts, steps: Callable[[], None], *flags: str) -> int:
    """The command's exit code; ``steps`` go on beside it and end with Ctrl-C, also where they fail."""
    failed: list[BaseException] = []

    def beside() -> None:
        try:
            steps()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failed.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=beside)
    helper.start()
    code = main(["dir", str(folder), "--watch", *flags], parts)
    helper.join()
    if failed:
        raise failed[0]
    return code


def until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_what_is_there_and_what_arrives_is_scanned_as_it_comes(parts, folder, tmp_path, capsys) -> None:
    case, out = tmp_path / "case.vidscan", tmp_path / "out.json"
    picture(folder / "there.png", 250)

    def steps() -> None:
        until(lambda: "there.png" in labels(case), "the first was not scanned")
        picture(folder / "new.png.part", 90)
        picture(folder / "new.png.part", 90)
        (folder / "new.png.part").rename(folder / "new.png")
        until(lambda: "new.png" in labels(case), "the second was not scanned while the folder was watched")
        assert not out.exists()

    # Stills alone are no reason to refuse --annotate: a clip may come.
    flags = ("--store", str(case), "--report", str(out), "--annotate", str(tmp_path / "videos"))
    assert watch(folder, parts, steps, *flags) == 0
    assert labels(case) == {"there.png": "FAKE", "new.png": "REAL"}
    results = json.loads(out.read_text())["results"]
    assert [Path(each["source"]).name for each in results] == ["there.png", "new.png"]
    told = capsys.readouterr()
    lines = [line for line in told.out.splitlines() if line.endswith("there.png")]
    assert lines and lines[0].split()[0] == "FAKE"
    assert "2 files: 1 fake, 1 real" in told.out and "interrupted" not in told.err


def test_a_file_that_changes_after_its_scan_is_scanned_again(parts, folder, tmp_path, capsys) -> None:
    case = tmp_path / "case.vidscan"
    picture(folder / "a.png", 250)

    def steps() -> None:
        until(lambda: labels(case).get("a.png") == "FAKE", "it was not scanned")
        picture(folder / "a.png", 90)
        until(lambda: labels(case).get("a.png") == "REAL", "it was not scanned again")

    assert watch(folder, parts, steps, "--store", str(case)) == 0
    assert "1 file: 1 real" in capsys.readouterr().out  # and no longer counted as what it was
    assert finished(case) == 1


def test_an_empty_folder_is_watched_and_what_never_arrived_is_named(parts, folder, tmp_path, capsys) -> None:
    def steps() -> None:
        (folder / "slow.png").write_bytes(b"")
        time.sleep(1.0)

    assert watch(folder, parts, steps, "--store", str(tmp_path / "case.vidscan")) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 file had not stopped growing and not scanned: " in told and "slow.png" in told


@pytest.mark.slow
def test_a_failed_file_and_what_was_asked_for_decide_the_exit_code(parts, folder, tmp_path) -> None:
    case = tmp_path / "case.vidscan"
    picture(folder / "a.png", 250)
    (folder / "b.png").write_bytes(b"no picture")

    def steps() -> None:
        until(lambda: len(labels(case)) == 2, "not both were scanned")

    assert watch(folder, parts, steps, "--store", str(case)) == 1
    assert watch(folder, parts, lambda: time.sleep(1), "--store", str(case), "--resume") == 1
    assert (
        watch(folder, parts, lambda: time.sleep(1), "--store", str(case), "--resume", "--fail-on", "fake")
        == 3
    )


def test_a_folder_that_comes_and_goes_is_looked_at_again(parts, folder, tmp_path, capsys) -> None:
    case = tmp_path / "case.vidscan"
    away = folder.with_name("away")

    def steps() -> None:
        time.sleep(0.5)
        folder.rename(away)
        time.sleep(0.5)
        picture(away / "a.png", 250)
        away.rename(folder)
        until(lambda: "a.png" in labels(case), "it was not looked at again")

    assert watch(folder, parts, steps, "--store", str(case)) == 0
    assert "no such folder: check the path; looking again and again" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["dir", "--from-list", "l.txt", "--watch"], "a folder on this machine's disks"),
        (["dir", "s3://bucket/x", "--watch"], "a folder on this machine's disks"),
        (["dir", ".", "--watch", "--engine", "ray"], "--watch goes with --engine local"),
        (["dir", ".", "--watch", "--report", "o.parquet"], "--watch does not go with a Parquet report"),
    ],
)
def test_what_it_does_not_go_with_is_refused(flags: list[str], words: str, capsys) -> None:
    assert main(flags) == 2
    assert words in capsys.readouterr().err
