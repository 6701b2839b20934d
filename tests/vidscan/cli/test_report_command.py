"""``vidscan report``: every format of what a store holds, a part of it, and what is refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import CARD, clip, face_crops, failed, interview, no_face, still

from vidscan.cli.main import main
from vidscan.records import Label, Report, Source
from vidscan.report.document import model_document, result_document
from vidscan.results.store import Store
from vidscan.results.tables import Heading

HEADING = Heading(
    terms={"vidscan": "1"},
    options={"sampling": {"fps": 2.0}},
    model=model_document(CARD, ()),
    vidscan="1",
    created="2026-01-02T03:04:05+00:00",
)
FACES = replace(clip("desk/interview.mp4"), evidence=face_crops(1, (0.9, 0.2)))
CALM = clip("desk/calm.mp4", ((0.1, 0.1, 0.2),), label=Label.REAL, segments=())
SOME = (FACES, CALM, still("photos/a.jpg"), interview(), no_face("photos/b.mp4"), failed("desk/broken.mp4"))


def add(store: Store, report: Report) -> None:
    store.add(report.source, "1-2", result_document(report), report.evidence)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path / "case.vidscan", HEADING)
    for report in SOME:
        add(made, report)
    made.set_complete(True)
    yield made
    made.close()


def report(store: Store, *flags: str) -> int:
    return main(["report", str(store.path), *flags])


def names(place: Path) -> list[str]:
    return [each["source"] for each in json.loads(place.read_text("utf-8"))["results"]]


def test_every_format_is_written_at_once(store: Store, tmp_path: Path, capsys) -> None:
    pytest.importorskip("fpdf")
    pytest.importorskip("pyarrow")
    endings = ("json", "jsonl", "csv", "html", "pdf", "parquet")
    places = [tmp_path / f"out.{each}" for each in endings]
    assert report(store, *(part for each in places for part in ("--to", str(each)))) == 0
    told = " ".join(capsys.readouterr().out.split())
    for place in (*places, tmp_path / "out.files.csv"):
        assert str(place) in told
    sources = [each.source.name for each in SOME]
    assert names(places[0]) == sources
    assert [json.loads(line)["source"] for line in places[1].read_text("utf-8").splitlines()] == sources
    with (tmp_path / "out.files.csv").open(newline="") as table:
        assert [row["source"] for row in csv.DictReader(table)] == sources
    assert places[3].read_text("utf-8").count("data:image/jpeg") == 2
    assert places[4].read_bytes().startswith(b"%PDF-1.7")
    import pyarrow.parquet

    assert set(pyarrow.parquet.read_table(places[5] / "sources")["source"].to_pylist()) == set(sources)


def test_the_document_is_what_the_scan_would_have_written(store: Store, tmp_path: Path) -> None:
    assert report(store, "--to", str(tmp_path / "out.json")) == 0
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert written["results"] == [result_document(each) for each in SOME]
    assert written["summary"]["total"] == len(SOME) and written["summary"]["failed"] == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--only", "real"], ["desk/calm.mp4"]),
        (["--only", "no-face,FAILED"], ["photos/b.mp4", "desk/broken.mp4"]),
        (["--only", "no_face"], ["photos/b.mp4"]),
        (["--source", "photos/*"], ["photos/a.jpg", "photos/b.mp4"]),
        (["--source", "*.mp4", "--only", "fake"], ["desk/interview.mp4", "clips/interview-cut.mp4"]),
    ],
)
def test_a_part_is_what_was_asked_for(
    store: Store, tmp_path: Path, flags: list[str], expected: list[str]
) -> None:
    assert report(store, "--to", str(tmp_path / "out.json"), *flags) == 0
    assert names(tmp_path / "out.json") == expected


def test_what_fits_nothing_is_an_error_and_writes_nothing(store: Store, tmp_path: Path, capsys) -> None:
    assert report(store, "--to", str(tmp_path / "o.json"), "--only", "real", "--source", "*.jpg") == 1
    told = capsys.readouterr().err
    assert "none of its 6 sources is REAL and fits '*.jpg': nothing was written" in told
    assert told.count("\n") == 1 and not (tmp_path / "o.json").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--to", "o.json", "--only", "fakes"], "--only fakes: is no outcome: give some of fake,uncertain"),
        (["--to", "o.xml"], "--to 'o.xml': its ending names no format"),
        (["--to", "gone/o.json"], "--to 'gone/o.json'"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    store: Store, tmp_path: Path, capsys, monkeypatch, flags: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(store, *flags) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_no_store_and_something_else_are_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "x.json").write_text("{}")
    for name, words in (("no.vidscan", "there is no such store"), ("x.json", "is no store of vidscan's")):
        assert main(["report", str(tmp_path / name), "--to", "o.json"]) == 2
        assert words in capsys.readouterr().err


def test_standard_output_gets_json_and_nothing_else(store: Store) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "vidscan", "report", str(store.path), "--to", "-", "--only", "fake"],
        capture_output=True,
        check=True,
    )
    assert json.loads(ran.stdout)["summary"]["fake"] == 3
    assert ran.stderr == b""


def test_beside_a_running_scan_it_says_how_far_that_is(tmp_path: Path, capsys) -> None:
    running = Store.create(tmp_path / "case.vidscan", HEADING)
    running.expect(40)
    add(running, CALM)
    assert main(["report", str(running.path), "--to", str(tmp_path / "o.json")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "is under way or was broken off: 1 of 40 finished so far" in told
    add(running, FACES)  # the scan goes on
    assert len(running.document()["results"]) == 2
    running.close()


def test_an_empty_store_is_told(tmp_path: Path, capsys) -> None:
    empty = Store.create(tmp_path / "case.vidscan", HEADING)
    assert main(["report", str(empty.path), "--to", str(tmp_path / "o.json")]) == 1
    assert "no source is finished in it: nothing was written" in capsys.readouterr().err
    empty.close()


_PEAK = """
import resource, sys
from vidscan.cli.main import main
code = main(["report", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Stores of few and of many results, of 400 faces each."""
    folder, entry = tmp_path_factory.mktemp("stores"), result_document(clip(scores=[[0.5] * 400]))
    made = {sources: folder / f"{sources}.vidscan" for sources in (60, 600)}
    for sources, place in made.items():
        store = Store.create(place, HEADING)
        for number in range(sources):
            source = Source(str(number), Path(f"clips/{number}.mp4"), CALM.source.kind)
            store.add(source, "1-2", entry | {"source": source.name})
        store.close()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_memory_does_not_grow_with_the_store(growing: dict[int, Path], tmp_path: Path, ending: str) -> None:
    """The larger document would take some 250 MB, as Python holds it."""
    peaks = {}
    for sources, place in growing.items():
        command = [
            sys.executable,
            "-c",
            _PEAK,
            str(place),
            "--quiet",
            "--to",
            f"{tmp_path}/{sources}.{ending}",
        ]
        peaks[sources] = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert peaks[600] < peaks[60] + 30_000, peaks
