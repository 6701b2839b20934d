"""``--store``, and what lies beside a report while a folder is scanned."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
from toys import CARD, ToyDetector, ToyScorer, toy_picture

from vidscan.cli.main import main
from vidscan.cli.plan import Parts
from vidscan.models.ensemble import Ensemble
from vidscan.report.html.page import render
from vidscan.results.store import Store


@pytest.fixture
def parts() -> Parts:
    scorer = ToyScorer(replace(CARD, sha256="70" * 32))
    return Parts(lambda models, runtime: Ensemble((scorer,)), lambda options: ToyDetector())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "media"
    made.mkdir()
    for number in range(4):
        picture = cv2.imencode(".png", toy_picture(40 + 50 * number, 80, 120))[1]
        (made / f"{number}.png").write_bytes(picture.tobytes())
    return made


def rows(path: Path) -> dict[str, str]:
    store = Store.open(path, write=False)
    found = {Path(row.name).name: row.label for row in store.rows()}
    store.close()
    return found


def lasting(document: dict[str, Any]) -> dict[str, Any]:
    """Without what took how long, and when."""
    for result in document["results"]:
        del result["stats"]["seconds"]
    return document | {"created": None, "options": document["options"] | {"evidence": None}}


def test_a_store_is_kept_and_added_to(parts, folder, tmp_path, capsys):
    case = tmp_path / "case.vidscan"
    command = ["dir", str(folder), "--store", str(case)]
    assert main(command, parts) == 0
    assert f"results kept in {case}" in " ".join(capsys.readouterr().out.split()).replace(" ", " ")
    assert rows(case) == {"0.png": "NO_FACE", "1.png": "REAL", "2.png": "UNCERTAIN", "3.png": "FAKE"}
    assert main(command, parts) == 2
    assert "holds 4 results: add --resume to go on with it, or name another" in capsys.readouterr().err
    picture = cv2.imencode(".png", toy_picture(250, 80, 120))[1]
    (tmp_path / "new.png").write_bytes(picture.tobytes())
    assert main(["image", str(tmp_path / "new.png"), "--store", str(case), "--resume"], parts) == 0
    assert list(rows(case)) == ["0.png", "1.png", "2.png", "3.png", "new.png"]
    assert main([*command, "--resume", "--min-face", "50"], parts) == 2
    assert "options.detection.min_face was 32, now 50" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["case.vidscan", "new.png"]


def test_reports_of_a_store_are_those_of_a_scan_without(parts, folder, tmp_path):
    plain, kept, case = tmp_path / "plain.json", tmp_path / "kept.json", tmp_path / "case.vidscan"
    assert main(["dir", str(folder), "--report", str(plain)], parts) == 0
    assert main(["dir", str(folder), "--report", str(kept), "--store", str(case)], parts) == 0
    documents = [lasting(json.loads(path.read_text("utf-8"))) for path in (plain, kept)]
    assert documents[0] == documents[1]
    assert not plain.with_name("plain.json.vidscan").exists()


def test_a_page_has_the_faces_of_the_store_as_they_are(parts, folder, tmp_path):
    page, case = tmp_path / "out.html", tmp_path / "case.vidscan"
    assert main(["dir", str(folder), "--report", str(page), "--store", str(case)], parts) == 0
    store = Store.open(case, write=False)
    written = page.read_text("utf-8")
    assert render(store.document(), store.evidence_by_source()) == written
    assert len(re.findall("data:image/jpeg", written)) == 3
    store.close()


def test_a_resumed_scans_page_has_all_faces(parts, folder, tmp_path):
    page = tmp_path / "out.html"
    (folder / "4.png").write_text("no picture")  # so that the results stay beside the report
    assert main(["dir", str(folder), "--report", str(page)], parts) == 1
    assert main(["dir", str(folder), "--report", str(page), "--resume"], parts) == 1
    assert len(re.findall("data:image/jpeg", page.read_text("utf-8"))) == 3


def test_a_store_without_pictures(parts, folder, tmp_path):
    case = tmp_path / "case.vidscan"
    assert main(["dir", str(folder), "--store", str(case), "--no-pictures"], parts) == 0
    store = Store.open(case, write=False)
    assert not store.evidence_by_source() and store.count() == 4
    store.close()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--store", "case.db"], "the name must end in .vidscan"),
        (["--store", "s3://bucket/case.vidscan"], "a store lies on this machine's disk"),
        (["--store", "case.vidscan", "--report", "out.parquet"], "does not go with a Parquet report"),
        (["--no-pictures"], "--no-pictures is about a --store"),
        (["--store", "c.vidscan", "--no-pictures", "--report", "out.html"], "leaves an HTML report without"),
    ],
)
def test_flags_that_cannot_work(parts, folder, flags, said, capsys):
    assert main(["dir", str(folder), *flags], parts) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_run_goes_on_with_a_store_alone(parts, folder, capsys):
    assert main(["image", str(folder / "0.png"), "--report", "out.json", "--resume"], parts) == 2
    assert "or its --store" in capsys.readouterr().err


def test_a_journal_of_0_1_0_is_said_before_the_work(parts, folder, tmp_path, capsys):
    (tmp_path / "out.json.journal").write_text('{"journal":"vidscan.journal/2"}\n')
    for more in ([], ["--resume"]):
        assert main(["dir", str(folder), "--report", str(tmp_path / "out.json"), *more], parts) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "out.json.journal: is the journal of a scan by vidscan 0.1.0" in line
    assert not (tmp_path / "out.json").exists()


def test_an_annotated_video_is_written_of_what_an_earlier_scan_finished(parts, bright_clip, tmp_path):
    case, video = tmp_path / "case.vidscan", tmp_path / "out.mp4"
    assert main(["run", str(bright_clip), "--store", str(case)], parts) == 0
    assert (
        main(["run", str(bright_clip), "--store", str(case), "--resume", "--annotate", str(video)], parts)
        == 0
    )
    assert video.stat().st_size > 0


def test_timings_are_those_of_every_source(parts, folder, tmp_path, capsys):
    assert main(["dir", str(folder), "--store", str(tmp_path / "case.vidscan"), "--verbose"], parts) == 0
    assert "together" in capsys.readouterr().out
