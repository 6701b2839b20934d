"""Decides what is in each training batch: which crops, and which of them forged.

Draw number ``i`` is a pure function of the options and ``i``. No picture is read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.flags import flag
from vidscan_training.crops.folder import CropFolder
from vidscan_training.data.forge import Forger, Forgery
from vidscan_training.named_values import method_weights, names, pairs

FAKE, REAL = 0.0, 1.0
"""Targets: the network learns P(real)."""


def resolutions(text: str) -> dict[str, tuple[float, float] | str]:
    """``"ffhq512=ffhq256"`` or ``"ffhq512=180-256"`` as a dictionary; raises UsageError if it is neither."""
    wanted: dict[str, tuple[float, float] | str] = {}
    for name, value in pairs(text):
        low, dash, high = value.partition("-")
        if not (dash and low.isdigit() and high.isdigit()):
            wanted[name] = value
        elif 0 < int(low) <= int(high):
            wanted[name] = (float(low), float(high))
        else:
            raise UsageError(f"--match-resolution: {value} of {name} is no range of pixels")
    return wanted


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How batches are drawn.

    Half of each batch is of either class, and within a class the method is drawn by ``method_weights`` (1
    where not named), then a clip, then one of its crops: a long clip or a large method does not dominate.
    ``self_blend`` and ``swap_blend`` are the shares of fakes that are made from real crops
    on the fly; each is preferably made from a real crop of the same batch, and shown under the same
    augmentation, so that the two differ by the forgery alone.
    ``match_resolution`` maps a method to ``(low, high)``: its crops are reduced to a random side in
    this range (pixels) before they are enlarged again; or to another method's name, whose crops' own
    sides are then drawn. Crops that are smaller already are left alone.
    ``whole_face`` names the methods that synthesise whole pictures: all of their forgery map is forged.
    """

    batch_size: int = flag(32, group="data")
    method_weights: Mapping[str, float] = flag(
        help_text="how often methods are drawn", read=method_weights, metavar="NAME=W,…", group="data"
    )
    self_blend: float = flag(0.0, "of fakes, made of one real each", metavar="SHARE", group="data")
    swap_blend: float = flag(0.0, "of fakes, made of two reals each", metavar="SHARE", group="data")
    match_resolution: Mapping[str, tuple[float, float] | str] = flag(
        help_text="reduce a method's crops to another's size, or to a range of pixels",
        read=resolutions,
        metavar="NAME=OTHER,NAME=LOW-HIGH,…",
        group="data",
    )
    whole_face: tuple[str, ...] = flag(
        help_text="methods whose forgery map is the whole picture", read=names, metavar="NAME,…", group="data"
    )
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


class Draw(NamedTuple):
    """One batch as it was drawn, ``n`` places.

    ``row``: ``int64[n]``, numbers of crops; ``forgery``: ``int64[n]``, a :class:`.forge.Forgery`;
    ``look``: ``int64[n]``, seeds of what happens to a picture beside its forgery (a forged crop shares that
    of its real twin); ``target``: ``float32[n, 1]``, P(real).
    ``rng`` is the batch's source of all further chance.
    """

    row: npt.NDArray[np.int64]
    forgery: npt.NDArray[np.int64]
    look: npt.NDArray[np.int64]
    target: npt.NDArray[np.float32]
    rng: np.random.Generator


