"""The installed command on real pictures with the bundled checkpoint, as a stranger would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from report_samples import schema

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def vidscan(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidscan", *map(str, arguments)]
    # Set by whatever test imported TensorFlow first, it would ask for TensorFlow's messages.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=240, env=environment)


def test_the_samples_are_told_apart(tmp_path: Path) -> None:
    ran = vidscan("dir", "samples", "--fast", "--report", tmp_path / "out.json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "", "nothing but words meant for a person may appear"
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema())
    results = {Path(result["source"]).name: result for result in document["results"]}
    labels = {name: result["verdict"]["label"] for name, result in results.items()}
    assert document["summary"]["total"] == len(labels) == 7
    assert labels["no-face.mp4"] == labels["no-face.jpg"] == "NO_FACE"
    assert labels["camera-move.mp4"] != "FAKE" and labels["astronaut.jpg"] != "FAKE"
    assert sum(track["counted"] for track in results["two-faces.mp4"]["tracks"]) == 2

    def mean(low_s: float, high_s: float) -> float:
        points = results["self-blended.mp4"]["timeline"]
        inside = [point["fake_probability"] for point in points if low_s <= point["time_s"] < high_s]
        return sum(inside) / len(inside)

    assert mean(2.0, 5.0) > max(mean(0.0, 2.0), mean(5.0, 6.0)), "the manipulated seconds must stand out"


def test_json_alone_on_standard_output() -> None:
    ran = vidscan("image", "samples/astronaut.jpg", "--fast", "--report", "-")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    jsonschema.validate(document, schema())
    assert document["results"][0]["verdict"]["fake_probability"] is not None


HEAVY = frozenset(("tensorflow", "keras", "jax", "matplotlib", "h5py", "onnx"))
"""What a scan on onnxruntime has no use for."""


def test_a_scan_loads_no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    vidscan("image", "samples/astronaut.jpg")  # which may convert the network, once
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # Python tells on stderr what it imports
    ran = vidscan("image", "samples/astronaut.jpg")
    assert ran.returncode == 0
    imported = {line.split("|")[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}
    assert {"mediapipe", "onnxruntime"} <= imported
    assert not imported & HEAVY


def test_a_worker_loads_no_tensorflow() -> None:
    scans = (
        "import sys; from pathlib import Path;"
        "import vidscan.engines.isolated.worker, vidscan.engines.ray.worker;"
        "from vidscan.engines.job import Job; from vidscan.media.sources import from_paths;"
        "from vidscan.options import ScanOptions;"
        "engine = Job(ScanOptions(), ()).load();"
        "(report,) = engine.scan(from_paths([Path('samples/astronaut.jpg')]));"
        "assert report.verdict, report.error;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", scans], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "mediapipe" in ran.stdout.split() and not set(ran.stdout.split()) & HEAVY


@pytest.mark.data
def test_a_real_clip_gives_a_valid_report(research_clips: Path, tmp_path: Path) -> None:
    clip = research_clips / "real" / "044.mp4"
    ran = vidscan("run", clip, "--fast", "--fps", "2", "--report", "out.json", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema())
    (result,) = document["results"]
    assert result["stats"]["frames_sampled"] == 23
    assert result["stats"]["faces_scored"] >= 20
    assert result["verdict"]["label"] in {"REAL", "UNCERTAIN", "FAKE"}
