"""FaceCrop -> CropBatch, made ready ahead of the network.

Decoding and detection go on in a thread of their own while the network scores, at most ``prefetch`` batches
ahead. Only pictures pass through the queue; their faces wait beside it. ``tf.data``, which only this module
knows, makes the batches where Keras computes; for all else it would cost a scan seconds and hundreds of
megabytes, and plain Python does (benchmarks/README.md).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

import numpy as np

from vidscan.options import BatchingOptions
from vidscan.protocols import Scorer
from vidscan.records import CropBatch, FaceCrop, FaceSeen, Image
from vidscan.system.frameworks import import_tensorflow

IDLE_S = 1.0
"""Seconds without a batch after which one of padding alone is given, so that the consumer can look around:
a long clip without a face should keep neither the reports before it nor Ctrl-C waiting."""

Pictures = tuple[Image, ...]
"""One crop's pictures, ``uint8[size, size, 3]`` each, or a batch's, ``uint8[n, size, size, 3]`` each."""

Rows = Callable[[], Generator[Pictures, None, None]]
"""Starts to give the pictures of one crop after the other; called once."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Makes batches of rows, which is all that is different between queues.

    ``batches`` takes the rows and the sides of their pictures in pixels, and is read in a thread of its own.
    ``works_ahead`` tells whether it makes ``prefetch`` batches ahead by itself.
    """

    batches: Callable[[Rows, Sequence[int], BatchingOptions], Generator[Pictures, None, None]]
    works_ahead: bool


def _stacked(rows: Rows, sizes: Sequence[int], options: BatchingOptions) -> Generator[Pictures, None, None]:
    with closing(rows()) as pictures:
        while crops := list(islice(pictures, options.batch_size)):
            yield tuple(np.stack(images) for images in zip(*crops, strict=True))


def _by_tf_data(
    rows: Rows, sizes: Sequence[int], options: BatchingOptions
) -> Generator[Pictures, None, None]:
    tf = import_tensorflow()
    signature = tuple(tf.TensorSpec((size, size, 3), tf.uint8) for size in sizes)
    dataset = (
        tf.data.Dataset.from_generator(rows, output_signature=signature)
        .batch(options.batch_size)
        .prefetch(options.prefetch)
    )
    # There is nothing to tune, and the tuner's thread sleeps ever longer (10 ms, 20 ms, 40 ms, …): the end of
    # the stream would often wait for it to wake, for up to as long as the stream had lasted.
    how = tf.data.Options()
    how.autotune.enabled = False
    yield from dataset.with_options(how).as_numpy_iterator()  # closing this ends tf.data's threads


PLAIN = Queue(_stacked, works_ahead=False)
TF_DATA = Queue(_by_tf_data, works_ahead=True)


def queue_for(scorers: Iterable[Scorer]) -> Queue:
    """Returns the queue that feeds what computes the networks: ``tf.data`` if one of them is Keras."""
    runtimes = (getattr(scorer, "runtime", None) for scorer in scorers)
    return TF_DATA if any(runtime is not None and runtime.name == "keras" for runtime in runtimes) else PLAIN


def batch_crops(
    crops: Iterable[FaceCrop],
    *,
    sizes: Sequence[int],
    options: BatchingOptions,
    queue: Queue = PLAIN,
    stop: threading.Event | None = None,
) -> Generator[CropBatch, None, None]:
    """Groups crops into batches of one shape, in order, made ready ahead of the consumer.

    The last batch is padded: a second shape would cost the network a second trace. While there is none for
    ``IDLE_S``, batches without a face come. ``sizes`` are the sides of each crop's images in pixels.

    ``crops`` is read in another thread. An error raised there reaches the consumer as it is, after every crop
    that came before it. A consumer that stops early (Ctrl-C, say) waits until ``crops`` gives its next crop
    or ends; ``crops`` is closed then. ``stop`` is set when no further crop is wanted, for a ``crops`` that
    may go without one for long.
    """
    feed = _Feed(crops, sizes, stop or threading.Event())
    ahead = 1 if queue.works_ahead else options.prefetch
    with _Ahead(queue.batches(feed.rows, sizes, options), ahead, feed.stop) as ready:
        while True:
            try:
                batch = ready.next(IDLE_S)
            except TimeoutError:
                images = tuple(np.zeros((0, size, size, 3), np.uint8) for size in sizes)
                yield CropBatch((), _padded(images, options.batch_size))
                continue
            if batch is None:
                break
            faces = tuple(feed.faces.popleft() for _ in range(len(batch[0])))
            yield CropBatch(faces, _padded(batch, options.batch_size))
    if feed.failure is not None:
        raise feed.failure


class _Feed:
    """Hands the pictures of crops to the queue, in its thread, and their faces to the consumer's thread.

    ``faces`` are those whose pictures were handed over and came back in no batch yet, in order. One thread
    appends and another pops; both are single operations of a deque, which are atomic.

    ``failure`` is what reading ``crops`` raised: a queue would drop the crops that an exception catches in
    flight, and tf.data renames the exception, so the stream ends quietly and the consumer raises it after the
    last batch.
    """

    def __init__(self, crops: Iterable[FaceCrop], sizes: Sequence[int], stop: threading.Event) -> None:
        self._crops = crops
        self._expected = [f"uint8{[size, size, 3]}" for size in sizes]
        self.stop = stop
        self.faces: deque[FaceSeen] = deque()
        self.failure: BaseException | None = None

    def rows(self) -> Generator[Pictures, None, None]:
        """The pictures of one crop after the other."""
        try:
            for crop in self._crops:
                if self.stop.is_set():
                    return
                found = [f"{image.dtype}{list(image.shape)}" for image in crop.images]
                if found != self._expected:
                    raise ValueError(f"a crop is {' + '.join(found)}, not {' + '.join(self._expected)}")
                self.faces.append(crop.face)
                yield crop.images
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - handed on whole
            self.failure = error
        finally:
            if isinstance(self._crops, Generator):
                self._crops.close()


class _Ahead:
    """Reads batches in a thread of its own, ``depth`` of them before they are asked for.

    Python heeds Ctrl-C while a future is waited for, which it does not while TensorFlow gives a batch.
    """

    def __init__(self, batches: Generator[Pictures, None, None], depth: int, stop: threading.Event) -> None:
        self._batches, self._stop = batches, stop
        self._asked_for: SimpleQueue[Future[Pictures | None] | None] = SimpleQueue()
        self._waiting = deque(self._asked() for _ in range(depth))
        # A daemon, which an executor's are not: a process that ends may not wait for a source to come.
        self._thread = threading.Thread(target=self._read, name="reading", daemon=True)
        self._thread.start()

    def _asked(self) -> Future[Pictures | None]:
        batch: Future[Pictures | None] = Future()
        self._asked_for.put(batch)
        return batch

    def _read(self) -> None:
        with closing(self._batches):
            for asked in iter(self._asked_for.get, None):
                if asked.set_running_or_notify_cancel():
                    try:
                        asked.set_result(next(self._batches, None))
                    except BaseException as error:  # noqa: BLE001 - raised where the batch is waited for
                        asked.set_exception(error)

    def next(self, timeout_s: float) -> Pictures | None:
        """The next batch, or None at the end; raises TimeoutError where there is none yet."""
        batch = self._waiting[0].result(timeout_s)
        self._waiting.popleft()
        self._waiting.append(self._asked())
        return batch

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for asked in self._waiting:
            asked.cancel()
        self._asked_for.put(None)
        self._thread.join()


def _padded(images: Sequence[Image], batch_size: int) -> Pictures:
    """Fills the images of a short batch with rows of zeros."""
    missing = batch_size - len(images[0])
    if not missing:
        return tuple(images)
    return tuple(np.pad(image, [(0, missing), (0, 0), (0, 0), (0, 0)]) for image in images)
