"""Heat maps of networks that put out what each part of a crop adds to their logit: exact, without gradients.

A network whose head is linear in the patch tokens of a transformer puts out, beside its probability, the
patches' shares: the logit is the sum of the shares and of what the class tokens and the bias add. One more
run of the network on the crops that are kept gives the maps; no TensorFlow is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import ScoringError
from vidscan.models.gradcam import relative
from vidscan.models.runtimes.onnx import OnnxRuntime
from vidscan.records import Geometry, Heat, HeatKind, HeatSource, Image, ModelCard

_ROUNDING = 1e-5
"""Shares that differ by less than this part of the largest differ by float32's rounding alone."""


@dataclass(frozen=True, slots=True)
class LogitShares:
    """Draws heat maps of a network's shares; see :class:`vidscan.protocols.Explainer`."""

    runtime: OnnxRuntime
    card: ModelCard

    @property
    def source(self) -> HeatSource:
        """The kind of map and the network that it explains."""
        return HeatSource(HeatKind.SHARES, self.card.name)

    @property
    def geometry(self) -> Geometry:
        """The geometry of the network's crops."""
        return self.card.geometry

    def heat(self, crops: Image) -> list[Heat]:
        """Returns how much more than the average part of its crop each part indicates a forgery.

        ``crops`` are RGB ``uint8[n, size, size, 3]``, 0-255; ``n`` may be 0. The ``n`` maps are
        ``float32[cells, cells]`` with a maximum of 1, or all 0 if all parts are equal.

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
    """Returns shares ``float64[cells, cells]`` without their mean.

    How a constant is split between patches, class tokens and bias is an accident of the fit: the class token
    says nearly what the mean patch says, and if features are standardised their means end up in the bias. A
    constant says nothing of places, and would paint the whole crop, or leave it blank. What is left is exact:
    by how much the logit exceeds the one with that part replaced by the average.
    """
    apart = shares - shares.mean()
    return np.where(np.abs(apart).max() > _ROUNDING * np.abs(shares).max(), apart, 0.0)


def first_with_shares(models: Sequence[Any]) -> LogitShares | None:
    """Returns the explainer of the first loaded model whose network gives shares; None without one."""
    giving = (each for each in models if getattr(getattr(each, "runtime", None), "gives_shares", False))
    return next((LogitShares(model.runtime, model.card) for model in giving), None)
