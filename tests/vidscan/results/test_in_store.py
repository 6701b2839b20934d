"""A scan's results in a store: what is gone on with, what is refused, and what becomes of the store."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_of_at_most
from report_samples import face_crops

from vidscan.engines.dispatch import failed_report
from vidscan.errors import ReportError, StoreError
from vidscan.media.sources import from_folder, from_paths
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, Label, ModelCard, Report, Source, SourceKind, Status, Verdict
from vidscan.report.destination import Destination
from vidscan.report.document import model_document, result_document
from vidscan.results import terms as terms_module
from vidscan.results.held import Held
from vidscan.results.in_store import ResultsInStore
from vidscan.results.opening import open_store, require_no_journal, store_beside
from vidscan.results.store import Store
from vidscan.results.tables import Heading
from vidscan.results.terms import heading_of, terms_of

OPTIONS = ScanOptions()
CARD = ModelCard("toy", "none", 32, sha256="ab" * 32)


class OneModel:
    """As far as results look at it."""

    card = CARD
    path = Path("toy.keras")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "media"
    made.mkdir()
    for name in "abc":
        (made / f"{name}.mp4").write_bytes(name.encode())
    return made


@pytest.fixture
def sources(folder: Path) -> list[Source]:
    return from_folder(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def report(source: Source, *, failed: bool = False, **more: Any) -> Report:
    made = failed_report(source, ErrorInfo("SourceError", "broken"), OPTIONS, CARD, ())
    no_face = Verdict(Label.NO_FACE, None, None, "")
    return made if failed else replace(made, status=Status.OK, error=None, verdict=no_face, **more)


class Run:
    """One scan into ``out``, by the store beside it or a ``named`` one, opened as the command does."""

    def __init__(
        self,
        out: Path,
        sources: Sequence[Source],
        *,
        named: Path | None = None,
        resume: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.out, self.said = out, list[str]()
        heading = heading_of(OPTIONS, [OneModel()])
        self.store = open_store(named or store_beside(out), heading, resume=resume, kept=named is not None)
        held = Held(self.store, pictures=named is not None, retry_failed=retry_failed)
        places = [Destination.parse(str(out))]
        self.results = ResultsInStore(
            OPTIONS, [OneModel()], held, places, kept=named is not None, say=self.said.append
        )
        self.left = self.results.left(sources)

    def scan(self, count: int = 99, failing: str = "") -> None:
        for source in self.results.begin(self.left[:count]):
            self.results.take(report(source, failed=source.path.name == failing))

    def die(self) -> None:
        self.store.close()

    def end(self) -> list[str]:
        """What was said, without the report's place."""
        self.results.finish()
        self.results.close()
        assert self.said[0] == f"report written to {self.out}"
        return self.said[1:]


def names(left: Sequence[Source]) -> list[str]:
    return [source.path.name for source in left]


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


# What becomes of the store


def test_the_store_of_a_scan_that_lacks_nothing_is_deleted(sources, out):
    run = Run(out, sources)
    run.scan()
    assert beside(out.parent) != []
    assert run.end() == [] and beside(out.parent) == ["out.json"]
    found = [Path(each["source"]).name for each in json.loads(out.read_text())["results"]]
    assert found == ["a.mp4", "b.mp4", "c.mp4"]
    assert run.results.summary()["no_face"] == 3


def test_a_store_with_a_name_is_kept_and_added_to(sources, out, tmp_path):
    named = tmp_path / "case.vidscan"
    first = Run(out, sources, named=named)
    first.scan()
    assert first.end() == [f"results kept in {named}"]
    assert beside(tmp_path) == ["case.vidscan", "out.json"], "one plain file, to be handed on"
    with pytest.raises(StoreError, match="holds 3 results: add --resume to go on with it, or name another"):
        Run(out, sources, named=named)
    more = tmp_path / "more"
    more.mkdir()
    (more / "d.mp4").touch()
    second = Run(out, from_folder(more), named=named, resume=True)
    second.scan()
    second.end()
    assert [Path(each["source"]).name for each in json.loads(out.read_text())["results"]] == ["d.mp4"]
    store = Store.open(named, write=False)
    assert [Path(row.name).name for row in store.rows()] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    store.close()


