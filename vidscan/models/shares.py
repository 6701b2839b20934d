"""Heat maps of networks that tell what each part of a crop adds to their logit: exact, and without gradients.

A network whose head is linear in the patch tokens of a transformer puts out, beside its probability, the
patches' shares: the logit is the sum of the shares and of what the class tokens and the bias add. One more
run of the network on the crops that are kept gives the maps; no TensorFlow is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.models.gradcam import relative
from vidscan.records import Geometry, Heat, HeatKind, HeatSource, Image, ModelCard

_ROUNDING = 1e-5
"""Shares that differ by less than this, as a part of the largest, differ by float32's rounding alone."""


class SharingRuntime(Protocol):
    """A runtime whose network may give shares."""

    @property
    def gives_shares(self) -> bool:
        """Whether it does."""
        ...

    def shares(self, crops: Image) -> npt.NDArray[np.float32]:
        """What each part of each crop adds to the logit, ``float32[n, cells, cells]``."""
        ...


@dataclass(frozen=True, slots=True)
class LogitShares:
    """Draws heat maps of a network's shares; see :class:`vidscan.models.gradcam.Explainer`."""

    runtime: SharingRuntime
    card: ModelCard

    @property
    def source(self) -> HeatSource:
        """The kind of map and the network that it explains."""
        return HeatSource(HeatKind.SHARES, self.card.name)

    @property
    def geometry(self) -> Geometry:
        """How the network wants its crops."""
        return self.card.geometry

    def heat(self, crops: Image) -> list[Heat]:
        """How much more than the average part of its crop each part speaks for a forgery.

        Args:
            crops: RGB ``uint8[n, size, size, 3]``, 0-255; ``n`` may be 0.

        Returns:
            ``n`` maps ``float32[cells, cells]``, the highest cell 1; all 0 where all parts say the same.

        Raises:
            ScoringError: the network failed.
        """
        if not len(crops):
            return []
        try:
            shares = self.runtime.shares(crops)
        except Exception as error:  # onnxruntime's own errors have no common base but Exception
            raise ScoringError(f"the heat maps could not be computed: {error}".splitlines()[0]) from error
        sign = 1.0 if self.card.positive_class == "fake" else -1.0
        return [relative(_against_the_average(sign * np.asarray(each, np.float64))) for each in shares]


def _against_the_average(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares ``float64[cells, cells]`` without their mean.

    How a constant is split between patches, class tokens and bias is an accident of the fit: the class token
    tells nearly what the mean patch tells, and where features are standardised their means end up in the
    bias. A constant says nothing of places, and would paint the whole crop, or leave it blank. What is left
    is exact: by how much the logit exceeds the one there would be had that part said what the average did.
    """
    apart = shares - shares.mean()
    return np.where(np.abs(apart).max() > _ROUNDING * np.abs(shares).max(), apart, 0.0)


class _Model(Protocol):
    @property
    def card(self) -> ModelCard: ...


def first_with_shares(models: Sequence[_Model]) -> LogitShares | None:
    """The explainer of the first model whose network gives shares, if there is one."""
    for model in models:
        runtime = getattr(model, "runtime", None)
        if _gives_shares(runtime):
            return LogitShares(runtime, model.card)
    return None


def _gives_shares(runtime: object) -> TypeGuard[SharingRuntime]:
    """Whether a runtime computes a network with shares; most runtimes know of none."""
    return bool(getattr(runtime, "gives_shares", False))
