"""FaceCrop -> CropBatch. The only module that knows ``tf.data``, which is imported on first use.

The crops are made in ``tf.data``'s own thread, so decoding and detection go on while the network
scores, at most ``prefetch`` batches ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.options import BatchingOptions
from vidscan.records import CropBatch, FaceCrop
from vidscan.system.frameworks import import_tensorflow

IDLE_S = 1.0
"""After so long without a batch one of padding alone is given, so that the consumer can look around:
a long clip without a face should keep neither the reports before it nor Ctrl-C waiting."""


def batch_crops(
    crops: Iterable[FaceCrop],
    *,
    sizes: Sequence[int],
    options: BatchingOptions,
    stop: threading.Event | None = None,
) -> Generator[CropBatch, None, None]:
    """Groups crops into batches of one shape, in order, made ready ahead of the consumer.

    The last batch is padded and masked: a second shape would cost the network a second trace.
    ``crops`` is read in another thread. An error raised there reaches the consumer as it is, after
    every crop that came before it. A consumer that stops early (Ctrl-C, say) waits until ``crops``
    gives its next crop or ends; ``crops`` is closed then.

    Args:
        crops: crops of any number of sources, each with one ``uint8[size, size, 3]`` RGB image for
            each of ``sizes``.
        sizes: sides of a crop's images in pixels, in order.
        options: batch size and how far to work ahead.
        stop: set when nobody wants another crop; a ``crops`` that may go without one for long should
            look at it now and then.

    Returns:
        Batches of ``options.batch_size`` rows; while there is none for ``IDLE_S``, batches without a
        crop.
    """
    import_tensorflow()  # at once, so that the wait for the first batch is one for crops
    return _batches(_Feed(crops, sizes, options.batch_size, stop or threading.Event()), sizes, options)


def _batches(feed: _Feed, sizes: Sequence[int], options: BatchingOptions) -> Generator[CropBatch, None, None]:
    batches = _prefetched(feed, sizes, options)
    try:
        while True:
            if not feed.ready.acquire(timeout=IDLE_S):
                yield _empty(sizes, options.batch_size)
                continue
            columns = next(batches, None)
            if columns is None:
                break
            yield _padded(columns, options.batch_size)
    finally:
        feed.stop.set()
        del batches  # ends tf.data's threads
    if feed.failure is not None:
        raise feed.failure


class _Feed:
    """Hands crops to ``tf.data`` as rows, in its thread, and tells the consumer's thread what it needs.

    ``failure`` is what ``crops`` died of: tf.data drops what an exception catches in flight and renames
    the exception, so the stream ends quietly and the consumer raises it once the last batch is out.

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
        self.ready = threading.Semaphore(0)
        self.failure: BaseException | None = None

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dictionary of columns a crop."""
        try:
            for count, crop in enumerate(self._crops, start=1):
                if self.stop.is_set():
                    return
                row = self._row(crop)
                if count % self._batch_size == 0:
                    self.ready.release()
                yield row
        except BaseException as error:  # noqa: BLE001 - handed on whole
            self.failure = error
        finally:
            if isinstance(self._crops, Generator):
                self._crops.close()
            self.ready.release(2)

    def _row(self, crop: FaceCrop) -> dict[str, Any]:
        found = [f"{image.dtype}{list(image.shape)}" for image in crop.images]
        if found != self._expected:
            raise ValueError(f"a crop is {' + '.join(found)}, not {' + '.join(self._expected)}")
        return {
            # UTF-8 cannot hold every file name, but a source's id is vidscan's own text.
            "source_id": crop.source_id.encode(),
            "frame_index": np.int64(crop.frame_index),
            "time_s": np.float64(crop.time_s),
            "box": np.asarray(crop.box, np.float32),
            "confidence": np.float32(crop.confidence),
            "images": crop.images,
            "mask": np.True_,
            "track": np.int64(crop.track),
            "quality": np.asarray(crop.quality, np.float64),
            "view": np.int64(crop.view),
        }


def _prefetched(feed: _Feed, sizes: Sequence[int], options: BatchingOptions) -> Iterator[dict[str, Any]]:
    """Batched columns from ``tf.data``, whose thread starts reading at once."""
    tf = import_tensorflow()
    signature = {
        "source_id": tf.TensorSpec((), tf.string),
        "frame_index": tf.TensorSpec((), tf.int64),
        "time_s": tf.TensorSpec((), tf.float64),
        "box": tf.TensorSpec((4,), tf.float32),
        "confidence": tf.TensorSpec((), tf.float32),
        "images": tuple(tf.TensorSpec((size, size, 3), tf.uint8) for size in sizes),
        "mask": tf.TensorSpec((), tf.bool),
        "track": tf.TensorSpec((), tf.int64),
        "quality": tf.TensorSpec((4,), tf.float64),
        "view": tf.TensorSpec((), tf.int64),
    }
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
    batches: Iterator[dict[str, Any]] = dataset.with_options(how).as_numpy_iterator()
    return batches


def _empty(sizes: Sequence[int], batch_size: int) -> CropBatch:
    """A batch of padding alone."""
    return CropBatch(
        source_id=np.full(batch_size, "", object),
        frame_index=np.zeros(batch_size, np.int64),
        time_s=np.zeros(batch_size, np.float64),
        box=np.zeros((batch_size, 4), np.float32),
        confidence=np.zeros(batch_size, np.float32),
        images=tuple(np.zeros((batch_size, size, size, 3), np.uint8) for size in sizes),
        mask=np.zeros(batch_size, np.bool_),
        track=np.zeros(batch_size, np.int64),
        quality=np.zeros((batch_size, 4), np.float64),
        view=np.zeros(batch_size, np.int64),
    )


def _padded(columns: dict[str, Any], batch_size: int) -> CropBatch:
    """Fills a short batch with zeros; ``mask`` is False there."""
    missing = batch_size - len(columns["mask"])

    def filled(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.pad(column, [(0, missing)] + [(0, 0)] * (column.ndim - 1)) if missing else column

    ids = [name.decode() for name in columns["source_id"]] + [""] * missing
    return CropBatch(
        source_id=np.array(ids, object),
        frame_index=filled(columns["frame_index"]),
        time_s=filled(columns["time_s"]),
        box=filled(columns["box"]),
        confidence=filled(columns["confidence"]),
        images=tuple(filled(image) for image in columns["images"]),
        mask=filled(columns["mask"]),
        track=filled(columns["track"]),
        quality=filled(columns["quality"]),
        view=filled(columns["view"]),
    )