def test_an_unfinished_scan_goes_on_by_its_store(sources, out):
    first = Run(out, sources)
    first.scan(1)
    assert first.end() == [f"results kept in {store_beside(out)}: --resume goes on"]
    (sources[1].path).write_bytes(b"changed, but never finished")
    second = Run(out, sources, resume=True)
    assert names(second.left) == ["b.mp4", "c.mp4"]
    assert second.results.outdated == 0 and len(second.results.reports()) == 1
    second.scan(2)
    assert second.end() == []
    assert json.loads(out.read_text())["summary"]["total"] == 3


def test_failed_sources_can_be_retried(sources, out):
    first = Run(out, sources)
    first.scan(failing="b.mp4")
    assert first.end() == [
        f"results kept in {store_beside(out)}: --resume --retry-failed takes up what failed"
    ]
    again = Run(out, sources, resume=True)
    assert again.left == []
    again.die()
    second = Run(out, sources, resume=True, retry_failed=True)
    assert names(second.left) == ["b.mp4"] and second.results.outdated == 1
    second.scan()
    assert second.end() == [] and beside(out.parent) == ["out.json"]


def test_a_report_that_cannot_be_written_leaves_the_store(sources, out):
    run = Run(out, sources)
    run.scan()
    out.mkdir()
    with pytest.raises(ReportError, match="Is a directory"):
        run.end()
    run.results.close()
    assert store_beside(out).exists() and run.said == []


def test_a_store_into_which_nothing_was_put_is_deleted(sources, out):
    Run(out, sources).results.close()
    assert beside(out.parent) == []


def test_results_in_memory_are_only_kept(sources, tmp_path):
    said: list[str] = []
    store = open_store(None, heading_of(OPTIONS, [OneModel()]), resume=False, kept=False)
    results = ResultsInStore(OPTIONS, [OneModel()], Held(store), say=said.append)
    assert results.left(sources) == sources
    for source in reversed(list(results.begin(sources))):
        results.take(report(source))
    results.finish()
    assert [each.source for each in results.reports()] == sources and said == []
    results.close()
    assert beside(tmp_path) == []


def test_one_file_named_twice_has_two_results(folder, out):
    sources = from_paths([str(folder / name) for name in ("a.mp4", "b.mp4", "a.mp4")])
    first = Run(out, sources)
    first.scan(2)
    first.die()
    second = Run(out, sources, resume=True)
    assert names(second.left) == ["a.mp4"] and second.left[0].id == sources[2].id
    second.scan()
    second.end()
    found = [Path(each["source"]).name for each in json.loads(out.read_text())["results"]]
    assert found == ["a.mp4", "b.mp4", "a.mp4"]


def test_faces_are_put_into_a_store_that_is_asked_for_them(sources):
    heading = heading_of(OPTIONS, [OneModel()])
    for pictures in (True, False):
        store = open_store(None, heading, resume=False, kept=False)
        results = ResultsInStore(OPTIONS, [OneModel()], Held(store, pictures=pictures))
        results.left(sources)
        for source in results.begin(sources[:1]):
            results.take(report(source, evidence=face_crops(1, [0.9, 0.1])))
        assert len(store.evidence(1)) == 2 * pictures
        results.close()


# What still holds


def test_what_is_there_is_on_the_disk_as_soon_as_it_is_taken(sources, out):
    run = Run(out, sources)
    for count, source in enumerate(run.results.begin(sources), start=1):
        run.results.take(report(source))
        beside = Store.open(run.store.path, write=False)
        assert beside.count() == count
        beside.close()
    run.die()


