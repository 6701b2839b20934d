"""What must be known about a checkpoint to use it rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from vidscan.records.limits import Limits, Sha256
from vidscan.records.stages import Geometry

TYPICAL_SPREAD = 1.0
"""Standard deviation of the logits of one person's sightings where nobody has measured it."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling of the network's logit of P(fake): ``slope * logit + intercept``.

    Source: J. Platt, "Probabilistic outputs for support vector machines", 1999. ``spread`` is the
    standard deviation of the scaled logits within a clip, above 0.
    """

    # A slope of 0 or less would forget or invert what the network says.
    slope: Annotated[float, Limits(1e-6, 1e6)]
    intercept: Annotated[float, Limits(-1e6, 1e6)]
    fitted_on: str
    spread: Annotated[float, Limits(1e-3, 1e3)] = TYPICAL_SPREAD


Weight = Annotated[float, Limits(1e-6, 1e6)]
"""Bounded so that no sum of weights overflows; a weight of 0 would be a member without a say."""


@dataclass(frozen=True, slots=True)
class Member:
    """A network that a detector card speaks of: its name, its file's SHA-256, and its say, above 0."""

    name: str
    sha256: Sha256
    weight: Weight


@dataclass(frozen=True, slots=True)
class StillRule:
    """How a detector card wants the faces of stills put together, where clips have another rule.

    ``weights`` are the members' say, above 0, in their order; ``calibration`` scales their mean logit.
    """

    weights: Annotated[tuple[Weight, ...], Limits(2, 16, words="a list of 2 to 16 weights above 0")]
    calibration: Calibration


LEAST_FACE = 48
"""``least_face`` of a network that nobody has asked: at a margin of 1.4, 67 pixels of video in its crop."""


MAX_MEMBERS = 16

Quantisation: TypeAlias = Literal["none", "int8"]
"""What a network computes in: floating point, or integers of 8 bits."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What must be known about a checkpoint to use it rightly; JSON beside the file.

    ``input_size`` is the side of the square input in pixels; ``margin`` the side of the crop as a
    multiple of the longer side of the detected box. ``positive_class`` names the class whose
    probability the network puts out. A clip is FAKE at or above ``fake_threshold``, REAL at or
    below ``real_threshold``, UNCERTAIN between them (both on the calibrated P(fake)).
    ``calibration`` is None where nobody fitted one: scores are then only scores. ``ensemble_weight``
    is the checkpoint's say among others: one of 2 counts twice as much as one of 1. ``level``: crops are
    turned so that the eyes lie level. ``least_face``: the longer side of a box, in pixels, from which the
    network's score was found to say anything; smaller faces are not judged. ``least_detail``: the mean detail
    of a person's faces (``FaceSeen.detail``) below which they are not called FAKE, since genuine faces that
    are blurred or enlarged look synthesised to the network; 0 where that was not found. ``quantisation``:
    whether the network computes in integers of 8 bits. ``mouth``: in clips the network looks at the
    mouth beside the face, in a crop of the same size.

    With ``members``, two or more, it is a detector card: it has no file of its own, and speaks of those
    networks together. A face's score is then the members' calibrated and clipped logits, averaged by their
    weights and scaled by this card's own ``calibration``; thresholds, ``least_face`` and ``least_detail`` are
    the whole's. With ``stills`` these weights and this calibration are for clips, and stills have their own.
    """

    name: str
    backbone: str
    input_size: Annotated[int, Limits(32, 4096, words="a whole number of pixels from 32 to 4096")]
    margin: Annotated[float, Limits(1, 4)] = 1.4
    positive_class: Literal["real", "fake"] = "real"
    fake_threshold: Annotated[float, Limits(0, 1)] = 0.6
    real_threshold: Annotated[float, Limits(0, 1)] = 0.4
    calibration: Calibration | None = None
    sha256: Sha256 | None = None
    terms: str = "unknown"
    data: str = "unknown"
    split: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    ensemble_weight: Weight = 1.0
    level: bool = False
    least_face: Annotated[int, Limits(0, 4096, words="a whole number of pixels from 0 to 4096")] = LEAST_FACE
    least_detail: Annotated[float, Limits(0, 10)] = 0.0
    quantisation: Quantisation = "none"
    mouth: bool = False
    members: Annotated[
        tuple[Member, ...], Limits(0, MAX_MEMBERS, words=f"a list of 2 to {MAX_MEMBERS} networks, or empty")
    ] = ()
    stills: StillRule | None = None

    def calibration_of(self, *, still: bool) -> Calibration | None:
        """What scales the logits of faces in a still, or of those in a clip; None where nobody fitted it."""
        return self.stills.calibration if still and self.stills is not None else self.calibration

    @property
    def geometry(self) -> Geometry:
        """How the network wants a face cut out."""
        return Geometry(self.input_size, self.margin, self.level)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """All the crops that the network wants of a face, in the order in which it takes them."""
        mouth = Geometry(self.input_size, 1.0, level=True, region="mouth")
        return (self.geometry, mouth) if self.mouth else (self.geometry,)


def member_names(cards: Sequence[ModelCard]) -> tuple[str, ...]:
    """The cards' names; where two are alike, with the first digits of the file's SHA-256."""
    count = Counter(card.name for card in cards)
    return tuple(
        f"{card.name} ({card.sha256[:8]})" if card.sha256 and count[card.name] > 1 else card.name
        for card in cards
    )


def thresholds_in_force(
    own: tuple[float, float], given: tuple[float | None, float | None]
) -> tuple[float, float]:
    """The fake and the real threshold in force: those ``given`` by options, else the card's ``own``.

    Where a given one passes the card's other one, that one yields and UNCERTAIN has no room left.
    """
    fake, real = (each if other is None else other for each, other in zip(own, given, strict=True))
    if given[0] is None and given[1] is not None:
        return max(fake, real), real
    return fake, min(fake, real)
