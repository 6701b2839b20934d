"""The engine on a real Ray cluster of several nodes: the same reports, whatever dies."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ray_cluster import OPTIONS, SAMPLES, Nodes, copies

from vidscan.engines.local import LocalEngine
from vidscan.engines.ray import crew, driver
from vidscan.engines.ray.driver import RayEngine
from vidscan.errors import ClusterError, ModelError
from vidscan.media.sources import from_folder
from vidscan.models.loading import load_models, with_runtimes
from vidscan.options import ModelOptions, RayOptions, ScanOptions
from vidscan.records import Report, Stats, Status

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidscan[ray]'")

if sys.platform != "linux":
    pytest.skip("a cluster of several nodes on one machine needs Linux", allow_module_level=True)

HARM = Path(__file__).with_name("ray_nodes")


def opened(nodes: Nodes, options: ScanOptions = OPTIONS):
    models = load_models(options.model.paths or None)
    return RayEngine(with_runtimes(options, models), models, RayOptions(nodes.address, cpus=1))


def assert_equal_to_local(reports: Sequence[Report], here: dict[str, Report]) -> None:
    for report in reports:
        expected = here[report.source.path.name]
        assert report.status is Status.OK
        assert replace(report.verdict, fake_probability=None, confidence=None, interval=None) == replace(
            expected.verdict, fake_probability=None, confidence=None, interval=None
        )
        if expected.verdict.fake_probability is not None:
            assert report.verdict.fake_probability == pytest.approx(
                expected.verdict.fake_probability, abs=1e-6
            )
            assert report.verdict.interval == pytest.approx(expected.verdict.interval, abs=1e-6)
        scores = [face.fake_probability for point in report.timeline for face in point.faces]
        wanted = [face.fake_probability for point in expected.timeline for face in point.faces]
        assert scores == pytest.approx(wanted, abs=1e-6)
        assert report.facts == expected.facts
        assert report.provenance == expected.provenance
        times = {"seconds": Stats().seconds, "batch_slots": 0.0}
        assert replace(report.stats, **times) == replace(expected.stats, **times)


def test_a_killed_node_costs_nothing_but_its_files_in_flight(nodes: Nodes, here):
    nodes.add(2)
    sources = copies(3)
    reports = []
    with opened(nodes) as cluster:
        assert "with 2 workers" in cluster.about
        for report in cluster.scan(sources):
            reports.append(report)
            if len(reports) == 5:
                nodes.kill()
    assert sorted(int(report.source.id) for report in reports) == list(range(len(sources)))
    assert_equal_to_local(reports, here)


def test_a_node_that_joins_later_is_used(nodes: Nodes, here):
    nodes.add(1)
    models = load_models("vidscan-lite2")
    reports = []
    with RayEngine(OPTIONS, models, RayOptions(nodes.address, workers=2, cpus=1)) as cluster:
        for report in cluster.scan(copies(3)):
            reports.append(report)
            if len(reports) == 2:
                nodes.add(1)
                nodes.kill()  # the first; the second goes on
    assert len(reports) == len(copies(3))
    assert_equal_to_local(reports, here)


def test_a_file_that_kills_its_worker_is_given_up_and_the_others_are_done(nodes: Nodes, here, tmp_path):
    nodes.add(2, PYTHONPATH=str(HARM))
    for sample in from_folder(SAMPLES):
        shutil.copy(sample.path, tmp_path)
    shutil.copy(SAMPLES / "astronaut.jpg", tmp_path / "kills.jpg")
    with opened(nodes) as cluster:
        reports = {report.source.path.name: report for report in cluster.scan(from_folder(tmp_path))}
    killer = reports.pop("kills.jpg")
    assert killer.status is Status.FAILED
    assert killer.error.type == "WorkerError"
    assert (
        str(tmp_path / "kills.jpg") in killer.error.message and "worker after worker" in killer.error.message
    )
    assert "\n" not in killer.error.message
    assert set(reports) == set(here)
    assert_equal_to_local(list(reports.values()), here)


def test_a_worker_that_hangs_is_ended(nodes: Nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "CHECK_S", 0.5)
    monkeypatch.setattr(crew, "SILENCE_LIMIT_S", 8.0)  # it must load its networks in it
    monkeypatch.setattr(driver, "DEATHS_ALLOWED", 1)
    nodes.add(1, PYTHONPATH=str(HARM))
    for name in ("hangs.jpg", "no-face.jpg"):
        shutil.copy(SAMPLES / "no-face.jpg", tmp_path / name)
    with opened(nodes) as cluster:
        reports = {report.source.path.name: report for report in cluster.scan(from_folder(tmp_path))}
    assert "it gave no sign of life for" in reports["hangs.jpg"].error.message
    assert reports["no-face.jpg"].status is Status.OK


def test_bad_file_is_a_failed_report_under_the_name_it_was_given(nodes: Nodes, tmp_path, monkeypatch):
    nodes.add(1)
    monkeypatch.chdir(tmp_path)
    Path("broken.mp4").write_bytes(b"no clip")
    with opened(nodes) as cluster:
        (report,) = cluster.scan(from_folder(Path()))
    (alone,) = LocalEngine(OPTIONS, load_models("vidscan-lite2")).scan(from_folder(Path()))
    assert report.source == alone.source and report.error == alone.error


def test_checkpoint_that_a_node_cannot_find(nodes: Nodes, tiny_checkpoint: Path, tmp_path):
    nodes.add(1)
    path = tmp_path / "mine.keras"
    shutil.copy(tiny_checkpoint, path)
    options = replace(OPTIONS, model=ModelOptions((path,)))
    cluster = opened(nodes, options)
    path.unlink()
    with pytest.raises(ModelError, match=r"mine\.keras"):
        cluster.__enter__()


def test_other_checkpoint_under_the_same_name(nodes: Nodes, tiny_checkpoint, contrary_checkpoint, tmp_path):
    nodes.add(1)
    path = tmp_path / "mine.keras"
    shutil.copy(tiny_checkpoint, path)
    cluster = opened(nodes, replace(OPTIONS, model=ModelOptions((path,))))
    shutil.copy(contrary_checkpoint, path)
    with pytest.raises(ClusterError, match="another checkpoint"):
        cluster.__enter__()


def test_workers_share_gpus(nodes: Nodes, here):
    """Ray deals out what a node says it has: there need be no GPU for this."""
    nodes.add(1, cpus=4, gpus=1)
    models = load_models("vidscan-lite2")
    with RayEngine(OPTIONS, models, RayOptions(nodes.address, cpus=1)) as cluster:
        assert "with 1 worker" in cluster.about, "each takes a GPU where there are any"
    with RayEngine(OPTIONS, models, RayOptions(nodes.address, cpus=1, gpus=0)) as cluster:
        assert "with 4 workers" in cluster.about
    with RayEngine(OPTIONS, models, RayOptions(nodes.address, cpus=1, gpus=0.5)) as cluster:
        assert "with 2 workers" in cluster.about
        reports = list(cluster.scan(copies(1)))
    assert_equal_to_local(reports, here)


def test_no_room_for_a_worker(nodes: Nodes):
    nodes.add(1)
    with pytest.raises(ClusterError, match="8 CPUs for a worker"):
        RayEngine(OPTIONS, load_models("vidscan-lite2"), RayOptions(nodes.address, cpus=8)).__enter__()
