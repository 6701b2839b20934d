"""Formats values of the document as terms with their words: a file's, a card's, or whatever is nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vidscan.report.document import Document
from vidscan.report.wording import clock, counted


class Fact(NamedTuple):
    """A term and its words; ``code`` if they are not prose."""

    term: str
    words: str
    code: bool = False


def file_facts(result: Document) -> Iterator[Fact]:
    """Yields what is known of a source's file and of how much of it was looked at."""
    facts, stats = result["facts"] or {}, result["stats"]
    yield Fact("Path", result["source"], code=True)
    yield Fact("Kind", "clip" if result["kind"] == "video" else "still")
    if facts.get("codec"):
        yield Fact("Codec", facts["codec"])
    if facts.get("width"):
        yield Fact("Frame", f"{facts['width']} × {facts['height']} pixels")
    if (duration_s := stats["duration_s"]) is not None:
        yield Fact("Duration", f"{clock(duration_s)} ({duration_s:g} s)")
    if facts:
        yield Fact("Size", f"{amount(facts['bytes'])} ({counted(facts['bytes'], 'byte')})")
        yield Fact("SHA-256", facts["sha256"], code=True)
    if stats["frames_sampled"]:
        small = f" and {stats['faces_unjudged']:,} too small to judge" if stats["faces_unjudged"] else ""
        frames, faces = counted(stats["frames_sampled"], "frame"), counted(stats["faces_scored"], "face")
        yield Fact("Looked at", f"{frames}, {faces}{small}, in {stats['seconds']['total']:.1f} s")
    if stats["cuts_s"]:
        yield Fact("Shots", f"{len(stats['cuts_s']) + 1:,}")


def card_limits(card: Document) -> str:
    """What a card says that its network cannot do."""
    return " ".join(card["limits"].split()) or "Its card names none. That is no sign that there are none."


def card_facts(card: Document) -> Iterator[Fact]:
    """Yields what a network, or several together, are and were made on, by the card."""
    if card.get("detector"):
        names = " and ".join(member["name"] for member in card["members"])
        told = f"{names}, calibrated and measured together; each has its own card below"
        yield Fact("Networks", told)
    else:
        int8 = " in int8" if card.get("quantisation") == "int8" else ""
        level = ", turned so that the eyes lie level" if card["level"] else ""
        crop = f"{card['input_size']} px, crops {card['margin']:g} × the face{level}"
        yield Fact("Network", f"{card['backbone']}{int8}, {crop}")
    fitted_on = f"on {card['calibration']['fitted_on']}" if card["calibration"] else "none"
    yield Fact("Calibration", fitted_on)
    yield Fact("Trained on", card["data"])
    yield Fact("Terms", card["terms"])
    if card["least_face"]:
        yield Fact("Smallest face", f"{card['least_face']} pixels; smaller ones are not judged")
    if "ensemble_weight" in card:
        yield Fact("Weight in the ensemble", f"{card['ensemble_weight']:g}")
    if card["sha256"]:
        yield Fact("SHA-256", card["sha256"], code=True)


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
