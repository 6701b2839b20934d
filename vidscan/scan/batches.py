"""FaceCrop -> CropBatch. The only module that knows ``tf.data``, which is imported on first use.

The crops are made in ``tf.data``'s own thread, so decoding and detection go on while the network
scores, at most ``prefetch`` batches ahead. Only pictures pass through it; their faces wait beside it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence

import numpy as np

from vidscan.options import BatchingOptions
from vidscan.records import CropBatch, FaceCrop, FaceSeen, Image
from vidscan.system.frameworks import import_tensorflow

IDLE_S = 1.0
"""Seconds without a batch after which one of padding alone is given, so that the consumer can look around:
a long clip without a face should keep neither the reports before it nor Ctrl-C waiting."""


def batch_crops(
    crops: Iterable[FaceCrop],
    *,
    sizes: Sequence[int],
    options: BatchingOptions,
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
    import_tensorflow()  # at once, so that the wait for the first batch is one for crops
    return _batches(_Feed(crops, sizes, options.batch_size, stop or threading.Event()), sizes, options)


def _batches(feed: _Feed, sizes: Sequence[int], options: BatchingOptions) -> Generator[CropBatch, None, None]:
    batches = _prefetched(feed, sizes, options)
    try:
        while True:
            if not feed.ready.acquire(timeout=IDLE_S):
                images = tuple(np.zeros((0, size, size, 3), np.uint8) for size in sizes)
                yield CropBatch((), _padded(images, options.batch_size))
                continue
            batch = next(batches, None)
            if batch is None:
                break
            faces = tuple(feed.faces.popleft() for _ in range(len(batch[0])))
            yield CropBatch(faces, _padded(batch, options.batch_size))
    finally:
        feed.stop.set()
        del batches  # ends tf.data's threads
    if feed.failure is not None:
        raise feed.failure


class _Feed:
    """Hands the pictures of crops to ``tf.data``, in its thread, and the rest to the consumer's thread.

    ``faces`` are those whose pictures were handed over and came back in no batch yet, in order. One thread
    appends and another pops; both are single operations of a deque, which are atomic.

    ``failure`` is what reading ``crops`` raised: tf.data drops what an exception catches in flight and
    renames the exception, so the stream ends quietly and the consumer raises it after the last batch.

    ``ready`` has a permit for each batch that is about to be whole, and at the end one for a short
    batch and one for finding out that there is no other: Python heeds no Ctrl-C while TensorFlow waits
    for a batch, but does while a semaphore is waited for.
    """

    def __init__(
        self, crops: Iterable[FaceCrop], sizes: Sequence[int], batch_size: int, stop: threading.Event
    ) -> None:
        self._crops = crops
        self._expected = [f"uint8{[size, size, 3]}" for size in sizes]
        self._batch_size = batch_size
        self.stop = stop
        self.faces: deque[FaceSeen] = deque()
        self.ready = threading.Semaphore(0)
        self.failure: BaseException | None = None

    def rows(self) -> Iterator[tuple[Image, ...]]:
        """The pictures of one crop after the other."""
        try:
            for count, crop in enumerate(self._crops, start=1):
                if self.stop.is_set():
                    return
                found = [f"{image.dtype}{list(image.shape)}" for image in crop.images]
                if found != self._expected:
                    raise ValueError(f"a crop is {' + '.join(found)}, not {' + '.join(self._expected)}")
                self.faces.append(crop.face)
                if count % self._batch_size == 0:
                    self.ready.release()
                yield crop.images
        except BaseException as error:  # noqa: BLE001 - handed on whole
            self.failure = error
        finally:
            if isinstance(self._crops, Generator):
                self._crops.close()
            self.ready.release(2)


def _prefetched(feed: _Feed, sizes: Sequence[int], options: BatchingOptions) -> Iterator[tuple[Image, ...]]:
    """Batched pictures from ``tf.data``, whose thread starts reading at once."""
    tf = import_tensorflow()
    signature = tuple(tf.TensorSpec((size, size, 3), tf.uint8) for size in sizes)
    dataset = (
        tf.data.Dataset.from_generator(feed.rows, output_signature=signature)
        .batch(options.batch_size)
        .prefetch(options.prefetch)
    )
    # Otherwise nothing is read before the first batch is asked for, and no permit ever given.
    how = tf.data.Options()
    how.experimental_warm_start = True
    # There is nothing to tune, and the tuner's thread sleeps ever longer (10 ms, 20 ms, 40 ms, …): the end of
    # the stream would often wait for it to wake, for up to as long as the stream had lasted.
    how.autotune.enabled = False
    batches: Iterator[tuple[Image, ...]] = dataset.with_options(how).as_numpy_iterator()
    return batches


def _padded(images: Sequence[Image], batch_size: int) -> tuple[Image, ...]:
    """Fills the images of a short batch with rows of zeros."""
    missing = batch_size - len(images[0])
    if not missing:
        return tuple(images)
    return tuple(np.pad(image, [(0, missing), (0, 0), (0, 0), (0, 0)]) for image in images)
