"""Writes the ``reason`` of a verdict. Pure functions; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.records import Interval, Label, MemberVerdict, Segment
from vidscan.verdict.people import Person, highest

_FEW = 3  # a verdict on a clip that rests on fewer sightings says so
_STRIKING = 0.9  # an uncounted person who scores this high is mentioned
_LACKING = {
    "size": "too small",
    "sharpness": "too blurred",
    "detail": "blurred, enlarged or too small, and genuine ones then look so too",
    "pose": "turned away too far",
    "visible": "covered, cut off or unclear",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A label and what it rests on.

    Where the person was seen too little or too badly for the label that the probability asks for,
    ``seen_once`` is True, or ``lacking`` names what is missing.
    """

    label: Label
    probability: float
    person: Person
    fake: float
    real: float
    seen_once: bool = False
    lacking: str = ""


def clip_sentence(decision: Decision, people: Sequence[Person]) -> str:
    """Says in one sentence why a clip got its label."""
    person = decision.person
    count = sum(other.counted for other in people)
    name = "The one person followed" if count == 1 else f"{person.name}, one of {count} people followed,"
    above = sum(score >= decision.fake for score in person.scores)
    caveat = ", which is little to go by" if len(person.scores) < _FEW else ""
    tally = f"{above} of {_sightings(person)} above the fake threshold{caveat}"
    if decision.seen_once or decision.lacking:
        looks = "synthesised" if decision.probability >= decision.fake else "genuine"
        few = "was seen only once, too little for a verdict"
        return f"{name} looks {looks}, but {few if decision.seen_once else _poorly(decision.lacking)}."
    if decision.label is Label.FAKE:
        return f"{name} looks synthesised: {tally}."
    if decision.label is Label.UNCERTAIN:
        return f"{name} {_undecided(decision, count)}: {tally}."
    if count == 1:
        return f"{name} looks genuine: {tally}."
    first = person.name[0].lower() + person.name[1:]
    return f"The {count} people followed look genuine; {first} comes closest to fake: {tally}."


def still_sentence(decision: Decision, people: Sequence[Person]) -> str:
    """Says in one sentence why a still got its label."""
    person, count = decision.person, len(people)
    name = "The face" if count == 1 else f"Face {person.number} (of {count})"
    score, fake, real = f"{person.fake_probability:.2f}", f"{decision.fake:.2f}", f"{decision.real:.2f}"
    if decision.lacking:
        looks = "synthesised" if decision.probability >= decision.fake else "genuine"
        return f"{name} looks {looks}, but {_poorly(decision.lacking)}."
    if decision.label is Label.FAKE:
        return f"{name} looks synthesised: its score of {score} reaches the fake threshold of {fake}."
    if decision.label is Label.UNCERTAIN:
        if person.fake_probability >= decision.fake:
            return f"{name} {_undecided(decision, count)}: its score is {score}."
        return (
            f"{name} looks neither clearly synthesised nor clearly genuine: "
            f"its score of {score} lies between {real} and {fake}."
        )
    if count == 1:
        return f"{name} looks genuine: its score of {score} does not exceed the real threshold of {real}."
    return f"The {count} faces look genuine: the highest score is {score} (face {person.number})."


def unjudged_sentence(largest: float, least: int) -> str:
    """Says why there is no score, by the largest face's side in pixels and the minimum."""
    return (
        f"The faces seen are too small to be judged: {largest:.0f} pixels at the most, where "
        f"{least} are needed."
    )


def _undecided(decision: Decision, count: int) -> str:
    if decision.person.fake_probability < decision.fake:
        return "looks neither clearly synthesised nor clearly genuine"
    alone = f"{decision.person.fake_probability:.2f}"
    return (
        f"looks synthesised taken alone ({alone}), but not clearly enough for one of {count}, "
        "among whom somebody may look so by chance"
    )


def _poorly(lacking: str) -> str:
    if lacking == "outlines":
        return "it has the even areas and hard outlines of a drawing, on which no verdict is given"
    return f"the picture is too poor for a verdict: the face is {_LACKING[lacking]}"


def notes(
    decision: Decision,
    people: Sequence[Person],
    segments: Sequence[Segment],
    likely: Interval,
    *,
    calibrated: bool,
    unjudged: int = 0,
) -> str:
    """Returns one more sentence of caveats with a space before it, or ""."""
    noted = []
    if decision.label is not Label.FAKE:
        brief = [person for person in people if not person.counted]
        if brief and (short := highest(brief)).fake_probability >= max(decision.fake, _STRIKING):
            name, score = short.name.lower(), f"{short.fake_probability:.2f}"
            noted.append(f"{name} scored {score}, but in only {_sightings(short)}, so it is not counted")
        if segments and not (decision.seen_once or decision.lacking):
            stretches = "1 stretch looks" if len(segments) == 1 else f"{len(segments)} stretches look"
            noted.append(f"{stretches} synthesised, from {segments[0].start_s:.1f} s on")
    opposite = {Label.FAKE: likely.low <= decision.real, Label.REAL: likely.high >= decision.fake}
    if len(decision.person.scores) > 1 and opposite.get(decision.label, False):
        noted.append("its faces are so few, or agree so little, that others could have said the opposite")
    if apart := _views_apart(decision):
        noted.append(apart)
    if unjudged:
        noted.append(f"{unjudged} {'face was' if unjudged == 1 else 'faces were'} too small to be judged")
    if not calibrated:
        noted.append("the score is uncalibrated: it ranks clips, and is no probability")
    return f" {'; '.join(noted).capitalize()}." if noted else ""


def _views_apart(decision: Decision) -> str:
    """Says how far a still's views differ if they would not all get the same label; else ""."""
    views = decision.person.views
    if len({_label(score, decision) for score in views}) < 2:
        return ""
    return (
        f"mirrored or cut out a little differently, the face scores from {min(views):.2f} to "
        f"{max(views):.2f}, which would not always be the same verdict"
    )


def _label(score: float, decision: Decision) -> Label:
    if score >= decision.fake:
        return Label.FAKE
    return Label.REAL if score <= decision.real else Label.UNCERTAIN


def disagreement(members: Sequence[MemberVerdict]) -> str:
    """Says what each member says if one says FAKE and another REAL: a sentence as in ``notes``, or ""."""
    if not {Label.FAKE, Label.REAL} <= {member.label for member in members}:
        return ""
    said = [f"{member.name} alone says {member.label} ({member.fake_probability:.2f})" for member in members]
    return f" The members disagree: {', '.join(said)}."


def _sightings(person: Person) -> str:
    return f"{len(person.scores)} {'sighting' if len(person.scores) == 1 else 'sightings'}"
