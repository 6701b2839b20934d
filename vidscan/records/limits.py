"""What the fields of records may hold beyond their types. Codecs check it; reports round numbers by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Limits:
    """Beside a type, in ``Annotated``.

    ``low`` and ``high``, both included, bound a number, or the length of a text or tuple. ``digits`` is the
    number of decimals in a report. ``words`` say what is due where the bounds alone do not. ``wide``: columns
    hold the integer in 64 bits, not 32. ``absent``: a report leaves the field out where it is empty.
    """

    low: float | None = None
    high: float | None = None
    digits: int | None = None
    pattern: str | None = None
    words: str = ""
    wide: bool = False
    absent: bool = False


Count = Annotated[int, Limits(0)]
Seconds = Annotated[float, Limits(0, digits=3)]
Probability = Annotated[float, Limits(0, 1, digits=6)]
Share = Annotated[float, Limits(0, 1, digits=3)]
Offset = Annotated[float, Limits(digits=1)]
"""Pixels from the upper left corner of a frame."""
Length = Annotated[float, Limits(0, digits=1)]
"""Pixels."""
Sha256 = Annotated[str, Limits(pattern="[0-9a-f]{64}", words="64 lower-case hexadecimal digits")]
MemberScores = Annotated[tuple[Probability, ...], Limits(2, absent=True)]
"""What each member of an ensemble says; empty for one model."""
