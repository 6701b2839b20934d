"""The command line: its words, its exit codes, and what it leaves behind when things go wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import cv2
import jsonschema
import numpy as np
import pytest
from PIL import Image as Pillow
from report_samples import schema
from signed_media import Authority, authority, sign
from toys import CARD, ToyDetector, ToyScorer, toy_picture

from vidscan import __version__
from vidscan.cli.main import main
from vidscan.cli.plan import Parts
from vidscan.cli.progress import ScanProgress
from vidscan.engines.isolated.parent import IsolatedEngine
from vidscan.engines.local import LocalEngine
from vidscan.errors import ModelError, ReportError, ScoringError
from vidscan.models.ensemble import Ensemble
from vidscan.records import Report
from vidscan.report.destination import Destination
from vidscan.scan import batches

SAMPLES = Path(__file__).parents[3] / "samples"


@pytest.fixture
def scorer() -> ToyScorer:
    """A toy network, with the hash of a file that is not there to be read."""
    return ToyScorer(replace(CARD, sha256="70" * 32))


@pytest.fixture
def detector() -> ToyDetector:
    return ToyDetector()


@pytest.fixture
def parts(scorer: ToyScorer, detector: ToyDetector) -> Parts:
    """A toy network in place of every checkpoint and a toy detector in place of MediaPipe."""
    return Parts(lambda models, runtime: Ensemble((scorer,)), lambda options: detector)


@pytest.fixture
def no_work() -> Parts:
    """Whatever is asked for, nothing may be loaded and nothing scanned."""

    def forbidden(*_: object, **__: object) -> Any:
        pytest.fail("work was begun")

    return Parts(forbidden, forbidden)


@pytest.fixture
def folder(tmp_path: Path, bright_clip: Path, dark_clip: Path) -> Path:
    """Two clips, of which the toys call one FAKE and find no face in the other."""
    found = tmp_path / "media"
    found.mkdir()
    for clip in (bright_clip, dark_clip):
        (found / clip.name).write_bytes(clip.read_bytes())
    return found


def stopping_after(count: int, error: BaseException) -> Callable[..., Iterator[Report]]:
    """An engine that breaks off with ``error`` after so many reports."""
    whole = LocalEngine.scan

    def scan(*arguments, **options) -> Iterator[Report]:
        for number, report in enumerate(whole(*arguments, **options)):
            if number == count:
                raise error
            yield report

    return scan


def checked(document: str) -> dict:
    """A report that its schema allows."""

    def no_constant(name: str) -> None:
        pytest.fail(f"{name} is no JSON number")

    parsed = json.loads(document, parse_constant=no_constant)
    jsonschema.validate(parsed, schema(), jsonschema.Draft202012Validator)
    return parsed


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("vidscan: ")
    return line


# Scanning


def test_run_prints_the_verdict_and_writes_the_report(parts, bright_clip, tmp_path, capsys):
    report = tmp_path / "out.json"
    assert main(["run", str(bright_clip), "--fps", "3", "--report", str(report)], parts) == 0
    printed = capsys.readouterr()
    assert "FAKE" in printed.out and f"report written to {report}" in printed.out.replace("\n", "")
    assert printed.err == ""
    document = checked(report.read_text("utf-8"))
    assert document["options"]["sampling"]["fps"] == 3
    (result,) = document["results"]
    assert result["source"] == str(bright_clip)
    assert result["verdict"]["label"] == "FAKE"
    assert [point["time_s"] for point in result["timeline"]] == pytest.approx(
        [i / 3 for i in range(6)], abs=0.1
    )


def test_dir_prints_a_table_over_all_files(parts, folder, capsys):
    assert main(["dir", str(folder)], parts) == 0
    printed = capsys.readouterr().out
    assert "bright.mp4" in printed and "dark.mp4" in printed
    assert "2 files: 1 fake, 1 without a face" in printed


def test_dir_looks_into_subfolders_when_told_so(parts, folder, tmp_path, capsys):
    assert main(["dir", str(tmp_path)], parts) == 2
    assert "--recursive" in capsys.readouterr().err
    assert main(["dir", str(tmp_path), "--recursive"], parts) == 0
    assert "2 files" in capsys.readouterr().out


def test_image_takes_stills_and_names_the_command_for_clips(parts, bright_clip, capsys):
    assert main(["image", str(SAMPLES / "astronaut.jpg")], parts) == 0
    assert "astronaut.jpg" in capsys.readouterr().out
    assert main(["image", str(bright_clip)], parts) == 2
    assert only_line(capsys.readouterr().err).endswith("is a clip by its name: scan it with `vidscan run`")


def test_run_takes_stills_too(parts, tmp_path, capsys):
    report = tmp_path / "out.json"
    assert main(["run", str(SAMPLES / "astronaut.jpg"), "--report", str(report)], parts) == 0
    assert checked(report.read_text("utf-8"))["results"][0]["kind"] == "image"


def test_a_damaged_still_given_to_run_costs_itself_alone(parts, bright_clip, tmp_path, capsys):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\nxx")
    assert main(["run", str(damaged), str(bright_clip)], parts) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed and "FAKE" in printed


@pytest.mark.parametrize("kind", ["webp", "png", "avif", "gif"])
def test_an_animation_is_a_clip_for_run_and_a_still_with_a_remark_for_image(
    kind: str, parts, tmp_path, capsys
):
    pictures = [Pillow.fromarray(toy_picture(level)) for level in (250, 240, 230, 200)]
    path = tmp_path / f"moving.{kind}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500, loop=0)
    run, image = tmp_path / "run.json", tmp_path / "image.json"
    assert main(["run", str(path), "--report", str(run)], parts) == 0
    (clip,) = checked(run.read_text("utf-8"))["results"]
    assert clip["kind"] == "video"
    assert [point["time_s"] for point in clip["timeline"]] == pytest.approx([0, 0.5, 1, 1.5], abs=0.05)
    assert clip["stats"]["duration_s"] == pytest.approx(2, abs=0.1)
    assert main(["image", str(path), "--report", str(image)], parts) == 0
    (still,) = checked(image.read_text("utf-8"))["results"]
    assert still["kind"] == "image"
    assert "vidscan run looks at all" in still["remarks"][0]["text"]


def test_dir_adds_up_to_the_files_of_its_folder(parts, folder, capsys):
    picture = Pillow.fromarray(toy_picture(250))
    for name in ("a.jpg", "a.jfif", "a.png", "a.webp", "a.avif", "a.bmp", "a.gif", "a.tif", "a.ppm", "a.jp2"):
        picture.save(folder / name, format="JPEG" if name == "a.jfif" else None)
    cv2.imwrite(str(folder / "float.tiff"), (toy_picture(250) / 255).astype(np.float32))
    picture.save(folder / "a.mpo", format="MPO", save_all=True, append_images=[picture])
    for name in ("drawing.psd", "notes.txt", "LICENCE"):
        (folder / name).write_bytes(b"x")
    (folder / "below").mkdir()
    assert main(["dir", str(folder)], parts) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "14 files: 12 fake, 1 uncertain, 1 without a face" in printed  # a GIF of one frame is a clip
    told = "3 files skipped, by their endings no clip or still: 1 without an ending, 1 .psd, 1 .txt"
    assert told in printed and len(list(folder.iterdir())) == 14 + 3 + 1
    assert "1 subfolder not looked into: --recursive does that" in printed


def test_several_reports_are_all_written(parts, bright_clip, tmp_path, capsys):
    names = ("a.json", "a.html", "a.csv", "b.json")
    flags = [part for name in names for part in ("--report", str(tmp_path / name))]
    assert main(["run", str(bright_clip), *flags, "--report", "-"], parts) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*names, "a.files.csv"}
    whole = checked((tmp_path / "a.json").read_text("utf-8"))
    assert checked(capsys.readouterr().out) == whole == checked((tmp_path / "b.json").read_text("utf-8"))
    assert "data:image" in (tmp_path / "a.html").read_text("utf-8"), "a page among several has its faces"


def test_one_report_that_fails_costs_no_other(parts, bright_clip, tmp_path, monkeypatch, capsys):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    whole = Destination.write

    def write(self: Destination, *arguments: Any) -> None:
        if self.path == first:
            raise ReportError("a.json: the disk is full")
        whole(self, *arguments)

    monkeypatch.setattr(Destination, "write", write)
    assert main(["run", str(bright_clip), "--report", str(first), "--report", str(second)], parts) == 1
    assert "the disk is full" in capsys.readouterr().err
    checked(second.read_text("utf-8"))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--fake-threshold", "0.1"], "FAKE would begin at 0.1, below {real:g}"),
        (["--real-threshold", "0.9"], "give --fake-threshold too"),
    ],
)
def test_thresholds_that_cross_are_refused(flags, told, parts, bright_clip, capsys):
    assert main(["run", str(bright_clip), *flags], parts) == 2
    assert told.format(real=CARD.real_threshold) in only_line(capsys.readouterr().err)


def test_annotate_names_a_folder_for_several_clips(no_work, folder, capsys):
    assert main(["dir", str(folder), "--annotate", str(folder / "out.mp4")], no_work) == 2
    assert "name a folder" in only_line(capsys.readouterr().err)
    assert not (folder / "out.mp4").exists()


def test_explain_says_where_its_pictures_go(no_work, bright_clip, capsys):
    assert main(["run", str(bright_clip), "--explain", "--report", "x.json"], no_work) == 2
    assert "--report OUT.html or OUT.pdf, or --explain-dir DIR" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("given", "meant"), [("--verison", "--version"), ("run x.mp4 --frmes 3", "--frames"), ("dir x --zzz", "")]
)
def test_a_misspelled_flag_gets_a_suggestion(given, meant, no_work, capsys):
    with pytest.raises(SystemExit) as caught:
        main(given.split(), no_work)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert (f"did you mean {meant}?" in said) if meant else ("unknown flag --zzz\n" in said)


def test_options_reach_the_scan(parts, scorer, bright_clip, tmp_path):
    report = tmp_path / "out.json"
    arguments = ["--batch-size", "2", "--min-confidence", "0.7", "--min-face", "20"]
    arguments += ["--fake-threshold", "0.9", "--real-threshold", "0.2", "--report", str(report)]
    assert main(["run", str(bright_clip), *arguments], parts) == 0
    options = json.loads(report.read_text("utf-8"))["options"]
    assert options["batching"]["batch_size"] == 2
    assert (options["detection"]["min_confidence"], options["detection"]["min_face"]) == (0.7, 20)
    assert (options["verdict"]["fake_threshold"], options["verdict"]["real_threshold"]) == (0.9, 0.2)
    assert scorer.batches == [2, 2]


def test_frames_and_keyframes_reach_the_scan(parts, bright_clip, tmp_path):
    report = tmp_path / "r.json"
    assert main(["run", str(bright_clip), "--frames", "3", "-q", "--report", str(report)], parts) == 0
    assert json.loads(report.read_text())["results"][0]["stats"]["frames_sampled"] == 3
    assert (
        main(["run", str(bright_clip), "--keyframes", "--fps", "9", "-q", "--report", str(report)], parts)
        == 0
    )
    document = json.loads(report.read_text())
    assert document["results"][0]["stats"]["frames_sampled"] == 2
    assert document["options"]["sampling"]["keyframes"] is True


def test_frames_that_cannot_work(no_work, bright_clip, capsys):
    assert main(["run", str(bright_clip), "--frames", "0"], no_work) == 2
    assert "--frames 0" in only_line(capsys.readouterr().err)


def test_dash_gives_json_on_stdout_and_words_on_stderr(parts, folder, capsys):
    assert main(["dir", str(folder), "--report", "-"], parts) == 0
    printed = capsys.readouterr()
    assert checked(printed.out)["summary"]["total"] == 2
    assert "1 fake" in printed.err


def test_csv_by_its_ending(parts, bright_clip, tmp_path):
    report = tmp_path / "out.csv"
    assert main(["run", str(bright_clip), "--report", str(report)], parts) == 0
    assert report.read_text("utf-8").startswith("file,source,time_s,track,person,fake_probability,")
    assert len(report.read_text("utf-8").splitlines()) == 1 + 4
    assert ",FAKE," in report.with_name("out.files.csv").read_text("utf-8")


def test_page_by_its_ending(parts, bright_clip, tmp_path):
    report = tmp_path / "out.HTML"
    assert main(["run", str(bright_clip), "--report", str(report)], parts) == 0
    assert report.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert "FAKE</span>" in report.read_text("utf-8")
    assert hashlib.sha256(bright_clip.read_bytes()).hexdigest() in report.read_text("utf-8")


def test_quiet_prints_nothing(parts, folder, tmp_path, capsys):
    assert main(["dir", str(folder), "--quiet", "--report", str(tmp_path / "out.json")], parts) == 0
    assert main(["run", str(folder / "bright.mp4"), "-q"], parts) == 0
    assert capsys.readouterr() == ("", "")


def test_quiet_still_says_what_failed(parts, text_as_clip, capsys):
    assert main(["run", str(text_as_clip), "--quiet"], parts) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert str(text_as_clip) in only_line(printed.err)


def test_terminal_without_unicode_shows_escapes(parts, bright_clip, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["run", str(bright_clip)], parts) == 0
    sys.stdout.flush()
    assert b"FAKE" in raw.getvalue() and b"\\u2588" in raw.getvalue()


def test_verbose_prints_timings(parts, bright_clip, capsys):
    assert main(["run", str(bright_clip), "--verbose"], parts) == 0
    assert "decode" in capsys.readouterr().out


# Exit codes


def test_failed_input_exits_1_and_is_in_the_report(parts, bright_clip, text_as_clip, tmp_path, capsys):
    report = tmp_path / "out.json"
    assert main(["run", str(text_as_clip), str(bright_clip), "--report", str(report)], parts) == 1
    assert "FAILED" in capsys.readouterr().out
    document = checked(report.read_text("utf-8"))
    assert (document["summary"]["failed"], document["summary"]["fake"]) == (1, 1)
    assert document["results"][0]["error"]["type"] == "DecodeError"


def test_no_face_is_no_failure(parts, dark_clip, capsys):
    assert main(["run", str(dark_clip), "--fail-on", "fake"], parts) == 0
    assert "NO FACE" in capsys.readouterr().out


def test_fail_on_fake_exits_3_even_beside_a_failure(parts, bright_clip, text_as_clip):
    assert main(["run", str(bright_clip)], parts) == 0
    assert main(["run", str(bright_clip), "--fail-on", "fake"], parts) == 3
    assert main(["run", str(bright_clip), str(text_as_clip), "--fail-on", "fake"], parts) == 3


@pytest.fixture
def signed(tmp_path: Path, bright_clip: Path) -> Authority:
    """A still and a clip, each unsigned and as a generator signs it, in the test's folder."""
    by = authority()
    Pillow.fromarray(np.full((80, 80, 3), 120, np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "plain.mp4").write_bytes(bright_clip.read_bytes())
    for suffix in (".png", ".mp4"):
        sign(tmp_path / f"plain{suffix}", tmp_path / f"signed{suffix}", by)
    return by


def test_what_files_declare_is_told_and_moves_no_score(parts, signed, tmp_path, capsys):
    files = [str(tmp_path / f"{name}{suffix}") for suffix in (".png", ".mp4") for name in ("plain", "signed")]
    report = tmp_path / "out.json"
    assert main(["run", *files, "--report", str(report)], parts) == 0
    document = checked(report.read_text("utf-8"))
    assert document["summary"]["declared_ai"] == 2
    for plain, declared in zip(document["results"][::2], document["results"][1::2], strict=True):
        assert (plain["provenance"]["declares_ai"], declared["provenance"]["declares_ai"]) == (None, True)
        assert declared["provenance"]["generator"] == "Toy Generator 3"
        assert plain["provenance"]["content_credentials"] is None
        assert declared["provenance"]["content_credentials"]["state"] == "valid"
        assert declared["verdict"] == plain["verdict"]
        assert declared["timeline"] == plain["timeline"]
    shown = " ".join(capsys.readouterr().out.split())
    line = (
        "The file declares: generated by AI with Toy Generator 3 (Content Credentials valid, signed by "
        "Example Studios, which no trust list here knows)."
    )
    assert shown.count(line) == 2


def test_fail_on_declared_ai(parts, signed, tmp_path, bright_clip):
    signed_still, plain = str(tmp_path / "signed.png"), str(tmp_path / "plain.png")
    assert main(["run", signed_still, "--fail-on", "declared-ai"], parts) == 3
    assert main(["run", plain, "--fail-on", "declared-ai"], parts) == 0
    assert main(["run", str(bright_clip), "--fail-on", "declared-ai"], parts) == 0
    both = ["--fail-on", "declared-ai", "--fail-on", "fake"]
    assert main(["run", str(bright_clip), *both], parts) == 3


def test_a_trust_folder_names_the_signers_that_are_known(parts, no_work, signed, tmp_path, capsys):
    trust = tmp_path / "trust"
    trust.mkdir()
    still = str(tmp_path / "signed.png")
    for folder in (trust, tmp_path / "nowhere"):
        assert main(["run", still, "--trust", str(folder)], no_work) == 2
        assert "--trust" in only_line(capsys.readouterr().err)
    (trust / "root.pem").write_bytes(signed.root)
    assert main(["run", still, "--trust", str(trust)], parts) == 0
    assert "which your trust list knows" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("fps", ["0", "-2", "nan", "inf"])
def test_fps_that_cannot_work(no_work, bright_clip, capsys, fps):
    assert main(["run", str(bright_clip), f"--fps={fps}"], no_work) == 2
    assert "--fps" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["explode"],
        ["run", "x.mp4", "--fps", "many"],
        ["run", "x.mp4", "--fps", "2", "--frames", "8"],
        ["run", "x.mp4", "--runtime", "magic"],
        ["run", "x.mp4", "--fail-on", "real"],
        ["run", "x.mp4", "-q", "-v"],
        ["image", "x.png", "--fps", "2"],
    ],
)
def test_wrong_usage(no_work, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments, no_work)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: vidscan")


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"vidscan {__version__}\n"


