"""Formats nested values of the document as terms with their words, for the templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Fact(NamedTuple):
    """A term and its words; ``code`` if they are not prose."""

    term: str
    words: str
    code: bool = False


def figures(card: Mapping[str, Any]) -> Iterator[Fact]:
    """Yields every figure on a card: its thresholds, calibration, split and metrics."""
    nested = {name: card[name] for name in ("calibration", "stills", "split", "metrics") if card.get(name)}
    return flat({name: card[name] for name in ("fake_threshold", "real_threshold")} | nested)


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[Fact]:
    """Yields nested values as one line each; a list of plain values stays together."""
    for name, value in values.items():
        term = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{term} › ")
        elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
            yield from flat({str(at): each for at, each in enumerate(value, start=1)}, f"{term} › ")
        else:
            yield Fact(term, _plain(value), code=True)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not set" if value is None else str(value)


def amount(size: float) -> str:
    """Formats a number of bytes with its unit."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
