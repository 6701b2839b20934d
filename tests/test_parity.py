"""Training and scanning see the same: one crop, one score, whichever command asks."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import vidscan
from vidscan.media.ffmpeg import decode
from vidscan.models.bundled import checkpoint_path
from vidscan_training.cli.main import main as train

pytestmark = pytest.mark.slow

CLIP = Path(__file__).parents[1] / "samples" / "self-blended.mp4"
FRAMES = 8


def test_scan_and_evaluate_score_the_same_crops_alike(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(f"file,label,method,group\n{CLIP},fake,self-blended,astronaut\n")
    card = vidscan.load_model().card
    crops, scores = tmp_path / "crops", tmp_path / "scores.csv"
    cut = ["crops", str(crops), "--from", str(tmp_path / "clips.csv"), "--fake-per-clip", str(FRAMES)]
    assert train([*cut, "--size", str(card.input_size), "--margin", str(card.margin)]) == 0
    lite2 = str(checkpoint_path("vidscan-lite2"))
    measure = ["evaluate", lite2, str(crops), "--split", "all", "--out", str(scores)]
    assert train(measure) == 0
    with scores.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    evaluated = {round(float(row["time_s"]), 3): float(row["fake_probability"]) for row in rows}

    duration = decode.probe(CLIP).duration_s
    assert duration is not None
    report = vidscan.scan(CLIP, fps=FRAMES / duration, fast=True)
    scanned = {round(point.time_s, 3): point.fake_probability for point in report.timeline}

    assert len(scanned) == FRAMES
    assert scanned == pytest.approx(evaluated, abs=1e-4)
    assert max(scanned.values()) - min(scanned.values()) > 0.1, "scores that never differ prove nothing"
