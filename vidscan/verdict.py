"""Turns the scores of one source into its findings: tracks, timeline, segments and the verdict.

Pure functions. Everything rests on a track's average logit: the scores are calibrated by a function
that is affine in the logit (see ``records.Calibration``), so averaging there is averaging the evidence.
Faces are averaged plainly, not by the detector's confidence: that says how face-like a crop is, and
nobody has shown that it says how far its score can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from vidscan.errors import ScoringError
from vidscan.options import VerdictOptions
from vidscan.records import (
    FaceScore,
    Findings,
    Label,
    ModelCard,
    Segment,
    SourceKind,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)

CLIP_AT = 0.005
"""Scores nearer than this to 0 or 1 count as this near, so that one crop cannot carry a whole clip."""

_FEW = 3  # a verdict on a clip that rests on fewer sightings says so
_LONG = 4  # beside a track this long, one that was seen once does not count
_STRIKING = 0.9  # an uncounted track that scores this high is mentioned
_SHORT_CLIP = 4  # with fewer samples, one sighting makes a segment
_SAMPLES_APART = 1.5  # sightings this many sampling intervals apart are still neighbours
_SLACK_S = 1e-6  # times are sums of fractions


@dataclass(frozen=True, slots=True)
class _Person:
    """A track with its sightings in order of time and their clipped scores."""

    track: Track
    times: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Decision:
    """A label, the track it rests on and the thresholds; ``seen_once`` where that made it UNCERTAIN."""

    label: Label
    person: _Person
    fake: float
    real: float
    seen_once: bool = False


def judge(
    scores: Sequence[FaceScore],
    track_ids: Sequence[int],
    card: ModelCard,
    options: VerdictOptions,
    kind: SourceKind,
) -> Findings:
    """What the face scores of one source amount to.

    A track's probability is the sigmoid of the average logit of its faces (each clipped by
    ``CLIP_AT``); the source's is that of its highest counted track, since one synthesised person makes
    a clip FAKE. In a clip, FAKE and REAL need a counted track that was seen at least twice and says
    the same; otherwise the label is UNCERTAIN. All faces of a still count.

    Args:
        scores: the faces of one source, in any order; none gives the label NO_FACE.
        track_ids: for each of ``scores`` its track, as ``tracks.link`` gives them.
        card: its thresholds hold where ``options`` has none.
        options: see ``VerdictOptions``.
        kind: stills have no segments, and their one moment is at 0 s.

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
    reason = (_still_sentence if still else _clip_sentence)(decision, people)
    verdict = Verdict(
        label=decision.label,
        fake_probability=probability,
        confidence=sure.get(decision.label, max(probability, 1.0 - probability)),
        reason=reason + _notes(decision, people, segments, card),
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


def _clipped(probability: float) -> float:
    return min(max(probability, CLIP_AT), 1.0 - CLIP_AT)


def _average(scores: Sequence[float]) -> float:
    """The sigmoid of the average logit of clipped scores."""
    logit = math.fsum(math.log(score / (1.0 - score)) for score in scores) / len(scores)
    # Rounded, so that a score that is exactly a threshold is still that after there and back.
    return round(1.0 / (1.0 + math.exp(-logit)), 9)


def _people(
    scores: Sequence[FaceScore], track_ids: Sequence[int], share: float, still: bool
) -> list[_Person]:
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
        clipped = tuple(_clipped(face.fake_probability) for face in faces)
        enough = len(faces) >= needed
        found = Track(track_id, times[0], times[-1], len(faces), _average(clipped), enough)
        people.append(_Person(found, times, clipped))
    return people


def _decide(people: Sequence[_Person], fake: float, real: float, still: bool) -> tuple[_Decision, float]:
    """The decision, resting on the highest track seen often enough to bear it; the source's P(fake)."""
    counted = [person for person in people if person.track.counted]
    highest = _highest(counted)
    probability = highest.track.fake_probability
    if real < probability < fake:
        return _Decision(Label.UNCERTAIN, highest, fake, real), probability
    label = Label.FAKE if probability >= fake else Label.REAL
    bearing = [person for person in counted if still or person.track.faces > 1]
    if label is Label.FAKE:
        bearing = [person for person in bearing if person.track.fake_probability >= fake]
    if not bearing:
        return _Decision(Label.UNCERTAIN, highest, fake, real, seen_once=True), probability
    return _Decision(label, _highest(bearing), fake, real), probability


def _highest(people: Sequence[_Person]) -> _Person:
    """The most suspicious; of equals the one seen most, then the first."""
    return max(people, key=lambda one: (one.track.fake_probability, one.track.faces, -one.track.id))


def _timeline(
    scores: Sequence[FaceScore], track_ids: Sequence[int], still: bool
) -> tuple[TimelinePoint, ...]:
    rows = sorted(
        zip(scores, track_ids, strict=True), key=lambda row: (row[0].time_s, row[0].frame_index, row[1])
    )
    points = []
    for (time_s, _), group in groupby(rows, key=lambda row: (row[0].time_s, row[0].frame_index)):
        faces = tuple(
            TimelineFace(track, face.box, face.confidence, min(max(face.fake_probability, 0.0), 1.0))
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
    scores: Sequence[FaceScore], people: Sequence[_Person], threshold: float, gap_s: float
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


def _stretches(person: _Person, threshold: float, apart: float) -> list[list[tuple[float, float]]]:
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
    return Segment(start, end, _average([score for _, score in stretch]), track.id)


def _clip_sentence(decision: _Decision, people: Sequence[_Person]) -> str:
    track = decision.person.track
    count = sum(person.track.counted for person in people)
    name = "The one person followed" if count == 1 else f"Track {track.id}, one of {count} people followed,"
    above = sum(score >= decision.fake for score in decision.person.scores)
    caveat = ", which is little to go by" if track.faces < _FEW else ""
    tally = f"{above} of {_sightings(track)} above the fake threshold{caveat}"
    if decision.seen_once:
        looks = "synthesised" if track.fake_probability >= decision.fake else "genuine"
        return f"{name} looks {looks}, but was seen only once, too little for a verdict."
    if decision.label is Label.FAKE:
        return f"{name} looks synthesised: {tally}."
    if decision.label is Label.UNCERTAIN:
        return f"{name} looks neither clearly synthesised nor clearly genuine: {tally}."
    if count == 1:
        return f"{name} looks genuine: {tally}."
    return f"The {count} people followed look genuine; track {track.id} comes closest to fake: {tally}."


def _still_sentence(decision: _Decision, people: Sequence[_Person]) -> str:
    track, count = decision.person.track, len(people)
    name = "The face" if count == 1 else f"Face {track.id} (of {count})"
    score, fake, real = f"{track.fake_probability:.2f}", f"{decision.fake:.2f}", f"{decision.real:.2f}"
    if decision.label is Label.FAKE:
        return f"{name} looks synthesised: its score of {score} reaches the fake threshold of {fake}."
    if decision.label is Label.UNCERTAIN:
        return (
            f"{name} looks neither clearly synthesised nor clearly genuine: "
            f"its score of {score} lies between {real} and {fake}."
        )
    if count == 1:
        return f"{name} looks genuine: its score of {score} does not exceed the real threshold of {real}."
    return f"The {count} faces look genuine: the highest score is {score} (face {track.id})."


def _notes(
    decision: _Decision, people: Sequence[_Person], segments: Sequence[Segment], card: ModelCard
) -> str:
    """What the reader should bear in mind: one more sentence, or nothing."""
    notes = []
    if decision.label is not Label.FAKE:
        brief = [person for person in people if not person.track.counted]
        if brief and (short := _highest(brief).track).fake_probability >= max(decision.fake, _STRIKING):
            score = f"{short.fake_probability:.2f}"
            notes.append(
                f"track {short.id} scored {score}, but in only {_sightings(short)}, so it is not counted"
            )
        if segments and not decision.seen_once:
            stretches = "1 stretch looks" if len(segments) == 1 else f"{len(segments)} stretches look"
            notes.append(f"{stretches} synthesised, from {segments[0].start_s:.1f} s on")
    if card.calibration is None:
        notes.append("the score is uncalibrated: it ranks clips, and is no probability")
    return f" {'; '.join(notes).capitalize()}." if notes else ""


def _sightings(track: Track) -> str:
    return f"{track.faces} {'sighting' if track.faces == 1 else 'sightings'}"
