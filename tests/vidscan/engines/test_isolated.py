"""A scan in a worker process: the same reports, and what kills the worker costs one file."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from leftovers import soon
from PIL import Image as Pillow
from signed_media import authority, sign
from toys import ToyDetector, ToyScorer

from vidscan.engines.isolated import parent
from vidscan.engines.isolated.parent import IsolatedEngine
from vidscan.errors import ScoringError, WorkerError
from vidscan.media.sources import from_folder, from_paths
from vidscan.options import BatchingOptions, ScanOptions
from vidscan.records import CredentialsState, Label, Report, Source, Stats, Status, Verdict
from vidscan.scan.pipeline import scan
from vidscan.system.typed_json import to_plain

pytestmark = pytest.mark.slow

OPTIONS = ScanOptions(batching=BatchingOptions(16))
"""Four stills of one face, each in four views, make a batch."""


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """Where each start of a worker leaves a file."""
    folder = tmp_path / "starts"
    folder.mkdir()
    return folder


def stills(folder: Path, *names: str, brightness: int = 200) -> list[Source]:
    for name in names:
        Pillow.fromarray(np.full((80, 80, 3), brightness, np.uint8)).save(folder / name)
    return from_paths([folder / name for name in names])


TOY_WORKER = Path(__file__).with_name("isolated_worker.py")


def toy_engine(*arguments: object, script: Path = TOY_WORKER) -> IsolatedEngine:
    """An engine that runs a script with these arguments as its worker."""
    worker = (sys.executable, str(script), *map(str, arguments))
    return IsolatedEngine(OPTIONS, [ToyScorer()], worker)


def scan_isolated(sources: Iterable[Source], *arguments: object, **more) -> list[Report]:
    return list(toy_engine(*arguments).scan(sources, **more))


def scan_here(sources: Sequence[Source]) -> list[Report]:
    with ToyDetector() as detector:
        return list(scan(sources, OPTIONS, scorers=[ToyScorer()], detector=detector))


def essence(report: Report) -> Report:
    """A report without what differs from run to run: times, and what a batch held beside it."""
    return replace(report, stats=replace(report.stats, seconds=Stats().seconds, batch_slots=0.0))


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, float, float | None]] = []
        self.fetched: set[str] = set()

    def part_fetched(self, source: Source) -> None:
        self.fetched.add(source.name)

    def frame_sampled(self, source: Source, time_s: float, duration_s: float | None) -> None:
        self.seen.append((source.path.name, time_s, duration_s))


def test_reports_are_those_of_a_scan_in_this_process(bright_clip, dark_clip, text_as_clip, tmp_path, starts):
    sources = from_paths([bright_clip, text_as_clip, dark_clip, bright_clip])
    sources += [replace(each, id="9") for each in stills(tmp_path, "a.png")]
    watcher = Watcher()
    reports = scan_isolated(sources, starts, observer=watcher)
    assert [essence(report) for report in reports] == [essence(report) for report in scan_here(sources)]
    assert reports[0].stats.seconds.total > 0
    assert watcher.seen[:2] == [("bright.mp4", 0.0, 2.0), ("bright.mp4", 0.5, 2.0)]
    assert len(list(starts.iterdir())) == 1


def test_parts_of_remote_sources_are_told_from_the_worker(s3, tmp_path, starts):
    for path in (source.path for source in stills(tmp_path, "a.png", "b.png")):
        s3.put("clips", path.name, path.read_bytes())
    watcher = Watcher()
    reports = scan_isolated(from_folder("s3://clips"), starts, observer=watcher)
    assert [report.status for report in reports] == [Status.OK, Status.OK]
    assert watcher.fetched == {"s3://clips/a.png", "s3://clips/b.png"}


HARM = {
    "crash": "the worker process crashed (SIGSEGV)",
    "killed": "the worker process was killed, as a system does that runs out of memory",
    "exit": "the worker process ended too early (exit code 7)",
}


def test_what_kills_the_worker_costs_one_file_each(tmp_path: Path, starts: Path):
    names = ["a.png", "crash.png", "b.png", "killed.png", "c.png", "exit.png"]
    sources = stills(tmp_path, *names)
    reports = scan_isolated(sources, starts)
    assert [report.source for report in reports] == sources
    assert len(list(starts.iterdir())) == 6  # each time one to die, and one for what it had in hand
    sound = {report.source.path.name: report for report in reports if report.status is Status.OK}
    assert list(sound) == ["a.png", "b.png", "c.png"]
    for report, alone in zip(sound.values(), scan_here([sound[name].source for name in sound]), strict=True):
        assert essence(report) == essence(alone)
    for report in reports:
        if report.error is not None:
            what = HARM[report.source.path.stem]
            assert report.error.type == "WorkerError"
            assert (
                report.error.message
                == f"{report.source.path}: {what} while it was analysed: leave the file out"
            )


def test_worker_that_hangs_is_ended(tmp_path: Path, starts: Path, monkeypatch: pytest.MonkeyPatch):
    scan_here(sources := stills(tmp_path, "a.png", "hang.png"))
    monkeypatch.setattr(parent, "SILENCE_LIMIT_S", 8.0)
    monkeypatch.setattr(parent, "SECONDS_PER_CROP", 0.0)
    sound, hung = scan_isolated(sources, starts)
    assert sound.status is Status.OK
    assert "gave no sign of life for 8 s and was ended" in hung.error.message


def test_scoring_that_crashes_costs_the_file_whose_face_it_was(tmp_path: Path, starts: Path):
    """Four faces make a batch, of which none can be blamed before each was tried alone."""
    sources = stills(tmp_path, "a.png", "b.png", "d.png", "e.png")
    culprit = replace(stills(tmp_path, "c.png", brightness=130)[0], id="c")
    reports = scan_isolated([*sources[:2], culprit, *sources[2:]], starts)
    assert [report.status for report in reports] == [Status.OK] * 2 + [Status.FAILED] + [Status.OK] * 2
    assert len(list(starts.iterdir())) == 3  # all, each alone until the culprit, the others


def test_sources_are_taken_as_the_worker_begins_on_them_and_their_end_ends_the_scan(tmp_path, starts):
    taken: list[str] = []

    def until_the_third() -> Iterator[Source]:
        for source in stills(tmp_path, "a.png", "b.png", "c.png", "hang.png"):
            taken.append(source.path.name)
            yield source
            if len(watcher.seen) == 3:
                return

    watcher = Watcher()
    reports = scan_isolated(until_the_third(), starts, observer=watcher)
    assert taken == [report.source.path.name for report in reports] == ["a.png", "b.png", "c.png"]


def test_failure_of_the_run_itself_is_raised_here(tmp_path: Path, starts: Path):
    with pytest.raises(ScoringError, match="the toy network broke down"):
        scan_isolated(stills(tmp_path, "a.png", brightness=140), starts)


def test_worker_that_never_starts_is_an_error(tmp_path: Path, starts: Path):
    with pytest.raises(WorkerError, match=r"crashed .SIGSEGV. before it began: run without --isolate"):
        scan_isolated(stills(tmp_path, "a.png"), starts, "never")
    assert len(list(starts.iterdir())) == 2


def test_dropped_scan_leaves_no_worker(tmp_path: Path, starts: Path):
    sources = stills(tmp_path, *(f"{number}.png" for number in range(8)), "hang.png")
    reports = toy_engine(starts).scan(sources)
    next(reports)
    assert children_running(str(starts))
    reports.close()
    assert not children_running(str(starts))


def children_running(mark: str) -> str:
    """The processes with this in their command line."""
    listing = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in listing.splitlines() if mark in line and "isolated_worker" in line)


LIAR = """
import os, sys, pickle
from vidscan.engines.isolated.codec import pack
job = pickle.load(sys.stdin.buffer)
for message in MESSAGES: os.write(1, message if isinstance(message, bytes) else pack(message))
"""
GOOD = {
    field: to_plain(value)
    for field, value in {
        "status": Status.OK, "verdict": Verdict(Label.NO_FACE, None, None, "no face"), "tracks": (),
        "timeline": (), "segments": (), "stats": Stats(),
        "error": None, "evidence": (), "facts": None, "remarks": (), "provenance": None,
    }.items()
}  # fmt: skip
LIES = {
    "no JSON": [b"\x00\x00\x00\x04[}]{"],
    "nested": [(200_000).to_bytes(4, "big") + b"[" * 200_000],
    "a pickle": [b"\x00\x00\x00\x04\x80\x04N."],
    "huge": [b"\xff\xff\xff\xff"],
    "a question that is none": [{"next": [1]}],
    "unasked": [{"report": ["0", GOOD]}],
    "a type": [{"next": True}, {"report": ["0", {**GOOD, "status": 1}]}],
    "no verdict": [{"next": True}, {"report": ["0", {**GOOD, "verdict": None}]}],
    "more fields": [{"next": True}, {"report": ["0", {**GOOD, "model_card": None}]}],
    "infinite": [{"next": True}, b"\x00\x00\x00\x1a" + b'{"frame": ["0", 1e999, 1]}'],
    "array": [
        {"next": True},
        {"report": ["0", {**GOOD, "evidence": [{
            "track": 0, "frame_index": 0, "time_s": 0.0, "fake_probability": 0.5, "heat": None,
            "heat_source": None,
            "image": {"shape": [1 << 20, 1 << 20, 3], "data": "AAAA"}}]}]},
    ],
}  # fmt: skip


def test_what_a_file_says_of_itself_comes_along(tmp_path: Path, starts: Path):
    (plain,) = stills(tmp_path, "plain.png")
    sign(plain.path, tmp_path / "signed.png", authority())
    sources = from_paths([tmp_path / "signed.png", plain.path])
    signed, unsigned = scan_isolated(sources, starts)
    assert signed.provenance is not None and unsigned.provenance is not None
    assert (signed.provenance.declares_ai, unsigned.provenance.declares_ai) == (True, None)
    assert signed.provenance.content_credentials is not None
    assert signed.provenance.content_credentials.state is CredentialsState.VALID
    assert signed.verdict == unsigned.verdict


@pytest.mark.parametrize("lie", LIES)
def test_worker_that_lies_is_not_believed(tmp_path: Path, lie: str):
    script = tmp_path / "liar.py"
    script.write_text(f"MESSAGES = {LIES[lie]!r}\n{LIAR}")
    run = toy_engine(script=script).scan(stills(tmp_path, "a.png"))
    if any(isinstance(message, dict) and message == {"next": True} for message in LIES[lie]):
        (report,) = run
        assert "sent what is no report" in report.error.message
    else:
        with pytest.raises(WorkerError, match="sent what is no report"):
            list(run)


def test_honest_messages_of_the_liar_are_believed(tmp_path: Path):
    script = tmp_path / "liar.py"
    script.write_text(f"MESSAGES = {[{'next': True}, {'report': ['0', GOOD]}]!r}\n{LIAR}")
    (report,) = toy_engine(script=script).scan(stills(tmp_path, "a.png"))
    assert report.error is None and report.stats == Stats()


def test_real_worker_scores_as_this_process_does(bright_clip, tiny_checkpoint, monkeypatch, tmp_path):
    """And a module in the current folder is not run in the place of the real one."""
    import vidscan

    (tmp_path / "cv2.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    samples = Path(__file__).parents[3] / "samples"
    paths = [samples / "astronaut.jpg", bright_clip]
    here = list(vidscan.scan_many(paths, model=tiny_checkpoint, runtime="keras"))
    there = list(vidscan.scan_many(paths, model=tiny_checkpoint, runtime="keras", isolate=True))
    assert [essence(report) for report in there] == [essence(report) for report in here]
    assert here[0].stats.faces_scored == 1


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux alone")
def test_worker_is_what_the_system_ends_where_memory_runs_out(tmp_path: Path, starts: Path):
    sources = stills(tmp_path, *(f"{number}.png" for number in range(8)), "hang.png")
    reports = toy_engine(starts).scan(sources)
    next(reports)
    listing = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    (pid,) = (line.split()[0] for line in listing.splitlines() if str(starts) in line)
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
    reports.close()
    assert soon(lambda: not Path(f"/proc/{pid}").exists())


def test_scan_that_is_stopped_ends_without_what_it_had_and_the_next_goes_well(tmp_path: Path, starts: Path):
    engine = toy_engine(starts)
    sources = stills(tmp_path, "one.png", "hang.png", "two.png")
    watcher = Watcher()

    def stop_once_it_hangs() -> None:
        while not any(name == "hang.png" for name, _, _ in watcher.seen):
            time.sleep(0.01)
        engine.stop()

    stopping = threading.Thread(target=stop_once_it_hangs)
    stopping.start()
    reports = list(engine.scan(sources, watcher))
    stopping.join()
    assert [report.source.path.name for report in reports] in ([], ["one.png"])
    assert [report.status for report in engine.scan(sources[2:])] == [Status.OK]
    assert len(list(starts.iterdir())) == 2


def test_source_that_comes_later_goes_to_the_same_worker(tmp_path: Path, starts: Path):
    """The stream of sources may end for now, and give more once what is in hand is finished."""
    waiting = stills(tmp_path, "one.png", "two.png", "three.png")
    in_hand: list[Source] = []

    class Sources:
        def __iter__(self) -> Self:
            return self

        def __next__(self) -> Source:
            if in_hand or not waiting:
                raise StopIteration
            in_hand.append(waiting.pop(0))
            return in_hand[-1]

    seen = []
    for report in toy_engine(starts).scan(Sources()):
        seen.append(report.source.path.name)
        in_hand.clear()
    assert seen == ["one.png", "two.png", "three.png"]
    assert len(list(starts.iterdir())) == 1
