"""What a program may rely on: the names, the calls, and that importing costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from signed_media import authority, sign
from toys import ToyDetector, ToyScorer

import vidscan
from vidscan.models.calibration import fake_probability
from vidscan.options import ModelOptions

EXPORTED = {
    "CardError",
    "DecodeError",
    "DetectionError",
    "Label",
    "ModelCard",
    "ModelError",
    "Provenance",
    "Report",
    "ReportError",
    "ScanOptions",
    "ScoringError",
    "Segment",
    "SourceError",
    "Status",
    "TimelinePoint",
    "Track",
    "UsageError",
    "Verdict",
    "VidscanError",
    "__version__",
    "load_model",
    "provenance",
    "scan",
    "scan_many",
}


def test_exported_names_are_the_promised_ones():
    assert set(vidscan.__all__) == EXPORTED
    assert all(hasattr(vidscan, name) for name in EXPORTED)


def test_every_error_can_be_caught_as_one():
    errors = [getattr(vidscan, name) for name in EXPORTED if name.endswith("Error")]
    assert all(issubclass(error, vidscan.VidscanError) for error in errors)


def test_importing_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "mediapipe", "cv2", "rich")
    code = f"import sys, vidscan; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_scan_gives_the_report(detector: ToyDetector, bright_clip: Path):
    report = vidscan.scan(bright_clip, fps=1, model=ToyScorer())
    assert report.status is vidscan.Status.OK
    assert report.verdict.label is vidscan.Label.FAKE
    assert [point.time_s for point in report.timeline] == [0.0, 1.0]
    assert report.options["sampling"]["fps"] == 1
    assert detector.closed


def test_scan_looks_at_less(detector: ToyDetector, bright_clip: Path):
    """The clip has a keyframe at 0 and one at 1.2 s."""
    three = vidscan.scan(bright_clip, frames=3, model=ToyScorer())
    assert [point.time_s for point in three.timeline] == pytest.approx([0.0, 0.7, 1.4])
    assert three.options["sampling"]["frames"] == 3
    keyed = vidscan.scan(bright_clip, keyframes=True, model=ToyScorer())
    assert [point.time_s for point in keyed.timeline] == [0.0, 1.2]
    assert keyed.options["sampling"]["keyframes"]


def test_scan_takes_a_path_as_text_and_thresholds(detector: ToyDetector, bright_clip: Path):
    report = vidscan.scan(str(bright_clip), model=ToyScorer(), fake_threshold=1.0, real_threshold=0.999)
    assert report.verdict.label is vidscan.Label.REAL


def test_options_say_all_that_a_scan_can_be_asked(detector: ToyDetector, bright_clip: Path):
    options = vidscan.ScanOptions.of(fps=1, min_face=200, region=(0, 0, 9, 9), scratch_gb=1)
    report = vidscan.scan(bright_clip, options, model=ToyScorer(), faces=1)
    assert report.verdict.label is vidscan.Label.NO_FACE
    assert report.options["sampling"]["fps"] == 1
    told = {"min_confidence": 0.5, "min_face": 200, "faces": 1, "region": (0, 0, 9, 9)}
    assert report.options["detection"] == told
    with pytest.raises(TypeError, match="no option fpz"):
        vidscan.scan(bright_clip, fpz=1, model=ToyScorer())


@pytest.mark.slow
def test_options_name_the_model(detector: ToyDetector, bright_clip: Path, tiny_checkpoint: Path):
    options = vidscan.ScanOptions(model=ModelOptions((tiny_checkpoint,)))
    assert vidscan.scan(bright_clip, options, fps=1).model_card.name == "tiny"


def test_scan_of_a_broken_file_is_a_failed_report(detector: ToyDetector, text_as_clip: Path):
    report = vidscan.scan(text_as_clip, model=ToyScorer())
    assert report.status is vidscan.Status.FAILED
    assert report.error.type == "DecodeError"


def test_scan_of_a_missing_file_raises(tmp_path: Path):
    with pytest.raises(vidscan.SourceError, match="no such file"):
        vidscan.scan(tmp_path / "gone.mp4", model=ToyScorer())


def test_scan_refuses_what_cannot_work(bright_clip: Path):
    with pytest.raises(vidscan.UsageError, match="--fps"):
        vidscan.scan(bright_clip, fps=0, model=ToyScorer())


def test_scan_many_yields_in_order(detector: ToyDetector, bright_clip: Path, dark_clip: Path):
    paths = (path for path in (dark_clip, bright_clip, dark_clip))
    reports = list(vidscan.scan_many(paths, model=ToyScorer(), batch_size=2))
    labels = [report.verdict.label for report in reports]
    assert labels == [vidscan.Label.NO_FACE, vidscan.Label.FAKE, vidscan.Label.NO_FACE]


def test_scan_many_dropped_half_way_closes_the_detector(detector: ToyDetector, bright_clip: Path):
    reports = vidscan.scan_many([bright_clip] * 9, model=ToyScorer(), batch_size=2)
    next(reports)
    reports.close()
    assert detector.closed


def test_checkpoint_by_path(detector: ToyDetector, bright_clip: Path, tiny_checkpoint: Path):
    report = vidscan.scan(bright_clip, model=tiny_checkpoint)
    assert report.model_card.name == "tiny"
    assert report.options["model"] == {
        "path": str(tiny_checkpoint),
        "runtime": "auto",
        "runtimes_used": ["onnx"],
    }
    # White is as red as it is blue.
    assert report.verdict.fake_probability == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_list_of_checkpoints_is_an_ensemble(
    detector: ToyDetector, red_clip: Path, tiny_checkpoint: Path, contrary_checkpoint: Path
):
    paths = [tiny_checkpoint, str(contrary_checkpoint)]
    report = vidscan.scan(red_clip, model=paths)
    assert detector.pictures == 4
    alone = [vidscan.scan(red_clip, model=path) for path in paths]
    assert [card.name for card in report.members] == ["tiny", "contrary"]
    assert report.model_card.name == "tiny + contrary"
    assert report.options["model"] == {
        "paths": [str(path) for path in paths],
        "runtime": "auto",
        "runtimes_used": ["onnx", "onnx"],
    }
    assert [said.label for said in report.verdict.members] == [vidscan.Label.REAL, vidscan.Label.FAKE]
    assert [said.fake_probability for said in report.verdict.members] == pytest.approx(
        [single.verdict.fake_probability for single in alone]
    )


@pytest.mark.slow
def test_list_may_hold_loaded_models(
    detector: ToyDetector, red_clip: Path, tiny_checkpoint: Path, contrary_checkpoint: Path
):
    loaded = vidscan.load_model(tiny_checkpoint)
    report = vidscan.scan(red_clip, model=[loaded, contrary_checkpoint])
    assert [card.name for card in report.members] == ["tiny", "contrary"]


def test_list_of_one_is_that_one(detector: ToyDetector, red_clip: Path, tiny_checkpoint: Path):
    one, listed = (vidscan.scan(red_clip, model=model) for model in (tiny_checkpoint, [tiny_checkpoint]))
    assert listed.members == ()
    for part in ("verdict", "tracks", "timeline", "segments", "model_card", "options"):
        assert getattr(listed, part) == getattr(one, part)


def test_list_of_no_models_is_refused(red_clip: Path):
    with pytest.raises(vidscan.UsageError, match="list of models is empty"):
        vidscan.scan(red_clip, model=[])


def test_same_checkpoint_twice_is_refused(red_clip: Path, tiny_checkpoint: Path):
    with pytest.raises(vidscan.ModelError, match=r"tiny\.keras: is the same checkpoint as"):
        vidscan.scan(red_clip, model=[tiny_checkpoint, tiny_checkpoint])


def test_loaded_model_scores_crops(tiny_checkpoint: Path):
    model = vidscan.load_model(str(tiny_checkpoint), runtime="keras")
    crops = np.zeros((3, 32, 32, 3), np.uint8)
    crops[0, :, :, 0] = 255  # red: surely real
    crops[2, :, :, 2] = 255  # blue: surely fake
    scores = model.score(crops)
    assert scores.shape == (3,) and scores.dtype == np.float32
    real = 1 / (1 + np.exp(np.array([-4.0, 0.0, 4.0])))
    assert scores == pytest.approx(fake_probability(real, model.card), abs=1e-5)
    assert scores[0] < 0.05 and scores[2] > 0.95


def test_missing_checkpoint_raises(tmp_path: Path):
    with pytest.raises(vidscan.ModelError, match="no such file"):
        vidscan.load_model(tmp_path / "gone.keras")


def test_what_a_file_says_of_itself_is_one_call(tmp_path: Path):
    by = authority()
    Image.new("RGB", (40, 40)).save(tmp_path / "plain.jpg")
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "root.pem").write_bytes(by.root)
    signed = sign(tmp_path / "plain.jpg", tmp_path / "signed.jpg", by)
    said = vidscan.provenance(signed)
    assert (said.declares_ai, said.generator) == (True, "Toy Generator 3")
    assert said.content_credentials is not None and not said.content_credentials.signer_trusted
    trusting = vidscan.provenance(str(signed), trust=str(tmp_path / "trust"))
    assert trusting.content_credentials is not None and trusting.content_credentials.signer_trusted
    assert vidscan.provenance(tmp_path / "plain.jpg") == vidscan.Provenance()
    with pytest.raises(vidscan.SourceError, match="no such file"):
        vidscan.provenance(tmp_path / "gone.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(vidscan.SourceError, match="the file is empty"):
        vidscan.provenance(tmp_path / "empty.jpg")
    with pytest.raises(vidscan.UsageError, match="--trust"):
        vidscan.provenance(signed, trust=tmp_path)
