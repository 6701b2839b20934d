"""Puts the scores of one source in order of time, and finds its suspicious segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import TypeAlias

from vidscan.probability import average, clipped
from vidscan.records import FaceScore, FaceSeen, Segment, TimelineFace, TimelinePoint

_Path: TypeAlias = list[tuple[float, float]]
"""Times in seconds and scores, in order of time."""

_SHORT_CLIP = 4  # with fewer samples, one sighting makes a segment
_SAMPLES_APART = 1.5  # sightings this many sampling intervals apart are still neighbours
_SLACK_S = 1e-6  # times are sums of fractions


def moments(scores: Sequence[FaceScore], *, still: bool) -> tuple[TimelinePoint, ...]:
    """All faces that were seen, judged or not, by moment and track; the one moment of a still is at 0 s."""
    rows = sorted(scores, key=lambda each: (each.face.time_s, each.face.frame_index, each.face.track))
    points = []
    for (time_s, _), group in groupby(rows, key=lambda each: (each.face.time_s, each.face.frame_index)):
        faces = tuple(_timeline_face(each) for each in group)
        known = [face.fake_probability for face in faces if face.fake_probability is not None]
        points.append(TimelinePoint(0.0 if still else time_s, max(known, default=None), faces))
    return tuple(points)


def _timeline_face(score: FaceScore) -> TimelineFace:
    probability = score.fake_probability
    return TimelineFace(
        track=score.face.track,
        box=score.face.box,
        detection_confidence=score.face.confidence,
        fake_probability=None if probability is None else min(max(probability, 0.0), 1.0),
        members=score.members,
        quality=score.face.quality.overall,
        views=score.views,
    )


def segments(scores: Sequence[FaceScore], threshold: float, gap_s: float) -> tuple[Segment, ...]:
    """Finds the stretches of every track of a clip with scores from ``threshold`` on, sorted by start.

    ``scores`` are all sightings, at least one, in any order; stretches at most ``gap_s`` apart are joined.
    """
    interval = _sampling_interval([score.face for score in scores])
    apart = max(gap_s, _SAMPLES_APART * interval) + _SLACK_S
    samples = 1 + max(score.face.frame_index for score in scores)  # at least: later ones may show no face
    least = 1 if samples < _SHORT_CLIP else 2
    found = [
        _segment(track, path, stretch, interval)
        for track, path in _paths(scores).items()
        for stretch in _stretches(path, threshold, apart)
        if len(stretch) >= least
    ]
    return tuple(sorted(found, key=lambda segment: (segment.start_s, segment.track)))


def _paths(scores: Sequence[FaceScore]) -> dict[int, _Path]:
    """Returns times and clipped scores of every track's judged sightings, in order of time."""
    paths: dict[int, _Path] = {}
    for score in sorted(scores, key=lambda score: score.face.time_s):
        if score.fake_probability is not None:
            path = paths.setdefault(score.face.track, [])
            path.append((score.face.time_s, clipped(score.fake_probability)))
    return paths


def _sampling_interval(faces: Sequence[FaceSeen]) -> float:
    """Seconds from one sampled frame to the next, 0 if only one shows a face (median over the clip).

    Frames without a face are not among ``faces``, hence the division by the step in ``frame_index``.
    """
    seen = sorted({face.frame_index: face.time_s for face in faces}.items())
    steps = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairwise(seen)]
    return median(steps or [0.0])


def _stretches(path: _Path, threshold: float, apart: float) -> list[_Path]:
    """Returns runs of suspicious (time, smoothed score) with no more than ``apart`` seconds between two.

    The smoothing is a centred median over three sightings (the first and the last stand for themselves): a
    lone outlier is dropped, an edge stays where it is.
    """
    scores = [score for _, score in path]
    padded = (scores[0], *scores, scores[-1])
    smoothed = [median(padded[i : i + 3]) for i in range(len(scores))]
    stretches: list[_Path] = []
    for (time_s, _), score in zip(path, smoothed, strict=True):
        if score < threshold:
            continue
        if stretches and time_s - stretches[-1][-1][0] <= apart:
            stretches[-1].append((time_s, score))
        else:
            stretches.append([(time_s, score)])
    return stretches


def _segment(track: int, path: _Path, stretch: _Path, interval: float) -> Segment:
    start, end = stretch[0][0], stretch[-1][0]
    if start == end:  # a lone sighting stands for half an interval on either side
        start, end = max(start - interval / 2, path[0][0]), min(end + interval / 2, path[-1][0])
    return Segment(start, end, average([score for _, score in stretch]), track)
