"""Grad-CAM: which parts of a crop speak for a forgery.

After R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", 2017. The channels of the last feature map are summed with weights, each the mean of the
gradient of the logit of P(fake) over the cells of its channel; what is negative speaks for a genuine face
and counts as 0. Only the head is differentiated, and its logit is taken before the sigmoid, which would
swallow the gradient where the network is sure. For the region head the map is, up to scale and offset,
that of its own cells within the network's reach: the two need no telling apart.

The Keras network itself is used, whatever runtime gave the scores, and under TensorFlow alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError, ScoringError, VidscanError
from vidscan.protocols import Explainer
from vidscan.records import EvidenceCrop, Geometry, Heat, HeatKind, HeatSource, Image, ModelCard
from vidscan.system.frameworks import import_keras, import_tensorflow

CHUNK = 8
"""Number of crops put through the network at once; it bounds the memory."""

FEATURE_LAYER = "top_activation"
"""Last layer of vidscan's own backbones; in other networks the last feature map is searched."""


class ExplainableModel(Protocol):
    """A Keras network and its card, which names the class of its output."""

    @property
    def network(self) -> Any: ...  # noqa: D102

    @property
    def card(self) -> ModelCard: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class GradCam:
    """A network split at its last feature map.

    ``front`` takes crops to that map, ``[n, cells, cells, channels]``; ``tail`` takes the map to the logit of
    P(fake), ``[n, 1]``.
    """

    front: Callable[[Any], Any]
    tail: Callable[[Any], Any]
    source: HeatSource
    geometry: Geometry

    @classmethod
    def of(cls, model: ExplainableModel) -> GradCam:
        """Splits a loaded model's network.

        Raises:
            ModelError: the network has no feature map, or Keras runs on another backend than TensorFlow.
        """
        keras, name = import_keras(), model.card.name
        if keras.backend.backend() != "tensorflow":
            raise ModelError(
                f"{name}: heat maps need TensorFlow, but Keras runs on {keras.backend.backend()}: "
                "unset KERAS_BACKEND, or leave --explain out"
            )
        try:
            cut = _cut(model.network)
        except ValueError as error:  # what is computed does not pass through the map alone
            raise ModelError(
                f"{name}: heat maps cannot be drawn: other ways lead past the network's last feature map: "
                "leave --explain out"
            ) from error
        if cut is None:
            raise ModelError(
                f"{name}: heat maps cannot be drawn: the network ends without a feature map "
                "[n, height, width, channels] to look at: leave --explain out"
            )
        front, tail = cut
        sign = 1.0 if model.card.positive_class == "fake" else -1.0
        source = HeatSource(HeatKind.GRAD_CAM, name)
        return cls(front, lambda features: sign * tail(features), source, model.card.geometry)

    def heat(self, crops: Image) -> list[Heat]:
        """Returns how much each part of each crop indicates a forgery, relative to the crop's strongest part.

        ``crops`` are RGB ``uint8[n, size, size, 3]``, 0-255; ``n`` may be 0. The ``n`` maps are
        ``float32[cells, cells]`` with a maximum of 1, or all 0 if no part indicates a forgery.

        Raises:
            ScoringError: the network failed.
        """
        chunks = (crops[start : start + CHUNK] for start in range(0, len(crops), CHUNK))
        return [relative(each) for chunk in chunks for each in self._maps(chunk)]

    def _maps(self, crops: Image) -> npt.NDArray[np.float64]:
        tf = import_tensorflow()
        try:
            features = tf.convert_to_tensor(self.front(tf.convert_to_tensor(crops, tf.float32)))
            with tf.GradientTape() as tape:
                tape.watch(features)
                logit = self.tail(features)
            gradient = tape.gradient(logit, features)
        except (VidscanError, MemoryError):
            raise
        except Exception as error:  # TensorFlow raises whatever it met
            raise ScoringError(f"the heat maps could not be computed: {error}".splitlines()[0]) from error
        if gradient is None:
            raise ScoringError(
                "the heat maps could not be computed: the score does not depend on the features"
            )
        weights = np.asarray(gradient, np.float64).mean(axis=(1, 2), keepdims=True)
        return np.asarray((weights * np.asarray(features, np.float64)).sum(axis=-1))


def relative(summed: npt.NDArray[np.float64]) -> Heat:
    """Scales a map ``float64[cells, cells]`` to a maximum of 1; negative values count as 0."""
    speaking = np.maximum(summed, 0.0)
    most = speaking.max()
    return np.asarray(speaking / most if most > 0 else speaking, np.float32)


