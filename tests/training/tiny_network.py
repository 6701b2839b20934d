"""A network small enough to be trained within a test, saved as a checkpoint to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made_crops import SIZE

from vidscan.models.checkpoint import save_checkpoint
from vidscan.records import ModelCard
from vidscan.system.frameworks import import_keras


def tiny_features(inputs: Any, weights: str | None = None, *, dropout: float = 0.0) -> Any:
    """Two convolutions with batch normalisation, a backbone like those of ``BACKBONES``."""
    layers = import_keras().layers
    del weights
    x = layers.Rescaling(1 / 128, -1.0, name="rescaling")(inputs)
    for number, filters in enumerate((6, 8)):
        x = layers.Conv2D(filters, 3, strides=2, use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.8, name=f"bn{number}")(x)
        if number and dropout > 0:
            x = layers.Dropout(dropout, name="drop")(x)
        x = layers.Activation("relu", name="top_activation" if number else "activation0")(x)
    return x


def build_tiny(dropout: float = 0.2, size: int = SIZE, base_dropout: float = 0.0):
    """A network in the form of the real ones: flat, pooled, sigmoid."""
    keras = import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(7)
    inputs = keras.Input((size, size, 3), name="crop")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(tiny_features(inputs, dropout=base_dropout))
    x = layers.Dropout(dropout, name="head_dropout")(x)
    outputs = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)
    return keras.Model(inputs, outputs, name="tiny")


def save_tiny(path: Path) -> Path:
    """Saves the tiny network with a card that names its backbone."""
    save_checkpoint(build_tiny(), path, ModelCard("tiny", "tiny-net", SIZE))
    return path
