from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_rows import made_clips, made_row

from vidscan_training.recipes.vit.collections import listed
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.features import of_set
from vidscan_training.recipes.vit.folds import (
    FOLDS_FILE,
    OTHERS,
    Clip,
    Folds,
    auc,
    by_source,
    clips_of,
    mean_over_pairs,
    pooled,
)


@pytest.fixture(scope="module")
def named() -> Counter[tuple[str, str]]:
    """How often ``folds.json`` names each source (of FaceForensics++, each part)."""
    document = json.loads(FOLDS_FILE.read_text("utf-8"))
    return Counter(
        (collection, source)
        for collections in document["folds"].values()
        for collection, sources in collections.items()
        for source in sources
    )


def test_no_source_is_left_out_twice(named):
    assert named
    assert set(named.values()) == {1}
    assert dict(Folds.read().of).keys() == named.keys()


def test_parts_of_faceforensics_share_no_pair():
    parts = json.loads(FOLDS_FILE.read_text("utf-8"))["ffpp"]
    pairs = [pair for each in parts.values() for pair in each]
    assert parts.keys() == {"train", "val", "test"}
    assert len(pairs) == len(set(pairs))


@pytest.mark.data
def test_folds_name_every_source_of_the_manifests_once(research_clips, named):
    found = listed(research_clips.parent)
    whole = {(each.collection, each.source) for each in found if not each.part}
    parts = {(each.collection, each.part) for each in found if each.part}
    assert {collection for collection, _ in whole} == {"talking", "stills", "faces"}
    assert parts == {("ffpp", "train"), ("ffpp", "val"), ("ffpp", "test")}
    # What the first network was trained on is learnt from in every fold.
    assert named.keys() == (whole | parts) - {("ffpp", "train")}


def test_whoever_is_seen_in_a_fold_is_not_learnt_from_elsewhere():
    folds = Folds({("talking", "one"): "a", ("talking", "two"): "b", ("ffpp", "val"): "c"})
    rows = [
        made_row("one", person="anna"),
        made_row("one", person="berta", fake=True),
        made_row("two", person="anna", fake=True),
        made_row("two", person="carla"),
        made_row("two", person="anna", collection="stills"),
        made_row("ffpp", person="033_097", collection="ffpp", part="train"),
        made_row("ffpp", person="035_036", collection="ffpp", part="val"),
        made_row("ffpp", person="035_036", collection="ffpp", part="train"),
    ]
    assert [folds.fold(row) for row in rows] == ["a", "a", "b", "b", "", "", "c", ""]
    assert folds.names == ["a", "b", "c"]
    assert folds.kept(rows, "a").tolist() == [False, False, False, True, True, True, True, True]
    assert folds.kept(rows, "b").tolist() == [False, True, False, False, True, True, True, True]
    assert folds.kept(rows, "c").tolist() == [True, True, True, True, True, True, False, False]


levels = st.lists(st.integers(-4, 4).map(lambda each: each / 4), min_size=1, max_size=30)


@settings(deadline=None)
@given(levels, levels)
def test_auc_is_that_of_scikit_learn(real, fake):
    metrics = pytest.importorskip("sklearn.metrics")
    truth = [0] * len(real) + [1] * len(fake)
    assert auc(real, fake) == pytest.approx(metrics.roc_auc_score(truth, real + fake), abs=1e-12)


def test_mean_over_pairs_counts_each_pair_of_sources_once():
    scores = {
        (False, "camera"): [0.0] * 20,
        (False, "phone"): [2.0],
        (True, "swap"): [1.0, 3.0],
        (True, "sync"): [1.0],
    }
    # camera: 1 against both; phone: one of two of swap, none of sync.
    assert mean_over_pairs(scores) == pytest.approx((1.0 + 1.0 + 0.5 + 0.0) / 4)
    assert pooled(scores) == pytest.approx((20 * 3 + 1) / (21 * 3))


def test_small_sources_of_one_label_are_merged():
    clips = [
        *made_clips("large", 3, fake=False),
        *made_clips("pair", 2, fake=False),
        *made_clips("single", 1, fake=False),
        *made_clips("single", 1, fake=True),
        *made_clips("large", 4, fake=True, collection="stills"),
    ]
    found = by_source(clips, range(len(clips)), "talking")
    assert found == {(False, "large"): [0, 1, 2], (False, OTHERS): [3, 4, 5], (True, OTHERS): [6]}


def test_clips_hold_the_faces_that_have_a_score():
    rows = [made_row("one", clip=clip) for clip in ("x", "x", "y", "x", "z")]
    found = clips_of(rows, np.array([True, False, True, True, False]))
    assert found == [Clip(rows[0], (0, 3)), Clip(rows[2], (2,))]


def test_degraded_sets_take_turns_and_self_blends_are_of_real_faces_with_a_mesh(tmp_path):
    rows = [made_row("one", fake=place in (1, 4)) for place in range(7)]
    meshes = np.zeros((7, 468, 2), np.float16)
    meshes[2, 5] = np.nan
    store = FaceStore(tmp_path, tuple(rows), meshes)
    assert sorted(of_set(store, "degraded1") + of_set(store, "degraded2")) == list(range(7))
    assert of_set(store, "degraded3") == of_set(store, "degraded1")
    assert of_set(store, "plain") == list(range(7))
    assert of_set(store, "blended1") == [0, 3, 5, 6]
