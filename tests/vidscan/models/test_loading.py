"""What ships, found by name; models put together, and the detector card that speaks of exactly these."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_networks import WHOLE, Installation, installation, save_red_network
from toys import CARD as TOY_CARD
from toys import ConstantScorer, ToyDetector, ToyScorer

import vidscan
from vidscan.cli.main import main
from vidscan.errors import CardError, ModelError, UsageError
from vidscan.models import bundled
from vidscan.models.bundled import CHECKPOINTS, checkpoint_path, fingerprint
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model
from vidscan.models.ensemble import Ensemble
from vidscan.models.loading import distinct_members, load_models, together
from vidscan.options import ModelOptions, ScanOptions
from vidscan.probability import combine
from vidscan.system.files import sha256_of


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> Installation:
    """Toys in the place of what ships."""
    made = installation(tmp_path, tiny_checkpoint)
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "vidscan" / "models" / "bundled.py"))
    return made


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> ToyDetector:
    toy = ToyDetector()
    monkeypatch.setattr("vidscan.faces.detector.MediaPipeFaceDetector", lambda options: toy)
    return toy


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


# Names


def test_a_bundled_checkpoint_is_found_by_name_in_the_package_first(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "vidscan" / "models" / "bundled.py"))
    with pytest.raises(ModelError, match=r"missing from .*; install vidscan again, or name .* --model PATH"):
        load_model()
    repository = tmp_path / "model" / "checkpoints" / "vidscan-vit.onnx"
    package = tmp_path / "vidscan" / "checkpoints" / "vidscan-vit.onnx"
    for path in (repository, package):
        path.parent.mkdir(parents=True)
        save_red_network(path)
        assert checkpoint_path("vidscan-vit") == path
        assert load_model("vidscan-vit").path == path


def test_a_name_that_is_no_file_and_none_of_the_bundled_is_one_line(shipped):
    with pytest.raises(ModelError, match=r"vidscan-b4: .*\(vidscan-lite2, vidscan-vit\)") as caught:
        load_model("vidscan-b4")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such file"):
        load_model(shipped.folder / "gone.onnx")


def test_a_bundled_name_wins_over_a_file_that_is_called_so(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vidscan-vit").write_text("something else")
    assert load_model("vidscan-vit").path == shipped.vit


def test_a_file_is_known_as_ours_by_its_place_and_not_by_its_name(tmp_path, monkeypatch):
    name = CHECKPOINTS["vidscan-vit"]
    assert bundled.ships(bundled.checkpoint_folder() / name)
    assert not bundled.ships(tmp_path / name) and not bundled.ships(bundled.checkpoint_folder() / "x.onnx")
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "vidscan" / "models" / "bundled.py"))
    assert not bundled.ships(tmp_path / name), "nor where nothing ships"


def test_one_network_is_loaded_where_none_is_named(shipped):
    assert vidscan.load_model(runtime="keras").path == shipped.lite2
    assert vidscan.load_model("vidscan-vit").card.name == "vidscan-vit"


@pytest.mark.slow
def test_an_onnx_network_needs_nothing_of_tensorflow(tmp_path):
    path = save_red_network(tmp_path / "red.onnx")
    code = (
        "import sys, numpy as np; from vidscan.models.checkpoint import load_model\n"
        f"load_model({str(path)!r}, 'auto').score(np.zeros((2, 40, 40, 3), np.uint8))\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


# Members


def test_members_without_a_card_are_known_by_their_files_hash(tiny_checkpoint, contrary_checkpoint):
    paths = (tiny_checkpoint, contrary_checkpoint)
    unhashed = []
    for path in paths:
        model = load_model(path)
        unhashed.append(replace(model, card=replace(model.card, sha256=None)))
    members = distinct_members(unhashed)
    assert tuple(member.path for member in members) == paths
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [member.card.sha256 for member in members] == expected


def test_the_same_checkpoint_twice_is_refused_whatever_its_name_and_card(tiny_checkpoint, tmp_path):
    shutil.copy(tiny_checkpoint, tmp_path / "b.keras")
    members = [load_model(tiny_checkpoint), load_model(tmp_path / "b.keras")]
    with pytest.raises(ModelError, match=r"b\.keras: is the same checkpoint as .*\.keras.*name it") as caught:
        together(members)
    assert "\n" not in str(caught.value)


def test_an_ensemble_is_a_sequence_of_its_members_and_stays_what_it_is():
    first, second = ToyScorer(), ConstantScorer(0.5)
    pair = Ensemble((first, second), replace(TOY_CARD, name="both"))
    assert list(pair) == [first, second] and pair[0] is first and pair[:1] == (first,) and len(pair) == 2
    assert Ensemble.of(pair) is pair
    assert Ensemble.of([first]).card is TOY_CARD


# The detector card


def test_both_networks_are_the_default_under_the_card_of_both(shipped):
    both = load_models(runtime="keras")
    assert [model.path for model in both] == [shipped.lite2, shipped.vit]
    assert (both.card.name, both.card.calibration, both.least_face) == ("vidscan", WHOLE, 40)
    assert both.weights == (1.0, 3.0)
    assert [model.runtime.name for model in both] == ["keras", "onnx"]


@pytest.mark.parametrize("names", [["vidscan-lite2", "vidscan-vit"], ["vidscan-vit", "vidscan-lite2"]])
def test_the_card_is_found_by_its_members_hashes_whatever_their_order(shipped, names):
    both = load_models(names, runtime="keras")
    assert both.card == read_card(shipped.card)
    assert [card.name for card in both.member_cards] == ["vidscan-lite2", "vidscan-vit"]
    loaded = [load_model(shipped.vit), load_model(shipped.lite2)]
    assert load_models(loaded).card == both.card


def test_other_models_are_the_ensemble_that_they_always_were(shipped, contrary_checkpoint):
    mixed = load_models(["vidscan-vit", contrary_checkpoint], runtime="keras")
    assert mixed.detector is None and mixed.calibration is None
    assert (mixed.card.name, mixed.card.backbone) == ("vidscan-vit + contrary", "ensemble")
    assert mixed.weights == (1.0, 1.0)


@pytest.mark.parametrize("named", [None, ["vidscan-lite2", "vidscan-vit"]])
def test_both_without_their_card_are_refused_in_one_line(shipped, named):
    shipped.write_card(members=[{"name": "a", "sha256": letter * 64, "weight": 1} for letter in "ab"])
    with pytest.raises(ModelError, match=r"vidscan\.json: was not made for .* differ\).*--fast") as caught:
        load_models(named, runtime="keras")
    assert "\n" not in str(caught.value)
    shipped.card.unlink()
    with pytest.raises(ModelError, match=r"vidscan\.json: .* is missing; .*--fast") as caught:
        load_models(named, runtime="keras")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_slim_installation_never_falls_to_one_network(shipped, capsys, bright_clip):
    shipped.vit.unlink()
    assert main(["run", str(bright_clip)]) == 2
    said = only_line(capsys.readouterr().err)
    assert str(shipped.vit) in said and "--fast" in said
    with pytest.raises(ModelError, match=r"vidscan-vit\.onnx: .*--fast"):
        load_models()
    assert load_models("vidscan-lite2", runtime="keras").card.name == "vidscan-lite2"


def test_a_face_scores_the_calibrated_weighted_mean_of_clipped_logits():
    lite2, vit = 0.999, 0.3
    logits = [math.log(p / (1 - p)) for p in (0.995, vit)]
    mean = (logits[0] + 3 * logits[1]) / 4
    together = combine([lite2, vit], [1.0, 3.0], WHOLE)
    assert together == pytest.approx(1 / (1 + math.exp(-(1.5 * mean - 0.25))), abs=1e-9)
    assert combine([vit, lite2], [3.0, 1.0], WHOLE) == together
    assert 0 <= combine([0.0, 0.0], [1.0, 1.0], replace(WHOLE, slope=1e6)) < 1e-9


def still(path: Path, *colour: int) -> Path:
    import cv2

    noise = np.random.default_rng(1).integers(-20, 20, (80, 120, 3))
    cv2.imwrite(str(path), np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))
    return path


@pytest.mark.slow
def test_a_faces_score_does_not_hang_on_its_batch_or_on_the_engine(shipped, detector, tmp_path):
    stills = [still(tmp_path / f"{red}.png", 150, 150, red) for red in (60, 90, 120, 150, 200)]
    alone = [vidscan.scan(path) for path in stills]
    for batch_size in (1, 2, 8):
        for one, other in zip(alone, vidscan.scan_many(stills, batch_size=batch_size), strict=True):
            face, same = one.timeline[0].faces[0], other.timeline[0].faces[0]
            assert same.fake_probability == pytest.approx(face.fake_probability, abs=1e-9)
            # Members are told to nine digits, after which their own are cut off.
            expected = combine(same.members, [1.0, 3.0], WHOLE)
            assert same.fake_probability == pytest.approx(expected, abs=1e-8)
    assert alone[0].model_card.name == "vidscan"
    assert alone[0].model_card.metrics == {"folds": {"auc": 0.8}}
    assert alone[0].options["model"]["runtimes_used"] == ["onnx", "onnx"]


def test_fast_is_the_one_network_alone(shipped, detector, tmp_path):
    path = still(tmp_path / "a.png", 150, 150, 150)
    fast = vidscan.scan(path, fast=True, runtime="keras")
    assert (fast.model_card.name, fast.members) == ("vidscan-lite2", ())
    assert fast.options["model"]["path"] == "vidscan-lite2"
    assert vidscan.scan(path, model="vidscan-vit").model_card.name == "vidscan-vit"
    with pytest.raises(UsageError, match="fast takes vidscan-lite2 alone"):
        vidscan.scan(path, fast=True, model="vidscan-vit")


def test_fast_goes_without_model(shipped, bright_clip, capsys):
    assert main(["run", str(bright_clip), "--fast", "--model", "vidscan-vit"]) == 2
    assert "--fast takes vidscan-lite2 alone" in only_line(capsys.readouterr().err)


# Runtimes


@pytest.mark.slow
def test_the_runtime_that_is_asked_for_is_the_keras_files(shipped):
    assert [model.runtime.name for model in load_models(runtime="onnx")] == ["onnx", "onnx"]


# What other parts make of it


@pytest.mark.slow
def test_a_fast_scan_is_not_gone_on_with_by_both(shipped, detector, tmp_path, capsys):
    folder, report = tmp_path / "media", tmp_path / "out.json"
    folder.mkdir()
    still(folder / "a.png", 150, 150, 150)
    (folder / "broken.png").write_text("no still")  # so that the results stay beside the report
    command = ["dir", str(folder), "--report", str(report), "--runtime", "keras"]
    assert main([*command, "--fast"]) == 1
    assert main([*command, "--fast", "--resume"]) == 1
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    assert "checkpoint SHA-256" in only_line(capsys.readouterr().err)
    assert main([*command, "--fast", "--resume"]) == 1


def test_another_detector_card_is_other_terms(shipped):
    from vidscan.results.terms import scan_terms

    first = scan_terms(ScanOptions(), load_models(runtime="keras"))
    turned = scan_terms(ScanOptions(), load_models(["vidscan-vit", "vidscan-lite2"], runtime="keras"))
    assert turned == first
    shipped.write_card(fake_threshold=0.95)
    assert scan_terms(ScanOptions(), load_models(runtime="keras")) != first


@pytest.mark.slow
def test_report_in_every_format_names_both(shipped, detector, tmp_path, capsys):
    import jsonschema
    from report_samples import schema

    folder = tmp_path / "media"
    folder.mkdir()
    still(folder / "a.png", 150, 150, 230)
    for name in ("out.json", "out.jsonl", "out.csv", "out.html"):
        assert main(["dir", str(folder), "--report", str(tmp_path / name), "--runtime", "keras"]) == 0
    document = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(document, schema())
    model = document["model"]
    assert (model["name"], model["detector"], model["sha256"]) == ("vidscan", True, None)
    assert [(each["name"], each["ensemble_weight"]) for each in model["members"]] == [
        ("vidscan-lite2", 1.0),
        ("vidscan-vit", 3.0),
    ]
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert line["model"]["name"] == "vidscan"
    assert [each["sha256"] for each in line["model"]["members"]] == [
        each["sha256"] for each in model["members"]
    ]
    assert (tmp_path / "out.csv").read_text().splitlines()[0].endswith(",member_1,member_2")
    page = (tmp_path / "out.html").read_text()
    assert "toys, measured together" in page and "The networks, together and each" in page
    assert "vidscan-lite2 and vidscan-vit, calibrated and measured together" in page
    assert "from the card of vidscan, which is the networks’ together" in page
    capsys.readouterr()
    assert main(["image", str(folder / "a.png"), "--runtime", "keras"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "together (vidscan): the weighted mean of their logits, calibrated as one" in printed


@pytest.mark.slow
def test_workers_load_the_same(shipped):
    import pickle

    from vidscan.engines.job import Job
    from vidscan.engines.ray.worker import Loaded

    both = load_models(runtime="keras")
    options = ScanOptions(model=ModelOptions(runtime="keras"))
    for named in (tuple(model.path for model in both), (), (Path("vidscan-lite2"),)):
        job = pickle.loads(pickle.dumps(Job(options, named)))
        assert Loaded.of(job.load().models) == Loaded.of(load_models(named or None, runtime="keras"))


def test_installations_differ_where_any_bundled_file_does(shipped):
    seen = {fingerprint()}
    shipped.write_card(fake_threshold=0.95)
    seen.add(fingerprint())
    write_card(replace(read_card(card_path(shipped.vit)), fake_threshold=0.7), card_path(shipped.vit))
    seen.add(fingerprint())
    save_red_network(shipped.vit, redness=4.0)
    seen.add(fingerprint())
    shipped.vit.unlink()
    seen.add(fingerprint())
    assert len(seen) == 5


def test_doctor_tries_each_and_their_card(shipped, capsys):
    assert main(["doctor"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name in CHECKPOINTS:
        assert f"{name}: {shipped.folder / CHECKPOINTS[name]}" in printed
    assert "vidscan: vidscan-lite2 (weight 1) and vidscan-vit (weight 3) FAKE from 0.90" in printed
    assert "vidscan-lite2: auto takes onnx" in printed
    assert "vidscan-vit: onnx, which the file was made for" in printed
    shipped.card.unlink()
    assert main(["doctor"]) == 1
    assert "vidscan.json: the card of" in capsys.readouterr().out


def test_exporting_the_exported_is_one_line(shipped, tmp_path, capsys):
    assert main(["export", "vidscan-vit", "--format", "onnx", "--out", str(tmp_path / "out.onnx")]) == 1
    assert "vidscan-vit.onnx: is an exported file already" in only_line(capsys.readouterr().err)


def test_a_single_network_with_a_detector_card_is_refused(shipped):
    shutil.copy(shipped.card, card_path(shipped.vit))
    with pytest.raises(CardError, match=r"vidscan-vit\.json: speaks of several networks together"):
        load_model("vidscan-vit")


# What really ships


def test_what_ships_leaves_the_wheel_below_100_mb():
    """PyPI takes no larger file; the rest of the wheel is below 4 MB, and compressed."""
    assert sum(path.stat().st_size for path in bundled.checkpoint_folder().iterdir()) < 96e6


def test_what_ships_is_one_detector():
    if not (bundled.checkpoint_folder() / bundled.DETECTOR_CARD).is_file():
        pytest.skip("a slim checkout, without the second network and the card of both")
    paths = {name: checkpoint_path(name) for name in CHECKPOINTS}
    for path in paths.values():
        assert read_card(card_path(path)).sha256 == sha256_of(path)
    card = bundled.detector_card({sha256_of(path): path for path in paths.values()})
    assert [member.name for member in card.members] == list(CHECKPOINTS)
    assert card.terms != "unknown" and card.limits and card.metrics
