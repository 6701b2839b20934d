"""How a report is read, and what it does not mean: the same on a page and in a case file."""

from __future__ import annotations

from vidscan.records import Label
from vidscan.report.document import Document
from vidscan.report.wording import score

HEAT_MAPS = (
    "A heat map shows which parts of a crop spoke for a forgery. It tells where the network looked, not "
    "whether it was right."
)

NOT_COMPARABLE = "Compare places within one crop, never the colours of two."

SHARE_AND_QUALITY = (
    "Share: how much the person counts in the verdict. Quality, 0 to 1: how well the faces can be judged, by "
    "their size, sharpness, pose and how much of them is visible."
)


def meanings(model: Document, fake: float, real: float) -> tuple[tuple[str, str], ...]:
    """Each label with what it means by these thresholds; ``model`` is the document's."""
    have = "networks have" if model.get("members") else "network has"
    return (
        (
            Label.FAKE,
            f"At least one person’s faces look synthesised: their score reaches {score(fake)}.",
        ),
        (
            Label.REAL,
            f"Nobody followed through the clip shows the marks that the {have} learned: no score exceeds "
            f"{score(real)}.",
        ),
        (
            Label.UNCERTAIN,
            "The score lies between, or rests on too little, or no face was fit to be judged: look yourself.",
        ),
        (Label.NO_FACE, "No face was found. That is an answer, not a score of 0.5."),
    )


def not_meant(model: Document) -> str:
    """The limits of every verdict."""
    networks = "networks" if model.get("members") else "network"
    return (
        "A verdict is a statistical hint about pixels, not proof. A new generator, a heavily re-compressed "
        f"copy, a filter or an unusual camera can fool the {networks} in both directions. It judges faces "
        "only: not voices, not lip-sync, not context, not whether a real clip is shown under a false date. "
        "REAL means “nothing was found”, not “authentic”. Never publish an accusation on the strength of one "
        "tool."
    )


def scale(model: Document) -> tuple[str, str]:
    """What P(fake) is, and in what sense its scores are probabilities."""
    if model["calibration"] is None:
        sense = "These scores are uncalibrated: they rank faces, but 0.90 does not mean a chance of 90%."
    else:
        sense = f"The scores are calibrated on {model['calibration']['fitted_on']}."
    return (
        "P(fake) runs from 0 to 1. Every person is followed and judged alone; how much each counts in the "
        "verdict stands beside their tracks.",
        sense,
    )
