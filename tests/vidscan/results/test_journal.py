"""The journal of a long scan: what it gives back, what it refuses, and what a kill can do to it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_of_at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.errors import JournalError
from vidscan.records import Source, SourceKind
from vidscan.results import journal
from vidscan.results.journal import Journal, journal_path, terms_of

CARD = {"name": "toy", "fake_threshold": 0.6}
OK, FAILED = {"status": "ok", "n": 1}, {"status": "failed"}


def terms(
    fps: float = 2.0, sha256: str = "a1", card: dict[str, Any] = CARD, place: str = "m"
) -> dict[str, Any]:
    return terms_of({"sampling": {"fps": fps}, "model": {"path": place}}, card, [sha256])


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    folder = tmp_path / "media"
    folder.mkdir()
    names = ["a.png", "b\n.png", "c\udcff.png", r"c\xff.png"]
    for name in names:
        (folder / name).write_bytes(os.fsencode(name))
    return [Source(str(number), folder / name, SourceKind.IMAGE) for number, name in enumerate(names)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path / "out.json")


def write(path: Path, sources: list[Source], *results: dict[str, Any]) -> None:
    """A journal that is left when vidscan dies after so many sources."""
    with closing(Journal.begin(path, terms())) as journal:
        for source, result in zip(journal.stamping(sources), results, strict=False):
            journal.add(source, result)


def recalled(path: Path, sources: list[Source], *, retry_failed: bool = False, **now: Any) -> dict[str, Any]:
    with closing(Journal.resume(path, terms(**now))) as journal:
        journal.recall(sources, retry_failed=retry_failed)
        return journal.results


def only_line(refused: pytest.ExceptionInfo[JournalError]) -> str:
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_the_journal_lies_beside_the_report():
    assert journal_path(Path("a/out.json")) == Path("a/out.json.journal")


def test_what_was_finished_is_given_back_under_every_name(path, sources):
    results = [{"status": "ok", "n": number} for number in range(4)]
    write(path, sources, *results)
    assert recalled(path, sources) == {
        source.id: result for source, result in zip(sources, results, strict=True)
    }
    path.read_bytes().decode("ascii")


def test_a_line_is_on_the_disk_before_add_returns(path, sources, monkeypatch):
    synced = []
    real = os.fsync
    with closing(Journal.begin(path, terms())) as journal:
        monkeypatch.setattr(
            os, "fsync", lambda file: (synced.append(path.read_bytes().count(b"\n")), real(file))
        )
        for count, source in enumerate(journal.stamping(sources), start=2):
            journal.add(source, OK)
            assert synced[-1] == count
    assert len(synced) == len(sources)


def test_a_file_that_changed_is_scanned_again_and_one_that_is_gone_forgotten(path, sources):
    write(path, sources, OK, OK, OK, OK)
    sources[0].path.write_bytes(b"longer than before")
    before = sources[1].path.stat()
    os.utime(sources[1].path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert set(recalled(path, sources)) == {"2", "3"}
    assert set(recalled(path, sources[2:3])) == {"2"}


def test_a_file_that_changed_before_it_was_read_is_known_as_it_was_read(path, sources):
    with closing(Journal.begin(path, terms())) as journal:
        (source,) = journal.stamping(sources[:1])
        source.path.write_bytes(b"replaced while it was read")
        journal.add(source, OK)
    assert recalled(path, sources) == {}


def test_failed_sources_are_taken_up_again_only_when_asked(path, sources):
    write(path, sources, OK, FAILED)
    assert recalled(path, sources) == {"0": OK, "1": FAILED}
    assert recalled(path, sources, retry_failed=True) == {"0": OK}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"fps": 5.0}, "options.sampling.fps was 2.0, now 5.0"),
        ({"sha256": "b2"}, 'checkpoint SHA-256 was ["a1"], now ["b2"]'),
        ({"card": CARD | {"fake_threshold": 0.7}}, "card.fake_threshold was 0.6, now 0.7"),
    ],
)
def test_other_terms_are_refused_by_name(path, sources, now, said):
    write(path, sources, OK)
    before = path.read_bytes()
    with pytest.raises(JournalError) as refused:
        recalled(path, sources, **now)
    message = only_line(refused)
    assert message.startswith(f"{path}: ") and said in message and "delete it to start anew" in message
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["REPORT_SCHEMA", "__version__"])
def test_another_report_schema_and_another_vidscan_are_refused(path, sources, name, monkeypatch):
    write(path, sources, OK)
    monkeypatch.setattr(journal, name, "vidscan.report/2" if name.isupper() else "9.9.9")
    with pytest.raises(JournalError, match=r"report schema was|vidscan was"):
        recalled(path, sources)


def test_many_differences_are_counted_and_not_listed(path, sources):
    write(path, sources, OK)
    other = {"name": "x", "fake_threshold": 0.7, "margin": 2.0, "limits": "\x1b[31m" * 50}
    with pytest.raises(JournalError, match="; 2 more") as refused:
        recalled(path, sources, fps=1.0, card=other)
    assert "\x1b" not in only_line(refused) and len(only_line(refused)) < len(str(path)) + 500


def test_the_checkpoint_may_lie_elsewhere(path, sources):
    write(path, sources, OK)
    assert recalled(path, sources, place="elsewhere/m") == {"0": OK}


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1))
def test_a_kill_in_the_midst_of_a_line_costs_that_line_alone(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("torn")
    sources = [Source(str(number), folder / f"{number}.png", SourceKind.IMAGE) for number in range(3)]
    for source in sources:
        source.path.write_bytes(b"x")
    path = folder / "out.json.journal"
    write(path, sources, OK, OK, OK)
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    length = head + round(share * (len(whole) - head))
    path.write_bytes(whole[:length])
    kept = whole[:length].count(b"\n") - 1
    with closing(Journal.resume(path, terms())) as journal:
        journal.recall(sources, retry_failed=False)
        assert len(journal.results) == kept
        # What is added next stands on a line of its own.
        left = [source for source in sources if source.id not in journal.results]
        for source in journal.stamping(left):
            journal.add(source, OK)
    assert path.read_bytes() == whole


def test_a_last_line_of_garbage_is_dropped_and_one_in_the_middle_refused(path, sources):
    write(path, sources, OK, OK)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 50 + b"\n")
    assert set(recalled(path, sources)) == {"0", "1"}
    lines = whole.splitlines(keepends=True)
    for garbage in (b"{}\n", b"\xff\n", b"[" * 5000 + b"\n", b'{"source": 1, "state": null, "result": {}}\n'):
        path.write_bytes(lines[0] + lines[1] + garbage + lines[2])
        with pytest.raises(JournalError, match="line 3 is damaged: delete it"):
            recalled(path, sources)


def test_an_unfinished_scan_is_not_overwritten(path, sources):
    write(path, sources, OK)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"holds 1 finished files.*add --resume.*or delete it") as refused:
        Journal.begin(path, terms())
    only_line(refused)
    assert path.read_bytes() == before


def test_a_journal_without_results_or_of_a_complete_scan_is_replaced(path, sources):
    write(path, sources)
    write(path, sources, OK, FAILED)
    with closing(Journal.resume(path, terms())) as journal:
        journal.mark_complete()
    assert recalled(path, sources, retry_failed=True) == {"0": OK}
    write(path, sources, OK)
    assert recalled(path, sources) == {"0": OK}


def test_a_complete_journal_can_be_gone_on_with_and_is_then_unfinished(path, sources):
    write(path, sources, OK, FAILED)
    for _ in range(2):
        with closing(Journal.resume(path, terms())) as journal:
            journal.mark_complete()
    with closing(Journal.resume(path, terms())) as journal:
        (source,) = journal.stamping(sources[1:2])
        journal.add(source, OK)
    assert recalled(path, sources) == {"0": OK, "1": OK}
    with pytest.raises(JournalError, match="--resume"):
        Journal.begin(path, terms())


def test_a_journal_that_nobody_needs_is_removed(path, sources):
    with closing(Journal.begin(path, terms())) as journal:
        journal.delete()
    assert not path.exists()
    assert recalled(path, sources) == {}  # --resume without a journal starts from nothing


@pytest.mark.parametrize(
    "content", [b"", b"a note of the user's\n", b'{"journal": "vidscan.journal/9"}\n', b"[]\n"]
)
def test_what_is_no_journal_is_left_alone(path, content):
    path.write_bytes(content)
    for start in (Journal.begin, Journal.resume):
        with pytest.raises(JournalError, match=r"is no journal.*move it away"):
            start(path, terms())
    assert path.read_bytes() == content


def test_a_second_vidscan_is_kept_out(path, sources):
    code = (
        "import sys; from pathlib import Path; from vidscan.results.journal import Journal\n"
        "try: getattr(Journal, sys.argv[1])(Path(sys.argv[2]), {})\n"
        "except Exception as error: print(error)"
    )
    with closing(Journal.begin(path, terms())):
        for start in ("begin", "resume"):
            answer = subprocess.run(
                [sys.executable, "-c", code, start, str(path)], capture_output=True, text=True, check=True
            )
            assert "another vidscan is at work on it" in answer.stdout, answer.stderr
    recalled(path, sources)


def test_a_full_disk_leaves_what_was_written(path, sources):
    journal = Journal.begin(path, terms())
    with closing(journal), files_of_at_most(path.stat().st_size + 500):
        left = journal.stamping(sources)
        journal.add(next(left), OK)
        with pytest.raises(JournalError, match=r"cannot be written \(File too large\).*go on with --resume"):
            journal.add(next(left), {"status": "ok", "long": "x" * 1000})
    assert recalled(path, sources) == {"0": OK}


def test_a_disk_that_is_full_from_the_start_leaves_nothing(path):
    with files_of_at_most(10), pytest.raises(JournalError, match="cannot be written") as refused:
        Journal.begin(path, terms())
    assert refused.value.__cause__.errno == errno.EFBIG
    assert list(path.parent.iterdir()) == []


def test_places_that_cannot_hold_a_journal(tmp_path, path):
    with pytest.raises(JournalError, match="File name too long"):
        Journal.begin(tmp_path / ("x" * 250 + ".journal"), terms())
    path.mkdir()
    for start in (Journal.begin, Journal.resume):
        with pytest.raises(JournalError, match="Is a directory"):
            start(path, terms())


def test_a_link_laid_at_its_place_is_not_written_through(tmp_path, path):
    victim = tmp_path / "victim"
    with closing(Journal.begin(victim, terms())):
        pass
    before = victim.read_bytes()
    path.symlink_to(victim)
    for start in (Journal.begin, Journal.resume):
        with pytest.raises(JournalError):
            start(path, terms())
    assert victim.read_bytes() == before


def test_entries_are_plain_json(path, sources):
    write(path, sources, OK)
    head, entry = (json.loads(line) for line in path.read_text("ascii").splitlines())
    assert head["journal"] == "vidscan.journal/2"
    assert entry["source"] == str(sources[0].path)
    assert entry["state"] == f"5-{sources[0].path.stat().st_mtime_ns}"
    with pytest.raises(ValueError, match="JSON"), closing(Journal.resume(path, terms())) as journal:
        (source,) = journal.stamping(sources[:1])
        journal.add(source, {"status": float("nan")})
