"""Reads the texts of flags that list names, and values of names."""

from __future__ import annotations

from vidscan.errors import UsageError


def names(text: str) -> tuple[str, ...]:
    """``"original, deepfakes"`` as names; empty ones are left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def pairs(text: str) -> list[tuple[str, str]]:
    """``"a=1,b=2"`` as pairs; raises UsageError if it is written otherwise."""
    found = []
    for item in names(text):
        name, sign, value = item.partition("=")
        if not (sign and name and value):
            raise UsageError(f"'{item}' should be NAME=VALUE")
        found.append((name, value))
    return found


def method_weights(text: str) -> dict[str, float]:
    """``"deepfakes=1,stylegan256=0.7"`` as a dictionary; raises UsageError if it is written otherwise."""
    weights = {}
    for name, value in pairs(text):
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--method-weights: '{value}' of {name} is not a number") from None
    return weights
