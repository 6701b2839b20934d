"""Turns the scores of one source into its findings: tracks, timeline, segments and the verdict.

Pure functions. A person's probability is the sigmoid of the mean logit of their faces, weighted by quality
(see ``people``), and that of the source is combined from its people's (``evidence.any_of``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from vidscan.errors import ScoringError
from vidscan.options import VerdictOptions
from vidscan.probability import CLIP_AT
from vidscan.records import (
    TYPICAL_SPREAD,
    Calibration,
    FaceScore,
    Findings,
    Interval,
    Label,
    MemberVerdict,
    ModelCard,
    SourceKind,
    Verdict,
    member_names,
    thresholds_in_force,
)
from vidscan.verdict.evidence import any_of, interval, views_interval
from vidscan.verdict.people import Person, gather, highest
from vidscan.verdict.reasons import (
    Decision,
    clip_sentence,
    disagreement,
    notes,
    still_sentence,
    unjudged_sentence,
)
from vidscan.verdict.timeline import moments, segments

__all__ = ["CLIP_AT", "POOR", "judge", "thresholds"]

POOR = 0.15
"""No verdict rests on a person whose sightings' mean quality is below this: that of faces of full size under
a blur of 1 pixel in 40, or of faces of 48 pixels that are blurred or turned away as well."""

DRAWN = 16.0
"""From these mean outlines on, nobody is called REAL: the networks have learnt nothing of drawings. Chosen on
photographs of three sources, which have 15.7 at most, also as JPEG of quality 20; ``benchmarks/drawings.py``
tells what it costs others and what it holds back."""

_NO_PERSONS: Mapping[int, int] = MappingProxyType({})


def judge(
    scores: Sequence[FaceScore],
    card: ModelCard,
    options: VerdictOptions,
    kind: SourceKind,
    *,
    members: Sequence[ModelCard] = (),
    persons: Mapping[int, int] = _NO_PERSONS,
) -> Findings:
    """Judges the face scores of one source.

    One synthesised person makes a source FAKE, and the reason names the track. In a clip, FAKE and REAL need
    a person who counts, was seen at least twice and well enough, for FAKE also in enough detail
    (``card.least_detail``), for REAL not as a drawing looks, and says the same; otherwise the label is
    UNCERTAIN. All faces of a still count.
    ``scores`` come in any order. ``members``: the cards of an ensemble's members, in the order of
    ``FaceScore.members``; then ``card`` is that of the whole, and the reason says if one member alone says
    FAKE and another REAL. ``persons``: the person of each track, by default the track itself. Raises
    ScoringError where a score is not a finite number.
    """
    judged = [score for score in scores if score.fake_probability is not None]
    if not all(math.isfinite(score.fake_probability or 0.0) for score in judged):
        raise ScoringError("the network gave a score that is no number: check it with vidscan doctor")
    still = kind is SourceKind.IMAGE
    people, tracks = gather(scores, persons, options.min_track_share, still=still)
    timeline = moments(scores, still=still)
    if not people:
        return Findings(_without_scores(scores, card, still), tuple(tracks), timeline)
    decision = _decide(people, *thresholds(card, options), card.least_detail, still)
    stretches = () if still else segments(scores, decision.fake, options.segment_gap_s)
    alone = _members_alone(judged, members, options, kind, persons)
    likely = _likely(people, card.calibration_of(still=still))
    reason = (still_sentence if still else clip_sentence)(decision, people)
    calibrated, small = card.calibration is not None, len(scores) - len(judged)
    reason += notes(decision, people, stretches, likely, calibrated=calibrated, unjudged=small)
    sure = {Label.FAKE: decision.probability, Label.REAL: 1.0 - decision.probability}
    verdict = Verdict(
        label=decision.label,
        fake_probability=decision.probability,
        confidence=sure.get(decision.label, max(decision.probability, 1.0 - decision.probability)),
        reason=reason + disagreement(alone),
        members=alone,
        interval=likely,
        tracks=tuple(track.id for track in decision.person.tracks),
    )
    return Findings(verdict, tuple(tracks), timeline, stretches)


def _without_scores(scores: Sequence[FaceScore], card: ModelCard, still: bool) -> Verdict:
    """Returns the verdict if there is no face, or none large enough to be judged."""
    if not scores:
        where = "in the picture" if still else "in the frames looked at"
        return Verdict(Label.NO_FACE, None, None, f"No face was found {where}.")
    largest = max(score.face.box.longer_side for score in scores)
    return Verdict(Label.UNCERTAIN, None, None, unjudged_sentence(largest, card.least_face))


def _likely(people: Sequence[Person], calibration: Calibration | None) -> Interval:
    """Returns the range of the source's P(fake) by that of its most suspicious person."""
    counted = [person for person in people if person.counted]
    first = highest(counted)
    spread = TYPICAL_SPREAD if calibration is None else calibration.spread
    seen_once = views_interval(first.views, spread) if first.views else None
    own = seen_once or interval(first.scores, spread, first.weights)
    others = [person for person in counted if person is not first]
    weights = [first.weight, *(person.weight for person in others)]
    return Interval(*(any_of([end, *(person.fake_probability for person in others)], weights) for end in own))


def thresholds(card: ModelCard, options: VerdictOptions) -> tuple[float, float]:
    """The fake and the real threshold in force; see :func:`vidscan.records.thresholds_in_force`."""
    return thresholds_in_force(
        (card.fake_threshold, card.real_threshold), (options.fake_threshold, options.real_threshold)
    )


def _members_alone(
    judged: Sequence[FaceScore],
    cards: Sequence[ModelCard],
    options: VerdictOptions,
    kind: SourceKind,
    persons: Mapping[int, int],
) -> tuple[MemberVerdict, ...]:
    """Returns what a scan with each member alone would have said of the same faces."""
    verdicts = []
    for place, (name, card) in enumerate(zip(member_names(cards), cards, strict=True)):
        own = [
            replace(score, fake_probability=score.members[place], members=(), views=()) for score in judged
        ]
        verdict = judge(own, card, options, kind, persons=persons).verdict
        assert verdict.fake_probability is not None  # there is at least one face
        verdicts.append(MemberVerdict(name, verdict.label, verdict.fake_probability))
    return tuple(verdicts)


def _decide(people: Sequence[Person], fake: float, real: float, least_detail: float, still: bool) -> Decision:
    """Decides by the most suspicious person who was seen often and well enough."""
    counted = [person for person in people if person.counted]
    first = highest(counted)
    probability = any_of([person.fake_probability for person in counted], [each.weight for each in counted])
    undecided = Decision(Label.UNCERTAIN, probability, first, fake, real)
    if real < probability < fake:
        return undecided
    label = Label.FAKE if probability >= fake else Label.REAL
    saying_so = [person for person in counted if label is Label.REAL or person.fake_probability >= fake]
    often = [person for person in saying_so if still or len(person.scores) > 1]
    if not often:
        return replace(undecided, seen_once=True)
    well = [person for person in often if not _lacking(person, label, least_detail)]
    if not well:
        person = highest(often)
        return replace(undecided, person=person, lacking=_lacking(person, label, least_detail))
    return replace(undecided, label=label, person=highest(well))


def _lacking(person: Person, label: Label, least_detail: float) -> str:
    """Returns what keeps a person's sightings from such a verdict, as reasons name it; else ""."""
    if person.quality < POOR:
        return person.lacking
    if label is Label.REAL:
        return "outlines" if person.outlines >= DRAWN else ""
    return "detail" if person.detail < least_detail else ""
