"""Values that cannot work are refused when they are given, by the name of their flag."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import get_type_hints

import pytest

from vidscan.cli.arguments import build_parser, parse, stages
from vidscan.cli.requests import ScanRequest
from vidscan.errors import UsageError
from vidscan.flags import flags_of, keywords_of
from vidscan.options import (
    BatchingOptions,
    DetectionOptions,
    ModelOptions,
    RayOptions,
    SamplingOptions,
    ScanKeywords,
    ScanOptions,
    StorageOptions,
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


def test_the_report_of_options_is_plain_json_and_holds_every_stage():
    options = ScanOptions(SamplingOptions(3.0), model=ModelOptions((Path("some") / "net.keras",)))
    told = json.loads(json.dumps(options.to_report(), allow_nan=False))
    stages = {"sampling", "detection", "batching", "model", "verdict", "evidence", "provenance"}
    assert set(told) == stages
    assert told["sampling"] == {"fps": 3.0, "frames": None, "stream": None, "keyframes": False}
    name = str(Path("some") / "net.keras")
    assert told["model"] == {"path": name, "runtime": "auto", "runtimes_used": []}
    assert told["verdict"]["fake_threshold"] is None


def requested(*arguments: str) -> ScanRequest:
    request = parse(arguments).request()
    assert isinstance(request, ScanRequest)
    return request


def asked(*flags: str, command: str = "run") -> DetectionOptions:
    return requested(command, "x", *flags).options.detection


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


def test_a_region_is_reported_as_plain_json():
    options = ScanOptions(detection=DetectionOptions(faces=2, region=(1, 2, 3, 4)))
    told = json.loads(json.dumps(options.to_report(), allow_nan=False))["detection"]
    assert told == {"min_confidence": 0.5, "min_face": 32, "faces": 2, "region": [1, 2, 3, 4]}


def test_the_report_of_an_ensemble_lists_its_paths():
    told = ScanOptions(model=ModelOptions((Path("a.keras"), Path("b.keras")))).to_report()
    assert told["model"]["paths"] == ["a.keras", "b.keras"]
    assert "path" not in told["model"]


def test_the_default_model_is_null_in_the_report():
    assert ScanOptions().to_report()["model"]["path"] is None


def test_the_report_gives_no_rate_that_was_not_used():
    assert ScanOptions(SamplingOptions(frames=8)).to_report()["sampling"]["fps"] is None


# One place for each option


def parsers() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return commands.choices


@pytest.mark.parametrize("command", ["run", "dir", "image"])
def test_every_flag_of_a_scan_is_declared_by_a_field(command: str):
    parser = parsers()[command]
    known = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    declared = {
        f"--{(each.name or name).replace('_', '-')}"
        for kind in (*stages().values(), ScanRequest, RayOptions)
        for name, each in flags_of(kind).items()
    }
    assert known - declared <= {"--help", "--fast", "--engine"}, "what stands for values of two fields"
    missing = {"dir": set[str]()}.get(
        command,
        {"--from-list", "--recursive", "--watch"} | {name for name in declared if name.startswith("--ray")},
    )
    if command == "image":
        missing |= {"--annotate", "--fps", "--frames", "--keyframes", "--stream"}
    assert declared - known == missing


def test_keywords_are_those_of_the_fields_with_their_types():
    fields = {
        keyword: get_type_hints(kind)[name]
        for kind in stages().values()
        for keyword, name in keywords_of(kind).items()
    }
    assert get_type_hints(ScanKeywords) == fields


def test_no_flag_asks_for_the_defaults():
    for command in ("run", "dir", "image"):
        assert requested(command, "x") == ScanRequest(command, (Path("x"),), ScanOptions())


def test_flags_and_keywords_ask_for_the_same():
    flags = "--fps 3 --min-confidence 0.7 --min-face 20 --faces largest --region 1,2,3,4 --batch-size 8"
    flags += " --runtime onnx --fake-threshold 0.9 --real-threshold 0.2 --explain --report a.html"
    flags += " --scratch d --scratch-gb 2"
    options = ScanOptions.of(
        fps=3,
        min_confidence=0.7,
        min_face=20,
        faces=1,
        region=(1, 2, 3, 4),
        batch_size=8,
        runtime="onnx",
        fake_threshold=0.9,
        real_threshold=0.2,
        explain=True,
        scratch=Path("d"),
        scratch_gb=2,
    )
    assert requested("run", "x", *flags.split()).options == options
    assert options.evidence.kept and options.evidence.explained, "heat maps need crops"


def test_keywords_change_given_options_and_leave_the_rest():
    given = ScanOptions(SamplingOptions(3), DetectionOptions(faces=2), storage=StorageOptions(Path("d")))
    changed = ScanOptions.of(given, fps=1.0, evidence=True)
    assert changed.sampling.fps == 1 and changed.evidence.kept
    assert (changed.detection, changed.storage) == (given.detection, given.storage)
    assert ScanOptions.of(given) == given
    with pytest.raises(UsageError, match="--fps"):
        ScanOptions.of(given, fps=0)
    with pytest.raises(TypeError, match="no option fpz"):
        ScanOptions.of(fpz=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("flags", "kept", "explained"),
    [
        ([], False, False),
        (["--report", "a.json"], False, False),
        (["--report", "a.HTML"], True, False),
        (["--explain", "--report", "a.json", "--report", "a.html"], True, True),
        (["--explain-dir", "d"], True, True),
    ],
)
def test_faces_are_kept_where_an_output_shows_them(flags: list[str], kept: bool, explained: bool):
    evidence = requested("run", "x", *flags).options.evidence
    assert (evidence.kept, evidence.explained) == (kept, explained)


def test_models_are_named_by_flags():
    assert requested("run", "x", "--model", "a", "--model", "b").options.model.paths == (Path("a"), Path("b"))
    assert requested("run", "x", "--fast").options.model.paths == (Path("vidscan-lite2"),)
    with pytest.raises(UsageError, match="--fast takes vidscan-lite2 alone"):
        requested("run", "x", "--fast", "--model", "a")


# Requests


def test_a_cluster_is_asked_for_by_its_flags():
    assert requested("dir", "x", "--engine", "local").ray is None
    flags = "--engine ray --ray-address auto --ray-workers 3 --ray-cpus 4 --ray-gpus 0.5"
    assert requested("dir", "x", *flags.split()).ray == RayOptions("auto", 3, 4, 0.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("dir", "name either a folder or a list"),
        ("dir x --from-list y", "name either a folder or a list"),
        ("dir x --ray-workers 2", "go with --engine ray"),
        ("dir x --engine ray --ray-workers 0", "--ray-workers 0 cannot work"),
        ("dir x --engine ray --isolate", "--isolate goes with --engine local"),
        ("run x --report out.parquet", "a Parquet report is for folders and lists"),
        ("dir x --report out.parquet/ --annotate y", "--annotate does not go with a Parquet report"),
        ("dir x --resume", "--resume needs the --report FILE"),
        ("dir x --resume --report -", "--resume needs the --report FILE"),
        ("dir x --retry-failed --report o.json", "--retry-failed goes with --resume"),
    ],
)
def test_requests_that_cannot_work(arguments: str, said: str):
    with pytest.raises(UsageError, match=said):
        requested(*arguments.split())