def with_heat(evidence: Sequence[EvidenceCrop], explainer: Explainer, most: int) -> tuple[EvidenceCrop, ...]:
    """Returns the same crops, the ``most`` highest scoring ones of each track with their maps."""
    by_track: dict[int, list[EvidenceCrop]] = defaultdict(list)
    for crop in evidence:
        by_track[crop.track].append(crop)
    chosen = [
        crop
        for crops in by_track.values()
        for crop in sorted(crops, key=lambda crop: -crop.fake_probability)[:most]
    ]
    if not chosen:
        return tuple(evidence)
    maps = explainer.heat(np.stack([crop.image for crop in chosen]))
    found = {id(crop): heat for crop, heat in zip(chosen, maps, strict=True)}
    return tuple(
        replace(crop, heat=found[id(crop)], heat_source=explainer.source) if id(crop) in found else crop
        for crop in evidence
    )


_Part = Callable[[Any], Any]


def _cut(network: Any) -> tuple[_Part, _Part] | None:
    """Splits ``network`` at its last feature map, without its sigmoid; None if there is no such map."""
    keras = import_keras()
    place = _feature_map(network)
    if place is not None:
        return _part(network.inputs, place), _after(network, place)
    nested = [layer for layer in network.layers if isinstance(layer, keras.Model) and _is_map(layer.inputs)]
    if not nested:
        return None
    inner = nested[-1]
    taken, given = _used_with(network, inner)
    before = _part(network.inputs, taken)
    if inner is network.layers[-1]:
        cut = _cut(inner)
        return None if cut is None else (_chained(before, cut[0]), cut[1])
    place = _feature_map(inner)
    if place is None:
        return None
    rest = _chained(_part(place, inner.outputs), _after(network, given))
    return _chained(before, _part(inner.inputs, place)), rest


def _after(network: Any, start: Any) -> _Part:
    """Returns what leads from ``start``, a tensor of ``network``, to the logit before its sigmoid."""
    last = network.layers[-1]
    taken, _ = _used_with(network, last)
    if isinstance(last, import_keras().Model):
        return _chained(_part(start, taken), _after(last, last.inputs))
    return _chained(_part(start, taken), lambda values: _logit(last, values))


def _logit(last: Any, values: Any) -> Any:
    keras = import_keras()
    if not hasattr(last, "kernel"):  # a bare sigmoid
        return values
    logit = keras.ops.matmul(values, last.kernel)
    return logit if last.bias is None else logit + last.bias


def _part(start: Any, end: Any) -> _Part:
    starts, ends = (each if isinstance(each, list | tuple) else [each] for each in (start, end))
    if len(starts) == len(ends) == 1 and starts[0] is ends[0]:
        return lambda values: values
    part = import_keras().Model(starts, ends)

    def run(values: Any) -> Any:
        found = part(values, training=False)
        return found[0] if isinstance(found, list | tuple) else found

    return run


def _chained(first: _Part, second: _Part) -> _Part:
    return lambda values: second(first(values))


def _used_with(network: Any, layer: Any) -> tuple[Any, Any]:
    """Returns a layer's inputs and outputs where ``network`` uses it; other networks may use it too."""
    graph = getattr(network, "_functional", None) or network  # a Sequential keeps its graph in a part
    nodes = (node for level in graph._nodes_by_depth.values() for node in level)
    node = next(node for node in nodes if node.operation is layer)
    return node.input_tensors, node.output_tensors


def _feature_map(network: Any) -> Any | None:
    """Returns the tensor of ``FEATURE_LAYER``, else the last feature map before a layer of another shape."""
    keras = import_keras()
    for layer in network.layers:
        if layer.name == FEATURE_LAYER and _is_map(given := _used_with(network, layer)[1]):
            return given[0]
    for layer in reversed(network.layers):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        taken, given = _used_with(network, layer)
        made_here = not any(taken[0] is each for each in network.inputs)
        if made_here and _is_map(taken) and not _is_map(given):
            deeper = isinstance(layer, keras.Model) and _feature_map(layer) is not None
            return None if deeper else taken[0]
    return None


def _is_map(tensors: Sequence[Any]) -> bool:
    """Tells whether these are one tensor ``[n, height, width, channels]`` of more than one cell."""
    if len(tensors) != 1 or len(tensors[0].shape) != 4:
        return False
    return all(side is None or side > 1 for side in tensors[0].shape[1:3])
