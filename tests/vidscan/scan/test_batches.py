"""What leaves the queue is what went in: all of it, in order, in batches of one shape."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy_crop

from vidscan.options import BatchingOptions
from vidscan.records import CropBatch, FaceCrop
from vidscan.scan import batches as batching
from vidscan.scan.batches import PLAIN, TF_DATA, Queue, batch_crops, queue_for

SIZE = 16


@pytest.fixture(autouse=True)
def never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, batches without a crop come only where a test asks for them."""
    monkeypatch.setattr(batching, "IDLE_S", 60.0)


@pytest.fixture(scope="module", params=[PLAIN, TF_DATA], ids=["plain", "tf.data"])
def queue(request: pytest.FixtureRequest) -> Queue:
    """Either queue: what holds for one must hold for the other."""
    return request.param


def batches(crops, queue: Queue, batch_size: int = 4, prefetch: int = 2, **more) -> Iterator[CropBatch]:
    options = BatchingOptions(batch_size, prefetch)
    return batch_crops(crops, sizes=[SIZE], options=options, queue=queue, **more)


def unbatched(found: list[CropBatch]) -> list[FaceCrop]:
    """The crops back from their batches, the padding left out."""
    return [
        FaceCrop(face, tuple(image[row] for image in batch.images))
        for batch in found
        for row, face in enumerate(batch.faces)
    ]


def assert_same(found: list[FaceCrop], expected: list[FaceCrop]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.face is b.face
        assert len(a.images) == len(b.images)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(a.images, b.images, strict=True))


