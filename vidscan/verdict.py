"""Turns the scores of one source into its findings: tracks, timeline, segments and the verdict.

Pure functions. Everything rests on a track's average logit (see ``evidence``). Faces are averaged
plainly, not by the detector's confidence: that says how face-like a crop is, and nobody has shown that
it says how far its score can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from statistics import median

from vidscan.cards import member_names
from vidscan.errors import ScoringError
from vidscan.evidence import CLIP_AT, Person, average, clipped, highest, interval
from vidscan.options import VerdictOptions
from vidscan.reasons import Decision, clip_sentence, disagreement, notes, still_sentence
from vidscan.records import (
    TYPICAL_SPREAD,
    FaceScore,
    Findings,
    Label,
    MemberVerdict,
    ModelCard,
    Segment,
    SourceKind,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)

__all__ = ["CLIP_AT", "judge", "thresholds"]

_LONG = 4  # beside a track this long, one that was seen once does not count
_SHORT_CLIP = 4  # with fewer samples, one sighting makes a segment
_SAMPLES_APART = 1.5  # sightings this many sampling intervals apart are still neighbours
_SLACK_S = 1e-6  # times are sums of fractions


def judge(
    scores: Sequence[FaceScore],
    track_ids: Sequence[int],
    card: ModelCard,
    options: VerdictOptions,
    kind: SourceKind,
    members: Sequence[ModelCard] = (),
) -> Findings:
    """What the face scores of one source amount to.

    A track's probability is the sigmoid of the average logit of its faces (each clipped by
    ``CLIP_AT``); the source's is that of its highest counted track, since one synthesised
    person makes a clip FAKE. In a clip, FAKE and REAL need a counted track that was seen at least twice
    and says the same; otherwise the label is UNCERTAIN. All faces of a still count.

    Args:
        scores: the faces of one source, in any order; none gives the label NO_FACE.
        track_ids: for each of ``scores`` its track, as ``tracks.link`` gives them.
        card: its thresholds hold where ``options`` has none.
        options: see ``VerdictOptions``.
        kind: stills have no segments, and their one moment is at 0 s.
        members: the cards of an ensemble's members, in the order of ``FaceScore.members``; then ``card``
            is that of the whole, and the reason says so where one member alone says FAKE and another REAL.

    Raises:
        ScoringError: a score is not a finite number.
        ValueError: ``track_ids`` has another length than ``scores``.
    """
    if not all(math.isfinite(score.fake_probability) for score in scores):
        raise ScoringError("the network gave a score that is no number: check it with vidscan doctor")
    still = kind is SourceKind.IMAGE
    people = _people(scores, track_ids, options.min_track_share, still)
    if not people:
        where = "in the picture" if still else "in the frames looked at"
        return Findings(Verdict(Label.NO_FACE, None, None, f"No face was found {where}."))
    decision, probability = _decide(people, *thresholds(card, options), still)
    segments = () if still else _segments(scores, people, decision.fake, options.segment_gap_s)
    sure = {Label.FAKE: probability, Label.REAL: 1.0 - probability}
    spread = TYPICAL_SPREAD if card.calibration is None else card.calibration.spread
    likely = interval(highest([person for person in people if person.track.counted]).scores, spread)
    alone = _members_alone(scores, track_ids, members, options, kind)
    reason = (still_sentence if still else clip_sentence)(decision, people)
    reason += notes(decision, people, segments, likely, calibrated=card.calibration is not None)
    verdict = Verdict(
        label=decision.label,
        fake_probability=probability,
        confidence=sure.get(decision.label, max(probability, 1.0 - probability)),
        reason=reason + disagreement(alone),
        members=alone,
        interval=likely,
    )
    tracks = tuple(person.track for person in people)
    return Findings(verdict, tracks, _timeline(scores, track_ids, still), segments)


def thresholds(card: ModelCard, options: VerdictOptions) -> tuple[float, float]:
    """The fake and the real threshold in force: the options' where given, else the card's.

    Where a given one passes the card's other one, that one yields and UNCERTAIN has no room left.
    """
    fake = card.fake_threshold if options.fake_threshold is None else options.fake_threshold
    real = card.real_threshold if options.real_threshold is None else options.real_threshold
    if options.fake_threshold is None and options.real_threshold is not None:
        return max(fake, real), real
    return fake, min(fake, real)


def _members_alone(
    scores: Sequence[FaceScore],
    track_ids: Sequence[int],
    cards: Sequence[ModelCard],
    options: VerdictOptions,
    kind: SourceKind,
) -> tuple[MemberVerdict, ...]:
    """What a scan with each member alone would have said of the same faces."""
    verdicts = []
    for place, (name, card) in enumerate(zip(member_names(cards), cards, strict=True)):
        own = [replace(score, fake_probability=score.members[place], members=()) for score in scores]
        verdict = judge(own, track_ids, card, options, kind).verdict
        assert verdict.fake_probability is not None  # there is at least one face
        verdicts.append(MemberVerdict(name, verdict.label, verdict.fake_probability))
    return tuple(verdicts)


def _people(scores: Sequence[FaceScore], track_ids: Sequence[int], share: float, still: bool) -> list[Person]:
    """The tracks by number; those too short beside the longest (in a still, none) are not counted."""
    sightings: dict[int, list[FaceScore]] = {}
    for score, track in sorted(zip(scores, track_ids, strict=True), key=lambda pair: pair[0].time_s):
        sightings.setdefault(track, []).append(score)
    longest = max((len(faces) for faces in sightings.values()), default=0)
    # The slack: 0.07 * 100 is a little more than 7.
    needed = max(min(share, 1.0) * longest - 1e-9, 2 if longest >= _LONG else 1)
    people = []
    for track_id, faces in sorted(sightings.items()):
        times = tuple(0.0 if still else face.time_s for face in faces)
        own = tuple(clipped(face.fake_probability) for face in faces)
        enough = len(faces) >= needed
        by_member = zip(*(face.members for face in faces), strict=True)
        members = tuple(average([clipped(score) for score in each]) for each in by_member)
        found = Track(track_id, times[0], times[-1], len(faces), average(own), enough, members)
        people.append(Person(found, times, own))
    return people


def _decide(people: Sequence[Person], fake: float, real: float, still: bool) -> tuple[Decision, float]:
    """The decision, resting on the highest track seen often enough to bear it; the source's P(fake)."""
    counted = [person for person in people if person.track.counted]
    first = highest(counted)
    probability = first.track.fake_probability
    if real < probability < fake:
        return Decision(Label.UNCERTAIN, first, fake, real), probability
    label = Label.FAKE if probability >= fake else Label.REAL
    bearing = [person for person in counted if still or person.track.faces > 1]
    if label is Label.FAKE:
        bearing = [person for person in bearing if person.track.fake_probability >= fake]
    if not bearing:
        return Decision(Label.UNCERTAIN, first, fake, real, seen_once=True), probability
    return Decision(label, highest(bearing), fake, real), probability


