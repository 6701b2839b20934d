"""Says in plain words what a verdict rests on. Nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vidscan.report.content.facts import Fact
from vidscan.report.document import Document
from vidscan.report.wording import counted, score


def basis(document: Document, result: Document, fake: float, real: float) -> tuple[Fact, ...]:
    """Returns the faces seen, how far they agree, and what a score means; empty if no face was seen.

    ``fake`` is the threshold from which a score says FAKE, ``real`` the one up to which it says REAL.
    """
    if result["verdict"] is None or not result["tracks"]:
        return ()
    found = [Fact("Faces", _faces(result))]
    decisive = _Decisive.of(result)
    if result["kind"] == "video":
        found.append(Fact("People", _people(result["tracks"], decisive)))
    if result["verdict"]["fake_probability"] is None:
        return tuple(found)
    found.append(Fact("Agreement", _agreement(result, decisive, fake, real)))
    if interval := result["verdict"]["interval"]:
        found.append(Fact("Range", _range(interval, result["kind"])))
    if members := result["verdict"].get("members"):
        said = (f"{each['name']} {score(each['fake_probability'])} ({each['label']})" for each in members)
        found.append(Fact("Members", f"Each alone would say: {', '.join(said)}."))
    found.append(Fact("Calibration", _calibration(document["model"])))
    given = document["options"].get("verdict", {})
    own = any(given.get(name) is not None for name in ("fake_threshold", "real_threshold"))
    whose = "set for this scan" if own else _from_whose_card(document["model"])
    found.append(Fact("Thresholds", f"FAKE from {fake:.2f}, REAL up to {real:.2f}, {whose}."))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Decisive:
    """The person that the verdict rests on: a name, and all their tracks."""

    name: str
    tracks: frozenset[int]

    @classmethod
    def of(cls, result: Document) -> _Decisive:
        tracks = result["verdict"]["tracks"]
        if len(tracks) < 2:
            return cls(f"track {tracks[0]}" if tracks else "nobody", frozenset(tracks))
        person = next(track["person"] for track in result["tracks"] if track["id"] in tracks)
        return cls(f"person {person}", frozenset(tracks))


def _faces(result: Document) -> str:
    stats = result["stats"]
    faces = counted(stats["faces_scored"], "face")
    small = f", {stats['faces_unjudged']:,} too small to judge" if stats["faces_unjudged"] else ""
    if result["kind"] != "video":
        return f"{faces} found and scored{small}."
    frames, seen = stats["frames_sampled"], len(result["timeline"])
    where = "every one" if seen == frames else str(seen)
    return f"{faces} scored{small}; somebody was seen in {where} of {counted(frames, 'frame')} looked at."


def _people(tracks: Sequence[Document], decisive: _Decisive) -> str:
    counting = [track for track in tracks if track["counted"]]
    count = len({track["person"] or track["id"] for track in counting})
    said = f"{counted(count, 'person', 'people')} followed" if count else "Nobody has a part in the verdict"
    if count < len(counting):
        said += f" in {counted(len(counting), 'track')}"
    if count > 1:
        said += f"; the verdict rests on {decisive.name}"
    left_out = Counter(track["note"] or "not counted" for track in tracks if not track["counted"])
    return "; ".join([said, *(f"{counted(some, 'track')} {why}" for why, some in left_out.items())]) + "."


def _agreement(result: Document, decisive: _Decisive, fake: float, real: float) -> str:
    """Says how the scores of the deciding person fall on either side of the thresholds."""
    faces = [
        face
        for point in result["timeline"]
        for face in point["faces"]
        if face["track"] in decisive.tracks and face["fake_probability"] is not None
    ]
    scores = [face["fake_probability"] for face in faces]
    high = sum(each >= fake for each in scores)
    low = sum(each <= real and each < fake for each in scores)
    kind = "sighting" if result["kind"] == "video" else "face"
    whose = f"Of {counted(len(scores), kind)} of {decisive.name}"
    if kind == "face":
        whose = f"Of {decisive.name.replace('track', 'face')}, which the verdict rests on"
        return f"{whose}, {_of_views(faces[0])}." if faces else f"{whose}, none is listed."
    between = len(scores) - high - low
    for count, where in ((high, "to fake"), (low, "to real"), (between, "to neither")):
        if count == len(scores) > 1:
            return f"All {counted(count, 'sighting')} of {decisive.name} point {where}."
    told = f"{high or 'none'} point to fake, {low or 'none'} to real and {between or 'none'} to neither"
    return f"{whose}, {told}."


def _of_views(face: Document) -> str:
    told = f"the one score is {score(face['fake_probability'])}"
    views = [score(each) for each in face.get("views", ())]
    if not views:
        return told
    return (
        f"{told}: the mean of {len(views)} views, as it is ({views[0]}) and mirrored or cut out a little "
        f"differently ({', '.join(views[1:])})"
    )


def _range(interval: Sequence[float], kind: str) -> str:
    low, high = (score(end) for end in interval)
    other, why = "Another picture", "the less the views of the face agree"
    if kind == "video":
        other, why = "Other moments", "the fewer faces were seen and the less they agree"
    said = f"of the same person would have scored between {low} and {high}, 19 times in 20"
    return f"{other} {said}: the wider, {why}."


def _from_whose_card(model: Document) -> str:
    if model.get("detector"):
        return f"from the card of {model['name']}, which is the networks’ together"
    return "from the members’ cards" if "members" in model else "from the checkpoint’s card"


def _calibration(model: Document) -> str:
    if model["calibration"] is None:
        whose = "these checkpoints’" if "members" in model else "this checkpoint’s"
        return (
            f"None: nobody compared {whose} scores "
            "with known clips. They rank faces; 0.90 does not mean a chance of 90%."
        )
    return f"Fitted on {model['calibration']['fitted_on']}: a score is meant as a probability."