def test_a_file_that_changed_is_scanned_again_and_one_that_is_gone_left_out(sources, folder, out):
    first = Run(out, sources)
    first.scan()
    first.die()
    sources[0].path.write_bytes(b"longer than before")
    before = sources[1].path.stat()
    os.utime(sources[1].path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    second = Run(out, sources, resume=True)
    assert names(second.left) == ["a.mp4", "b.mp4"] and second.results.outdated == 2
    second.die()
    third = Run(out, sources[1:], resume=True)
    assert names(third.left) == ["b.mp4"]
    third.scan()
    third.end()
    found = [Path(each["source"]).name for each in json.loads(out.read_text())["results"]]
    assert found == ["b.mp4", "c.mp4"]


def test_a_file_that_changed_before_it_was_read_is_known_as_it_was_read(sources, out):
    first = Run(out, sources)
    (source,) = first.results.begin(sources[:1])
    source.path.write_bytes(b"replaced while it was read")
    first.results.take(report(source))
    first.die()
    second = Run(out, sources, resume=True)
    assert second.left == sources
    second.die()


def test_a_report_is_in_the_order_of_the_sources_however_they_come(folder, out):
    first = Run(out, from_folder(folder)[1:])
    first.scan(1)
    first.die()
    (folder / "0.mp4").touch()
    second = Run(out, from_folder(folder), resume=True)
    for source in reversed(list(second.results.begin(second.left))):
        second.results.take(report(source))
    assert [row.name for row in second.store.rows()] == [source.name for source in from_folder(folder)]
    second.end()
    found = [Path(each["source"]).name for each in json.loads(out.read_text())["results"]]
    assert found == ["0.mp4", "a.mp4", "b.mp4", "c.mp4"]


def test_hostile_names_are_known_again(tmp_path, out):
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("b\n.png", "c\udcff.png", r"c\xff.png", "ü.png"):
        (folder / name).write_bytes(b"x")
    sources = from_folder(folder)
    first = Run(out, sources)
    first.scan(3)
    first.die()
    second = Run(out, sources, resume=True)
    assert second.left == sources[3:]
    second.scan()
    second.end()
    assert len(json.loads(out.read_text())["results"]) == 4


# Terms


def heading(fps: float = 2.0, sha256: str = "a1", place: str = "m", **card: Any) -> Heading:
    card = model_document(CARD, ()) | {"fake_threshold": 0.6} | card
    options = {"sampling": {"fps": fps}, "model": {"path": place}}
    return Heading(terms_of(options, card, [sha256]), options, card, "1", "2026-01-02T03:04:05+00:00")


def left_behind(path: Path, results: int = 1) -> None:
    """A store as a killed scan leaves it."""
    store = open_store(path, heading(), resume=False, kept=False)
    for number in range(results):
        source = Source(str(number), path.with_name(f"{number}.png"), SourceKind.IMAGE)
        store.add(source, None, result_document(report(source)))
    store.close()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"fps": 5.0}, "options.sampling.fps was 2.0, now 5.0"),
        ({"sha256": "b2"}, 'checkpoint SHA-256 was ["a1"], now ["b2"]'),
        ({"fake_threshold": 0.7}, "card.fake_threshold was 0.6, now 0.7"),
    ],
)
def test_other_terms_are_refused_by_name(tmp_path, now, said):
    path = tmp_path / "out.json.vidscan"
    left_behind(path)
    with pytest.raises(StoreError) as refused:
        open_store(path, heading(**now), resume=True, kept=False)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and said in message and "delete it to start anew" in message
    store = Store.open(path, write=False)
    assert store.heading == heading() and store.count() == 1
    store.close()


@pytest.mark.parametrize("name", ["REPORT_SCHEMA", "__version__"])
def test_another_report_schema_and_another_vidscan_are_refused(tmp_path, name, monkeypatch):
    path = tmp_path / "out.json.vidscan"
    left_behind(path)
    monkeypatch.setattr(terms_module, name, "vidscan.report/2" if name.isupper() else "9.9.9")
    with pytest.raises(StoreError, match=r"report schema was|vidscan was"):
        open_store(path, heading(), resume=True, kept=False)


def test_many_differences_are_counted_and_not_listed(tmp_path):
    path = tmp_path / "out.json.vidscan"
    left_behind(path)
    other = {"name": "x", "fake_threshold": 0.7, "margin": 2.0, "limits": "\x1b[31m" * 50}
    with pytest.raises(StoreError, match="; 2 more") as refused:
        open_store(path, heading(fps=1.0, **other), resume=True, kept=False)
    assert "\x1b" not in str(refused.value) and len(str(refused.value)) < len(str(path)) + 500


