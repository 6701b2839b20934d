"""Times our runtimes against ``keras.Model.predict`` and against the machine's matrix-product rate.

    python benchmarks/scoring.py

Everything is interleaved: each round times every runtime at every batch size once, and a large float32
matrix product between them, so that a machine that slows down slows all of them. Ratios are medians over
the rounds. EfficientNetB4 has random weights, batch normalisation included: its scores mean nothing, but
its arithmetic is that of a trained one. The int8 files take their ranges from the faces in ``samples/``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from vidscan.export import ExportOptions, calibration_crops, export
from vidscan.model import build_network, load_model, save_checkpoint
from vidscan.records import Geometry, ModelCard

PRODUCT_SIDE = 2048
"""Side of the square matrices whose product is the machine's rate."""

Timed = Callable[[np.ndarray], np.ndarray]


def random_b4(folder: Path) -> Path:
    """EfficientNetB4 with random weights, its batch normalisation disturbed as training would."""
    network = build_network("efficientnetb4")
    random = np.random.default_rng(0)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([each * random.uniform(0.8, 1.2, each.shape) for each in layer.get_weights()])
    path = folder / "b4.keras"
    save_checkpoint(network, path, ModelCard("b4", "efficientnetb4", 380))
    return path


def operations(network: Any) -> float:
    """Multiplications and additions for one image, in GFLOP: those of convolutions and dense layers."""
    total = 0
    for layer in network.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            places = int(np.prod(layer.output.shape[1:-1])) if "Conv" in kind else 1
            total += 2 * places * int(np.prod(layer.kernel.shape))
    return total / 1e9


def product_rate() -> float:
    """GFLOP/s of a large float32 matrix product."""
    left = np.random.default_rng(0).standard_normal((PRODUCT_SIDE, PRODUCT_SIDE), dtype=np.float32)
    began = time.perf_counter()
    _ = left @ left
    return 2 * PRODUCT_SIDE**3 / (time.perf_counter() - began) / 1e9


def measure(name: str, checkpoint: Path, flags: argparse.Namespace, folder: Path) -> list[str]:
    """The table's rows for one network."""
    keras = load_model(checkpoint)
    onnx = load_model(checkpoint, "onnx")
    cost = operations(keras.network)
    ways: dict[str, Timed] = {
        "keras predict": lambda crops: keras.network.predict(crops, batch_size=32, verbose=0),
        "onnx": onnx.runtime.outputs,
    }
    sizes = {}
    for kind in flags.int8:
        out = folder / f"{name}-{kind}.{'tflite' if 'tflite' in kind else 'onnx'}"
        export(ExportOptions(kind, out, checkpoint))
        ways[kind], sizes[kind] = load_model(out, "auto").runtime.outputs, out.stat().st_size / 1e6
    size = keras.card.input_size
    crops = np.resize(calibration_crops(None, Geometry(size, keras.card.margin)), (32, size, size, 3))
    truth = keras.runtime.outputs(crops)
    apart = {way: float(np.abs(compute(crops) - truth).max()) for way, compute in ways.items()}
    seconds, rates = interleaved(ways, crops, flags.batches, flags.rounds)
    rate, rows = median(rates), []
    for batch in flags.batches:
        for way in ways:
            taken = median(seconds[way, batch]) / batch
            paired = zip(seconds["keras predict", batch], seconds[way, batch], strict=True)
            faster = median(slow / fast for slow, fast in paired)
            against = median(
                each / mine for each, mine in zip(seconds["onnx", batch], seconds[way, batch], strict=True)
            )
            megabytes = f"{sizes[way]:.1f}" if way in sizes else ""
            rows.append(
                f"| {name} | {way} | {batch} | {1000 * taken:.0f} | {faster:.2f} | {against:.2f} "
                f"| {cost / taken / rate:.2f} | {apart[way]:.1e} | {megabytes} |"
            )
    print(f"{name}: {cost:.2f} GFLOP an image; matrix product {rate:.0f} GFLOP/s", file=sys.stderr)
    return rows


def interleaved(
    ways: dict[str, Timed], crops: np.ndarray, batches: Sequence[int], rounds: int
) -> tuple[dict[tuple[str, int], list[float]], list[float]]:
    """Seconds of every way at every batch size, round by round, and the rates of the matrix product."""
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    rates: list[float] = []
    for turn in range(rounds + 1):
        for batch in batches:
            for way, compute in ways.items():
                began = time.perf_counter()
                compute(crops[:batch])
                # The first round warms up: graphs are traced and memory is taken.
                if turn:
                    seconds[way, batch].append(time.perf_counter() - began)
            if turn:
                rates.append(product_rate())
    return seconds, rates


def peak_memory(checkpoint: Path, batch: int) -> int:
    """Peak resident MiB of this process after scoring one batch through onnxruntime from a warm cache."""
    model = load_model(checkpoint, "onnx")
    size = model.card.input_size
    model.score(np.zeros((batch, size, size, 3), np.uint8))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a table for README.md."""
    parser = argparse.ArgumentParser(description="Times scoring by the runtimes, in one run.")
    parser.add_argument("--networks", nargs="+", choices=["b4", "lite2"], default=["b4", "lite2"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--int8", nargs="*", choices=["onnx-int8", "tflite-int8"], default=["onnx-int8", "tflite-int8"]
    )
    parser.add_argument(
        "--memory", type=Path, metavar="CHECKPOINT", help="only print the peak memory, in MiB"
    )
    flags = parser.parse_args(argv)
    if flags.memory:
        print(peak_memory(flags.memory, max(flags.batches)))
        return
    print(
        "| network | runtime | batch | ms an image | times keras | times onnx | of the product's rate "
        "| largest difference | MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = Path(made)
        for name in flags.networks:
            checkpoint = random_b4(folder) if name == "b4" else load_model().path
            for row in measure(name, checkpoint, flags, folder):
                print(row, flush=True)


if __name__ == "__main__":
    main()
