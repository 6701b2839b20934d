"""The actor's insides, without Ray: sources that come one by one are scanned together."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer

from vidscan.engines.dispatch import failed_report
from vidscan.engines.job import Job
from vidscan.engines.ray.worker import Loaded, Worker, installed, require_same
from vidscan.errors import ClusterError, ModelError, ScoringError, VidscanError, WorkerError
from vidscan.media.sources import from_paths
from vidscan.options import BatchingOptions, ModelOptions, ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Label, ModelCard, Report, Source, SourceKind
from vidscan.scan.pipeline import scan

CARD = ModelCard("toy", "none", 16)
SAMPLES = Path(__file__).parents[3] / "samples"


def clips(count: int) -> list[Source]:
    return [Source(str(number), Path(f"{number}.mp4"), SourceKind.VIDEO) for number in range(count)]


def report(source: Source) -> Report:
    return failed_report(source, None, ScanOptions(), CARD, ())


def drive(worker: Worker, sources: Iterable[Source], limit_s: float = 60.0) -> Iterator[Report]:
    """Gives a worker what it asks for, as the driver does; its reports, until all are there."""
    left, held, answers = list(sources), 0, []
    until = time.monotonic() + limit_s
    while left or held:
        assert time.monotonic() < until
        told, _ = worker.step(answers, 1.0)
        answers = []
        for news in told:
            if news is None:
                answers.append(left.pop(0) if left else None)
                held += answers[-1] is not None
            else:
                held -= 1
                yield news


def test_what_is_given_is_scanned_as_one_stream_until_the_end_is_told():
    streams: list[list[str]] = []

    def scan_all(sources: Iterable[Source], _: Observer) -> Iterator[Report]:
        together = list(sources)
        streams.append([source.id for source in together])
        yield from map(report, together)

    worker = Worker()
    worker.start(scan_all)
    told = worker.step([*clips(5), None, clips(7)[6], None], 5.0)[0]
    while len(told) < 6 + 8 + 1:  # reports, questions, and the question for a third stream
        told += worker.step((), 5.0)[0]
    assert [each.source.id for each in told if each is not None] == ["0", "1", "2", "3", "4", "6"]
    assert streams == [["0", "1", "2", "3", "4"], ["6"]]


def test_faces_of_sources_sent_one_by_one_share_batches(tmp_path: Path):
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        Pillow.fromarray(np.full((80, 80, 3), 100 + 10 * number, np.uint8)).save(path)
    scorer = ToyScorer()

    def scan_all(sources: Iterable[Source], observer: Observer) -> Iterator[Report]:
        options = ScanOptions(batching=BatchingOptions(16))  # four stills of four views each
        with ToyDetector() as detector:
            yield from scan(sources, options, scorers=[scorer], detector=detector, observer=observer)

    worker = Worker()
    worker.start(scan_all)
    reports = list(drive(worker, from_paths(paths)))
    assert [each.source.path for each in reports] == paths
    assert all(each.verdict is not None and each.verdict.label is not Label.NO_FACE for each in reports)
    assert scorer.batches == [16, 16]


@pytest.mark.parametrize(
    ("raised", "told"), [(ScoringError("no memory"), ScoringError), (ZeroDivisionError("x"), WorkerError)]
)
def test_what_the_scan_raises_comes_after_what_was_finished(raised: Exception, told: type[VidscanError]):
    def broken(sources: Iterable[Source], _: Observer) -> Iterator[Report]:
        yield report(next(iter(sources)))
        raise raised

    worker = Worker()
    worker.start(broken)
    reports = drive(worker, clips(2))
    assert next(reports).source.id == "0"
    with pytest.raises(told):
        next(reports)


def test_silence_counts_only_while_something_is_to_be_done():
    go_on, done = threading.Event(), threading.Semaphore(0)

    def slow(sources: Iterable[Source], observer: Observer) -> Iterator[Report]:
        for source in sources:
            for step, told in ((observer.part_fetched, ()), (observer.frame_sampled, (0.0, None))):
                go_on.wait(5)
                go_on.clear()
                step(source, *told)
                done.release()
            yield report(source)

    worker = Worker()
    worker.start(slow)
    assert worker.step((), 5.0) == ([None], 0.0)
    assert worker.step((), 0.1) == ([], 0.0)
    began = time.monotonic()
    assert worker.step(clips(1), 5.0)[0] == [None]  # it asks ahead
    told, silent_s = worker.step((), 0.2)
    assert told == [] and 0.15 < silent_s <= time.monotonic() - began
    before = time.monotonic()
    go_on.set()
    assert done.acquire(timeout=5)
    assert worker.step((), 0.0)[1] <= time.monotonic() - before
    go_on.set()
    assert [each.source.id for each in worker.step((), 5.0)[0]] == ["0"]
    assert worker.step((), 0.1) == ([], 0.0)


@pytest.mark.slow
def test_a_worker_loads_only_beside_the_same_installation():
    job = pickle.dumps(Job(ScanOptions(), (Path("vidscan-lite2"),), cores=1))
    other = (*installed()[:1], "0123", *installed()[2:])
    found, nothing = Worker().prepare(other, b"not to be unpickled")
    assert found == installed() and nothing is None
    with pytest.raises(ClusterError, match=r"code .* there, 0123 here"):
        require_same(other, found)

    worker = Worker()
    found, scored_with = worker.prepare(installed(), job)
    require_same(installed(), found)
    from vidscan.models.loading import load_models

    assert scored_with == Loaded.of(load_models("vidscan-lite2"))
    (scanned,) = drive(worker, from_paths([SAMPLES / "astronaut.jpg"]))
    assert scanned.stats.faces_scored == 1


def test_a_checkpoint_that_a_node_lacks_is_named():
    options = replace(ScanOptions(), model=ModelOptions((Path("nowhere.keras"),)))
    job = pickle.dumps(Job(options, (Path("/nowhere.keras"),), cores=1))
    with pytest.raises(ModelError, match=r"/nowhere\.keras"):
        Worker().prepare(installed(), job)


@pytest.fixture(autouse=True)
def cores_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker sets how many cores its process may use; here that is the tests' own."""
    monkeypatch.setenv("VIDSCAN_CORES", "64")
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
