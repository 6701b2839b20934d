"""What the mouth adds to the face: of clips alone, kept as a scan keeps it, and in the face's own scale."""

from __future__ import annotations

import numpy as np
import pytest
from made_rows import made_row

from vidscan.faces.mouths import EARLY
from vidscan_training.recipes.vit import mouths
from vidscan_training.recipes.vit.faces import FaceStore
from vidscan_training.recipes.vit.folds import Folds, clips_of
from vidscan_training.recipes.vit.fusion import balanced, means, platt
from vidscan_training.recipes.vit.mouths import SAY, Addition, addition, held, of_clips
from vidscan_training.recipes.vit.probe import ProbeOptions

RNG = np.random.default_rng(3)


def rows_of(frames: int, count: int = 40):
    """Clips of talking heads, half of them fake, from four sources; and as many stills."""
    clips = [
        made_row(f"source{number % 4}", fake=number % 2 == 1, clip=f"clip{number}", person=f"{number}")
        for number in range(count)
    ]
    stills = [
        made_row(f"camera{n % 4}", fake=n % 2 == 1, clip=f"still{n}", person=f"s{n}", collection="stills")
        for n in range(count)
    ]
    return [*(row for row in clips for _ in range(frames)), *stills]


def test_mouths_are_kept_for_the_faces_between():
    rows = [made_row("one", clip="a")] * (EARLY + 2) + [made_row("one", clip="b")] * 3
    logits = np.arange(len(rows), dtype=np.float64)
    logits[1] = np.nan  # a face whose mouth was not seen is passed over
    found = held(logits, rows)
    own = [place for place in range(EARLY + 2) if place != 1]
    expected = [own[EARLY * (number // EARLY)] for number in range(len(own))]
    assert found[own].tolist() == expected
    assert np.isnan(found[1])
    assert set(found[EARLY + 2 :]) <= {EARLY + 2, 2 * EARLY + 2}  # of its own clip


def test_a_face_without_a_mouth_keeps_its_logit():
    found = Addition(2.0, 0.5).to(np.array([1.0, -1.0]), np.array([3.0, np.nan]))
    assert found.tolist() == [7.5, -1.0]


def test_the_mouth_counts_so_much_beside_the_face_whatever_the_scale_of_either():
    rows = rows_of(2)
    clips, truth = clips_of(rows, np.ones(len(rows), bool)), np.array([row.fake for row in rows])
    faces = np.where(truth, 1.0, -1.0) + RNG.normal(0, 1.5, len(rows))
    seen = of_clips(rows)
    mouth = np.where(seen, np.where(truth, 1.0, -1.0) + RNG.normal(0, 1.5, len(rows)), np.nan)
    added = addition(clips, faces, mouth)
    of_faces = platt(means(faces, clips), np.array([c.row.fake for c in clips]), balanced(clips))
    some = [clip for clip in clips if clip.row.collection == "talking"]
    of_mouths = platt(means(mouth, some), np.array([c.row.fake for c in some]), balanced(some))
    assert added.slope * of_faces[0] == pytest.approx(SAY * of_mouths[0])
    assert added.intercept * of_faces[0] == pytest.approx(SAY * of_mouths[1])
    assert added.slope > 0


def test_heads_of_mouths_know_no_stills_and_nothing_of_the_fold(tmp_path, monkeypatch):
    """Sources "source0" and "source1" are left out together; a still's score is never computed."""
    rows = rows_of(2)
    store = FaceStore(tmp_path, tuple(rows), np.zeros((0, 468, 2), np.float16))
    features = RNG.normal(size=(len(rows), 10, 2, 768)).astype(np.float16)
    features[[row.fake for row in rows], :, :, :50] += 2
    (tmp_path / "features").mkdir()
    monkeypatch.setattr(mouths, "OPTIONS", ProbeOptions(taps=(6,)))
    for name in (*mouths.SETS, mouths.MOUTH + mouths.UPLOADS):
        np.save(tmp_path / "features" / f"{name}.npy", features)
    sources = {f"source{n}": "ab"[n // 2] for n in range(4)} | {f"camera{n}": "ab"[n // 2] for n in range(4)}
    kinds = {"source": "talking", "camera": "stills"}
    folds = Folds({(kinds[name[:6]], name): fold for name, fold in sources.items()})
    sample = mouths.Learnt(store, mouths.SETS, (6,)).sample(of_clips(rows))
    assert sample.kind == ["plain"] * 80 + ["degraded"] * 80 + ["fields"] * 80
    learnt = []
    whole = mouths.Learnt.sample

    def seen(self, kept):
        learnt.append({rows[place].source for place in np.flatnonzero(kept)})
        return whole(self, kept)

    monkeypatch.setattr(mouths.Learnt, "sample", seen)
    found = mouths.mouths_out_of_fold(store, folds)
    assert learnt == [{"source2", "source3"}, {"source0", "source1"}]
    own = of_clips(rows)
    assert np.isfinite(found[:, own]).all()
    assert np.isnan(found[:, ~own]).all()
    truth = np.array([row.fake for row in rows])
    assert found[0][own & truth].min() > found[0][own & ~truth].max()
    again = mouths.mouths_out_of_fold(store, folds)  # from the store
    np.testing.assert_array_equal(again, found)
    assert len(learnt) == 2
