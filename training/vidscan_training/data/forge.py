"""Makes fakes out of the real faces of a crop folder during training: chooses the pairs and blends them."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vidscan.errors import UsageError
from vidscan.records import Image
from vidscan_training.crops.folder import CropFolder
from vidscan_training.data.augment import Rng
from vidscan_training.data.self_blend import Mask, self_blend
from vidscan_training.data.swap_blend import most_alike, shape, swap_blend

_CANDIDATES = 24
"""Faces of other people among which the one most alike in pose and shape is pasted."""


class Forgery(IntEnum):
    """What is made of a real crop on its way into a batch."""

    NONE = 0
    SELF_BLEND = 1
    SWAP_BLEND = 2


class Forger:
    """Forges the real training rows that have a face mesh."""

    def __init__(self, folder: CropFolder, real_rows: npt.NDArray[np.int64]) -> None:
        """Looks through the meshes; raises UsageError where there is none."""
        self._groups = [row.group for row in folder.rows]
        meshes = folder.landmarks
        with_mesh = [] if meshes is None else [i for i in real_rows if np.isfinite(meshes[i]).all()]
        if meshes is None or not with_mesh:
            raise UsageError(
                f"{folder.path} has no landmarks of real training faces, which --self-blend and "
                "--swap-blend need; extract the crops with landmarks"
            )
        self._rows = np.array(with_mesh, np.int64)
        self._meshes = {int(row): meshes[row].astype(np.float32) for row in self._rows}
        self._shapes = {row: shape(mesh) for row, mesh in self._meshes.items()}

    def can(self, row: int) -> bool:
        """Whether ``row`` is a real training crop with a mesh."""
        return row in self._meshes

    def forge(
        self, forgery: Forgery, row: int, image: Image, read: Callable[[int], Image], rng: Rng
    ) -> tuple[Image, Mask]:
        """A fake made of the real crop ``row``, and its mask ``float32[n, n]``: 0 as it was, 1 replaced.

        ``image`` is the picture of ``row``, of which :meth:`can` must be true, RGB ``uint8[n, n, 3]``, as the
        fake is; ``read`` gives that of another row.
        """
        mesh = self._meshes[row]
        if forgery is Forgery.SWAP_BLEND:
            other = self._choose_other(row, rng)
            swapped = swap_blend(image, mesh, read(other), self._meshes[other], rng)
            if swapped is not None:
                return swapped
        return self_blend(image, mesh, rng)

    def _choose_other(self, row: int, rng: Rng) -> int:
        """Another person's row; ``row`` itself where the folder has but one person."""
        drawn = [int(other) for other in rng.choice(self._rows, _CANDIDATES)]
        others = [other for other in drawn if self._groups[other] != self._groups[row]] or [row]
        return others[most_alike(self._shapes[row], [self._shapes[other] for other in others])]
