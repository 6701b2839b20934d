"""The convolutional networks that a detector can be built on, behind one name map.

Every entry of :data:`BACKBONES` takes RGB pictures as ``[n, size, size, 3]`` with values 0-255, does
its own rescaling inside, and ends in a layer named ``top_activation`` whose output is the feature map
``[n, h, w, channels]`` (Grad-CAM looks that layer up by name).

Importing this module loads neither Keras nor a backend; only building a network does, and that under
whichever backend the user chose with ``KERAS_BACKEND``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vidscan.errors import ModelError
from vidscan.models.runtimes.keras import no_layer_left_random
from vidscan.models.runtimes.protocol import first_line
from vidscan.system.frameworks import import_keras

# ImageNet's standard deviations (RGB, of values 0-1), as keras.applications has them.
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)

BuildFeatures = Callable[..., Any]
"""``build(inputs, weights)``: Keras tensor ``[n, size, size, 3]`` (0-255) to the feature map's tensor.

``weights`` is None (random) or ``"imagenet"``, which Keras fetches."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """One feature extractor, designed for square pictures of ``input_size`` pixels a side.

    ``fetched_by_keras``: whether Keras can download its ImageNet weights.
    """

    name: str
    input_size: int
    build: BuildFeatures
    fetched_by_keras: bool = True


@dataclass(frozen=True, slots=True)
class _Stage:
    """A row of the EfficientNet table: like blocks in sequence, of which only the first may stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


# M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
# table 1 (B0). EfficientNet-Lite keeps the table, leaves out squeeze-excite and swaps swish for ReLU6.
_B0_STAGES = (
    _Stage(repeats=1, kernel=3, stride=1, expand=1, filters=16),
    _Stage(repeats=2, kernel=3, stride=2, expand=6, filters=24),
    _Stage(repeats=2, kernel=5, stride=2, expand=6, filters=40),
    _Stage(repeats=3, kernel=3, stride=2, expand=6, filters=80),
    _Stage(repeats=3, kernel=5, stride=1, expand=6, filters=112),
    _Stage(repeats=4, kernel=5, stride=2, expand=6, filters=192),
    _Stage(repeats=1, kernel=3, stride=1, expand=6, filters=320),
)
_STEM_FILTERS = 32
_TOP_FILTERS = 1280
_MAX_DROP_RATE = 0.2
"""Stochastic depth of the last block; the paper's value for every member of the family."""

_BN_EPSILON = 1e-3
_BN_MOMENTUM = 0.99


def _scaled_filters(filters: int, width: float) -> int:
    """Channels after width scaling: the nearest multiple of 8 that loses under 10 %."""
    wanted = filters * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _lite_stages(width: float, depth: float) -> tuple[_Stage, ...]:
    """The B0 table scaled as the Lite family does it: first and last stage keep their repeats."""
    last = len(_B0_STAGES) - 1
    return tuple(
        replace(
            stage,
            repeats=stage.repeats if index in (0, last) else math.ceil(stage.repeats * depth),
            filters=_scaled_filters(stage.filters, width),
        )
        for index, stage in enumerate(_B0_STAGES)
    )


def _convolved(x: Any, prefix: str, suffix: str, convolution: Any, *, activate: bool) -> Any:
    """``convolution``, batch normalisation and, where asked for, ReLU6; layers named by position."""
    layers = import_keras().layers
    x = convolution(x)
    bn_name = f"{prefix}{suffix}bn"
    x = layers.BatchNormalization(epsilon=_BN_EPSILON, momentum=_BN_MOMENTUM, name=bn_name)(x)
    return layers.Activation("relu6", name=f"{prefix}{suffix}activation")(x) if activate else x


def _pointwise(filters: int, name: str) -> Any:
    layers = import_keras().layers
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal", name=name)


def _lite_block(x: Any, stage: _Stage, stride: int, drop_rate: float, prefix: str) -> Any:
    """One inverted residual block: expand, filter each channel, project, add the input back."""
    layers = import_keras().layers
    inputs, channels = x, int(x.shape[-1])
    if stage.expand != 1:
        expand = _pointwise(channels * stage.expand, f"{prefix}expand_conv")
        x = _convolved(x, prefix, "expand_", expand, activate=True)
    depthwise = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{prefix}dwconv"
    )
    x = _convolved(x, prefix, "", depthwise, activate=True)
    project = _pointwise(stage.filters, f"{prefix}project_conv")
    x = _convolved(x, prefix, "project_", project, activate=False)
    if stride == 1 and channels == stage.filters:
        if drop_rate > 0:
            # Dropping a whole picture's branch at once is stochastic depth. A standard Dropout does
            # it, so that a saved network needs no class of ours to be read back.
            x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
        x = layers.Add(name=f"{prefix}add")([x, inputs])
    return x


