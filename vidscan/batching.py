"""FaceCrop -> CropBatch. The only module that knows ``tf.data``, which is imported on first use.

The crops are made in ``tf.data``'s own thread, so decoding and detection go on while the network
scores, at most ``prefetch`` batches ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np

from vidscan.options import BatchingOptions
from vidscan.records import CropBatch, FaceCrop
from vidscan.startup import import_tensorflow

IDLE_S = 1.0
"""After so long without a batch one of padding alone is given, so that the consumer can look around:
a long clip without a face should keep neither the reports before it nor Ctrl-C waiting."""


def batch_crops(
    crops: Iterable[FaceCrop],
    *,
    size: int,
    options: BatchingOptions,
    stop: threading.Event | None = None,
) -> Generator[CropBatch, None, None]:
    """Groups crops into batches of one shape, in order, made ready ahead of the consumer.

    The last batch is padded and masked: a second shape would cost the network a second trace.
    ``crops`` is read in another thread. An error raised there reaches the consumer as it is, after
    every crop that came before it. A consumer that stops early (Ctrl-C, say) waits until ``crops``
    gives its next crop or ends; ``crops`` is closed then.

    Args:
        crops: crops of ``uint8[size, size, 3]`` RGB, of any number of sources.
        size: side of a crop in pixels.
        options: batch size and how far to work ahead.
        stop: set when nobody wants another crop; a ``crops`` that may go without one for long should
            look at it now and then.

    Yields:
        Batches of ``options.batch_size`` rows; while there is none for ``IDLE_S``, batches without a
        crop.
    """
    feed = _Feed(crops, size, options.batch_size, stop or threading.Event())
    batches = _prefetched(feed, size, options)
    try:
        while True:
            if not feed.ready.acquire(timeout=IDLE_S):
                yield _empty(size, options.batch_size)
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

    def __init__(self, crops: Iterable[FaceCrop], size: int, batch_size: int, stop: threading.Event) -> None:
        self._crops = crops
        self._shape = (size, size, 3)
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
        if crop.image.shape != self._shape or crop.image.dtype != np.uint8:
            found = f"{crop.image.dtype}{list(crop.image.shape)}"
            raise ValueError(f"a crop is {found}, not uint8{list(self._shape)}")
        return {
            # UTF-8 cannot hold every file name, but a source's id is vidscan's own text.
            "source_id": crop.source_id.encode(),
            "frame_index": np.int64(crop.frame_index),
            "time_s": np.float64(crop.time_s),
            "box": np.asarray(crop.box, np.float32),
            "confidence": np.float32(crop.confidence),
            "image": crop.image,
            "mask": np.True_,
        }


def _prefetched(feed: _Feed, size: int, options: BatchingOptions) -> Iterator[dict[str, Any]]:
    """Batched columns from ``tf.data``, whose thread starts reading at once."""
    tf = import_tensorflow()
    signature = {
        "source_id": tf.TensorSpec((), tf.string),
        "frame_index": tf.TensorSpec((), tf.int64),
        "time_s": tf.TensorSpec((), tf.float64),
        "box": tf.TensorSpec((4,), tf.float32),
        "confidence": tf.TensorSpec((), tf.float32),
        "image": tf.TensorSpec((size, size, 3), tf.uint8),
        "mask": tf.TensorSpec((), tf.bool),
    }
    dataset = (
        tf.data.Dataset.from_generator(feed.rows, output_signature=signature)
        .batch(options.batch_size)
        .prefetch(options.prefetch)
    )
    # Otherwise nothing is read before the first batch is asked for, and no permit ever given.
    warm = tf.data.Options()
    warm.experimental_warm_start = True
    batches: Iterator[dict[str, Any]] = dataset.with_options(warm).as_numpy_iterator()
    return batches


def _empty(size: int, batch_size: int) -> CropBatch:
    """A batch of padding alone."""
    return CropBatch(
        source_id=np.full(batch_size, "", object),
        frame_index=np.zeros(batch_size, np.int64),
        time_s=np.zeros(batch_size, np.float64),
        box=np.zeros((batch_size, 4), np.float32),
        confidence=np.zeros(batch_size, np.float32),
        image=np.zeros((batch_size, size, size, 3), np.uint8),
        mask=np.zeros(batch_size, np.bool_),
    )


def _padded(columns: dict[str, np.ndarray[Any, Any]], batch_size: int) -> CropBatch:
    """Fills a short batch with zeros; ``mask`` is False there."""
    missing = batch_size - len(columns["mask"])
    if missing:
        columns = {
            name: np.pad(column, [(0, missing)] + [(0, 0)] * (column.ndim - 1))
            for name, column in columns.items()
            if name != "source_id"
        } | {"source_id": np.concatenate([columns["source_id"], np.full(missing, b"", object)])}
    ids = np.array([name.decode() for name in columns["source_id"]], object)
    return CropBatch(
        source_id=ids,
        frame_index=columns["frame_index"],
        time_s=columns["time_s"],
        box=columns["box"],
        confidence=columns["confidence"],
        image=columns["image"],
        mask=columns["mask"],
    )