@given(count=st.integers(0, 23), batch_size=st.integers(1, 9), prefetch=st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_every_crop_comes_out_once_and_in_order(queue: Queue, count: int, batch_size: int, prefetch: int):
    crops = [toy_crop(number, source_id=f"clip {number // 5}") for number in range(count)]
    found = list(batches(iter(crops), queue, batch_size, prefetch))
    assert len(found) == -(-count // batch_size)
    assert_same(unbatched(found), crops)


def test_all_batches_have_one_shape(queue: Queue):
    for batch in batches([toy_crop(number) for number in range(6)], queue):
        (image,) = batch.images
        assert image.shape == (4, SIZE, SIZE, 3) and image.dtype == np.uint8


def test_last_batch_is_padded_at_its_end(queue: Queue):
    *_, last = batches([toy_crop(number) for number in range(1, 7)], queue)
    assert [face.frame_index for face in last.faces] == [5, 6]
    assert not last.images[0][2:].any() and last.images[0][:2].all()


def test_images_of_several_sizes_travel_together(queue: Queue):
    crops = [toy_crop(number, sizes=(16, 8)) for number in range(1, 7)]
    found = list(batch_crops(crops, sizes=(16, 8), options=BatchingOptions(4, 2), queue=queue))
    assert [[image.shape for image in batch.images] for batch in found] == [
        [(4, 16, 16, 3), (4, 8, 8, 3)]
    ] * 2
    assert_same(unbatched(found), crops)
    assert not any(image[2:].any() for image in found[-1].images)


def test_no_crop_gives_no_batch(queue: Queue):
    assert list(batches([], queue)) == []


def test_source_ids_are_any_text(queue: Queue):
    names = ["a", "", "ünï-日本", "\udcff"]
    (batch,) = batches([toy_crop(number, name) for number, name in enumerate(names)], queue)
    assert [face.source_id for face in batch.faces] == names


def test_error_arrives_as_itself_after_all_crops_before_it(queue: Queue):
    class OutOfOrderError(Exception):
        pass

    read = [toy_crop(number) for number in range(6)]

    def crops() -> Iterator[FaceCrop]:
        yield from read
        raise OutOfOrderError("as it was raised")

    found = []
    with pytest.raises(OutOfOrderError, match="as it was raised"):
        for batch in batches(crops(), queue):
            found.append(batch)
    assert_same(unbatched(found), read)


@pytest.mark.parametrize("count", [0, 4])
def test_error_at_the_border_of_a_batch(queue: Queue, count: int):
    def crops() -> Iterator[FaceCrop]:
        yield from (toy_crop(number) for number in range(count))
        raise LookupError

    found = []
    with pytest.raises(LookupError):
        for batch in batches(crops(), queue):
            found.append(batch)
    assert len(unbatched(found)) == count


@pytest.mark.parametrize(
    "crop",
    [toy_crop(0, sizes=(8,)), toy_crop(0, sizes=(SIZE, SIZE))],
    ids=["of another size", "with an image too many"],
)
def test_crop_that_cannot_travel_is_an_error_and_no_standstill(queue: Queue, crop: FaceCrop):
    with pytest.raises(ValueError):
        list(batches([toy_crop(0), crop], queue))


class Endless:
    """Crops without end that notes how many were read, and whether it was closed."""

    def __init__(self) -> None:
        self.read = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[FaceCrop]:
        try:
            while True:
                self.read += 1
                yield toy_crop(self.read)
        finally:
            self.closed.set()


def test_reading_works_ahead_but_not_without_bound(queue: Queue):
    source = Endless()
    running = batches(iter(source), queue, batch_size=4, prefetch=2)
    next(running)
    deadline = time.monotonic() + 5
    while source.read < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    # One batch was taken and two wait; the next may be half made.
    assert 8 <= source.read <= 4 * 4 + 1
    running.close()


def test_consumer_that_stops_early_closes_the_crops(queue: Queue):
    source, stop = Endless(), threading.Event()
    running = batches(iter(source), queue, stop=stop)
    next(running)
    assert not source.closed.is_set() and not stop.is_set()
    running.close()
    assert source.closed.wait(5)
    assert stop.is_set()
    read = source.read
    time.sleep(0.05)
    assert source.read == read


def test_consumer_can_look_around_while_no_crop_comes(queue: Queue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batching, "IDLE_S", 0.05)
    looked_around = threading.Event()
    first, second = toy_crop(1), toy_crop(2)

    def crops() -> Iterator[FaceCrop]:
        yield first
        looked_around.wait(20)
        yield second

    found = []
    for batch in batches(crops(), queue):
        if not batch.faces:
            looked_around.set()
            (image,) = batch.images
            assert image.shape == (4, SIZE, SIZE, 3) and not image.any()
        found.append(batch)
    assert looked_around.is_set()
    assert_same(unbatched(found), [first, second])


def test_interrupt_is_heeded_while_no_crop_comes(queue: Queue):
    """A long clip without a face gives no batch for minutes; Ctrl-C must not wait for one."""
    stop, gave_up = threading.Event(), threading.Event()

    def crops() -> Iterator[FaceCrop]:
        yield toy_crop(0)
        if not stop.wait(20):
            gave_up.set()

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        list(batches(crops(), queue, stop=stop))
    assert not gave_up.is_set()


NEVER_ENDS = """
import threading
from vidscan.options import BatchingOptions
from vidscan.scan import batches

def crops():
    threading.Event().wait()
    yield

batches.IDLE_S = 0.01
stream = batches.batch_crops(crops(), sizes=[16], options=BatchingOptions())
print(len(next(stream).faces))
threading.Thread(target=list, args=(stream,), daemon=True).start()
"""


def test_a_process_ends_though_a_source_never_comes():
    done = subprocess.run([sys.executable, "-c", NEVER_ENDS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_nothing_is_tuned(monkeypatch: pytest.MonkeyPatch):
    """Its sleep, ever longer, often kept the end of a stream waiting: too seldom for a test by the clock."""
    tf = batching.import_tensorflow()
    used, make = [], tf.data.Dataset.as_numpy_iterator

    def noting(dataset):
        used.append(dataset.options().autotune.enabled)
        return make(dataset)

    monkeypatch.setattr(tf.data.Dataset, "as_numpy_iterator", noting)
    assert len(unbatched(list(batches((toy_crop(number) for number in range(5)), TF_DATA)))) == 5
    assert used == [False]


class OnRuntime:
    def __init__(self, name: str) -> None:
        self.runtime = SimpleNamespace(name=name)


def test_tf_data_feeds_keras_alone():
    assert queue_for([OnRuntime("onnx"), OnRuntime("keras")]) is TF_DATA
    assert queue_for([OnRuntime("onnx"), OnRuntime("onnx")]) is PLAIN
    assert queue_for([object()]) is PLAIN