def _build_lite(inputs: Any, weights: str | None = None, *, width: float, depth: float) -> Any:
    """EfficientNet-Lite's layers; stem and top keep B0's width at every scale.

    The padding is "same" throughout, as in the TensorFlow original, whose ImageNet weights were
    trained on ``(x - 127) / 128``; both numbers are exact in half precision too.
    """
    layers = import_keras().layers
    del weights  # Keras has none; BACKBONES says so
    x = layers.Rescaling(scale=1 / 128, offset=-127 / 128, name="rescaling")(inputs)
    stem = layers.Conv2D(
        _STEM_FILTERS,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name="stem_conv",
    )
    x = _convolved(x, "stem_", "", stem, activate=True)
    stages = _lite_stages(width, depth)
    blocks = sum(stage.repeats for stage in stages)
    done = 0
    for number, stage in enumerate(stages, start=1):
        for repeat in range(stage.repeats):
            prefix = f"block{number}{chr(ord('a') + repeat)}_"
            stride = stage.stride if repeat == 0 else 1
            x = _lite_block(x, stage, stride, _MAX_DROP_RATE * done / blocks, prefix)
            done += 1
    return _convolved(x, "top_", "", _pointwise(_TOP_FILTERS, "top_conv"), activate=True)


def _build_from_applications(inputs: Any, weights: str | None = None, *, architecture: str) -> Any:
    """The layers of ``keras.applications.<architecture>`` without its classifier.

    The input tensor is handed in, so the layers become the caller's own and nothing is nested.
    """
    make = getattr(import_keras().applications, architecture)
    return make(include_top=False, weights=weights, input_tensor=inputs).output


# The native sizes are the default sizes of the keras.applications constructors.
_APPLICATIONS = {
    "EfficientNetB0": 224,
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B0": 224,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
}

BACKBONES: Mapping[str, Backbone] = {
    name.lower(): Backbone(name.lower(), side, partial(_build_from_applications, architecture=name))
    for name, side in _APPLICATIONS.items()
} | {"lite2": Backbone("lite2", 260, partial(_build_lite, width=1.1, depth=1.2), fetched_by_keras=False)}
"""All backbones by name: ``efficientnetb0`` to ``b7``, ``efficientnetv2b0`` to ``v2l``, and ``lite2``."""


def backbone_features(name: str, inputs: Any, weights: Literal["imagenet"] | Path | None = None) -> Any:
    """The features ``[n, h, w, channels]`` that a backbone makes of RGB crops ``[n, size, size, 3]``, 0-255.

    ``weights`` are ``"imagenet"`` (downloaded by Keras), a ``.weights.h5``, ``.h5`` or ``.keras`` file of
    that backbone, or None (random). Raises ModelError where there is no such backbone, or its weights cannot
    be had.
    """
    if name not in BACKBONES:
        raise ModelError(f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    if weights == "imagenet":
        return _imagenet_features(backbone, inputs)
    features = backbone.build(inputs, None)
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise ModelError(f"{path}: there is no such weights file; check the path given with --weights")
        part = import_keras().Model(inputs, features)
        try:
            with no_layer_left_random():
                part.load_weights(path)
        except Exception as error:  # h5py and Keras raise whatever they met
            raise ModelError(
                f"{path}: these are no weights of {backbone.name}: {first_line(error)}; give a "
                ".weights.h5 or .keras file of that backbone"
            ) from error
        _square_imagenet_deviation(part)
    return features


def _imagenet_features(backbone: Backbone, inputs: Any) -> Any:
    if not backbone.fetched_by_keras:
        raise ModelError(
            f"Keras has no ImageNet weights of {backbone.name}; write them once with "
            "python -m vidscan_training.recipes.port_lite2 OUT.weights.h5 and give that file with --weights"
        )
    try:
        return backbone.build(inputs, "imagenet")
    except Exception as error:  # Keras raises a plain Exception when a download fails
        raise ModelError(
            f"the ImageNet weights of {backbone.name} could not be fetched ({first_line(error)}); "
            "go online, or give a file with --weights PATH"
        ) from error


def _square_imagenet_deviation(network: Any) -> None:
    """Corrects the normalisation after ImageNet weights of an EfficientNetB0-B7 were read from a file.

    The files give ImageNet's standard deviation where Keras expects its square. When Keras fetches the
    weights itself it makes up for that by one more rescaling layer, which a network built without them
    does not have (see the comment in ``keras/src/applications/efficientnet.py``).
    """
    for layer in network.layers:
        if type(layer).__name__ == "Normalization" and layer.weights:
            mean, variance, count = layer.get_weights()
            if np.allclose(variance, _IMAGENET_STDDEV, atol=1e-4):
                layer.load_own_variables({"0": mean, "1": np.square(variance), "2": count})
