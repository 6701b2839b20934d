from __future__ import annotations

import csv
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from made_crops import make_crop_folder
from tiny_network import save_tiny
from toy_scorer import CARD, ToyScorer

from vidscan.errors import ReportError, UsageError
from vidscan.models.checkpoint import load_model
from vidscan.options import VerdictOptions
from vidscan.records import Box, FaceScore, FaceSeen, SourceKind
from vidscan.verdict.judge import judge
from vidscan_training.crops.folder import CropFolder, CropRow, open_crop_folder, read_manifest, write_manifest
from vidscan_training.crops.split import SplitOptions, assign_splits, split_record
from vidscan_training.evaluation import metrics
from vidscan_training.evaluation.evaluate import EvaluateOptions, command, evaluate, figures, measure
from vidscan_training.evaluation.report import as_text
from vidscan_training.evaluation.scores import (
    ScoredRow,
    by_clip,
    rows_of_split,
    score_rows,
    truth_and_scores,
    write_scores,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_crop_folder(make_crop_folder(tmp_path_factory.mktemp("made") / "crops", groups=9))


def options(folder, **changed):
    return replace(EvaluateOptions(folder.path / "none.keras", folder.path, split="all"), **changed)


def shuffled(folder: CropFolder, seed: int) -> CropFolder:
    order = list(range(len(folder.rows)))
    random.Random(seed).shuffle(order)
    return replace(folder, rows=tuple(folder.rows[i] for i in order), landmarks=folder.landmarks[order])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_shuffled_manifest_gives_identical_figures(folder, seed):
    plain, _ = measure(ToyScorer(), folder, options(folder))
    mixed, _ = measure(ToyScorer(), shuffled(folder, seed), options(folder, batch_size=7))
    assert mixed == plain
    assert plain["crops"]["auc"] > 0.6, "a figure that says nothing would not show a mix-up"


def test_scores_belong_to_their_rows(folder):
    places = list(range(len(folder.rows)))[::-1]
    for item, place in zip(score_rows(ToyScorer(), folder, places, batch_size=5), places, strict=True):
        alone = score_rows(ToyScorer(), folder, [place])[0]
        assert item == alone
        assert item.row is folder.rows[place]


def test_figures_tell_manipulations_and_real_collections_apart(folder):
    """Scores are made up: swaps are found, GAN portraits are not, big portraits raise false alarms."""
    chance = {"deepfakes": 0.9, "faceswap": 0.8, "stylegan256": 0.1, "ffhq512": 0.95}
    scored = [ScoredRow(row, chance.get(row.method, 0.2)) for row in folder.rows]
    result = figures(scored, CARD, options(folder, against={"stylegan256": ["ffhq256"]}))
    assert result["manipulations"]["deepfakes"]["against"] == ["original"]
    assert result["manipulations"]["deepfakes"]["clip_auc"] == 1
    assert result["manipulations"]["stylegan256"]["clip_auc"] == 0
    assert result["manipulations"]["stylegan256"]["real_clips"] == 6
    assert result["reals"]["ffhq512"]["false_alarm_rate"] == 1
    assert result["reals"]["original"]["called_fake"] == 0
    assert result["verdicts"]["real"] == {"FAKE": 6, "UNCERTAIN": 0, "REAL": 15}
    assert result["clips"]["count"] == 9 * 3 + 18
    assert result["crops"]["count"] == len(folder.rows)
    low, high = result["clips"]["auc_interval"]
    assert low < result["clips"]["auc"] < high


def test_a_clip_is_scored_as_a_verdict_scores_one_person(folder):
    rows = [row for row in folder.rows if row.clip == "original_3.mp4"]
    chances = [0.2, 0.7, 0.9999]
    found = by_clip([ScoredRow(row, chance) for row, chance in zip(rows, chances, strict=True)], CARD)[0]
    faces = [
        FaceScore(FaceSeen("c", i, row.time_s, Box(row.x, row.y, row.w, row.h), 0.9), chance)
        for i, (row, chance) in enumerate(zip(rows, chances, strict=True))
    ]
    verdict = judge(faces, CARD, VerdictOptions(), SourceKind.VIDEO).verdict
    assert found.fake_probability == verdict.fake_probability
    logits = np.log(np.array([0.2, 0.7, 0.995]) / (1 - np.array([0.2, 0.7, 0.995])))
    assert found.fake_probability == pytest.approx(1 / (1 + np.exp(-logits.mean())))
    assert (found.crops, found.fake, found.method) == (3, False, "original")


def split_card(rows, seed=0):
    split = SplitOptions(seed=seed)
    return replace(CARD, split=split_record(assign_splits(rows, split), split))


def test_the_card_says_which_rows_are_the_test_rows(folder):
    expected = [
        i for i, row in enumerate(assign_splits(folder.rows, SplitOptions(seed=5))) if row.split == "test"
    ]
    assert rows_of_split(folder, split_card(folder.rows, 5), "test") == expected
    assert rows_of_split(folder, CARD, "all") == list(range(len(folder.rows)))


def test_a_manifest_with_splits_goes_before_the_card(folder):
    rows = assign_splits(folder.rows, SplitOptions(seed=1))
    stated = replace(folder, rows=rows)
    assert rows_of_split(stated, CARD, "val") == [i for i, row in enumerate(rows) if row.split == "val"]


def test_people_of_the_training_are_refused_in_a_test(folder):
    card = split_card(folder.rows, 5)
    leaking = replace(folder, rows=tuple(replace(row, split="test") for row in folder.rows))
    with pytest.raises(UsageError, match="pair"):
        rows_of_split(leaking, card, "test")


def test_without_a_split_anywhere_there_is_no_test(folder):
    with pytest.raises(UsageError, match="--split all"):
        rows_of_split(folder, CARD, "test")


def test_crops_of_another_size_are_refused(folder):
    with pytest.raises(UsageError, match="takes 48 px, the crops have 32"):
        score_rows(ToyScorer(replace(CARD, input_size=48)), folder, [0])


def test_per_clip_limits_the_crops(folder):
    result, scored = measure(ToyScorer(), folder, options(folder, per_clip=1))
    assert result["crops"]["count"] == result["clips"]["count"] == len(scored)


def test_scores_are_written_one_line_a_crop(folder, tmp_path):
    scored = score_rows(ToyScorer(), folder, [3, 1, 2])
    write_scores(tmp_path / "scores.csv", scored)
    with (tmp_path / "scores.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["file"] for line in lines] == [folder.rows[i].file for i in (3, 1, 2)]
    for line, item in zip(lines, scored, strict=True):
        assert float(line["fake_probability"]) == pytest.approx(item.fake_probability, abs=1e-6)


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_from_end_to_end(tmp_path):
    crops = make_crop_folder(tmp_path / "crops", groups=9)
    checkpoint = save_tiny(tmp_path / "tiny.keras")
    write_manifest(crops / "manifest.csv", assign_splits(read_manifest(crops / "manifest.csv")))
    result = evaluate(
        EvaluateOptions(
            checkpoint,
            crops,
            robustness=True,
            degradations=["blur", "h264"],
            scores=tmp_path / "s.csv",
            reports=(tmp_path / "r.json", tmp_path / "r.HTML"),
            record=True,
        )
    )
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(json.dumps(result))
    assert result["checkpoint"]["sha256"] == load_model(checkpoint).card.sha256
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert len(lines) == 1 + result["crops"]["count"]
    recorded = load_model(checkpoint).card.metrics["test"]
    assert recorded["clips"]["auc"] == pytest.approx(result["clips"]["auc"])
    expected = "vidscan-train evaluate tiny.keras CROPS --split test --robustness --degradations blur,h264"
    assert recorded["command"] == expected
    blurred = result["robustness"]["degradations"][0]["strengths"][-1]
    assert recorded["robustness"]["clip_auc"]["blur"]["3"] == pytest.approx(blurred["clip_auc"], abs=1e-4)
    assert set(recorded["robustness"]["crop_auc"]) == {"undegraded", "blur", "h264"}
    assert "<svg" in (tmp_path / "r.HTML").read_text()


def test_a_report_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    for name, reason in (("r.pdf", "names no format"), ("missing/r.html", "cannot be written")):
        with pytest.raises(ReportError, match=reason):
            evaluate(EvaluateOptions(tmp_path / "none.keras", tmp_path, reports=(tmp_path / name,)))


def test_the_command_says_everything_that_the_figures_depend_on(folder):
    plain = options(folder, split="val", batch_size=7)
    assert command(plain, "a b.keras", "C") == "vidscan-train evaluate 'a b.keras' C --split val"
    asked = options(
        folder,
        split="test",
        methods=["original", "x y"],
        against={"x y": ["original", "ffhq256"]},
        per_clip=3,
        robustness=True,
    )
    assert command(asked, "a.keras", "C") == (
        "vidscan-train evaluate a.keras C --split test --methods 'original,x y' "
        "--against 'x y=original+ffhq256' --per-clip 3 --robustness"
    )


def test_curves_and_intervals_come_with_the_figures(folder):
    result, scored = measure(ToyScorer(), folder, options(folder))
    for name in ("crops", "clips"):
        curve = np.array(result["roc"][name])
        assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(result[name]["auc"])
        assert curve[0].tolist() == [0, 0]
        assert curve[-1].tolist() == [1, 1]
        low, high = result[name]["auc_interval"]
        assert low < result[name]["auc"] < high
        assert sum(row["count"] for row in result["reliability"][name]) == result[name]["count"]
    fake, score = truth_and_scores(scored)
    clips = [item.row.clip for item in scored]
    by_file = np.argsort([item.row.file for item in scored])
    drawn = metrics.bootstrap_interval(
        metrics.auc, fake[by_file], score[by_file], clusters=[clips[i] for i in by_file]
    )
    assert result["crops"]["auc_interval"] == drawn


def test_groups_of_several_clips_are_named(folder):
    result, _ = measure(ToyScorer(), folder, options(folder))
    assert result["groups"] == {"named": [f"pair{i}" for i in range(9)], "single_clips": 18}


def test_the_table_shows_every_figure_and_fits_a_terminal(folder):
    result, _ = measure(ToyScorer(), folder, options(folder))
    table = as_text(result)
    for word in ("AUC", "EER", "precision", "recall", "support", "deepfakes", "stylegan256", "ffhq512"):
        assert word in table
    assert f"{result['clips']['auc']:.3f}" in table
    assert max(map(len, table.splitlines())) <= 100


def test_one_class_alone_can_be_measured(folder):
    reals = replace(folder, rows=tuple(row for row in folder.rows if row.label == "real"))
    result, _ = measure(ToyScorer(), reals, options(reals))
    assert result["clips"]["auc"] is None
    assert result["manipulations"] == {}
    assert " - " in as_text(result).replace("-\n", "- ")


def test_interval_and_summary_use_clips_not_crops(folder):
    scored = [ScoredRow(row, 0.3 + 0.4 * (row.label == "fake")) for row in folder.rows]
    result = figures(scored, CARD, options(folder))
    clips = by_clip(scored, CARD)
    fake = np.array([clip.fake for clip in clips])
    score = np.array([clip.fake_probability for clip in clips])
    assert result["clips"]["auc"] == metrics.auc(fake, score)
    assert isinstance(scored[0].row, CropRow)


def test_methods_limit_what_is_measured(folder):
    some, scored = measure(ToyScorer(), folder, options(folder, methods=["original", "deepfakes"]))
    assert {item.row.method for item in scored} == {"original", "deepfakes"} == set(some["methods"])
    assert set(some["manipulations"]) == {"deepfakes"}
    with pytest.raises(UsageError, match=r"--methods nonesuch: not among .*deepfakes"):
        measure(ToyScorer(), folder, options(folder, methods=["nonesuch"]))