@pytest.mark.parametrize("command", ["run", "image", "dir"])
def test_missing_path(no_work, tmp_path, command, capsys):
    assert main([command, str(tmp_path / "gone.mp4")], no_work) == 2
    assert re.search(r"gone\.mp4: no such f", only_line(capsys.readouterr().err))


def test_folder_without_media(no_work, tmp_path, capsys):
    assert main(["dir", str(tmp_path)], no_work) == 2
    assert "holds no clip or still" in only_line(capsys.readouterr().err)


def test_folder_given_to_run(no_work, tmp_path, capsys):
    assert main(["run", str(tmp_path)], no_work) == 2
    assert "vidscan dir" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("no/such/folder/out.json", "does not exist"),
        ("a-folder.json", "is a folder"),
        ("out.doc", "names no format"),
        ("out", "names no format"),
    ],
)
def test_report_that_cannot_be_written_is_found_out_before_the_work(
    no_work, bright_clip, tmp_path, capsys, place, cause
):
    (tmp_path / "a-folder.json").mkdir()
    assert main(["run", str(bright_clip), "--report", str(tmp_path / place)], no_work) == 2
    assert cause in only_line(capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-folder.json"]


def test_missing_checkpoint_is_an_error_and_no_random_network(no_work, bright_clip, tmp_path, capsys):
    parts = Parts(open_detector=no_work.open_detector)
    assert main(["run", str(bright_clip), "--model", str(tmp_path / "gone.keras")], parts) == 2
    assert "gone.keras: there is no such file" in only_line(capsys.readouterr().err)


def test_error_is_one_line_whatever_its_message_holds(bright_clip, capsys):
    def refuse(models: object, runtime: str) -> NoReturn:
        raise ModelError("two\nlines and \x1b[31mcolour")

    assert main(["run", str(bright_clip)], Parts(refuse)) == 2
    assert only_line(capsys.readouterr().err) == r"vidscan: two\nlines and \x1b[31mcolour"
    assert main(["run", str(bright_clip), "--verbose"], Parts(refuse)) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


# Ensembles


@pytest.fixture
def only_detector() -> Parts:
    """A toy detector beside real checkpoints."""
    return Parts(open_detector=lambda options: ToyDetector())


@pytest.mark.slow
def test_several_models_are_an_ensemble(
    only_detector, red_clip, tiny_checkpoint, contrary_checkpoint, tmp_path, capsys
):
    report = tmp_path / "out.json"
    models = ["--model", str(tiny_checkpoint), "--model", str(contrary_checkpoint)]
    assert main(["run", str(red_clip), *models, "--report", str(report)], only_detector) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "The members disagree: tiny alone says REAL (0.02), contrary alone says FAKE (0.95)." in printed
    assert "tiny 0.02 REAL 1 32 px, margin 1.4 contrary 0.95 FAKE 1 48 px, margin 2" in printed
    document = checked(report.read_text("utf-8"))
    members = document["model"]["members"]
    assert [(card["name"], card["input_size"], card["margin"]) for card in members] == [
        ("tiny", 32, 1.4),
        ("contrary", 48, 2.0),
    ]
    assert all(re.fullmatch("[0-9a-f]{64}", card["sha256"]) for card in members)
    (result,) = document["results"]
    assert [said["label"] for said in result["verdict"]["members"]] == ["REAL", "FAKE"]
    assert len(result["timeline"][0]["faces"][0]["members"]) == len(result["tracks"][0]["members"]) == 2


@pytest.mark.slow
def test_folder_by_an_ensemble(only_detector, folder, tiny_checkpoint, contrary_checkpoint, tmp_path, capsys):
    report = tmp_path / "out.csv"
    models = ["--model", str(tiny_checkpoint), "--model", str(contrary_checkpoint)]
    assert main(["dir", str(folder), *models, "--report", str(report)], only_detector) == 0
    assert "members, in this order: tiny, contrary" in capsys.readouterr().out
    assert report.read_text("utf-8").splitlines()[0].endswith(",member_1,member_2")
    files = report.with_name("out.files.csv").read_text("utf-8")
    assert files.splitlines()[0].endswith(",remarks,members")


@pytest.mark.slow
def test_ensemble_of_one_file_twice(tiny_checkpoint, red_clip, capsys):
    models = ["--model", str(tiny_checkpoint)] * 2
    assert main(["run", str(red_clip), *models]) == 2
    message = only_line(capsys.readouterr().err)
    assert message.startswith(f"vidscan: {tiny_checkpoint}: is the same checkpoint as ")
    assert "name it once" in message


@pytest.mark.slow
def test_ensemble_with_a_member_that_is_refused(tiny_checkpoint, red_clip, tmp_path, capsys):
    models = ["--model", str(tiny_checkpoint), "--model", str(tmp_path / "gone.keras")]
    assert main(["run", str(red_clip), *models]) == 2
    assert "gone.keras: there is no such file" in only_line(capsys.readouterr().err)


@pytest.mark.slow
def test_ensemble_with_a_weight_that_cannot_be(
    tiny_checkpoint, contrary_checkpoint, red_clip, tmp_path, capsys
):
    bad = tmp_path / "bad.keras"
    bad.write_bytes(contrary_checkpoint.read_bytes())
    card = json.loads(contrary_checkpoint.with_suffix(".json").read_text("utf-8"))
    bad.with_suffix(".json").write_text(json.dumps(card | {"ensemble_weight": -1}))
    assert main(["run", str(red_clip), "--model", str(tiny_checkpoint), "--model", str(bad)]) == 2
    message = only_line(capsys.readouterr().err)
    assert f'{bad.with_suffix(".json")}: "ensemble_weight" must be a number' in message
    assert "correct it" in message


# Breaking off


def test_interrupt_keeps_what_was_finished(parts, bright_clip, tmp_path, monkeypatch, capsys):
    report = tmp_path / "out.json"
    engine = stopping_after(2, KeyboardInterrupt())
    monkeypatch.setattr(LocalEngine, "scan", engine)
    assert main(["run", *[str(bright_clip)] * 5, "--report", str(report)], parts) == 130
    assert only_line(capsys.readouterr().err) == "vidscan: interrupted"
    assert checked(report.read_text("utf-8"))["summary"]["total"] == 2


def test_second_interrupt_in_the_middle_of_a_folder(parts, detector, folder, tmp_path, monkeypatch, capsys):
    """Real signals while a clip without a face is read; the clip before it was finished."""
    monkeypatch.setattr(batches, "IDLE_S", 0.05)
    report, reported = tmp_path / "out.json", threading.Event()

    def interrupt(image: np.ndarray) -> bool:
        if detector.pictures == 6:  # the first clip has four
            assert reported.wait(60)
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
        return False

    detector._breaks = interrupt
    monkeypatch.setattr(ScanProgress, "count", lambda self, report: reported.set())
    assert main(["dir", str(folder), "--report", str(report), "--batch-size", "4"], parts) == 130
    document = checked(report.read_text("utf-8"))
    assert [Path(result["source"]).name for result in document["results"]] == ["bright.mp4"]


def test_network_that_breaks_down_keeps_what_was_finished(parts, bright_clip, tmp_path, monkeypatch, capsys):
    report = tmp_path / "out.json"
    engine = stopping_after(1, ScoringError("the network broke down"))
    monkeypatch.setattr(LocalEngine, "scan", engine)
    assert main(["run", *[str(bright_clip)] * 3, "--report", str(report)], parts) != 0
    assert only_line(capsys.readouterr().err) == "vidscan: the network broke down"
    assert checked(report.read_text("utf-8"))["summary"]["total"] == 1


# Doctor


def test_doctor_checks_every_part(tiny_checkpoint, capsys):
    assert main(["doctor", "--model", str(tiny_checkpoint)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for part in ("python", "ffmpeg", "face detector", "devices", "checkpoint"):
        assert any(re.match(rf"{part} +✓ ", line) for line in lines), part


@pytest.mark.slow
def test_doctor_names_the_broken_part_and_goes_on(tmp_path, capsys):
    assert main(["doctor", "--model", str(tmp_path / "gone.keras")]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^checkpoint +✗ .*gone\.keras", printed, re.MULTILINE)
    assert re.search(r"^devices +✓", printed, re.MULTILINE)


# As a process of its own

HEAVY = ("tensorflow", "keras", "mediapipe", "cv2", "ffmpeg", "imageio_ffmpeg", "rich")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    # Loading Keras here has set a variable that would tell the child to show TensorFlow's messages.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def test_help_loads_nothing_heavy():
    code = f"""
import sys
from vidscan.cli.main import main
for command in ([], ["run"], ["dir"], ["image"], ["doctor"]):
    try:
        main([*command, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
loaded = [name for name in {HEAVY!r} if name in sys.modules]
assert not loaded, loaded
"""
    answer = python(code)
    assert answer.returncode == 0, answer.stderr
    assert "exit codes:" in answer.stdout and "--fps" in answer.stdout


@pytest.mark.slow
def test_one_scan_in_full(tiny_checkpoint: Path):
    """The real detector and a real network: JSON and nothing else on stdout, not a word on stderr."""
    stills = [str(SAMPLES / "astronaut.jpg"), str(SAMPLES / "no-face.jpg")]
    code = "import sys; from vidscan.cli.main import main; sys.exit(main())"
    answer = python(code, "image", *stills, "--model", str(tiny_checkpoint), "--report", "-", "--quiet")
    assert answer.returncode == 0, answer.stderr
    document = checked(answer.stdout)
    face, none = document["results"]
    assert face["verdict"]["label"] in ("FAKE", "REAL", "UNCERTAIN")
    assert len(face["tracks"]) == 1
    assert none["verdict"]["label"] == "NO_FACE"
    assert document["model"]["name"] == "tiny"
    assert answer.stderr == ""


@pytest.mark.parametrize(("flags", "engine"), [([], LocalEngine), (["--isolate"], IsolatedEngine)])
def test_isolate_chooses_who_does_the_work(monkeypatch, folder: Path, parts: Parts, flags, engine):
    asked: list[object] = []
    for kind in (LocalEngine, IsolatedEngine):
        monkeypatch.setattr(kind, "scan", lambda *_, kind=kind: iter(asked.append(kind) or ()))
    assert main(["dir", str(folder), "-q", *flags], parts) == 0
    assert asked == [engine]
