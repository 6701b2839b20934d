"""Which faces are kept to be looked at, and that their number does not grow with the clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.errors import UsageError
from vidscan.options import MAX_CROPS, EvidenceOptions
from vidscan.records import Box, CropBatch, FaceScore, Track
from vidscan.scan.best_crops import SPARE_TRACKS, Gallery


def face(frame: int, score: float | None, track: int = 1, fps: float = 2.0, source: str = "0") -> FaceScore:
    return FaceScore(source, frame, frame / fps, Box(0.0, 0.0, 50.0, 50.0), 0.9, score, track=track)


def batch(faces: list[FaceScore]) -> CropBatch:
    """A batch with one padding row; each crop's pixels tell its score."""
    size = len(faces) + 1
    shades = [round((each.fake_probability or 0.0) * 255) for each in faces] + [0]
    images = np.stack([np.full((4, 4, 3), shade, np.uint8) for shade in shades])
    none = np.zeros(size)
    return CropBatch(
        source_id=none.astype(object),
        frame_index=none.astype(int),
        time_s=none,
        box=np.zeros((size, 4), np.float32),
        confidence=none.astype(np.float32),
        images=(images,),
        mask=np.arange(size) < len(faces),
        track=none.astype(int),
        quality=np.ones((size, 4), np.float32),
        view=none.astype(int),
    )


def hang(faces: list[FaceScore], options: EvidenceOptions, at_once: int = 3) -> Gallery:
    gallery = Gallery(options)
    for start in range(0, len(faces), at_once):
        some = faces[start : start + at_once]
        gallery.add(batch(some), some)
    return gallery


def test_of_the_views_of_a_still_the_first_is_kept():
    views = [face(0, score, track) for track in (1, 2) for score in (0.4, 0.9, 0.1, 0.8)]
    gallery = Gallery(EvidenceOptions(kept=True))
    gallery.add(replace(batch(views), view=np.array([0, 1, 2, 3, 0, 1, 2, 3, 0])), views)
    kept = gallery.take("0", tracks_of(views))
    assert [(crop.track, crop.fake_probability, crop.image[0, 0, 0]) for crop in kept] == [
        (1, 0.4, 102),
        (2, 0.4, 102),
    ]


def test_the_crops_of_the_place_asked_for_are_kept():
    faces = [face(0, 0.4)]
    one = batch(faces)
    both = replace(one, images=(one.images[0], np.repeat(one.images[0], 2, axis=1)))
    for place, height in ((0, 4), (1, 8)):
        gallery = Gallery(EvidenceOptions(kept=True), place)
        gallery.add(both, faces)
        (crop,) = gallery.take("0", tracks_of(faces))
        assert crop.image.shape[0] == height


def tracks_of(faces: list[FaceScore]) -> list[Track]:
    by_track: dict[int, list[FaceScore]] = {}
    for each in faces:
        by_track.setdefault(each.track, []).append(each)
    return [
        Track(
            number,
            some[0].time_s,
            some[-1].time_s,
            len(some),
            max((each.fake_probability for each in some if each.fake_probability is not None), default=None),
        )
        for number, some in sorted(by_track.items())
    ]


OPTIONS = EvidenceOptions(kept=True, highest=2, lowest=1, tracks=2)


def test_highest_and_lowest_of_each_track_with_their_pixels():
    scores = [0.1, 0.7, 0.3, 0.9, 0.5, 0.2]
    faces = [each for i, s in enumerate(scores) for each in (face(2 * i, s), face(2 * i, 1 - s, track=2))]
    kept = hang(faces, OPTIONS).take("0", tracks_of(faces))
    assert [(crop.track, crop.fake_probability) for crop in kept] == [
        (1, 0.9),
        (1, 0.7),
        (1, 0.1),
        (2, 0.9),
        (2, pytest.approx(0.8)),
        (2, pytest.approx(0.1)),
    ]
    assert all(crop.image.max() == crop.image.min() == round(crop.fake_probability * 255) for crop in kept)
    assert all(crop.heat is None and crop.time_s == crop.frame_index / 2 for crop in kept)


def test_crops_of_one_second_are_not_shown_twice():
    faces = [face(i, 0.9 - i / 1000, fps=10.0) for i in range(20)]
    kept = hang(faces, OPTIONS).take("0", tracks_of(faces))
    assert [crop.frame_index for crop in kept] == [0, 10, 19]


