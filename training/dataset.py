"""Reads crops as training batches: seeded, balanced, decoded by threads, and free of TensorFlow.

Batch number ``i`` is a pure function of the options and ``i``. That makes the loader safe to run in any
number of threads, and a training that was killed sees the same pictures when it goes on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from training.augment import AugmentOptions, augment, augment_mask
from training.forging import Forger, Forgery
from training.manifest import CropFolder, native_sizes
from training.selfblend import Mask
from vidscan.errors import DecodeError, UsageError
from vidscan.records import Image

_T = TypeVar("_T")
_R = TypeVar("_R")

FAKE, REAL = 0.0, 1.0
"""Targets: the network learns P(real)."""


class Batch(NamedTuple):
    """One training step's data.

    ``image``: ``float32[n, s, s, 3]`` RGB 0-255; ``target``: ``float32[n, 1]``, P(real);
    ``weight``: ``float32[n]``, the class weights. ``map``: ``float32[n, cells * cells]``, row by row, which
    share of each cell was replaced (0-1), and ``map_weight``: ``float32[n]``, 0 where nobody knows; both None
    unless asked for.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    map: npt.NDArray[np.float32] | None = None
    map_weight: npt.NDArray[np.float32] | None = None

    @property
    def targets(self) -> Any:
        """What the network's output, or both outputs, should be."""
        return self.target if self.map is None else [self.target, self.map]

    @property
    def sample_weights(self) -> Any:
        """Weights of the pictures in the loss of each output."""
        return self.weight if self.map_weight is None else [self.weight, self.map_weight]


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How batches are drawn.

    ``balanced`` draws half of each batch from either class, and within a class the method by
    ``method_weights`` (1 where not named), then a clip, then one of its crops: a long clip or a large
    method does not dominate. Without it each crop is seen once a pass, and the rarer class weighs more
    in the loss. ``self_blend`` and ``swap_blend`` are the shares of fakes that are made from real crops
    on the fly; each is preferably made from a real crop of the same batch, and shown under the same
    augmentation, so that the two differ by the forgery alone.
    ``match_resolution`` maps a method to ``(low, high)``: its crops are reduced to a random side in
    this range (pixels) before they are enlarged again; or to another method's name, whose crops' own
    sides are then drawn. Crops that are smaller already are left alone.
    """

    batch_size: int = 16
    balanced: bool = True
    method_weights: Mapping[str, float] = field(default_factory=dict)
    self_blend: float = 0.0
    swap_blend: float = 0.0
    match_resolution: Mapping[str, tuple[float, float] | str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that no batch can be drawn with."""
        if self.batch_size < 2:
            raise UsageError("the batch size must be at least 2: half of it real, half fake")
        if not (self.self_blend >= 0 and self.swap_blend >= 0 and self.forged <= 1):
            raise UsageError("the shares of self-blended and swap-blended fakes must be 0 to 1, together too")
        if any(not weight >= 0 for weight in self.method_weights.values()):
            raise UsageError("the weight of a method cannot be negative")

    @property
    def forged(self) -> float:
        """Share of the fakes that are made on the fly."""
        return self.self_blend + self.swap_blend


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

        Args:
            folder: the opened crops.
            rows: numbers of the rows to train on.
            sampling: how batches are drawn.
            augmentation: random changes; None changes nothing.
            map_cells: batches carry forgery maps of this many cells a side; 0 for none.

        Raises:
            UsageError: an unknown method is named, a class has no rows, or blending lacks landmarks.
        """
        self._folder, self._sampling, self._augmentation = folder, sampling, augmentation
        self._map_cells = map_cells
        self._rows = np.array(rows, np.int64)
        self._read = CropReader(folder)
        self._target = np.array([REAL if row.label == "real" else FAKE for row in folder.rows], np.float32)
        self._refuse_unknown_methods()
        self._pools = {target: self._pool(target) for target in (FAKE, REAL)}
        self._sides = self._sides_to_match()
        self._forger = Forger(folder, self._pools[REAL][0]) if sampling.forged > 0 else None
        self._class_weight = self._class_weights()

    @property
    def steps_per_pass(self) -> int:
        """Batches in which as many crops are seen as there are training rows."""
        return -(-len(self._rows) // self._sampling.batch_size)

    def batch(self, step: int) -> Batch:
        """Draws, decodes and augments batch number ``step``."""
        rng = np.random.default_rng([self._sampling.seed, step])
        rows = self._balanced_rows(rng, step) if self._sampling.balanced else self._pass_rows(step)
        looks = rng.integers(0, 2**63, len(rows))
        forgeries = self._choose_forgeries(rows, looks, rng)
        drawn = [
            self._example(int(row), Forgery(forgery), int(look), seed)
            for row, forgery, look, seed in zip(rows, forgeries, looks, rng.spawn(len(rows)), strict=True)
        ]
        # A forged crop comes from a real row, but it is a fake.
        target = np.where(forgeries != Forgery.NONE, np.float32(FAKE), self._target[rows])
        weight = np.array([self._class_weight[float(value)] for value in target], np.float32)
        images = np.stack([image for image, _ in drawn]).astype(np.float32)
        if not self._map_cells:
            return Batch(images, target[:, None], weight)
        known = np.array([mask is not None for _, mask in drawn], np.float32)
        return Batch(images, target[:, None], weight, self._maps([mask for _, mask in drawn]), known)

    def stream(self, start: int, stop: int, *, workers: int = 2, ahead: int = 6) -> Iterator[Batch]:
        """Yields batches ``start`` to ``stop - 1`` in order, made by ``workers`` threads up to ``ahead``."""
        return in_order(self.batch, range(start, stop), workers=workers, ahead=ahead)

    def _refuse_unknown_methods(self) -> None:
        known = {row.method for row in self._folder.rows}
        named = set(self._sampling.method_weights) | set(self._sampling.match_resolution)
        named |= {source for source in self._sampling.match_resolution.values() if isinstance(source, str)}
        if unknown := sorted(named - known):
            raise UsageError(f"no crops of {', '.join(unknown)}; the folder has {', '.join(sorted(known))}")

    def _pool(self, target: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Row numbers of one class with the cumulated odds of drawing each."""
        rows = self._rows[self._target[self._rows] == target]
        described = [self._folder.rows[row] for row in rows]
        crops = Counter(row.clip for row in described)
        clips = Counter(method for method, _ in {(row.method, row.clip) for row in described})
        weights = self._sampling.method_weights
        odds = np.array(
            [weights.get(row.method, 1.0) / clips[row.method] / crops[row.clip] for row in described]
        )
        if not odds.sum() > 0:
            name = "real" if target == REAL else "fake"
            raise UsageError(f"no {name} crops to train on (after the split and the method weights)")
        return rows, np.cumsum(odds) / odds.sum()

    def _sides_to_match(self) -> dict[str, npt.NDArray[np.float64]]:
        """Sides in pixels to which a method's crops may be reduced; one is drawn for each picture."""
        native = native_sizes(self._folder.rows, self._folder.geometry.margin)
        methods = np.array([row.method for row in self._folder.rows])
        return {
            method: native[self._rows[methods[self._rows] == wanted]]
            if isinstance(wanted, str)
            else np.arange(wanted[0], wanted[1] + 1)
            for method, wanted in self._sampling.match_resolution.items()
        }

    def _class_weights(self) -> dict[float, float]:
        """Weights by which both classes count alike in the loss; 1 where the draw is balanced already."""
        if self._sampling.balanced:
            return {FAKE: 1.0, REAL: 1.0}
        return {target: len(self._rows) / (2 * len(pool[0])) for target, pool in self._pools.items()}

    def _balanced_rows(self, rng: np.random.Generator, step: int) -> npt.NDArray[np.int64]:
        """Reals first, then fakes; with an odd batch size the extra place alternates."""
        real = (self._sampling.batch_size + step % 2) // 2
        return np.concatenate(
            [self._draw(REAL, real, rng), self._draw(FAKE, self._sampling.batch_size - real, rng)]
        )

    def _draw(self, target: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        rows, cumulated = self._pools[target]
        return rows[np.minimum(np.searchsorted(cumulated, rng.random(count), side="right"), len(rows) - 1)]

    def _pass_rows(self, step: int) -> npt.NDArray[np.int64]:
        """Rows of batch ``step`` when each crop is seen once a pass; the order changes with the pass.

        The last batch of a pass is filled up from its beginning, so all batches have one shape.
        """
        number, place = divmod(step, self.steps_per_pass)
        order = np.random.default_rng([self._sampling.seed, number, 1]).permutation(self._rows)
        return np.resize(order, self.steps_per_pass * self._sampling.batch_size).reshape(
            -1, self._sampling.batch_size
        )[place]

    def _choose_forgeries(
        self, rows: npt.NDArray[np.int64], looks: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Replaces a share of the fake ``rows`` by real ones that are to be forged, and says how.

        ``rows`` and ``looks`` (seeds of what happens to a picture beside its forgery) are changed in
        place: a forgery gets those of a real crop of the batch, as long as there are any left.
        """
        forgeries = np.zeros(len(rows), np.int64)
        if self._forger is None:
            return forgeries
        fake, chance = self._target[rows] == FAKE, rng.random(len(rows))
        forgeries[fake & (chance < self._sampling.forged)] = Forgery.SWAP_BLEND
        forgeries[fake & (chance < self._sampling.self_blend)] = Forgery.SELF_BLEND
        twins = [int(place) for place in np.flatnonzero(~fake) if self._forger.can(int(rows[place]))]
        for place in np.flatnonzero(forgeries):
            if twins:
                twin = twins.pop()
                rows[place], looks[place] = rows[twin], looks[twin]
            else:
                rows[place] = self._draw_forgeable(self._forger, rng)
        return forgeries

    def _draw_forgeable(self, forger: Forger, rng: np.random.Generator) -> int:
        while True:
            row = int(self._draw(REAL, 1, rng)[0])
            if forger.can(row):
                return row

    def _example(
        self, row: int, forgery: Forgery, look: int, rng: np.random.Generator
    ) -> tuple[Image, Mask | None]:
        """A row's picture, forged and augmented, and which part of it was replaced, where that is known."""

        def read(wanted: int) -> Image:
            return self._matched(self._read(wanted), wanted, np.random.default_rng([look, 0]))

        image = read(row)
        mask = np.zeros(image.shape[:2], np.float32) if self._target[row] == REAL else None
        if forgery is not Forgery.NONE:
            assert self._forger is not None
            image, mask = self._forger.forge(forgery, row, image, read, rng)
        if self._augmentation is None:
            return image, mask
        if mask is not None and self._map_cells:
            mask = augment_mask(mask, np.random.default_rng([look, 1]), self._augmentation)
        return augment(image, np.random.default_rng([look, 1]), self._augmentation), mask

    def _maps(self, masks: Sequence[Mask | None]) -> npt.NDArray[np.float32]:
        maps = np.zeros((len(masks), self._map_cells, self._map_cells), np.float32)
        for place, mask in enumerate(masks):
            if mask is not None:
                maps[place] = cv2.resize(mask, maps.shape[1:], interpolation=cv2.INTER_AREA)
        return maps.reshape(len(masks), -1)

    def _matched(self, image: Image, row: int, rng: np.random.Generator) -> Image:
        """Takes away the resolution that the row's method has over others, where asked for."""
        sides = self._sides.get(self._folder.rows[row].method)
        return image if sides is None else reduce_resolution(image, round(float(rng.choice(sides))))


def reduce_resolution(image: Image, side: int) -> Image:
    """Reduces a square picture to ``side`` pixels and enlarges it again; smaller ones stay as they are."""
    size = image.shape[0]
    if side >= size:
        return image
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def in_order(
    work: Callable[[_T], _R], items: Sequence[_T], *, workers: int = 2, ahead: int = 6
) -> Iterator[_R]:
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