def _timeline(
    scores: Sequence[FaceScore], track_ids: Sequence[int], still: bool
) -> tuple[TimelinePoint, ...]:
    rows = sorted(
        zip(scores, track_ids, strict=True), key=lambda row: (row[0].time_s, row[0].frame_index, row[1])
    )
    points = []
    for (time_s, _), group in groupby(rows, key=lambda row: (row[0].time_s, row[0].frame_index)):
        faces = tuple(
            TimelineFace(
                track, face.box, face.confidence, min(max(face.fake_probability, 0.0), 1.0), face.members
            )
            for face, track in group
        )
        highest = max(face.fake_probability for face in faces)
        points.append(TimelinePoint(0.0 if still else time_s, highest, faces))
    return tuple(points)


def _sampling_interval(scores: Sequence[FaceScore]) -> float:
    """Seconds from one sampled frame to the next, 0 if only one shows a face (median over the clip).

    Frames without a face are not among ``scores``, hence the division by the step in ``frame_index``.
    """
    moments = sorted({score.frame_index: score.time_s for score in scores}.items())
    steps = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairwise(moments)]
    return median(steps or [0.0])


def _segments(
    scores: Sequence[FaceScore], people: Sequence[Person], threshold: float, gap_s: float
) -> tuple[Segment, ...]:
    """The suspicious stretches of every track, by start."""
    interval = _sampling_interval(scores)
    apart = max(gap_s, _SAMPLES_APART * interval) + _SLACK_S
    samples = 1 + max(score.frame_index for score in scores)  # at least: later ones may show no face
    least = 1 if samples < _SHORT_CLIP else 2
    segments = [
        _segment(person.track, stretch, interval)
        for person in people
        for stretch in _stretches(person, threshold, apart)
        if len(stretch) >= least
    ]
    return tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.track)))


def _stretches(person: Person, threshold: float, apart: float) -> list[list[tuple[float, float]]]:
    """Runs of suspicious (time, smoothed score) with no more than ``apart`` seconds between two.

    The smoothing is a centred median over three sightings (the first and the last stand for themselves):
    a lone outlier is dropped, an edge stays where it is.
    """
    padded = (person.scores[0], *person.scores, person.scores[-1])
    smoothed = [median(padded[i : i + 3]) for i in range(len(person.scores))]
    stretches: list[list[tuple[float, float]]] = []
    for time_s, score in zip(person.times, smoothed, strict=True):
        if score < threshold:
            continue
        if stretches and time_s - stretches[-1][-1][0] <= apart:
            stretches[-1].append((time_s, score))
        else:
            stretches.append([(time_s, score)])
    return stretches


def _segment(track: Track, stretch: Sequence[tuple[float, float]], interval: float) -> Segment:
    start, end = stretch[0][0], stretch[-1][0]
    if start == end:  # a lone sighting stands for half an interval on either side
        start, end = max(start - interval / 2, track.start_s), min(end + interval / 2, track.end_s)
    return Segment(start, end, average([score for _, score in stretch]), track.id)