class Sampler:
    """Draws the rows of batches; ``draw(i)`` may be called from any thread.

    ``sampling`` says how; ``rows`` are the numbers of the training rows, ``target`` is what every row of the
    folder is, ``float32[rows]``; ``forger`` makes the forgeries, None where there are none.
    """

    def __init__(self, folder: CropFolder, rows: Sequence[int], sampling: SamplingOptions) -> None:
        """Prepares the odds of each row.

        Raises UsageError where an unknown method is named, a class has no rows, or blending lacks landmarks.
        """
        self.rows = np.array(rows, np.int64)
        self._folder, self.sampling = folder, sampling
        self.target = np.array([REAL if row.label == "real" else FAKE for row in folder.rows], np.float32)
        self._refuse_unknown_methods()
        self._pools = {target: self._pool(target) for target in (FAKE, REAL)}
        self.forger = Forger(folder, self._pools[REAL][0]) if sampling.forged > 0 else None

    @property
    def steps_per_pass(self) -> int:
        """Batches in which as many crops are seen as there are training rows."""
        return -(-len(self.rows) // self.sampling.batch_size)

    def draw(self, step: int) -> Draw:
        """Draws batch number ``step``."""
        rng = np.random.default_rng([self.sampling.seed, step])
        rows = self._rows(rng, step)
        looks = rng.integers(0, 2**63, len(rows))
        forgeries = self._choose_forgeries(rows, looks, rng)
        # A forged crop comes from a real row, but it is a fake.
        target = np.where(forgeries != Forgery.NONE, np.float32(FAKE), self.target[rows])
        return Draw(rows, forgeries, looks, target[:, None], rng)

    def _refuse_unknown_methods(self) -> None:
        known = {row.method for row in self._folder.rows}
        named = set(self.sampling.method_weights) | set(self.sampling.match_resolution)
        named |= set(self.sampling.whole_face)
        named |= {source for source in self.sampling.match_resolution.values() if isinstance(source, str)}
        if unknown := sorted(named - known):
            raise UsageError(f"no crops of {', '.join(unknown)}; the folder has {', '.join(sorted(known))}")

    def _pool(self, target: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Row numbers of one class with the cumulated odds of drawing each."""
        rows = self.rows[self.target[self.rows] == target]
        described = [self._folder.rows[row] for row in rows]
        crops = Counter(row.clip for row in described)
        clips = Counter(method for method, _ in {(row.method, row.clip) for row in described})
        weights = self.sampling.method_weights
        odds = np.array(
            [weights.get(row.method, 1.0) / clips[row.method] / crops[row.clip] for row in described]
        )
        if not odds.sum() > 0:
            name = "real" if target == REAL else "fake"
            raise UsageError(f"no {name} crops to train on (after the split and the method weights)")
        return rows, np.cumsum(odds) / odds.sum()

    def _rows(self, rng: np.random.Generator, step: int) -> npt.NDArray[np.int64]:
        """Reals first, then fakes; with an odd batch size the extra place alternates."""
        real = (self.sampling.batch_size + step % 2) // 2
        return np.concatenate(
            [self._draw(REAL, real, rng), self._draw(FAKE, self.sampling.batch_size - real, rng)]
        )

    def _draw(self, target: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        rows, cumulated = self._pools[target]
        return np.asarray(
            rows[np.minimum(np.searchsorted(cumulated, rng.random(count), side="right"), len(rows) - 1)],
            np.int64,
        )

    def _choose_forgeries(
        self, rows: npt.NDArray[np.int64], looks: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Replaces a share of the fake ``rows`` by real ones that are to be forged, and says how.

        ``rows`` and ``looks`` (seeds of what happens to a picture beside its forgery) are changed in
        place: a forgery gets those of a real crop of the batch, as long as there are any left.
        """
        forgeries = np.zeros(len(rows), np.int64)
        if self.forger is None:
            return forgeries
        fake, chance = self.target[rows] == FAKE, rng.random(len(rows))
        forgeries[fake & (chance < self.sampling.forged)] = Forgery.SWAP_BLEND
        forgeries[fake & (chance < self.sampling.self_blend)] = Forgery.SELF_BLEND
        twins = [int(place) for place in np.flatnonzero(~fake) if self.forger.can(int(rows[place]))]
        for place in np.flatnonzero(forgeries):
            if twins:
                twin = twins.pop()
                rows[place], looks[place] = rows[twin], looks[twin]
            else:
                rows[place] = self._draw_forgeable(self.forger, rng)
        return forgeries

    def _draw_forgeable(self, forger: Forger, rng: np.random.Generator) -> int:
        while True:
            row = int(self._draw(REAL, 1, rng)[0])
            if forger.can(row):
                return row
