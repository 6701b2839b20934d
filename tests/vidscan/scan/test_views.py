"""Several views of a still's faces become one score a face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import toy_face

from vidscan.probability import average, clipped
from vidscan.records import EvidenceCrop, FaceScore
from vidscan.scan.collect import whole_faces, with_face_scores

probabilities = st.floats(0, 1)


def rows(*faces: list[float], members: bool = False) -> list[FaceScore]:
    """The rows of faces, each a list of its views' scores; two members say it and its opposite."""
    return [
        FaceScore(toy_face(track=track), score, (score, 1 - score) if members else ())
        for track, views in enumerate(faces, start=1)
        for score in views
    ]


@given(st.lists(st.lists(probabilities, min_size=4, max_size=4), max_size=5))
def test_every_face_has_the_mean_logit_of_its_views(faces: list[list[float]]):
    whole = whole_faces(rows(*faces, members=True))
    assert [each.face for each in whole] == [toy_face(track=1 + place) for place in range(len(faces))]
    for face, views in zip(whole, faces, strict=True):
        assert face.views == tuple(views)
        assert face.fake_probability == average([clipped(score) for score in views])
        assert face.members[0] == face.fake_probability
        assert face.members[1] == pytest.approx(1 - face.fake_probability, abs=1e-8)


def test_one_model_has_no_members():
    (face,) = whole_faces(rows([0.2, 0.2, 0.4, 0.3]))
    assert face.members == ()


def test_crops_kept_bear_the_scores_of_whole_faces():
    whole = whole_faces(rows([0.2, 0.2, 0.4, 0.3], [0.9, 0.8, 0.9, 0.9]))
    image = np.zeros((4, 4, 3), np.uint8)
    kept = [EvidenceCrop(2, 0, 0.0, 0.9, image), EvidenceCrop(1, 0, 0.0, 0.2, image)]
    shown = with_face_scores(kept, whole)
    assert [crop.fake_probability for crop in shown] == [whole[1].fake_probability, whole[0].fake_probability]
