"""Reads the pictures of a crop folder, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.errors import DecodeError
from vidscan.records import Image
from vidscan_training.crops.folder import CropFolder

_T = TypeVar("_T")
_R = TypeVar("_R")


class CropReader:
    """Decoded crops of a folder by row number; the encoded bytes stay in memory after the first read."""

    def __init__(self, folder: CropFolder) -> None:
        self._folder = folder
        self._encoded: dict[int, npt.NDArray[np.uint8]] = {}

    def __call__(self, row: int) -> Image:
        """Returns crop ``row`` as RGB ``uint8[s, s, 3]``; raises DecodeError if its file is damaged."""
        path = self._folder.image_path(self._folder.rows[row])
        encoded = self._encoded.get(row)
        if encoded is None:
            try:
                encoded = np.frombuffer(path.read_bytes(), np.uint8)
            except OSError as error:
                raise DecodeError(f"{path} cannot be read: {error}") from error
            self._encoded[row] = encoded
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
        size = self._folder.geometry.input_size
        if picture is None or picture.shape[:2] != (size, size):
            raise DecodeError(f"{path} is not a picture of {size}x{size}; extract the crops again")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def in_order(
    work: Callable[[_T], _R], items: Sequence[_T], *, workers: int = 2, ahead: int = 6
) -> Generator[_R, None, None]:
    """Yields ``work(item)`` in the order of ``items``, computed by threads, at most ``ahead`` in advance."""
    with ThreadPoolExecutor(workers, thread_name_prefix="crops") as pool:
        waiting: deque[Future[_R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
