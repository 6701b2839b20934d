"""Builds new networks: a backbone and a head on it.

A head maps the backbone's features ``[n, cells, cells, channels]`` to P(real), ``float32[n, 1]``.

``reference``: global average pooling, BatchNorm, Dense(512, relu), BatchNorm, Dropout, Dense(1, sigmoid).
``linear``: global average pooling, Dropout, Dense(1, sigmoid).
``region``: each cell gives its logit of being forged; of the means over 3x3 neighbouring cells the highest
counts, for a face is forged if any part of it is, and a mean over all of it would let what is genuine
outvote a forged mouth. This is multiple-instance learning (O. Maron and T. Lozano-Perez, 1998).

The last layer computes in float32 also under mixed precision: half a sigmoid cannot tell 0.9996 from 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.backbones import BACKBONES, backbone_features

Head = Literal["reference", "linear", "region"]

CELL_LAYER = "forgery_cells"
"""The layer of the region head that gives each cell's logit of being forged."""

_REGION_CELLS = 3


def build_network(
    backbone: str,
    *,
    input_size: int | None = None,
    head: Head = "reference",
    dropout: float = 0.5,
    weights: Literal["imagenet"] | Path | None = None,
) -> Any:
    """A Keras model from RGB crops ``[n, size, size, 3]``, 0-255, uint8 or float, to ``float32[n, 1]``.

    It is flat: no layer of the backbone is nested in another. ``input_size`` None takes the backbone's own;
    ``weights`` are the backbone's, as for :func:`backbone_features`, which also says what is raised. The head
    always starts at random.
    """
    keras = import_keras()
    if input_size is None and backbone in BACKBONES:
        input_size = BACKBONES[backbone].input_size
    inputs = keras.Input((input_size, input_size, 3), name="crop")
    outputs = put_head(backbone_features(backbone, inputs, weights), head, dropout)
    return keras.Model(inputs, outputs, name=f"{backbone}_{head}")


def put_head(features: Any, head: Head, dropout: float) -> Any:
    """P(real), a Keras tensor ``float32[n, 1]``, by a head all of whose weights are new.

    ``features``: a Keras tensor ``[n, cells, cells, channels]``; the region head needs 3 cells a side.
    """
    if head == "region":
        return _region(features, dropout)
    layers = import_keras().layers
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)
    if head == "reference":
        x = layers.BatchNormalization(name="head_bn1")(x)
        x = layers.Dense(512, activation="relu", name="head_dense")(x)
        x = layers.BatchNormalization(name="head_bn2")(x)
    x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)


def _region(features: Any, dropout: float) -> Any:
    keras = import_keras()
    layers = keras.layers
    x = layers.Dropout(dropout, name="head_dropout")(features)
    x = layers.Conv2D(1, 1, dtype="float32", name=CELL_LAYER)(x)
    x = layers.AveragePooling2D(_REGION_CELLS, strides=1, dtype="float32", name="head_regions")(x)
    x = layers.GlobalMaxPooling2D(dtype="float32", name="head_highest")(x)
    # The more is forged, the less is real: the weight starts at -1; scale and offset are learnt.
    start = keras.initializers.Constant(-1.0)
    return layers.Dense(
        1, activation="sigmoid", dtype="float32", kernel_initializer=start, name="probability"
    )(x)
