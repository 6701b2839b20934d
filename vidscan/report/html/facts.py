"""Lists what is known of a file, a model and a scan, as terms with their words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vidscan.report.document import Document
from vidscan.report.wording import clock, counted


class Fact(NamedTuple):
    """A term and its words; ``code`` if they are not prose."""

    term: str
    words: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A card: its main facts, its limits, and every figure on it."""

    name: str
    facts: tuple[Fact, ...]
    limits: str
    figures: tuple[Fact, ...]
    members: tuple[ModelFacts, ...] = ()


def about_file(result: Document) -> tuple[Fact, ...]:
    """Lists the known facts of one source."""
    facts, stats = result["facts"] or {}, result["stats"]
    found = [Fact("Path", result["source"], code=True)]
    found.append(Fact("Kind", "clip" if result["kind"] == "video" else "still"))
    if facts.get("codec"):
        found.append(Fact("Codec", facts["codec"]))
    if facts.get("width"):
        found.append(Fact("Frame", f"{facts['width']} × {facts['height']} pixels"))
    if stats["duration_s"] is not None:
        found.append(Fact("Duration", f"{clock(stats['duration_s'])} ({stats['duration_s']:g} s)"))
    if facts:
        found.append(Fact("Size", f"{_amount(facts['bytes'])} ({counted(facts['bytes'], 'byte')})"))
        found.append(Fact("SHA-256", facts["sha256"], code=True))
    if stats["frames_sampled"]:
        seen = f"{counted(stats['frames_sampled'], 'frame')}, {counted(stats['faces_scored'], 'face')}"
        if stats["faces_unjudged"]:
            seen += f" and {stats['faces_unjudged']:,} too small to judge"
        found.append(Fact("Looked at", f"{seen}, in {stats['seconds']['total']:.1f} s"))
    if stats["cuts_s"]:
        found.append(Fact("Shots", f"{len(stats['cuts_s']) + 1:,}"))
    return tuple(found)


def about_model(card: Mapping[str, Any]) -> ModelFacts:
    """Lists the facts of a card of the document, with those of an ensemble's members."""
    calibration = card["calibration"]
    facts = [
        _network(card),
        Fact("Calibration", f"on {calibration['fitted_on']}" if calibration else "none"),
        Fact("Trained on", card["data"]),
        Fact("Terms", card["terms"]),
    ]
    if card["least_face"]:
        facts.append(Fact("Smallest face", f"{card['least_face']} pixels; smaller ones are not judged"))
    if "ensemble_weight" in card:
        facts.append(Fact("Weight in the ensemble", f"{card['ensemble_weight']:g}"))
    if card["sha256"]:
        facts.append(Fact("SHA-256", card["sha256"], code=True))
    nested = {name: card[name] for name in ("calibration", "split", "metrics") if card[name]}
    thresholds = {name: card[name] for name in ("fake_threshold", "real_threshold")}
    return ModelFacts(
        name=card["name"],
        facts=tuple(facts),
        limits=" ".join(card["limits"].split())
        or "Its card names none. That is no sign that there are none.",
        figures=tuple(flat(thresholds | nested)),
        members=tuple(about_model(member) for member in card.get("members", ())),
    )


def _network(card: Mapping[str, Any]) -> Fact:
    """Says which network computes, and which crops it takes."""
    if card.get("detector"):
        names = " and ".join(member["name"] for member in card["members"])
        return Fact("Networks", f"{names}, calibrated and measured together; each has its own card below")
    crops = f"crops {card['margin']:g} × the face"
    if card["level"]:
        crops += ", turned so that the eyes lie level"
    kind = f"{card['backbone']} in int8" if card.get("quantisation") == "int8" else card["backbone"]
    return Fact("Network", f"{kind}, {card['input_size']} px, {crops}")


def about_options(options: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Lists the options of the scan, one line each."""
    return tuple(flat(options))


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


def _amount(size: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
