"""The command on a real Ray cluster, from ``vidscan dir --engine ray`` to what it writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray_cluster import SAMPLES, Nodes, copies
from stored import finished

from vidscan.cli.main import EXIT_OK, EXIT_USAGE, main

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidscan[ray]'")

if sys.platform != "linux":
    pytest.skip("a cluster of several nodes on one machine needs Linux", allow_module_level=True)

ROOT = Path(__file__).parents[3]


def folder_of(count: int, folder: Path) -> Path:
    folder.mkdir()
    for source in copies(count):
        (folder / f"{source.id}-{source.path.name}").symlink_to(source.path)
    return folder


def scan_of(clips: Path | str, nodes: Nodes, report: str | Path) -> list[str]:
    """The command that scans a folder on the nodes."""
    where = ("--engine", "ray", "--ray-address", nodes.address, "--ray-cpus", "1")
    return [sys.executable, "-m", "vidscan", "dir", str(clips), "--fast", *where, "--report", str(report)]


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
    store = tmp_path / "out.json.vidscan"
    until = time.monotonic() + 100
    while finished(store) < 8:
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = finished(store)
    assert 8 <= done < 28
    again = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, timeout=120)
    assert again.returncode == EXIT_OK, again.stderr
    assert f"resumed: {done} files were finished before, {28 - done} are left" in again.stdout
    results = json.loads(out.read_text())["results"]
    assert [result["source"] for result in results] == [str(path) for path in sorted(clips.iterdir())]
    assert not store.exists()


def test_interrupt_keeps_what_was_finished_and_waits_for_what_is_in_flight(nodes: Nodes, tmp_path):
    nodes.add(1)
    clips, out = folder_of(6, tmp_path / "clips"), tmp_path / "out.json"
    scan = subprocess.Popen(
        scan_of(clips, nodes, out),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    store = tmp_path / "out.json.vidscan"
    while finished(store) < 3:
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


def test_fifty_clips_from_a_bucket_into_parquet_while_a_node_dies(nodes: Nodes, here, s3, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    names = sorted(here)
    for number in range(50):
        name = names[number % len(names)]
        s3.put("clips", f"in/{number:02}-{name}", SAMPLES / name)
    out = tmp_path / "out.parquet"
    nodes.add(2)
    scan = subprocess.Popen(
        scan_of("s3://clips/in", nodes, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    store = tmp_path / "out.parquet.vidscan"
    while finished(store) < 12:
        assert scan.poll() is None
        time.sleep(0.05)
    nodes.kill()
    said, errors = scan.communicate(timeout=200)
    assert scan.returncode == EXIT_OK, errors
    assert "a worker on the Ray cluster died" in errors
    assert "50 files: " in said

    files = f"read_parquet('{out}/sources/**/*.parquet', hive_partitioning = true)"
    found = duckdb.execute(
        f"select source, label, verdict.fake_probability, facts.sha256, stats.faces_scored from {files}"
    ).fetchall()
    assert len(found) == len({row[0] for row in found}) == 50
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
        clips = tmp_path / "clips"
        clips.mkdir()
        shutil.copy(SAMPLES / "no-face.jpg", clips)
        scan = [sys.executable, "-m", "vidscan", "dir", str(clips), "--fast", "--engine", "ray"]
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
