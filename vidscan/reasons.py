"""Puts a decision into words: the ``reason`` of a verdict. Pure functions; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.evidence import Person, highest
from vidscan.records import Interval, Label, MemberVerdict, Segment, Track

_FEW = 3  # a verdict on a clip that rests on fewer sightings says so
_STRIKING = 0.9  # an uncounted track that scores this high is mentioned


@dataclass(frozen=True, slots=True)
class Decision:
    """A label, the track it rests on and the thresholds; ``seen_once`` where that made it UNCERTAIN."""

    label: Label
    person: Person
    fake: float
    real: float
    seen_once: bool = False


def clip_sentence(decision: Decision, people: Sequence[Person]) -> str:
    """Why a clip got its label: one sentence."""
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


def still_sentence(decision: Decision, people: Sequence[Person]) -> str:
    """Why a still got its label: one sentence."""
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


def notes(
    decision: Decision,
    people: Sequence[Person],
    segments: Sequence[Segment],
    likely: Interval,
    *,
    calibrated: bool,
) -> str:
    """What the reader should bear in mind: one more sentence with a space before it, or nothing."""
    noted = []
    if decision.label is not Label.FAKE:
        brief = [person for person in people if not person.track.counted]
        if brief and (short := highest(brief).track).fake_probability >= max(decision.fake, _STRIKING):
            score = f"{short.fake_probability:.2f}"
            noted.append(
                f"track {short.id} scored {score}, but in only {_sightings(short)}, so it is not counted"
            )
        if segments and not decision.seen_once:
            stretches = "1 stretch looks" if len(segments) == 1 else f"{len(segments)} stretches look"
            noted.append(f"{stretches} synthesised, from {segments[0].start_s:.1f} s on")
    opposite = {Label.FAKE: likely.low <= decision.real, Label.REAL: likely.high >= decision.fake}
    if decision.person.track.faces > 1 and opposite.get(decision.label, False):
        noted.append("its faces are so few, or agree so little, that others could have said the opposite")
    if not calibrated:
        noted.append("the score is uncalibrated: it ranks clips, and is no probability")
    return f" {'; '.join(noted).capitalize()}." if noted else ""


def disagreement(members: Sequence[MemberVerdict]) -> str:
    """Who says what where one member says FAKE and another REAL: a sentence as in ``notes``, or nothing."""
    if not {Label.FAKE, Label.REAL} <= {member.label for member in members}:
        return ""
    said = [f"{member.name} alone says {member.label} ({member.fake_probability:.2f})" for member in members]
    return f" The members disagree: {', '.join(said)}."


def _sightings(track: Track) -> str:
    return f"{track.faces} {'sighting' if track.faces == 1 else 'sightings'}"
