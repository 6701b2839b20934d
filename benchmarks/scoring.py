"""Times our runtimes against ``keras.Model.predict`` and against the machine's matrix-product rate.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --networks vit --vit-float32 VIT.onnx

Everything is interleaved: each round times every runtime at every batch size once, and a large float32
matrix product between them, so that a machine that slows down slows all of them. Ratios are medians over
the rounds. EfficientNetB4 has random weights, batch normalisation included: its scores mean nothing, but
its arithmetic is that of a trained one. The int8 files take their ranges from the faces in ``samples/``.
The vision transformer ships as int8 alone, and has a table of its own, beside Lite2 as a scan computes it.
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

from vidscan.cli.export import ExportOptions, calibration_crops, export
from vidscan.models.checkpoint import load_model, save_checkpoint
from vidscan.records import Geometry, ModelCard
from vidscan_training.fitting.build import build_network

PRODUCT_SIDE = 2048
"""Side of the square matrices whose product is the machine's rate."""

CHECKPOINTS = Path(__file__).resolve().parents[1] / "model" / "checkpoints"
LITE2, VIT = CHECKPOINTS / "vidscan-lite2.keras", CHECKPOINTS / "vidscan-vit.onnx"

VIT_BATCHES = (1, 16)

Timed = Callable[[np.ndarray], np.ndarray]
Way = tuple[Timed, np.ndarray]
"""What computes, and ``uint8[n, size, size, 3]`` crops for it, as many as the largest batch."""


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
        out = folder / f"{name}-{kind}.onnx"
        export(ExportOptions(kind, out, checkpoint))
        ways[kind], sizes[kind] = load_model(out, "auto").runtime.outputs, out.stat().st_size / 1e6
    size = keras.card.input_size
    crops = faces(Geometry(size, keras.card.margin), 32)
    truth = keras.runtime.outputs(crops)
    apart = {way: float(np.abs(compute(crops) - truth).max()) for way, compute in ways.items()}
    seconds, rates = interleaved(
        {way: (compute, crops) for way, compute in ways.items()}, flags.batches, flags.rounds
    )
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


def faces(geometry: Geometry, count: int) -> np.ndarray:
    """Crops of the faces in ``samples/``, repeated: ``uint8[count, size, size, 3]``."""
    size = geometry.input_size
    return np.resize(calibration_crops(None, geometry), (count, size, size, 3))


def measure_vit(flags: argparse.Namespace) -> list[str]:
    """The second table's rows: the vision transformer as it ships, and in float32 where a file is given."""
    files = {("lite2", "float32"): LITE2, ("vit", "int8"): VIT}
    if flags.vit_float32 is not None:
        files["vit", "float32"] = flags.vit_float32
    models = {way: load_model(path, "onnx") for way, path in files.items()}
    # A file of another precision may have no card; it takes the crops of the one that ships.
    margins = {name: models[name, kind].card.margin for name, kind in (("lite2", "float32"), ("vit", "int8"))}
    ways: dict[str, Way] = {}
    for (name, kind), model in models.items():
        crops = faces(Geometry(model.card.input_size, margins[name]), max(VIT_BATCHES))
        ways[f"{name} {kind}"] = (model.runtime.outputs, crops)
    seconds, _ = interleaved(ways, VIT_BATCHES, flags.rounds)
    said = {way: compute(crops) for way, (compute, crops) in ways.items()}
    rows = []
    for batch in VIT_BATCHES:
        for (name, kind), path in files.items():
            own, lite2 = seconds[f"{name} {kind}", batch], seconds["lite2 float32", batch]
            times = median(mine / each for mine, each in zip(own, lite2, strict=True))
            exact = said.get(f"{name} float32")
            apart = "" if exact is None else f"{np.abs(said[f'{name} {kind}'] - exact).max():.1e}"
            rows.append(
                f"| {name} | {kind} | {batch} | {1000 * median(own) / batch:.1f} | {times:.2f} | {apart} "
                f"| {path.stat().st_size / 1e6:.1f} |"
            )
    return rows


def interleaved(
    ways: dict[str, Way], batches: Sequence[int], rounds: int
) -> tuple[dict[tuple[str, int], list[float]], list[float]]:
    """Seconds of every way at every batch size, round by round, and the rates of the matrix product."""
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    rates: list[float] = []
    for turn in range(rounds + 1):
        for batch in batches:
            for way, (compute, crops) in ways.items():
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
    parser.add_argument(
        "--networks", nargs="+", choices=["b4", "lite2", "vit"], default=["b4", "lite2", "vit"]
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--int8", nargs="*", choices=["onnx-int8"], default=["onnx-int8"])
    parser.add_argument(
        "--vit-float32",
        type=Path,
        metavar="FILE",
        help="made by: python -m vidscan_training.recipes.vit export --precision float32",
    )
    parser.add_argument(
        "--memory", type=Path, metavar="CHECKPOINT", help="only print the peak memory, in MiB"
    )
    flags = parser.parse_args(argv)
    if flags.memory:
        print(peak_memory(flags.memory, max(flags.batches)))
        return
    if others := [name for name in flags.networks if name != "vit"]:
        print_by_runtime(others, flags)
    if "vit" in flags.networks:
        print("| network | precision | batch | ms a crop | times lite2 | largest difference | MB |")
        print("|---|---|---|---|---|---|---|")
        print(*measure_vit(flags), sep="\n")


def print_by_runtime(names: Sequence[str], flags: argparse.Namespace) -> None:
    """Prints the table of the networks that every runtime computes."""
    print(
        "| network | runtime | batch | ms an image | times keras | times onnx | of the product's rate "
        "| largest difference | MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="vidscan-") as made:
        folder = Path(made)
        for name in names:
            checkpoint = random_b4(folder) if name == "b4" else LITE2
            for row in measure(name, checkpoint, flags, folder):
                print(row, flush=True)
    print()


if __name__ == "__main__":
    main()
