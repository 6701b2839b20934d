"""For the tests on a Ray cluster; each file has one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ray_cluster import OPTIONS, SAMPLES, Nodes

from vidscan.engines.local import LocalEngine
from vidscan.media.sources import from_folder
from vidscan.models.loading import load_models
from vidscan.records import Report


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.shutdown()


@pytest.fixture
def nodes(cluster: Nodes) -> Iterator[Nodes]:
    yield cluster
    cluster.remove_all()


@pytest.fixture(scope="module")
def here() -> dict[str, Report]:
    """What the local engine finds in the samples, by name."""
    reports = LocalEngine(OPTIONS, load_models("vidscan-lite2")).scan(from_folder(SAMPLES))
    return {report.source.path.name: report for report in reports}
