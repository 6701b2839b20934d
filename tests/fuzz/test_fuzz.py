"""A short run of the fuzzer, the same every time, and that it sees what it looks for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import corpus
import fuzz_run
import mutation
import provenance_run
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc"),
]

SOME = (
    "h264.mp4", "mpeg4.avi", "mjpeg.mov", "vp9.webm", "h264.ts", "gif.gif", "h264.h264", "odd.mkv",
    "still.jpg", "still.png", "still.webp", "still.tiff", "turned.jpg",
    "still.heic", "still.avif", "moving.avif", "moving-webp.mov", "still.jxl", "pair.mpo", "deep.tiff",
)  # fmt: skip


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made, _ = corpus.make(tmp_path_factory.mktemp("corpus"), SOME)
    assert len(made) >= 8
    return made


def test_mutants_end_in_a_result_or_in_a_clear_failure(media: list[Path], tmp_path: Path):
    outcomes = fuzz_run.run(fuzz_run.Task(range(60), 0, media, False, tmp_path), workers=2)
    assert [outcome.number for outcome in outcomes] == list(range(60))
    assert [outcome for outcome in outcomes if outcome.faults] == []
    results = {outcome.result for outcome in outcomes}
    assert "faces" in results and any(result.startswith("DecodeError") for result in results)


def test_same_seed_gives_the_same_mutants(media: list[Path]):
    content = media[0].read_bytes()
    one, two, other = (
        [mutation.mutate(content, [content], random.Random(f"{seed}:{n}"), atoms=True) for n in range(50)]
        for seed in (0, 0, 1)
    )
    assert one == two != other
    assert all(damaged != content for damaged, _ in one[:3])
    assert len({damage for _, damage in one}) > 8


def test_atoms_are_found_inside_of_others(media: list[Path]):
    content = media[0].read_bytes()
    kinds = {content[start + 4 : start + 8] for start, _ in mutation.find_atoms(content)}
    assert {b"ftyp", b"moov", b"trak", b"stbl", b"stsz", b"mdat"} <= kinds


def test_leaks_are_seen(tmp_path: Path):
    before = fuzz_run._held(tmp_path)
    assert fuzz_run._leaks(before, fuzz_run._held(tmp_path)) == []
    with (
        tempfile.NamedTemporaryFile(dir=tmp_path),
        subprocess.Popen(["sleep", "5"]) as child,
    ):
        leaked = " ".join(fuzz_run._leaks(before, fuzz_run._held(tmp_path)))
        child.kill()
    assert "temporary files" in leaked and "open files" in leaked and f"processes: ['{child.pid}']" in leaked


class Breaking:
    """A detector that comes to harm."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def far(self, image):
        raise self._error


def test_faults_are_seen(media: list[Path]):
    path = next(path for path in media if path.suffix == ".jpg")
    assert fuzz_run.read(path, Breaking(KeyError("x")))[0] == "crash"
    result, faults = fuzz_run.read(path, Breaking(ValueError("x")))
    assert result.startswith("ValueError") and "does not expect" in faults[0]


def die(task: fuzz_run.Task, pipe) -> None:
    """In the place of a worker: harm over the second mutant, then one result after the other."""
    for number in task.numbers:
        if number == 1:
            os.abort()
        pipe.send(fuzz_run.Outcome(number, "a", "b", "faces", 0.0))


def test_worker_that_dies_is_seen_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz_run, "work", die)
    outcomes = fuzz_run.run(fuzz_run.Task(range(4), 0, [], False, tmp_path), workers=1)
    assert [bool(outcome.faults) for outcome in outcomes] == [False, True, False, False]


def test_damaged_signed_files_are_read_without_an_error(tmp_path: Path):
    media = provenance_run.make(tmp_path)
    assert {path.suffix for path in media} >= {".jpg", ".png", ".mp4", ".heic"}
    outcomes = provenance_run.run(media, range(80), 0)
    assert outcomes.faults == []
    assert outcomes.results.total() == 80
    assert {"valid", "invalid", "unreadable"} <= outcomes.results.keys()


def test_errors_of_a_reader_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise KeyError("x")

    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xd9" * 20)
    monkeypatch.setattr(provenance_run.ProvenanceReader, "read", broken)
    assert "KeyError('x') came through" in provenance_run.run([tmp_path / "a.jpg"], [0], 0).faults[0]
