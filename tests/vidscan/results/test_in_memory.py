"""Results in memory: what becomes of the journal once the report is written, and what a person is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vidscan.engines.dispatch import failed_report
from vidscan.errors import ReportError
from vidscan.media.sources import from_folder
from vidscan.options import ScanOptions
from vidscan.records import ErrorInfo, Label, ModelCard, Report, Source, Status, Verdict
from vidscan.report.destination import Destination
from vidscan.results.in_memory import ResultsInMemory, open_journal
from vidscan.results.journal import journal_path

OPTIONS = ScanOptions()
CARD = ModelCard("toy", "none", 16, sha256="ab" * 32)


class OneModel:
    """As far as results look at it."""

    card = CARD
    path = Path("toy.keras")


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    folder = tmp_path / "media"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.mp4").write_bytes(name.encode())
    return from_folder(folder)


def report(source: Source, *, failed: bool = False) -> Report:
    made = failed_report(source, ErrorInfo("SourceError", "broken"), OPTIONS, CARD, ())
    no_face = Verdict(Label.NO_FACE, None, None, "")
    return made if failed else replace(made, status=Status.OK, error=None, verdict=no_face)


class Run:
    """One scan into ``out``: opens everything as the command does."""

    def __init__(self, out: Path, sources: list[Source], *, resume: bool = False, **more: bool) -> None:
        self.out, self.said = out, list[str]()
        self.journal = open_journal(journal_path(out), OPTIONS, [OneModel()], resume=resume)
        self.results = ResultsInMemory(
            OPTIONS, [OneModel()], [Destination.parse(str(out))], self.journal, say=self.said.append, **more
        )
        self.left = self.results.left(sources)

    def scan(self, count: int, failing: str = "") -> None:
        for source in self.results.begin(self.left[:count]):
            self.results.take(report(source, failed=source.path.name == failing))

    def end(self) -> list[str]:
        """What was said, without the report's place."""
        self.results.finish()
        self.journal.close()
        assert self.said[0] == f"report written to {self.out}"
        return self.said[1:]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def test_the_journal_of_a_scan_that_lacks_nothing_is_deleted(sources, out):
    run = Run(out, sources)
    run.scan(3)
    assert run.end() == [] and not journal_path(out).exists()
    names = [Path(each["source"]).name for each in json.loads(out.read_text())["results"]]
    assert names == ["a.mp4", "b.mp4", "c.mp4"]
    assert run.results.summary()["no_face"] == 3


def test_an_unfinished_scan_goes_on_by_its_journal(sources, out):
    first = Run(out, sources)
    first.scan(1)
    assert first.end() == [f"journal kept in {journal_path(out)}: --resume goes on"]
    (sources[1].path).write_bytes(b"changed, but never finished")
    second = Run(out, sources, resume=True)
    assert [source.path.name for source in second.left] == ["b.mp4", "c.mp4"]
    assert second.results.outdated == 0 and len(second.results.reports()) == 1
    second.scan(2)
    assert second.end() == []
    assert json.loads(out.read_text())["summary"]["total"] == 3


def test_failed_sources_can_be_retried(sources, out):
    first = Run(out, sources)
    first.scan(3, failing="b.mp4")
    assert first.end() == [
        f"journal kept in {journal_path(out)}: --resume --retry-failed takes up what failed"
    ]
    second = Run(out, sources, resume=True, retry_failed=True)
    assert [source.path.name for source in second.left] == ["b.mp4"] and second.results.outdated == 1
    second.scan(1)
    assert second.end() == []


def test_a_report_that_cannot_be_written_leaves_the_journal(sources, out):
    run = Run(out, sources)
    run.scan(3)
    out.mkdir()
    with pytest.raises(ReportError, match="Is a directory"):
        run.end()
    assert journal_path(out).exists() and run.said == []
    run.journal.close()


def test_results_without_a_destination_are_only_kept(sources):
    said: list[str] = []
    results = ResultsInMemory(OPTIONS, [OneModel()], say=said.append)
    assert results.left(sources) == sources
    for source in reversed(list(results.begin(sources))):
        results.take(report(source))
    results.finish()
    assert [each.source for each in results.reports()] == sources and said == []
