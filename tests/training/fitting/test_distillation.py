from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_crops import SIZE, make_crop_folder
from tiny_network import build_tiny, save_tiny

from vidscan.errors import ModelError, UsageError
from vidscan.models.card_file import card_path, read_card, write_card
from vidscan.models.checkpoint import load_model, save_checkpoint
from vidscan.records import Calibration, ModelCard
from vidscan_training.crops.folder import open_crop_folder
from vidscan_training.crops.split import assign_splits
from vidscan_training.data.batches import Batch
from vidscan_training.data.draw import SamplingOptions
from vidscan_training.fitting.distillation import Teacher
from vidscan_training.fitting.loop import fit
from vidscan_training.fitting.options import FitOptions

pytestmark = pytest.mark.slow

PICTURES = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.float32)
LABELS = np.array([[1], [1], [0], [0]], np.float32)
BATCH = Batch(PICTURES, LABELS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    make_crop_folder(folder / "crops", groups=8, portraits=8)
    save_tiny(folder / "tiny.keras")
    return folder


def rows_of(made):
    return assign_splits(open_crop_folder(made / "crops").rows)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_target_is_partly_the_label_and_partly_the_teachers_score(made, weight):
    softened = Teacher(made / "tiny.keras", weight, rows_of(made)).soften(BATCH)
    real = np.asarray(load_model(made / "tiny.keras").network.predict_on_batch(PICTURES))
    np.testing.assert_allclose(softened.target, (1 - weight) * LABELS + weight * real, atol=1e-6)
    assert softened.target.dtype == np.float32
    assert softened.inputs is BATCH.inputs


def test_a_teacher_of_another_size_class_and_calibration_says_what_its_network_says(made, tmp_path):
    """Its crops are resized, its output turned, and what was fitted on validation clips is left out."""
    card = ModelCard("small", "tiny-net", SIZE, positive_class="fake")
    card = replace(card, calibration=Calibration(5.0, 1.0, "validation clips"))
    save_checkpoint(build_tiny(), tmp_path / "small.keras", card)
    large = np.random.default_rng(1).integers(0, 256, (4, 2 * SIZE, 2 * SIZE, 3)).astype(np.float32)
    softened = Teacher(tmp_path / "small.keras", 1.0, rows_of(made)).soften(BATCH._replace(inputs=large))
    halved = large.reshape(4, SIZE, 2, SIZE, 2, 3).mean(axis=(2, 4))
    fake = np.asarray(load_model(tmp_path / "small.keras").network.predict_on_batch(halved))
    np.testing.assert_allclose(softened.target, 1 - fake, atol=5e-3)


def test_a_teacher_that_knows_the_people_held_back_is_refused(made, tmp_path):
    path = save_tiny(tmp_path / "tiny.keras")
    rows = rows_of(made)
    held_back = next(row.group for row in rows if row.split == "test")
    card = read_card(card_path(path))
    trained = [row.group for row in rows if row.split == "train"]
    write_card(replace(card, split={"train": {"groups": trained}}), card_path(path))
    Teacher(path, 0.5, rows)
    write_card(replace(card, split={"train": {"groups": [held_back]}}), card_path(path))
    with pytest.raises(UsageError, match=f"{held_back} should be in the split 'test'"):
        Teacher(path, 0.5, rows)


def test_a_network_learns_from_a_teacher_alone(made, tmp_path):
    """With all the weight on a teacher that is wrong throughout, it learns the opposite of the labels."""

    def options(name, **changed):
        return replace(
            FitOptions(
                crops=made / "crops",
                output=tmp_path / name,
                initial=made / "tiny.keras",
                phase="full",
                sampling=SamplingOptions(8),
                augmentation="none",
                epochs=4,
                steps_per_epoch=12,
                learning_rate=0.02,
                average=0.9,
            ),
            **changed,
        )

    path = fit(options("plain"))
    wrong = tmp_path / "wrong.keras"
    model = load_model(path)
    save_checkpoint(model.network, wrong, replace(model.card, positive_class="fake", split={}))
    taught = fit(options("taught", teacher=wrong, teacher_weight=1.0))
    assert load_model(path).card.metrics["validation"]["crop_auc"] > 0.8
    last = load_model(taught).card.metrics["validation"]
    assert last["crop_auc"] < 0.5
    assert "; taught by detector" in load_model(taught).card.data
    with pytest.raises(UsageError, match="these differ: teacher"):
        fit(options("taught", teacher=wrong, teacher_weight=0.5, resume=True))


def test_a_teacher_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(ModelError, match=r"nobody\.keras"):
        fit(FitOptions(crops=made / "crops", output=tmp_path / "run", teacher=tmp_path / "nobody.keras"))
