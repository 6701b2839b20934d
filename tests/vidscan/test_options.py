"""Values that cannot work are refused when they are given, by the name of their flag."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from vidscan.cli.arguments import build_parser, scan_options
from vidscan.errors import UsageError
from vidscan.options import (
    BatchingOptions,
    DetectionOptions,
    ModelOptions,
    SamplingOptions,
    ScanOptions,
    VerdictOptions,
)


@pytest.mark.parametrize("fps", [0.0, -2.0, math.nan, math.inf, -math.inf])
def test_fps_that_cannot_work(fps: float):
    with pytest.raises(UsageError, match="--fps"):
        SamplingOptions(fps)


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: SamplingOptions(frames=0), "--frames 0 cannot work"),
        (lambda: SamplingOptions(frames=8, keyframes=True), "--frames and --keyframes exclude"),
        (lambda: SamplingOptions(hwaccel="cuda"), "--hwaccel cuda cannot work: give one of none, auto"),
        (lambda: DetectionOptions(min_confidence=0.0), "--min-confidence"),
        (lambda: DetectionOptions(min_confidence=1.01), "--min-confidence"),
        (lambda: DetectionOptions(min_confidence=math.nan), "--min-confidence"),
        (lambda: DetectionOptions(min_face=0), "--min-face"),
        (lambda: DetectionOptions(faces=0), "--faces 0 cannot work"),
        (lambda: DetectionOptions(region=(0, 0, 0, 5)), "--region 0,0,0,5 cannot work"),
        (lambda: DetectionOptions(region=(0, -1, 5, 5)), "--region 0,-1,5,5 cannot work"),
        (lambda: BatchingOptions(batch_size=0), "--batch-size"),
        (lambda: BatchingOptions(prefetch=0), "prefetch"),
        (lambda: VerdictOptions(fake_threshold=1.5), "--fake-threshold"),
        (lambda: VerdictOptions(real_threshold=-0.1), "--real-threshold"),
        (lambda: VerdictOptions(fake_threshold=math.nan), "--fake-threshold"),
        (lambda: VerdictOptions(fake_threshold=0.3, real_threshold=0.4), "--real-threshold"),
    ],
)
def test_value_that_cannot_work(make, flag: str):
    with pytest.raises(UsageError, match=flag) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_values_at_the_border_work():
    SamplingOptions(0.01)
    DetectionOptions(min_confidence=1.0, min_face=1)
    DetectionOptions(faces=1, region=(0, 0, 1, 1))
    BatchingOptions(1, 1)
    VerdictOptions(0.0, 0.0)
    VerdictOptions(1.0, 1.0)


def test_options_do_not_change():
    with pytest.raises(FrozenInstanceError):
        ScanOptions().sampling.fps = 3.0


def test_echo_is_plain_json_and_holds_every_stage():
    options = ScanOptions(SamplingOptions(3.0), model=ModelOptions((Path("some") / "net.keras",)))
    echoed = json.loads(json.dumps(options.echo(), allow_nan=False))
    assert set(echoed) == {"sampling", "detection", "batching", "model", "verdict", "evidence"}
    assert echoed["sampling"] == {"fps": 3.0, "frames": None, "keyframes": False, "hwaccel": "none"}
    name = str(Path("some") / "net.keras")
    assert echoed["model"] == {"path": name, "runtime": "auto", "runtimes_used": []}
    assert echoed["verdict"]["fake_threshold"] is None


def asked(*flags: str, command: str = "run") -> DetectionOptions:
    return scan_options(build_parser().parse_args([command, "x", *flags])).detection


@pytest.mark.parametrize("command", ["run", "dir", "image"])
def test_faces_and_region_are_asked_for_by_flags(command: str):
    assert asked(command=command) == DetectionOptions()
    assert asked("--faces", "all", command=command).faces is None
    assert asked("--faces", "largest", command=command).faces == 1
    chosen = asked("--faces", "3", "--region", "10,20,300,400", "--min-face", "24", command=command)
    assert chosen == DetectionOptions(min_face=24, faces=3, region=(10, 20, 300, 400))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--faces", "some"), r"--faces some cannot work: give all, largest, or a number of 1 or more"),
        (("--faces", "0"), r"--faces 0 cannot work"),
        (("--faces", "-1"), r"--faces -1 cannot work"),
        (("--faces", "1.5"), r"--faces 1\.5 cannot work"),
        (("--faces", "a\nb"), r"--faces a b cannot work"),
        (("--region", "1,2,3"), r"--region 1,2,3 cannot work: give x,y,width,height in whole pixels"),
        (("--region", "1,2,3,4,5"), r"--region 1,2,3,4,5 cannot work"),
        (("--region", "1,2,3,half"), r"--region 1,2,3,half cannot work"),
        (("--region", "0,0,0,9"), r"--region 0,0,0,9 cannot work"),
    ],
)
def test_faces_and_regions_that_cannot_work_are_one_line(flags: tuple[str, str], said: str):
    with pytest.raises(UsageError, match=said) as refused:
        asked(*flags)
    assert "\n" not in str(refused.value)


def test_a_region_is_echoed_as_plain_json():
    options = ScanOptions(detection=DetectionOptions(faces=2, region=(1, 2, 3, 4)))
    echoed = json.loads(json.dumps(options.echo(), allow_nan=False))["detection"]
    assert echoed == {"min_confidence": 0.5, "min_face": 32, "faces": 2, "region": [1, 2, 3, 4]}


def test_echo_of_an_ensemble_lists_its_paths():
    echoed = ScanOptions(model=ModelOptions((Path("a.keras"), Path("b.keras")))).echo()
    assert echoed["model"]["paths"] == ["a.keras", "b.keras"]
    assert "path" not in echoed["model"]


def test_echo_of_the_default_model_is_null():
    assert ScanOptions().echo()["model"]["path"] is None


def test_echo_gives_no_rate_that_was_not_looked_at():
    assert ScanOptions(SamplingOptions(frames=8)).echo()["sampling"]["fps"] is None
