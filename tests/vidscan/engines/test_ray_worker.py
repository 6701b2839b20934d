"""The actor's insides, without Ray: sources that come one by one are scanned together."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer

from vidscan.engines.failure import unread
from vidscan.engines.ray.worker import IDLE_S, Job, Stream, Worker, installed, loaded, require_same
from vidscan.errors import ClusterError, ModelError, ScoringError, WorkerError
from vidscan.media.sources import from_paths
from vidscan.options import BatchingOptions, ModelOptions, ScanOptions
from vidscan.protocols import Observer
from vidscan.records import Label, ModelCard, Report, Source, SourceKind
from vidscan.scan.pipeline import scan

CARD = ModelCard("toy", "none", 16)
SAMPLES = Path(__file__).parents[3] / "samples"


def run(coroutine: Coroutine):
    """In a thread of its own: another test may have left a loop that runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result(timeout=120)


def clips(count: int) -> list[Source]:
    return [Source(str(number), Path(f"{number}.mp4"), SourceKind.VIDEO) for number in range(count)]


def report(source: Source) -> Report:
    return unread(source, None, ScanOptions(), CARD, ())


def test_what_waits_is_scanned_as_one_stream_and_what_comes_late_as_another():
    streams: list[list[str]] = []

    def scan_all(sources: Iterable[Source], _: Observer) -> Iterator[Report]:
        together = list(sources)
        streams.append([source.id for source in together])
        yield from map(report, together)

    stream = Stream(scan_all)
    promised = [stream.put(source) for source in clips(5)]
    assert [each.result(timeout=5).source.id for each in promised] == ["0", "1", "2", "3", "4"]
    time.sleep(3 * IDLE_S)
    late = clips(7)[6]
    assert stream.put(late).result(timeout=5).source == late
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

    stream = Stream(scan_all)
    reports = [each.result(timeout=60) for each in [stream.put(source) for source in from_paths(paths)]]
    assert [each.source.path for each in reports] == paths
    assert all(each.verdict is not None and each.verdict.label is not Label.NO_FACE for each in reports)
    assert scorer.batches == [16, 16]


@pytest.mark.parametrize(
    ("raised", "told"), [(ScoringError("no memory"), ScoringError), (ZeroDivisionError("x"), WorkerError)]
)
def test_what_the_scan_raises_reaches_all_who_wait(raised: Exception, told: type[Exception]):
    def broken(sources: Iterable[Source], _: Observer) -> Iterator[Report]:
        yield report(next(iter(sources)))
        raise raised

    stream = Stream(broken)
    first, second = (stream.put(source) for source in clips(2))
    assert first.result(timeout=5).source.id == "0"
    with pytest.raises(told):
        second.result(timeout=5)
    with pytest.raises(told):
        stream.put(clips(3)[2]).result(timeout=5)


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

    stream = Stream(slow)
    time.sleep(0.1)
    assert stream.silent_s() == 0
    promised = stream.put(clips(1)[0])
    time.sleep(0.2)
    assert 0.15 < stream.silent_s() < 5
    before = time.monotonic()
    go_on.set()
    assert done.acquire(timeout=5)
    assert stream.silent_s() <= time.monotonic() - before
    go_on.set()
    promised.result(timeout=5)
    assert stream.silent_s() == 0


@pytest.mark.slow
def test_a_worker_loads_only_beside_the_same_installation():
    job = pickle.dumps(Job(ScanOptions(), (Path("vidscan-lite2"),), cores=1))
    other = (*installed()[:1], "0123", *installed()[2:])
    found, nothing = run(Worker().prepare(other, b"not to be unpickled"))
    assert found == installed() and nothing is None
    with pytest.raises(ClusterError, match=r"code .* there, 0123 here"):
        require_same(other, found)

    worker = Worker()
    found, scored_with = run(worker.prepare(installed(), job))
    require_same(installed(), found)
    from vidscan.models.loading import load_models

    assert scored_with == loaded(load_models("vidscan-lite2"))

    async def scanned() -> Report:
        return await worker.scan(from_paths([SAMPLES / "astronaut.jpg"])[0])

    assert run(scanned()).stats.faces_scored == 1


def test_a_checkpoint_that_a_node_lacks_is_named():
    options = replace(ScanOptions(), model=ModelOptions((Path("nowhere.keras"),)))
    job = pickle.dumps(Job(options, (Path("/nowhere.keras"),), cores=1))
    with pytest.raises(ModelError, match=r"/nowhere\.keras"):
        run(Worker().prepare(installed(), job))


@pytest.fixture(autouse=True)
def cores_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker sets how many cores its process may use; here that is the tests' own."""
    monkeypatch.setenv("VIDSCAN_CORES", "64")
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
