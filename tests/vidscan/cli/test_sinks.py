"""What the command line writes beside a report: heat maps and annotated videos."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from toys import ToyDetector

from vidscan import api
from vidscan.cli.main import main
from vidscan.engines.local import LocalEngine
from vidscan.errors import ReportError
from vidscan.faces import detector
from vidscan.media.ffmpeg import decode, redraw
from vidscan.records import EvidenceCrop, HeatKind, HeatSource, Source, SourceKind
from vidscan.render.heatmaps import file_stem, overlay, with_scale, write_heat_maps


@pytest.fixture(autouse=True)
def toy_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MediaPipeFaceDetector", lambda options: ToyDetector())


@pytest.fixture
def scan(tiny_checkpoint: Path):
    """Runs a command with a network to which red is real."""

    def run(*arguments: str | Path) -> int:
        return main([*map(str, arguments), "--model", str(tiny_checkpoint)])

    return run


# In whole scans


@pytest.mark.slow
def test_run_annotates_one_clip_and_writes_its_heat_maps(scan, bright_clip, tmp_path, capsys):
    video, maps = tmp_path / "out.mp4", tmp_path / "maps"
    report = tmp_path / "out.json"
    assert scan("run", bright_clip, "--annotate", video, "--explain-dir", maps, "--report", report) == 0
    printed = capsys.readouterr()
    assert f"annotated video written to {video}" in printed.out and printed.err == ""
    assert decode.probe(video).duration_s == pytest.approx(2.0, abs=0.1)
    names = sorted(path.name for path in maps.iterdir())
    assert len(names) == 4 and all(name.startswith("bright-") for name in names)
    assert {name.rsplit("_", 1)[1] for name in names} == {"crop.png", "heat.png"}
    assert json.loads(report.read_text("utf-8"))["options"]["evidence"]["explained"] is True


@pytest.mark.slow
def test_several_clips_are_annotated_into_a_folder(
    scan, bright_clip, red_clip, text_as_clip, tmp_path, capsys
):
    folder = tmp_path / "annotated"
    assert scan("run", bright_clip, text_as_clip, red_clip, "--annotate", folder, "--quiet") == 1
    assert "text.mp4" in capsys.readouterr().err
    sources = [Source("", path, SourceKind.VIDEO) for path in (bright_clip, red_clip)]
    wanted = sorted(f"{file_stem(source)}_annotated.mp4" for source in sources)
    assert sorted(path.name for path in folder.iterdir()) == wanted


def test_what_cannot_work_is_said_before_any_work(scan, bright_clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(LocalEngine, "scan", lambda *_, **__: pytest.fail("work was begun"))
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(bright_clip.read_bytes())
    for flags, words in (
        (("--annotate", tmp_path / "out.avi"), "must end in .mp4"),
        (("--annotate", copy), "the clip itself"),
        (("--explain-dir", copy), "no folder can be made there"),
        (("--annotate", copy / "out.mp4"), "no folder can be made there"),
    ):
        assert scan("run", copy, *flags) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("vidscan: --") and words in line


def test_stills_alone_are_not_annotated_without_a_word(scan, tmp_path, capsys):
    still = tmp_path / "face.png"
    cv2.imwrite(str(still), np.zeros((64, 64, 3), np.uint8))
    assert scan("run", still, "--annotate", tmp_path / "out.mp4") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "face.png is a still: use --explain-dir DIR" in line and not (tmp_path / "out.mp4").exists()


def test_a_video_that_cannot_be_annotated_is_a_failure_in_one_line(
    scan, bright_clip, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(redraw, "_writing", lambda *_: ["false"])
    assert scan("run", bright_clip, "--annotate", tmp_path / "out.mp4") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "bright.mp4: its annotated video could not be written" in line
    assert list(tmp_path.iterdir()) == []


def test_python_gives_the_crops(tiny_checkpoint, bright_clip):
    plain = api.scan(bright_clip, model=tiny_checkpoint)
    shown = api.scan(bright_clip, model=tiny_checkpoint, evidence=True)
    assert plain.evidence == () and plain.verdict == shown.verdict and plain.tracks == shown.tracks
    assert [crop.frame_index for crop in shown.evidence] == [0, 2, 3] or len(shown.evidence) >= 2
    assert all(crop.image.shape == (32, 32, 3) and crop.heat is None for crop in shown.evidence)
    explained = api.scan(bright_clip, model=tiny_checkpoint, explain=True)
    assert any(crop.heat is not None for crop in explained.evidence)


@pytest.mark.slow
def test_an_ensemble_shows_the_first_members_crops(tiny_checkpoint, contrary_checkpoint, red_clip):
    report = api.scan(red_clip, model=[contrary_checkpoint, tiny_checkpoint], evidence=True)
    assert {crop.image.shape for crop in report.evidence} == {(48, 48, 3)}


# The pictures


CROP = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
HOT = np.zeros((4, 4), np.float32)
HOT[0, 3] = 1.0


def test_heat_colours_the_hot_part_alone():
    shown = overlay(CROP, HOT)
    changed = np.abs(shown.astype(int) - CROP).mean(axis=-1)
    assert changed[:12, -12:].mean() > 40 and changed[32:, :32].mean() <= 1
    assert np.array_equal(overlay(CROP, np.zeros((4, 4), np.float32)), CROP)


def test_scale_stands_beside_the_crop_and_can_be_read():
    shown = with_scale(CROP, HOT)
    assert shown.shape == (256, 384, 3) and shown.dtype == np.uint8
    column = shown[48:-32, 256 + 24].astype(int).sum(axis=-1)
    assert column[2] > 600 > 100 > column[-3] and np.all(np.diff(column) <= 12)


@pytest.mark.parametrize("kind", HeatKind)
def test_the_panel_tells_the_kind_of_map_and_its_network(kind: HeatKind):
    plain = with_scale(CROP, HOT)
    named = with_scale(CROP, HOT, HeatSource(kind, "a-network-with-an-uncommonly-long-name"))
    assert np.array_equal(named[:, :256], plain[:, :256]), "the crop is left as it is"
    lettered = (named[:, 256:].astype(int).max(axis=2) > 100).any(axis=1)
    assert lettered[:40].any() and not (plain[:40, 256:] > 100).any()
    # The lower end of the scale is called otherwise where it means the average.
    foot = slice(200, 225)
    assert np.array_equal(named[foot], plain[foot]) == (kind is HeatKind.GRAD_CAM)


def test_a_map_without_heat_says_so():
    panels = [with_scale(CROP, heat)[:, 256:] for heat in (HOT, 0 * HOT, HOT / 2)]
    assert np.array_equal(panels[0], panels[2]) and not np.array_equal(panels[0], panels[1])


HOSTILE = [
    "../../etc/x.mp4",
    "a b\nc.mp4",
    "--.mp4",
    "\udcff\udcfe.mp4",
    "ü" * 200 + ".mp4",
    "con:<|>?*.mp4",
    ".mp4",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_file_names_are_safe_whatever_the_source_is_called(name: str, tmp_path: Path):
    source = Source("0", Path(name), SourceKind.VIDEO)
    evidence = [EvidenceCrop(2, 7, 3.5, 0.987, CROP, HOT), EvidenceCrop(2, 9, 4.5, 0.1, CROP)]
    assert write_heat_maps(source, evidence, tmp_path) == 1
    crop, heat = sorted(tmp_path.iterdir())
    assert crop.name == f"{file_stem(source)}_track2_00003.50s_frame7_fake0.99_crop.png"
    assert heat.name.isascii() and heat.name[0] not in "-." and len(heat.name) < 150
    assert np.array_equal(cv2.cvtColor(cv2.imread(str(crop)), cv2.COLOR_BGR2RGB), CROP)


def test_files_of_one_name_are_told_apart():
    stems = {file_stem(Source("0", Path(folder) / "a.mp4", SourceKind.VIDEO)) for folder in "xy"}
    assert len(stems) == 2


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path):
    source = Source("0", Path("a.mp4"), SourceKind.VIDEO)
    with pytest.raises(ReportError, match=r"crop\.png: .*--explain-dir"):
        write_heat_maps(source, [EvidenceCrop(1, 0, 0.0, 0.5, CROP, HOT)], tmp_path / "absent")
