"""A real Ray cluster of several nodes on this machine, and what its tests scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vidscan.media.sources import from_folder
from vidscan.options import ModelOptions, SamplingOptions, ScanOptions
from vidscan.records import Source

SAMPLES = Path(__file__).parents[2] / "samples"

OPTIONS = ScanOptions(sampling=SamplingOptions(fps=2), model=ModelOptions((Path("vidscan-lite2"),)))

PROMPT = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_failure_threshold": 3,
}
"""Has the head take a node for dead that was silent for a second, where Ray waits for fifteen."""


class Nodes:
    """A cluster whose head takes no work, and nodes of one CPU that come and go."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": PROMPT},
        )
        self._nodes: list = []

    @property
    def address(self) -> str:
        return self._cluster.address

    def add(self, count: int, cpus: int = 1, gpus: int = 0, **environment: str) -> None:
        """Starts nodes; the variables are set for them and for the workers on them."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            self._nodes += [self._cluster.add_node(num_cpus=cpus, num_gpus=gpus) for _ in range(count)]
        self._cluster.wait_for_nodes(60)

    def kill(self, which: int = 0) -> None:
        """SIGKILL to a node's raylet, which takes its workers with it."""
        self._cluster.remove_node(self._nodes.pop(which), allow_graceful=False)

    def remove_all(self) -> None:
        while self._nodes:
            self._cluster.remove_node(self._nodes.pop())
        self._cluster.wait_for_nodes(60)  # until those that were killed are taken for dead

    def shutdown(self) -> None:
        self._cluster.shutdown()


def copies(count: int) -> list[Source]:
    """The samples, so often."""
    found = from_folder(SAMPLES) * count
    return [replace(source, id=str(number)) for number, source in enumerate(found)]
