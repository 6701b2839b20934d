"""The tower as a Keras network: flat, every layer named, any depth from 1 to 12 blocks, for fine-tuning.

Crops are RGB 0-255, ``[n, 224, 224, 3]``; after each block the tokens are float32 ``[n, 197, 768]``, the
class token first. Layers are named as the weights of :mod:`vidscan_training.recipes.vit.tower.port` are,
with ``_`` for ``/``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from vidscan.errors import UsageError
from vidscan.system.frameworks import import_keras
from vidscan_training.recipes.vit.tower.graph import EPSILON
from vidscan_training.recipes.vit.tower.port import (
    BLOCKS,
    EMBEDDING,
    HEADS,
    HIDDEN,
    MEAN,
    PATCH,
    SIDE,
    STD,
    TOKENS,
    WIDTH,
    Weights,
)


def build_tower(depth: int = BLOCKS) -> Any:
    """An untrained tower of ``depth`` blocks.

    Returns:
        A Keras model with ``depth`` outputs, the tokens after each block. With all 12 blocks there is one
        more: the embedding ``[n, 512]`` of the class token.

    Raises:
        UsageError: ``depth`` is not 1 to 12.
    """
    if not 1 <= depth <= BLOCKS:
        raise UsageError(f"the tower has 1 to {BLOCKS} blocks, not {depth}")
    keras = import_keras()
    layers = keras.layers
    crops = keras.Input((SIDE, SIDE, 3), name="crops")
    variance = np.square(np.asarray(STD) * 255.0)
    scaled = layers.Normalization(mean=np.asarray(MEAN) * 255.0, variance=variance, name="colours")(crops)
    patches = layers.Conv2D(WIDTH, PATCH, strides=PATCH, use_bias=False, name="patch")(scaled)
    patches = layers.Reshape((TOKENS - 1, WIDTH), name="patches")(patches)
    tokens = _embedding_layer()(name="embedding")(patches)
    tokens = layers.LayerNormalization(epsilon=EPSILON, name="pre_norm")(tokens)
    outputs = []
    for block in range(1, depth + 1):
        tokens = _block(tokens, f"block{block}")
        outputs.append(tokens)
    if depth == BLOCKS:
        first = layers.Cropping1D((0, TOKENS - 1), name="class_token")(tokens)
        normed = layers.LayerNormalization(epsilon=EPSILON, name="post_norm")(
            layers.Flatten(name="flat")(first)
        )
        outputs.append(layers.Dense(EMBEDDING, use_bias=False, name="projection")(normed))
    return keras.Model(crops, outputs, name=f"clip_vit_b16_{depth}")


@cache
def _embedding_layer() -> Any:
    """The one layer that Keras lacks: it puts the class token first and adds the position embeddings."""
    keras = import_keras()

    class ClassAndPosition(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(WIDTH,), name="class")
            self.position = self.add_weight(shape=(TOKENS, WIDTH), name="position")

        def call(self, patches: Any) -> Any:
            ops = keras.ops
            token = ops.broadcast_to(self.token, (ops.shape(patches)[0], 1, WIDTH))
            return ops.concatenate([token, patches], axis=1) + self.position

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], TOKENS, WIDTH)

    return ClassAndPosition


def _block(tokens: Any, name: str) -> Any:
    layers = import_keras().layers
    normed = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(tokens)
    seen = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")(normed, normed)
    tokens = layers.Add(name=f"{name}_add1")([tokens, seen])
    normed = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(tokens)
    wide = layers.Dense(HIDDEN, name=f"{name}_mlp1")(normed)
    # Quick GELU: x * sigmoid(1.702 x).
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(
        layers.Rescaling(1.702, name=f"{name}_slope")(wide)
    )
    narrow = layers.Dense(WIDTH, name=f"{name}_mlp2")(layers.Multiply(name=f"{name}_gelu")([wide, gate]))
    return layers.Add(name=f"{name}_add2")([tokens, narrow])


def restore(tower: Any, weights: Weights) -> None:
    """Puts the ported weights into a tower, as far as it goes."""
    tower.get_layer("embedding").set_weights([weights["class"], weights["position"]])
    tower.get_layer("patch").set_weights([weights["patch"]])
    for layer in tower.layers:
        name = layer.name.replace("_", "/", 1) if layer.name.startswith("block") else layer.name
        if f"{name}/gamma" in weights:
            layer.set_weights([weights[f"{name}/gamma"], weights[f"{name}/beta"]])
        elif name.endswith("/attention"):
            layer.set_weights(_attention(weights, name.removesuffix("/attention")))
        elif f"{name}/kernel" in weights:
            layer.set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    if len(tower.outputs) > BLOCKS:
        tower.get_layer("projection").set_weights([weights["projection"]])


def _attention(weights: Weights, block: str) -> list[Any]:
    """The attention's weights as Keras keeps them, each head apart."""
    own = []
    for part in ("query", "key", "value"):
        own.append(weights[f"{block}/{part}/kernel"].reshape(WIDTH, HEADS, -1))
        own.append(weights[f"{block}/{part}/bias"].reshape(HEADS, -1))
    return [*own, weights[f"{block}/out/kernel"].reshape(HEADS, -1, WIDTH), weights[f"{block}/out/bias"]]
