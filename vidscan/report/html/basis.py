"""What a verdict rests on, in plain words. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence

from vidscan.report.document import Document
from vidscan.report.html.facts import Fact
from vidscan.report.wording import counted, score


def basis(document: Document, result: Document, fake: float, real: float) -> tuple[Fact, ...]:
    """The faces seen, how far they agree, and what a score is worth; empty where there is no score.

    Args:
        document: the whole, for its model and options.
        result: one of its results.
        fake: the threshold from which a score says FAKE.
        real: the threshold up to which it says REAL.
    """
    if result["verdict"] is None or not result["tracks"]:
        return ()
    found = [Fact("Faces", _faces(result))]
    if result["kind"] == "video":
        found.append(Fact("People", _people(result["tracks"])))
    found.append(Fact("Agreement", _agreement(result, fake, real)))
    if interval := result["verdict"]["interval"]:
        found.append(Fact("Range", _range(interval)))
    if members := result["verdict"].get("members"):
        said = (f"{each['name']} {score(each['fake_probability'])} ({each['label']})" for each in members)
        found.append(Fact("Members", f"Each alone would say: {', '.join(said)}."))
    found.append(Fact("Calibration", _calibration(document["model"])))
    given = document["options"].get("verdict", {})
    own = any(given.get(name) is not None for name in ("fake_threshold", "real_threshold"))
    whose = "set for this scan" if own else "from the checkpoint’s card"
    found.append(Fact("Thresholds", f"FAKE from {fake:.2f}, REAL up to {real:.2f}, {whose}."))
    return tuple(found)


def _faces(result: Document) -> str:
    stats = result["stats"]
    faces = counted(stats["faces_scored"], "face")
    if result["kind"] != "video":
        return f"{faces} found and scored."
    frames, seen = stats["frames_sampled"], len(result["timeline"])
    where = "every one" if seen == frames else str(seen)
    return f"{faces} scored; somebody was seen in {where} of {counted(frames, 'frame')} looked at."


def _people(tracks: Sequence[Document]) -> str:
    count = sum(track["counted"] for track in tracks)
    said = f"{counted(count, 'person', 'people')} followed"
    if count > 1:
        said += (
            f", each judged alone; the most suspicious, track {_decisive(tracks)['id']}, carries the verdict"
        )
    brief = len(tracks) - count
    return f"{said}; {counted(brief, 'track')} too short to count." if brief else f"{said}."


def _agreement(result: Document, fake: float, real: float) -> str:
    """How the sightings of the track that carries the verdict fall on either side of the thresholds."""
    track = _decisive(result["tracks"])
    scores = [
        face["fake_probability"]
        for point in result["timeline"]
        for face in point["faces"]
        if face["track"] == track["id"]
    ]
    high = sum(each >= fake for each in scores)
    low = sum(each <= real and each < fake for each in scores)
    kind = "sighting" if result["kind"] == "video" else "face"
    whose = f"Of {counted(len(scores), kind)} of track {track['id']}"
    if kind == "face":
        whose = f"Of face {track['id']}, the most suspicious"
        return f"{whose}, the one score is {score(scores[0])}." if scores else f"{whose}, none is listed."
    between = len(scores) - high - low
    for count, where in ((high, "to fake"), (low, "to real"), (between, "to neither")):
        if count == len(scores) > 1:
            return f"All {counted(count, 'sighting')} of track {track['id']} point {where}."
    told = f"{high or 'none'} point to fake, {low or 'none'} to real and {between or 'none'} to neither"
    return f"{whose}, {told}."


def _range(interval: Sequence[float]) -> str:
    low, high = (score(end) for end in interval)
    return (
        f"Other moments of the same person would have scored between {low} and {high}, 19 times in 20: the "
        "wider, the fewer faces were seen and the less they agree."
    )


def _calibration(model: Document) -> str:
    if model["calibration"] is None:
        return (
            "None: nobody compared this checkpoint’s scores with known clips. They rank faces; 0.90 does not "
            "mean a chance of 90%."
        )
    return f"Fitted on {model['calibration']['fitted_on']}: a score is meant as a probability."


def _decisive(tracks: Sequence[Document]) -> Document:
    return max(
        tracks, key=lambda each: (each["counted"], each["fake_probability"], each["faces"], -each["id"])
    )
