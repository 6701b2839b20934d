"""Makes pictures into training batches: decoded and augmented by threads, and free of TensorFlow.

Batch number ``i`` is a pure function of the options and ``i``. That makes the loader safe to run in any
number of threads, and a training that was killed sees the same pictures when it goes on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidscan.records import Image
from vidscan_training.crops.folder import CropFolder, native_sizes
from vidscan_training.crops.reader import CropReader, in_order
from vidscan_training.data.augment import Rng, augment, augment_mask, reduce_resolution
from vidscan_training.data.augment_presets import AugmentOptions
from vidscan_training.data.draw import REAL, Sampler, SamplingOptions
from vidscan_training.data.forge import Forgery
from vidscan_training.data.h264 import compress_some
from vidscan_training.data.self_blend import Mask


class Batch(NamedTuple):
    """One training step's data.

    ``inputs``: pictures, ``float32[n, s, s, 3]`` RGB 0-255; ``target``: ``float32[n, 1]``, P(real). ``map``:
    ``float32[n, cells * cells]``, row by row, which share of each cell was replaced (0-1), and
    ``map_weight``: ``float32[n]``, 0 where it is not known; both None unless asked for.
    """

    inputs: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    map: npt.NDArray[np.float32] | None = None
    map_weight: npt.NDArray[np.float32] | None = None

    @property
    def targets(self) -> Any:
        """What the network's output, or both outputs, should be."""
        return self.target if self.map is None else [self.target, self.map]

    @property
    def sample_weights(self) -> Any:
        """Weights of the pictures in the loss of each output."""
        return None if self.map_weight is None else [np.ones_like(self.map_weight), self.map_weight]


class Views:
    """Makes the picture that training sees of a row: resolution matched, forged, augmented.

    May be called from any thread.
    """

    def __init__(self, folder: CropFolder, sampler: Sampler, augmentation: AugmentOptions | None) -> None:
        self._folder, self._sampler, self._augmentation = folder, sampler, augmentation
        self._read = CropReader(folder)
        self._sides = self._sides_to_match()

    def __call__(
        self, row: int, forgery: Forgery, look: int, rng: Rng, *, masked: bool = False
    ) -> tuple[Image, Mask | None]:
        """One view, RGB ``uint8[s, s, 3]``, and which part of it was replaced, ``float32[s, s]``, 0-1.

        ``look`` seeds all that happens beside the forgery: the same one shows a forgery and the crop that it
        was made of under the same augmentation. ``rng`` is the forgery's chance. ``masked`` asks for the
        mask, which takes time; it is None too where it is not known.
        """

        def read(wanted: int) -> Image:
            return self._matched(self._read(wanted), wanted, np.random.default_rng([look, 0]))

        image = read(row)
        mask = self._known_mask(row)
        if forgery is not Forgery.NONE:
            assert self._sampler.forger is not None
            image, mask = self._sampler.forger.forge(forgery, row, image, read, rng)
        if not masked:
            mask = None
        if self._augmentation is None:
            return image, mask
        if mask is not None:
            mask = augment_mask(mask, np.random.default_rng([look, 1]), self._augmentation)
        return augment(image, np.random.default_rng([look, 1]), self._augmentation), mask

    def _known_mask(self, row: int) -> Mask | None:
        """What of an unforged crop is false: nothing of a real one, all of a wholly synthetic one."""
        side = self._folder.geometry.input_size
        if self._sampler.target[row] == REAL:
            return np.zeros((side, side), np.float32)
        whole = self._folder.rows[row].method in self._sampler.sampling.whole_face
        return np.ones((side, side), np.float32) if whole else None

    def compressed(self, images: Sequence[Image], looks: Sequence[int]) -> list[Image]:
        """The views of one batch, RGB ``uint8[s, s, 3]``, after what is done to a batch as a whole."""
        if self._augmentation is None:
            return list(images)
        return compress_some(images, looks, self._augmentation)

    def _sides_to_match(self) -> dict[str, npt.NDArray[np.float64]]:
        """Sides in pixels to which a method's crops may be reduced; one is drawn for each picture."""
        native = native_sizes(self._folder.rows, self._folder.geometry.margin)
        methods = np.array([row.method for row in self._folder.rows])
        trained = self._sampler.rows
        return {
            method: native[trained[methods[trained] == wanted]]
            if isinstance(wanted, str)
            else np.arange(wanted[0], wanted[1] + 1)
            for method, wanted in self._sampler.sampling.match_resolution.items()
        }

    def _matched(self, image: Image, row: int, rng: np.random.Generator) -> Image:
        """Takes away the resolution that the row's method has over others, where asked for."""
        sides = self._sides.get(self._folder.rows[row].method)
        return image if sides is None else reduce_resolution(image, round(float(rng.choice(sides))))


class TrainingBatches:
    """The training rows of a folder as numbered batches; ``batch(i)`` may be called from any thread."""

    def __init__(
        self,
        folder: CropFolder,
        rows: Sequence[int],
        sampling: SamplingOptions,
        augmentation: AugmentOptions | None = None,
        map_cells: int = 0,
    ) -> None:
        """Prepares the odds of each row.

        With ``map_cells`` above 0, batches carry forgery maps of so many cells a side. Raises UsageError
        where an unknown method is named, a class has no rows, or blending lacks landmarks.
        """
        self.sampler = Sampler(folder, rows, sampling)
        self._views = Views(folder, self.sampler, augmentation)
        self._map_cells = map_cells

    def batch(self, step: int) -> Batch:
        """Draws, decodes and augments batch number ``step``."""
        drawn = self.sampler.draw(step)
        seeds = drawn.rng.spawn(len(drawn.row))
        views = [
            self._views(int(row), Forgery(forgery), int(look), seed, masked=self._map_cells > 0)
            for row, forgery, look, seed in zip(drawn.row, drawn.forgery, drawn.look, seeds, strict=True)
        ]
        seen = self._views.compressed([image for image, _ in views], drawn.look.tolist())
        images = np.stack(seen).astype(np.float32)
        if not self._map_cells:
            return Batch(images, drawn.target)
        masks = [mask for _, mask in views]
        known = np.array([mask is not None for mask in masks], np.float32)
        return Batch(images, drawn.target, self._maps(masks), known)

    def stream(
        self, start: int, stop: int, *, workers: int = 2, ahead: int = 6
    ) -> Generator[Batch, None, None]:
        """Yields batches ``start`` to ``stop - 1`` in order, made by ``workers`` threads up to ``ahead``."""
        return in_order(self.batch, range(start, stop), workers=workers, ahead=ahead)

    def _maps(self, masks: Sequence[Mask | None]) -> npt.NDArray[np.float32]:
        maps = np.zeros((len(masks), self._map_cells, self._map_cells), np.float32)
        for place, mask in enumerate(masks):
            if mask is not None:
                maps[place] = cv2.resize(mask, maps.shape[1:], interpolation=cv2.INTER_AREA)
        return maps.reshape(len(masks), -1)
