"""Shows a training's progress on stderr: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LINE_EVERY = 50
_SMOOTHING = 0.95


def shown(
    losses: Iterable[float], epoch: int, steps: int, batch_size: int, rate: Callable[[], float]
) -> Iterator[float]:
    """Yields ``losses`` while showing their running mean, the learning rate and images a second."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    mean, began, since = 0.0, time.perf_counter(), 0
    with tqdm(total=steps, desc=f"epoch {epoch}", unit="batch", disable=not terminal, leave=False) as bar:
        for count, loss in enumerate(losses, start=1):
            mean = loss if count == 1 else _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            since += 1
            if count % _LINE_EVERY == 0 or count == steps:
                speed = since * batch_size / (time.perf_counter() - began)
                began, since = time.perf_counter(), 0
                if terminal:
                    bar.set_postfix(loss=f"{mean:.4f}", rate=f"{rate():.1e}", images_s=f"{speed:.1f}")
                else:
                    line = f"epoch {epoch} step {count}/{steps} loss {mean:.4f} rate {rate():.1e}"
                    print(f"{line} {speed:.1f} images/s", file=sys.stderr, flush=True)
            bar.update()
            yield loss


def print_epoch(record: dict[str, Any]) -> None:
    """Prints an epoch's figures on one line."""
    figures = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in record.items()}
    print("  ".join(f"{name} {value}" for name, value in figures.items()), file=sys.stderr, flush=True)
