"""Random weights for the first blocks of a tower of the real widths, and networks run by onnxruntime."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.models.runtimes.onnx import import_onnxruntime
from vidscan.models.runtimes.overflow import WIDER_SUMS, products_overflow
from vidscan_training.recipes.vit.tower.port import HIDDEN, PATCH, SIDE, TOKENS, WIDTH, Weights

LOUD_CHANNELS = 5
"""Channels whose norms are much larger than the rest, as trained towers have them."""


@cache
def made_weights(depth: int) -> Weights:
    """Weights by the names of :data:`~vidscan_training.recipes.vit.tower.port.Weights`.

    Without those that follow the last block.
    """
    generator = np.random.default_rng(depth)

    def drawn(*shape: int) -> npt.NDArray[np.float32]:
        return generator.normal(0.0, 0.04, shape).astype(np.float32)

    def norm(name: str) -> dict[str, npt.NDArray[np.float32]]:
        gamma = 1.0 + drawn(WIDTH)
        gamma[generator.choice(WIDTH, LOUD_CHANNELS, replace=False)] *= 30.0
        return {f"{name}/gamma": gamma, f"{name}/beta": drawn(WIDTH)}

    weights = {
        "patch": drawn(PATCH, PATCH, 3, WIDTH),
        "class": drawn(WIDTH),
        "position": drawn(TOKENS, WIDTH),
        **norm("pre_norm"),
    }
    for block in range(1, depth + 1):
        for part, inputs, outputs in (
            ("query", WIDTH, WIDTH),
            ("key", WIDTH, WIDTH),
            ("value", WIDTH, WIDTH),
            ("out", WIDTH, WIDTH),
            ("mlp1", WIDTH, HIDDEN),
            ("mlp2", HIDDEN, WIDTH),
        ):
            weights[f"block{block}/{part}/kernel"] = drawn(inputs, outputs)
            weights[f"block{block}/{part}/bias"] = drawn(outputs)
        weights |= norm(f"block{block}/norm1") | norm(f"block{block}/norm2")
    return weights


def made_crops(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Crops of noise on gradients, each of another brightness, RGB ``uint8[count, 224, 224, 3]``."""
    generator = np.random.default_rng(seed)
    slope = np.linspace(0.0, 120.0, SIDE)
    crops = [
        np.add.outer(slope * generator.random(), slope)[..., None]
        + generator.normal(0.0, generator.uniform(2.0, 30.0), (SIDE, SIDE, 3))
        for _ in range(count)
    ]
    return np.clip(np.array(crops), 0, 255).astype(np.uint8)


def computed(content: bytes, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    """All outputs of an ONNX file, computed at once by one thread, with int8 products as a scan has them."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    if products_overflow(runtime):
        options.add_session_config_entry(*WIDER_SUMS)
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, inputs)
