from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_rows import made_clips, made_row

from vidscan_training.recipes.vit import folds as folds_module
from vidscan_training.recipes.vit.collections import listed
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.features import donors, of_set
from vidscan_training.recipes.vit.folds import (
    FOLDS_FILE,
    OTHERS,
    Clip,
    Folds,
    Learnt,
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
    assert of_set(store, "mouth-degraded1") == of_set(store, "degraded1")
    assert of_set(store, "reduced1") == of_set(store, "degraded1")
    thirds = [of_set(store, f"fields{number}") for number in (1, 2, 3)]
    clips = [place for place, row in enumerate(store.rows) if row.collection in ("talking", "ffpp")]
    assert sorted(place for third in thirds for place in third) == clips
    assert of_set(store, "plain") == list(range(7))
    assert of_set(store, "blended1") == [0, 3, 5, 6]


@pytest.fixture
def several_people(tmp_path) -> FaceStore:
    """Two sources of three people each, two faces a person, and one of a single person."""
    people = [("one", f"p{number // 2}") for number in range(6)] + [("two", f"q{n // 2}") for n in range(6)]
    rows = [made_row(source, person=person, clip=f"{person}{n}") for n, (source, person) in enumerate(people)]
    rows += [made_row("alone", person="r"), made_row("one", person="p0", fake=True)]
    meshes = np.random.default_rng(0).random((len(rows), 468, 2)).astype(np.float16)
    return FaceStore(tmp_path, tuple(rows), meshes)


def test_composites_take_from_another_person_of_the_same_source(several_people):
    rows = several_people.rows
    for name in ("composed1", "composed2"):
        found = donors(several_people, name)
        places = of_set(several_people, name)
        assert all(not rows[place].fake for place in places)
        for place, other in enumerate(found):
            if place not in places:
                assert other == place
                continue
            assert rows[other].person != rows[place].person and not rows[other].fake
            assert rows[other].source == rows[place].source or rows[place].source == "alone"
        np.testing.assert_array_equal(found, donors(several_people, name))
    both = of_set(several_people, "composed1") + of_set(several_people, "composed2")
    assert sorted(both) == list(range(13))
    assert donors(several_people, "blended1").tolist() == list(range(14))


def test_no_composite_of_a_face_that_is_left_out_is_learnt_from(several_people, monkeypatch):
    def features(name: str) -> np.ndarray:
        made = np.full((14, 10, 2, 768), np.nan, np.float16)
        made[of_set(several_people, name)] = 1
        return made

    monkeypatch.setattr(folds_module, "loaded", lambda path, names: [features(name) for name in names])
    learnt = Learnt(several_people, ["composed1"], (6,))
    kept = np.ones(14, bool)
    everything = learnt.sample(kept)
    other = donors(several_people, "composed1")
    place = of_set(several_people, "composed1")[0]
    kept[other[place]] = False
    fewer = learnt.sample(kept)
    gone = sum(not (kept[each] and kept[other[each]]) for each in of_set(several_people, "composed1"))
    count = [sum(name.startswith("composed/") for name in sample.source) for sample in (everything, fewer)]
    assert count[0] - count[1] == gone >= 1
    assert all(everything.fake[n] for n, name in enumerate(everything.source) if name.startswith("composed/"))