def test_the_checkpoint_may_lie_elsewhere(tmp_path):
    path = tmp_path / "out.json.vidscan"
    left_behind(path)
    store = open_store(path, heading(place="elsewhere/m"), resume=True, kept=False)
    assert store.count() == 1 and store.heading.options["model"] == {"path": "elsewhere/m"}
    store.close()


# What is refused


def test_an_unfinished_scan_is_not_overwritten_and_a_complete_one_is(tmp_path):
    path = tmp_path / "out.json.vidscan"
    left_behind(path, 2)
    with pytest.raises(StoreError, match=r"holds 2 finished files.*add --resume.*or delete it"):
        open_store(path, heading(), resume=False, kept=False)
    store = open_store(path, heading(), resume=True, kept=False)
    store.set_complete(True)
    store.close()
    store = open_store(path, heading(), resume=False, kept=False)
    assert store.count() == 0
    store.close()


@pytest.mark.parametrize("content", [b"a note of the user's\n", b"[]\n" * 1000])
@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_store_is_left_alone(tmp_path, content, resume):
    path = tmp_path / "out.json.vidscan"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is no store of vidscan's: name another"):
        open_store(path, heading(), resume=resume, kept=False)
    assert path.read_bytes() == content and beside(tmp_path) == [path.name]


@pytest.mark.parametrize("resume", [True, False])
def test_another_programs_database_is_left_alone(tmp_path, resume):
    path = tmp_path / "places.vidscan"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE places (url TEXT)")
    made.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is no store of vidscan's: name another"):
        open_store(path, heading(), resume=resume, kept=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_vidscan_is_kept_out(tmp_path, resume):
    path = tmp_path / "case.vidscan"
    code = (
        "import sys; from pathlib import Path; from vidscan.results.opening import open_store\n"
        "from vidscan.results.tables import Heading\n"
        "head, resume = Heading({}, {}, {}, '', ''), sys.argv[2] == 'True'\n"
        "try: open_store(Path(sys.argv[1]), head, resume=resume, kept=True)\n"
        "except Exception as error: print(error)"
    )
    store = open_store(path, heading(), resume=False, kept=True)
    command = [sys.executable, "-c", code, str(path), str(resume)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "another vidscan is at work on it" in answer.stdout, answer.stderr
    store.close()


def test_a_link_laid_at_its_place_is_not_written_through(tmp_path):
    victim, path = tmp_path / "victim.vidscan", tmp_path / "out.json.vidscan"
    left_behind(victim)
    before = victim.read_bytes()
    path.symlink_to(victim)
    for resume in (True, False):
        with pytest.raises(StoreError, match="is a link"):
            open_store(path, heading(), resume=resume, kept=False)
    assert victim.read_bytes() == before


def test_places_that_cannot_hold_a_store(tmp_path):
    with pytest.raises(StoreError, match="File name too long"):
        open_store(tmp_path / ("x" * 250 + ".vidscan"), heading(), resume=False, kept=False)
    (tmp_path / "folder.vidscan").mkdir()
    with pytest.raises(StoreError, match="is no store"):
        open_store(tmp_path / "folder.vidscan", heading(), resume=False, kept=False)


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path):
    with files_of_at_most(10), pytest.raises(StoreError, match=r"out\.json\.vidscan: "):
        open_store(tmp_path / "out.json.vidscan", heading(), resume=False, kept=False)
    assert beside(tmp_path) == []


def test_a_journal_of_0_1_0_is_named(tmp_path, out):
    require_no_journal(out)
    (tmp_path / "out.json.journal").touch()
    with pytest.raises(StoreError, match=r"out\.json\.journal: .*finish that with 0\.1\.0, or delete it"):
        require_no_journal(out)


def test_the_store_of_a_report_at_a_url_lies_in_the_users_folder(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("VIDSCAN_CACHE", str(cache))
    places = {store_beside(f"s3://bucket/{folder}/out.json") for folder in "ab"}
    assert len(places) == 2 and {path.parent for path in places} == {cache / "stores"}
    cache.chmod(0o777)
    with pytest.raises(StoreError, match="can be written to by others"):
        store_beside("s3://bucket/out.json")
