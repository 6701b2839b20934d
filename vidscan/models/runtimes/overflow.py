"""Tells whether this processor's integer products overflow, by computing one.

x86-64 processors with AVX2 or AVX-512 but without VNNI add products of uint8 and int8 in pairs of 16 bits,
which may overflow. onnxruntime can use wider sums there, which take twice as long, so they are enabled only
if needed.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np

SIDE, A, B = 64, 255, 127
"""Two matrices of ``SIDE`` rows and columns are multiplied, full of ``A`` (uint8) and ``B`` (int8)."""

EXACT = SIDE * A * B
NETWORK = "product_int8.onnx"
"""An asset that takes the first matrix as ``a``, and holds the second (a test makes it anew)."""

WIDER_SUMS = ("session.x64quantprecision", "1")
"""The entry of a session's configuration that makes onnxruntime use wider sums."""


@cache
def products_overflow(runtime: Any) -> bool:
    """Tells whether ``runtime``, the onnxruntime module, computes a wrong product by default."""
    return product(runtime) != EXACT


def product(runtime: Any, *entries: tuple[str, str]) -> int:
    """Returns one element of the product, computed with these configuration entries."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    for entry in entries:
        options.add_session_config_entry(*entry)
    network = (resources.files("vidscan") / "assets" / NETWORK).read_bytes()
    session = runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"a": np.full((SIDE, SIDE), A, np.uint8)})
    return int(found[0, 0])
