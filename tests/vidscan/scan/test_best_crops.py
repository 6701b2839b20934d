"""Which faces are kept to be looked at, and that their number does not grow with the clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy_face

from vidscan.errors import UsageError
from vidscan.options import MAX_CROPS, EvidenceOptions
from vidscan.records import EvidenceCrop, FaceScore, Track
from vidscan.scan.best_crops import SPARE_TRACKS, BestCrops


def face(frame: int, score: float | None, track: int = 1, fps: float = 2.0) -> FaceScore:
    return FaceScore(toy_face(frame, fps=fps, track=track), score)


def pictures(scores: list[FaceScore]) -> np.ndarray:
    """A batch with one padding row; each crop's pixels tell its score."""
    shades = [round((each.fake_probability or 0.0) * 255) for each in scores] + [0]
    return np.stack([np.full((4, 4, 3), shade, np.uint8) for shade in shades])


def best_of(scores: list[FaceScore], options: EvidenceOptions) -> BestCrops:
    best = BestCrops(options)
    for score, image in zip(scores, pictures(scores), strict=False):
        best.add(score, image)
    return best


def chosen(scores: list[FaceScore], options: EvidenceOptions) -> tuple[EvidenceCrop, ...]:
    return best_of(scores, options).chosen(tracks_of(scores))


def test_of_the_views_of_a_still_the_first_is_kept():
    faces = [toy_face(0, track=1), toy_face(0, track=2)]
    views = [FaceScore(each, score) for each in faces for score in (0.4, 0.9, 0.1, 0.8)]
    kept = chosen(views, EvidenceOptions(kept=True))
    assert [(crop.track, crop.fake_probability, crop.image[0, 0, 0]) for crop in kept] == [
        (1, 0.4, 102),
        (2, 0.4, 102),
    ]


def test_views_of_a_face_that_was_dropped_do_not_bring_it_back():
    faces = [toy_face(0, track=1 + number) for number in range(9)]
    views = [FaceScore(each, score) for each in faces for score in (0.4, 0.9)]
    kept = chosen(views, replace(OPTIONS, tracks=1))
    assert [(crop.track, crop.fake_probability) for crop in kept] == [(1, 0.4)]


def test_a_kept_crop_does_not_keep_its_batch_alive():
    scores = [face(0, 0.4), face(2, 0.6)]
    batch, best = pictures(scores), BestCrops(EvidenceOptions(kept=True))
    for score, image in zip(scores, batch, strict=False):
        best.add(score, image)
    kept = best.chosen(tracks_of(scores))
    assert len(kept) == 2
    assert not any(np.shares_memory(crop.image, batch) or crop.image.base is not None for crop in kept)


def tracks_of(scores: list[FaceScore]) -> list[Track]:
    by_track: dict[int, list[FaceScore]] = {}
    for each in scores:
        by_track.setdefault(each.face.track, []).append(each)
    return [
        Track(
            number,
            some[0].face.time_s,
            some[-1].face.time_s,
            len(some),
            max((each.fake_probability for each in some if each.fake_probability is not None), default=None),
        )
        for number, some in sorted(by_track.items())
    ]


OPTIONS = EvidenceOptions(kept=True, highest=2, lowest=1, tracks=2)


def test_highest_and_lowest_of_each_track_with_their_pixels():
    scores = [0.1, 0.7, 0.3, 0.9, 0.5, 0.2]
    faces = [each for i, s in enumerate(scores) for each in (face(2 * i, s), face(2 * i, 1 - s, track=2))]
    kept = chosen(faces, OPTIONS)
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
    kept = chosen(faces, OPTIONS)
    assert [crop.frame_index for crop in kept] == [0, 10, 19]


def test_a_single_crop_is_shown_once():
    faces = [face(0, 0.4)]
    assert len(chosen(faces, OPTIONS)) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40))
def test_the_same_as_choosing_at_the_end(scores):
    faces = [face(2 * i, score) for i, score in enumerate(scores)]
    kept = chosen(faces, OPTIONS)
    ranked = sorted(scores, reverse=True)
    assert [crop.fake_probability for crop in kept][:2] == ranked[:2]
    assert kept[-1].fake_probability == ranked[-1]
    assert len(kept) == min(3, len(scores))


def test_memory_does_not_grow_with_the_clip():
    options = EvidenceOptions(kept=True, highest=2, lowest=1, tracks=3)
    best, faces = BestCrops(options), []
    for i in range(400):  # a new person every 10 s, three at a time
        some = [face(2 * i, (i * 7 % 100) / 100, track=3 * (i // 10) + k + 1) for k in range(3)]
        faces += some
        for score, image in zip(some, pictures(some), strict=False):
            best.add(score, image)
        kept = [each.crops() for each in best._tracks.values()]
        assert len(kept) <= SPARE_TRACKS * options.tracks
        assert all(len(crops) <= 3 for crops in kept)
    assert len(tracks_of(faces)) == 120
    assert len({crop.track for crop in best.chosen(tracks_of(faces))}) == 3


def test_a_person_who_stays_outlives_passers_by():
    options = EvidenceOptions(kept=True, highest=1, lowest=0, tracks=1)
    passing = [[face(i, 0.5, track=2 + i)] for i in range(30)]
    faces = [each for i in range(30) for each in (face(i, 0.8), *passing[i])]
    kept = chosen(faces, options)
    assert [(crop.track, crop.fake_probability) for crop in kept] == [(1, 0.8)]


def test_faces_that_were_not_judged_are_not_shown():
    faces = [each for i in range(4) for each in (face(2 * i, 0.5), face(2 * i, None, track=2))]
    kept = chosen(faces, OPTIONS)
    assert {(crop.track, crop.fake_probability) for crop in kept} == {(1, 0.5)}


def test_one_persons_many_shots_do_not_crowd_out_another():
    faces = [face(2 * i, 0.9 - i / 100, track=i + 1) for i in range(4)]
    faces += [face(8, 0.3, track=5), face(10, 0.95, track=6)]
    told = {1: 1, 2: 1, 3: 1, 4: 1, 5: 5, 6: 6}
    tracks = [replace(each, person=told[each.id], counted=each.id != 6) for each in tracks_of(faces)]
    options = replace(OPTIONS, tracks=3)
    assert [crop.track for crop in best_of(faces, options).chosen(tracks)] == [1, 2, 5]
    alone = [replace(each, person=each.id) for each in tracks]
    assert [crop.track for crop in best_of(faces, options).chosen(alone)] == [1, 2, 3]


def test_nothing_is_kept_unless_asked_for():
    faces = [face(0, 0.2)]
    assert chosen(faces, EvidenceOptions()) == ()


@pytest.mark.parametrize("sources", [1, 10, 100, 1000, 10_000])
def test_many_sources_share_the_room(sources: int):
    shared = EvidenceOptions(kept=True).shared_by(sources)
    each = shared.tracks * (shared.highest + shared.lowest)
    assert each * sources <= MAX_CROPS or (each == 1 and shared.lowest == 0)
    assert sources > 10 or shared == EvidenceOptions(kept=True)


def test_heat_without_crops_is_refused():
    with pytest.raises(UsageError, match="crops"):
        EvidenceOptions(explained=True)