def test_a_single_crop_is_shown_once():
    faces = [face(0, 0.4)]
    assert len(hang(faces, OPTIONS).take("0", tracks_of(faces))) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40), st.integers(1, 7))
def test_the_same_as_choosing_at_the_end(scores, at_once):
    faces = [face(2 * i, score) for i, score in enumerate(scores)]
    kept = hang(faces, OPTIONS, at_once).take("0", tracks_of(faces))
    ranked = sorted(scores, reverse=True)
    assert [crop.fake_probability for crop in kept][:2] == ranked[:2]
    assert kept[-1].fake_probability == ranked[-1]
    assert len(kept) == min(3, len(scores))


def test_memory_does_not_grow_with_the_clip():
    options = EvidenceOptions(kept=True, highest=2, lowest=1, tracks=3)
    gallery, faces = Gallery(options), []
    for i in range(400):  # a new person every 10 s, three at a time
        some = [face(2 * i, (i * 7 % 100) / 100, track=3 * (i // 10) + k + 1) for k in range(3)]
        faces += some
        gallery.add(batch(some), some)
        (wall,) = gallery._walls.values()
        pools = wall._pools.values()
        assert len(pools) <= SPARE_TRACKS * options.tracks + 3
        assert all(len(pool.crops()) <= 3 for pool in pools)
    assert len(tracks_of(faces)) == 120
    assert len({crop.track for crop in gallery.take("0", tracks_of(faces))}) == 3


def test_a_person_who_stays_outlives_passers_by():
    options = EvidenceOptions(kept=True, highest=1, lowest=0, tracks=1)
    passing = [[face(i, 0.5, track=2 + i)] for i in range(30)]
    faces = [each for i in range(30) for each in (face(i, 0.8), *passing[i])]
    kept = hang(faces, options).take("0", tracks_of(faces))
    assert [(crop.track, crop.fake_probability) for crop in kept] == [(1, 0.8)]


def test_faces_that_were_not_judged_are_not_shown():
    faces = [each for i in range(4) for each in (face(2 * i, 0.5), face(2 * i, None, track=2))]
    kept = hang(faces, OPTIONS).take("0", tracks_of(faces))
    assert {(crop.track, crop.fake_probability) for crop in kept} == {(1, 0.5)}


def test_one_persons_many_shots_do_not_crowd_out_another():
    faces = [face(2 * i, 0.9 - i / 100, track=i + 1) for i in range(4)]
    faces += [face(8, 0.3, track=5), face(10, 0.95, track=6)]
    told = {1: 1, 2: 1, 3: 1, 4: 1, 5: 5, 6: 6}
    tracks = [replace(each, person=told[each.id], counted=each.id != 6) for each in tracks_of(faces)]
    options = replace(OPTIONS, tracks=3)
    assert [crop.track for crop in hang(faces, options).take("0", tracks)] == [1, 2, 5]
    alone = [replace(each, person=each.id) for each in tracks]
    assert [crop.track for crop in hang(faces, options).take("0", alone)] == [1, 2, 3]


def test_sources_are_kept_apart_and_forgotten_when_taken():
    gallery = hang([face(0, 0.2), face(0, 0.7, source="1")], OPTIONS)
    first = gallery.take("0", tracks_of([face(0, 0.2)]))
    assert [crop.fake_probability for crop in first] == [0.2]
    assert gallery.take("0", tracks_of([face(0, 0.2)])) == ()
    assert [crop.fake_probability for crop in gallery.take("1", tracks_of([face(0, 0.7)]))] == [0.7]


def test_nothing_is_kept_unless_asked_for():
    faces = [face(0, 0.2)]
    assert hang(faces, EvidenceOptions()).take("0", tracks_of(faces)) == ()


@pytest.mark.parametrize("sources", [1, 10, 100, 1000, 10_000])
def test_many_sources_share_the_room(sources: int):
    shared = EvidenceOptions(kept=True).shared_by(sources)
    each = shared.tracks * (shared.highest + shared.lowest)
    assert each * sources <= MAX_CROPS or (each == 1 and shared.lowest == 0)
    assert sources > 10 or shared == EvidenceOptions(kept=True)


def test_heat_without_crops_is_refused():
    with pytest.raises(UsageError, match="crops"):
        EvidenceOptions(explained=True)
