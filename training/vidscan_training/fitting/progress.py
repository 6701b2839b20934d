"""Shows a training's progress on stderr: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LINE_EVERY = 50
_SMOOTHING = 0.95


class StepDisplay:
    """Passes losses through and shows them."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def watch(
        self, losses: Iterable[float], epoch: int, steps: int, batch_size: int, rate: Callable[[], float]
    ) -> Iterator[float]:
        """Yields ``losses`` while showing their running mean, the learning rate and images a second."""
        from tqdm import tqdm

        bar = tqdm(total=steps, desc=f"epoch {epoch}", unit="batch", disable=not self._terminal, leave=False)
        mean, began, since = 0.0, time.perf_counter(), 0
        with bar:
            for count, loss in enumerate(losses, start=1):
                mean = loss if count == 1 else _SMOOTHING * mean + (1 - _SMOOTHING) * loss
                since += 1
                if count % _LINE_EVERY == 0 or count == steps:
                    speed = since * batch_size / (time.perf_counter() - began)
                    began, since = time.perf_counter(), 0
                    if self._terminal:
                        bar.set_postfix(loss=f"{mean:.4f}", rate=f"{rate():.1e}", images_s=f"{speed:.1f}")
                    else:
                        line = f"epoch {epoch} step {count}/{steps} loss {mean:.4f} rate {rate():.1e}"
                        print(f"{line} {speed:.1f} images/s", file=sys.stderr, flush=True)
                bar.update()
                yield loss

    def epoch(self, record: dict[str, Any]) -> None:
        """Prints an epoch's figures on one line."""
        shown = [f"{name} {_brief(value)}" for name, value in record.items()]
        print("  ".join(shown), file=sys.stderr, flush=True)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
