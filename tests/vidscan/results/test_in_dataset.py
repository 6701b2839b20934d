"""Scans whose results go into a Parquet dataset, here or in a bucket: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from stored import finished

from vidscan.cli.main import EXIT_OK, EXIT_SOME_FAILED, EXIT_USAGE, main
from vidscan.engines.dispatch import failed_report
from vidscan.engines.local import LocalEngine
from vidscan.media.sources import from_folder
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, Label, Provenance, Report, Source, Status, Verdict
from vidscan.results import in_dataset
from vidscan.results.held import Held
from vidscan.results.in_dataset import ResultsInDataset, open_dataset
from vidscan.results.opening import open_store, store_beside
from vidscan.results.terms import heading_of

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'vidscan[parquet]'")
duckdb = pytest.importorskip("duckdb")

SAMPLES = Path(__file__).parents[3] / "samples"
OPTIONS = ScanOptions()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "media"
    made.mkdir()
    for number in range(6):
        (made / f"{number}.mp4").write_bytes(b"%d" % number)
    return made


class OneModel:
    """As far as results look at it."""

    def __init__(self) -> None:
        from vidscan.records import ModelCard

        self.card = ModelCard("toy", "none", 32, sha256="ab" * 32)
        self.path = Path("toy.keras")


class Run:
    """One driver: opens everything as the command does, and is closed or dies."""

    def __init__(self, folder: Path, out: Path, **more: bool) -> None:
        self.out, self.said = out, list[str]()
        resume = out.exists()
        models = [OneModel()]
        dataset = open_dataset(str(out), OPTIONS, models, resume=resume)
        heading = heading_of(OPTIONS, models)
        self.store = open_store(store_beside(out), heading, resume=resume, kept=False)
        self.results = ResultsInDataset(
            models, dataset, Held(self.store, **more), say=self.said.append, **more
        )
        self.left = self.results.left(from_folder(folder))

    def scan(self, count: int = 99, failing: str = "") -> list[str]:
        """Scans so many of what is left; their names."""
        done = []
        for source in self.results.begin(self.left):
            if len(done) == count:
                break
            self.results.take(report(source, failed=source.path.name == failing))
            done.append(source.path.name)
        return done

    def die(self) -> None:
        self.store.close()

    def end(self) -> dict[str, int]:
        self.results.finish()
        self.results.close()
        assert self.said == [f"results written to {self.out}"]
        return self.results.summary()


def report(source: Source, *, failed: bool = False) -> Report:

    made = failed_report(
        source, ErrorInfo("SourceError", "broken") if failed else None, OPTIONS, OneModel().card, ()
    )
    return made if failed else replace(made, status=Status.OK, verdict=Verdict(Label.NO_FACE, None, None, ""))


def rows(out: Path) -> list[str]:
    query = f"select source from read_parquet('{out}/sources/**/*.parquet') order by source"
    return [Path(name).name for (name,) in duckdb.execute(query).fetchall()]


ALL = [f"{number}.mp4" for number in range(6)]


def test_a_scan_in_one_go(folder: Path, tmp_path: Path) -> None:
    run = Run(folder, tmp_path / "out.parquet")
    assert run.scan(failing="3.mp4") == ALL
    summary = run.end()
    assert summary["total"] == 6 and summary["failed"] == 1 and summary["no_face"] == 5
    assert rows(tmp_path / "out.parquet") == ALL
    assert not (tmp_path / "out.parquet.vidscan").exists()


def test_files_that_declare_ai_are_counted_also_when_they_are_recalled(folder, tmp_path, monkeypatch) -> None:
    plain = report

    def declaring(source: Source, *, failed: bool = False) -> Report:
        return replace(plain(source, failed=failed), provenance=Provenance(source.path.name < "2.mp4"))

    monkeypatch.setitem(globals(), "report", declaring)
    monkeypatch.setattr(in_dataset, "PART_RESULTS", 1)
    first = Run(folder, tmp_path / "out.parquet")
    first.scan(4)
    first.die()
    second = Run(folder, tmp_path / "out.parquet")
    assert second.scan() == ALL[4:]
    assert second.end()["declared_ai"] == 2


@pytest.mark.parametrize("part", [1, 2, 1000])
def test_a_killed_driver_repeats_nothing_that_was_finished(folder, tmp_path, monkeypatch, part: int) -> None:
    monkeypatch.setattr(in_dataset, "PART_RESULTS", part)
    first = Run(folder, tmp_path / "out.parquet")
    assert first.scan(3) == ALL[:3]
    first.die()
    second = Run(folder, tmp_path / "out.parquet")
    assert (len(second.left), second.results.outdated) == (3, 0)
    assert second.scan() == ALL[3:]
    assert second.end()["total"] == 6
    assert rows(tmp_path / "out.parquet") == ALL


def test_a_driver_without_the_store_goes_on_from_the_parts(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(in_dataset, "PART_RESULTS", 2)
    first = Run(folder, tmp_path / "out.parquet")
    first.scan(3)
    first.die()
    (tmp_path / "out.parquet.vidscan").unlink()
    second = Run(folder, tmp_path / "out.parquet")
    assert second.scan() == ALL[2:], "what was in no part yet"
    second.end()
    assert rows(tmp_path / "out.parquet") == ALL


def test_killed_before_the_store_is_emptied_nothing_is_there_twice(folder, tmp_path, monkeypatch) -> None:
    first = Run(folder, tmp_path / "out.parquet")
    first.scan(3)
    monkeypatch.setattr(first.store, "keep", lambda ids: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        first.results.write_part()
    first.die()
    second = Run(folder, tmp_path / "out.parquet")
    assert second.scan() == ALL[3:]
    second.end()
    assert rows(tmp_path / "out.parquet") == ALL


def test_changed_files_are_scanned_again_and_failures_where_asked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    first = Run(folder, out)
    first.scan(failing="3.mp4")
    first.end()
    (folder / "1.mp4").write_bytes(b"another")
    (folder / "0.mp4").unlink()
    second = Run(folder, out)
    assert second.results.outdated == 1
    assert second.scan() == ["1.mp4"]
    assert second.end() == {
        "total": 5,
        "fake": 0,
        "real": 0,
        "uncertain": 0,
        "no_face": 4,
        "failed": 1,
        "declared_ai": 0,
    }
    third = Run(folder, out, retry_failed=True)
    assert third.scan() == ["3.mp4"]
    third.end()
    assert rows(out) == ALL, "what is gone from the folder stays in the archive"


def test_parts_are_written_by_number_and_by_age(folder, tmp_path, monkeypatch) -> None:
    run = Run(folder, tmp_path / "out.parquet")
    run.scan(2)
    assert not list((tmp_path / "out.parquet").rglob("*.parquet"))
    monkeypatch.setattr(in_dataset, "PART_S", 0.0)
    (last,) = run.results.begin(run.left[-1:])
    run.results.take(report(last))
    assert rows(tmp_path / "out.parquet") == ["0.mp4", "1.mp4", "5.mp4"]
    run.die()


@pytest.mark.slow
def test_command_writes_and_resumes_a_dataset(tmp_path: Path, capsys) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out.parquet"
    clips.mkdir()
    shutil.copy(SAMPLES / "astronaut.jpg", clips)
    (clips / "broken.mp4").write_bytes(b"no clip")
    assert main(["dir", str(clips), "--fast", "--report", str(out)]) == EXIT_SOME_FAILED
    said = capsys.readouterr().out
    assert (
        "2 files: " in said and "1 failed" in said and f"results written to {out}" in said.replace("\n", "")
    )
    assert rows(out) == ["astronaut.jpg", "broken.mp4"]
    assert main(["dir", str(clips), "--fast", "--report", str(out)]) == EXIT_USAGE
    assert "holds results already: add --resume" in capsys.readouterr().err
    shutil.copy(SAMPLES / "no-face.jpg", clips)
    (clips / "broken.mp4").unlink()
    assert main(["dir", str(clips), "--fast", "--report", str(out), "--resume"]) == EXIT_OK
    assert "resumed: 1 files were finished before, 1 are left" in capsys.readouterr().out
    assert main(["dir", str(clips), "--fast", "--report", str(out), "--resume", "--fps", "5"]) == EXIT_USAGE
    assert "was written with other options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", str(SAMPLES / "no-face.mp4")], "a Parquet report is for folders and lists"),
        (["dir", str(SAMPLES), "--annotate", "x"], "--annotate does not go with a Parquet report"),
    ],
)
def test_what_does_not_go_with_a_dataset(arguments: list[str], told: str, tmp_path: Path, capsys) -> None:
    assert main([*arguments, "--report", str(tmp_path / "out.parquet")]) == EXIT_USAGE
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_a_bucket_is_scanned_into_a_bucket(s3, tmp_path: Path, capsys) -> None:
    import fsspec

    for name in ("astronaut.jpg", "no-face.jpg"):
        s3.put("clips", f"in/{name}", SAMPLES / name)
    place = "s3://clips/out.parquet"
    assert main(["dir", "s3://clips/in", "--fast", "--report", place]) == EXIT_OK
    duckdb.register_filesystem(fsspec.filesystem("s3"))
    query = (
        f"select source, label from read_parquet('{place}/sources/**/*.parquet', hive_partitioning = true)"
    )
    assert sorted(duckdb.execute(query).fetchall()) == [
        ("s3://clips/in/astronaut.jpg", "UNCERTAIN"),
        ("s3://clips/in/no-face.jpg", "NO_FACE"),
    ]
    s3.put("clips", "in/no-face.jpg", SAMPLES / "astronaut-self-blended.jpg")
    capsys.readouterr()
    assert main(["dir", "s3://clips/in", "--fast", "--report", place, "--resume"]) == EXIT_OK
    assert "resumed: 1 files were finished before, 1 are left (1 of" in capsys.readouterr().out
    found = dict(duckdb.execute(query).fetchall())
    assert found["s3://clips/in/no-face.jpg"] == "FAKE"
    duckdb.unregister_filesystem("s3")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "html"])
def test_other_reports_go_to_a_bucket_too(s3, capsys, ending: str) -> None:
    s3.put("clips", "in/no-face.jpg", SAMPLES / "no-face.jpg")
    assert main(["dir", "s3://clips/in", "--fast", "--report", f"s3://clips/out.{ending}"]) == EXIT_OK
    named = "out.files.csv" if ending == "csv" else f"out.{ending}"
    assert "s3://clips/in/no-face.jpg" in s3.content("clips", named).decode()
    assert ("out.files.csv" in s3.names("clips")) == (ending == "csv")
    assert f"report written to s3://clips/out.{ending}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.slow
def test_a_report_for_a_missing_bucket_is_found_out_before_the_work(s3, capsys, monkeypatch) -> None:
    s3.put("clips", "in/no-face.jpg", SAMPLES / "no-face.jpg")
    monkeypatch.setattr(LocalEngine, "scan", lambda *_, **__: pytest.fail("work was begun"))
    for ending in ("json", "parquet"):
        assert (
            main(["dir", "s3://clips/in", "--fast", "--report", f"s3://nowhere-at-all/out.{ending}"])
            == EXIT_USAGE
        )
        assert "s3://nowhere-at-all/out." in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_scan_of_a_bucket_goes_on_by_the_store_in_the_users_folder(s3, own_cache: Path) -> None:
    for number in range(12):
        s3.put("clips", f"in/{number:02}.jpg", SAMPLES / "astronaut.jpg")
    command = [sys.executable, "-m", "vidscan", "dir", "s3://clips/in", "--fast", "--batch-size", "1"]
    command += ["--report", "s3://clips/out.json"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 100
    while not any(finished(path) > 1 for path in (own_cache / "stores").glob("out.json-*.vidscan")):
        assert first.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=120)
    assert again.returncode == EXIT_OK, again.stderr
    assert "resumed: " in again.stdout
    assert len(s3.content("clips", "out.json").decode().split('"source": "s3://clips/in/')) == 13
    assert not list((own_cache / "stores").glob("out.json-*"))


@pytest.mark.slow
def test_lists_of_urls_and_paths_are_scanned(s3, tmp_path: Path, capsys) -> None:
    s3.put("clips", "no-face.jpg", SAMPLES / "no-face.jpg")
    listed = tmp_path / "list.csv"
    listed.write_text(
        f"source\ns3://clips/no-face.jpg\n{SAMPLES / 'astronaut.jpg'}\n{tmp_path / 'gone.mp4'}\n"
    )
    out = tmp_path / "out.jsonl"
    assert main(["dir", "--from-list", str(listed), "--fast", "--report", str(out)]) == EXIT_SOME_FAILED
    assert len(out.read_text().splitlines()) == 3
    assert main(["dir", str(SAMPLES), "--from-list", str(listed)]) == EXIT_USAGE
    assert main(["dir"]) == EXIT_USAGE
    assert "name either a folder or a list" in capsys.readouterr().err


@pytest.mark.slow
def test_a_remote_clip_is_not_annotated(s3, tmp_path: Path, capsys) -> None:
    url = s3.put("clips", "no-face.mp4", SAMPLES / "no-face.mp4")
    assert main(["run", url, "--fast", "--annotate", str(tmp_path / "x.mp4")]) == EXIT_USAGE
    assert "fetch them first" in capsys.readouterr().err
    assert main(["run", url, "--fast"]) == EXIT_OK
