"""The scores of a still's views -> one score a face. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from vidscan.probability import average, clipped
from vidscan.records import EvidenceCrop, FaceScore


def whole_faces(rows: Sequence[FaceScore]) -> list[FaceScore]:
    """The faces of a still, each with the mean of its views, in the order of their first rows.

    A view is to a still what a frame is to a clip: clipped logits are averaged, those of each member of an
    ensemble alike. ``rows`` come in the order in which the crops were cut; each face has a track of its own.
    """
    faces: dict[int, list[FaceScore]] = defaultdict(list)
    for row in rows:
        faces[row.face.track].append(row)
    return [_together(views) for views in faces.values()]


def _together(views: Sequence[FaceScore]) -> FaceScore:
    scores = tuple(view.fake_probability for view in views if view.fake_probability is not None)
    by_member = zip(*(view.members for view in views), strict=True)
    return FaceScore(views[0].face, _mean(scores), tuple(_mean(each) for each in by_member), scores)


def _mean(scores: Sequence[float]) -> float:
    return average([clipped(score) for score in scores])


def with_face_scores(kept: Sequence[EvidenceCrop], faces: Sequence[FaceScore]) -> tuple[EvidenceCrop, ...]:
    """The crops kept of a still, with the scores of the whole faces in the place of their first views'."""
    scores = {each.face.track: each.fake_probability for each in faces if each.fake_probability is not None}
    return tuple(replace(crop, fake_probability=scores[crop.track]) for crop in kept)
