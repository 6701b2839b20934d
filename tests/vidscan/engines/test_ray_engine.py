"""Scans on a real Ray cluster of several nodes on this machine: the same reports, whatever dies."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from vidscan.cli.main import EXIT_OK, EXIT_USAGE, main
from vidscan.engines.local import LocalEngine
from vidscan.engines.ray import crew, driver
from vidscan.engines.ray.driver import RayEngine
from vidscan.errors import ClusterError, ModelError
from vidscan.media.sources import from_folder
from vidscan.models.loading import load_models, with_runtimes
from vidscan.options import ModelOptions, RayOptions, SamplingOptions, ScanOptions
from vidscan.records import Report, Source, Stats, Status

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidscan[ray]'")

SAMPLES = Path(__file__).parents[3] / "samples"
HARM = Path(__file__).with_name("ray_nodes")
ROOT = Path(__file__).parents[3]

if sys.platform != "linux":
    pytest.skip("a cluster of several nodes on one machine needs Linux", allow_module_level=True)


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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.shutdown()


@pytest.fixture
def nodes(cluster: Nodes) -> Iterator[Nodes]:
    yield cluster
    cluster.remove_all()


OPTIONS = ScanOptions(sampling=SamplingOptions(fps=2), model=ModelOptions((Path("vidscan-lite2"),)))


@pytest.fixture(scope="module")
def here() -> dict[str, Report]:
    """What the local engine finds in the samples, by name."""
    reports = LocalEngine(OPTIONS, load_models("vidscan-lite2")).scan(from_folder(SAMPLES))
    return {report.source.path.name: report for report in reports}


def copies(count: int) -> list[Source]:
    """The samples, so often."""
    found = from_folder(SAMPLES) * count
    return [replace(source, id=str(number)) for number, source in enumerate(found)]


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
    sources = copies(4)
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
        for report in cluster.scan(copies(6)):
            reports.append(report)
            if len(reports) == 2:
                nodes.add(1)
                nodes.kill()  # the first; the second goes on
    assert len(reports) == len(copies(6))
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
    monkeypatch.setattr(crew, "SILENCE_LIMIT_S", 12.0)  # it must load TensorFlow in it
    monkeypatch.setattr(driver, "DEATHS_ALLOWED", 1)
    nodes.add(1, PYTHONPATH=str(HARM))
    for name in ("hangs.jpg", "no-face.jpg"):
        shutil.copy(SAMPLES / "no-face.jpg", tmp_path / name)
    with opened(nodes) as cluster:
        reports = {report.source.path.name: report for report in cluster.scan(from_folder(tmp_path))}
    assert "it gave no sign of life for 1" in reports["hangs.jpg"].error.message
    assert reports["no-face.jpg"].status is Status.OK


def test_bad_file_is_a_failed_report_under_the_name_it_was_given(nodes: Nodes, tmp_path, monkeypatch):
    nodes.add(1)
    monkeypatch.chdir(tmp_path)
    Path("broken.mp4").write_bytes(b"no clip")
    with opened(nodes) as cluster:
        (report,) = cluster.scan(from_folder(Path()))
    (alone,) = LocalEngine(OPTIONS, load_models("vidscan-lite2")).scan(from_folder(Path()))
    assert report.source == alone.source and report.error == alone.error


def test_another_vidscan_on_the_nodes_is_one_clear_line(nodes: Nodes, tmp_path):
    shutil.copytree(ROOT / "vidscan", tmp_path / "vidscan")
    with (tmp_path / "vidscan" / "verdict.py").open("a") as file:
        file.write("\n# changed\n")
    nodes.add(1, PYTHONPATH=str(tmp_path))
    # As a program of its own: Ray hands the folders that this process imports from on to the workers.
    program = Path(sys.executable).with_name("vidscan")
    scan = [program, *scan_of(SAMPLES, nodes, tmp_path / "out.json")[3:]]
    done = subprocess.run(scan, capture_output=True, text=True, cwd=tmp_path.parent, timeout=120)
    assert done.returncode == EXIT_USAGE
    assert len(done.stderr.splitlines()) == 1
    assert "the Ray cluster runs another vidscan (vidscan's code " in done.stderr


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


def folder_of(count: int, folder: Path) -> Path:
    folder.mkdir()
    for source in copies(count):
        (folder / f"{source.id}-{source.path.name}").symlink_to(source.path)
    return folder


def scan_of(clips: Path | str, nodes: Nodes, report: str | Path) -> list[str]:
    """The command that scans a folder on the nodes."""
    where = ("--engine", "ray", "--ray-address", nodes.address, "--ray-cpus", "1")
    return [sys.executable, "-m", "vidscan", "dir", str(clips), "--fast", *where, "--report", str(report)]


def test_data_alone_go_to_stdout_while_a_node_dies(nodes: Nodes, tmp_path):
    nodes.add(2)
    clips = folder_of(4, tmp_path / "clips")
    scan = subprocess.Popen(
        scan_of(clips, nodes, "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert scan.stderr is not None
    said = scan.stderr.readline().decode()
    assert said == "on a Ray cluster, with 2 workers\n"
    time.sleep(2)
    nodes.kill()
    output, errors = scan.communicate(timeout=120)
    assert scan.returncode == EXIT_OK, errors.decode()
    assert json.loads(output)["summary"]["total"] == 28
    assert "[state-dump]" not in errors.decode()


def test_a_killed_driver_repeats_only_what_was_in_flight(nodes: Nodes, tmp_path):
    nodes.add(1)
    clips, out = folder_of(4, tmp_path / "clips"), tmp_path / "out.json"
    arguments = scan_of(clips, nodes, out)
    first = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "out.json.journal"
    until = time.monotonic() + 100
    while not (journal.exists() and len(journal.read_bytes().splitlines()) > 8):
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = sum(line.endswith(b"\n") for line in journal.read_bytes().splitlines(keepends=True)) - 1
    assert 8 <= done < 28
    again = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, timeout=120)
    assert again.returncode == EXIT_OK, again.stderr
    assert f"resumed: {done} files were finished before, {28 - done} are left" in again.stdout
    results = json.loads(out.read_text())["results"]
    assert [result["source"] for result in results] == [str(path) for path in sorted(clips.iterdir())]
    assert not journal.exists()


def test_interrupt_keeps_what_was_finished_and_waits_for_what_is_in_flight(nodes: Nodes, tmp_path):
    nodes.add(1)
    clips, out = folder_of(6, tmp_path / "clips"), tmp_path / "out.json"
    scan = subprocess.Popen(
        scan_of(clips, nodes, out),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    journal = tmp_path / "out.json.journal"
    while not (journal.exists() and len(journal.read_bytes().splitlines()) > 3):
        assert scan.poll() is None
        time.sleep(0.05)
    scan.send_signal(signal.SIGTERM)
    _, errors = scan.communicate(timeout=60)
    assert scan.returncode == 128 + signal.SIGTERM, errors.decode()
    assert "stopping" in errors.decode()
    assert 3 <= json.loads(out.read_text())["summary"]["total"] < 42


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--engine", "ray", "--ray-address", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9"),
        (["--engine", "ray", "--isolate"], "--isolate goes with --engine local"),
        (["--engine", "ray", "--ray-cpus", "0"], "--ray-cpus 0 cannot work"),
        (["--engine", "ray", "--ray-gpus", "1.5"], "--ray-gpus 1.5 cannot work"),
        (["--engine", "ray", "--ray-workers", "0"], "--ray-workers 0 cannot work"),
        (["--ray-workers", "3"], "go with --engine ray"),
    ],
)
def test_what_cannot_work_is_one_line(flags: list[str], told: str, capsys):
    assert main(["dir", str(SAMPLES), "--fast", *flags]) == EXIT_USAGE
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and told in said[0]


def test_without_ray_the_line_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["dir", str(SAMPLES), "--engine", "ray"]) == EXIT_USAGE
    assert capsys.readouterr().err == "vidscan: --engine ray needs Ray: pip install 'vidscan[ray]'\n"


def test_a_hundred_clips_from_a_bucket_into_parquet_while_a_node_dies(nodes: Nodes, here, s3, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    names = sorted(here)
    for number in range(100):
        name = names[number % len(names)]
        s3.put("clips", f"in/{number:03}-{name}", SAMPLES / name)
    out = tmp_path / "out.parquet"
    nodes.add(2)
    scan = subprocess.Popen(
        scan_of("s3://clips/in", nodes, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    journal = tmp_path / "out.parquet.journal"
    while not (journal.exists() and len(journal.read_bytes().splitlines()) > 25):
        assert scan.poll() is None
        time.sleep(0.05)
    nodes.kill()
    said, errors = scan.communicate(timeout=200)
    assert scan.returncode == EXIT_OK, errors
    assert "a worker on the Ray cluster died" in errors
    assert "100 files: " in said

    files = f"read_parquet('{out}/sources/**/*.parquet', hive_partitioning = true)"
    found = duckdb.execute(
        f"select source, label, verdict.fake_probability, facts.sha256, stats.faces_scored from {files}"
    ).fetchall()
    assert len(found) == len({row[0] for row in found}) == 100
    for source, label, probability, sha256, faces in found:
        expected = here[source.partition("-")[2]]
        assert source.startswith("s3://clips/in/")
        assert label == expected.verdict.label
        assert probability == pytest.approx(expected.verdict.fake_probability, abs=1.5e-6)  # it is rounded
        assert sha256 == expected.facts.sha256 and faces == expected.stats.faces_scored
    moments = f"read_parquet('{out}/timeline/**/*.parquet', hive_partitioning = true)"
    (count,) = duckdb.execute(f"select count(*) from {moments}").fetchone()
    assert count == sum(len(here[row[0].partition("-")[2]].timeline) for row in found)


@pytest.mark.parametrize(
    ("asked_for", "presented", "code"),
    [("token", "token", EXIT_OK), ("token", None, EXIT_USAGE), ("disabled", None, EXIT_OK)],
)
def test_a_cluster_may_ask_for_a_token(tmp_path, asked_for: str, presented: str | None, code: int):
    token, said = tmp_path / "token", tmp_path / "said"
    token.write_text("ab" * 32)
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(token)}
    environment.pop("RAY_AUTH_MODE", None)
    ray = Path(sys.executable).with_name("ray")
    start = [ray, "start", "--head", "--num-cpus=1", "--port=0", "--include-dashboard=false", "--block"]
    with said.open("w") as file:
        node = subprocess.Popen(
            start, env=environment | {"RAY_AUTH_MODE": asked_for}, stdout=file, stderr=file
        )
    try:
        until = time.monotonic() + 60
        while (address := re.search(r"--address='([\d.:]+)'", said.read_text())) is None:
            assert node.poll() is None and time.monotonic() < until, said.read_text()
            time.sleep(0.2)
        scan = [sys.executable, "-m", "vidscan", "dir", str(SAMPLES), "--fast", "--engine", "ray"]
        scan += ["--ray-cpus", "1"]
        mode = {} if presented is None else {"RAY_AUTH_MODE": presented}
        done = subprocess.run(
            [*scan, "--ray-address", address[1], "--quiet"],
            env=environment | mode,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        if code == EXIT_USAGE:
            assert "RAY_AUTH_MODE=token" in done.stderr.splitlines()[-1]  # Ray has its say before
    finally:
        node.terminate()
        node.wait(30)
